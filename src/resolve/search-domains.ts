/**
 * The node's own search domains, which kubelet puts behind those of the cluster. No setting tells them, but walks do: where
 * the cluster's steps of a name were denied and then the same name is asked for with something else behind it, that is one.
 *
 *   www.example.com.default.svc.cluster.local   denied: a walk has begun
 *   www.example.com.corp.example                denied in another zone: corp.example is a search domain
 *
 * Only of zones that have cuts, because nothing else is done with them.
 */
import { lower } from '../dns/wire.js';
import { nodeDomainsMax, walksBegunMax, walksBegunMs } from '../limits.js';
import type { ServedZone } from './zones.js';

export interface SearchDomain {
  readonly zone: ServedZone;
  /** With the root, in lower case. */
  readonly wire: Uint8Array;
}

export class SearchDomains {
  /** Walks by their names, the oldest first. */
  readonly #begun = new Map<string, { readonly zone: ServedZone; readonly atMs: number }>();
  /** By zone and name, the oldest first. */
  readonly #known = new Map<string, SearchDomain>();

  get all(): Iterable<SearchDomain> {
    return this.#known.values();
  }

  /** The first step of a walk to this question's name was denied in the zone of the cluster. */
  begun(zone: ServedZone, question: Uint8Array, atMs: number): void {
    putYoungest(this.#begun, lowerText(question, 0, question.length - 5), { zone, atMs }, walksBegunMax);
  }

  /** A client's question is denied. */
  denied(zone: ServedZone, question: Uint8Array, nowMs: number): void {
    if (!zone.isCut || this.#begun.size === 0) return;
    // The second step of a walk looks like the first one of a shorter name: the longest is the one.
    const at = lastLabel(zone, question, (end) => {
      const walk = question[end] === 0 ? undefined : this.#begun.get(lowerText(question, 0, end));
      return walk !== undefined && walk.zone !== zone && nowMs < walk.atMs + walksBegunMs;
    });
    if (at <= 0) return;
    const wire = Uint8Array.from(Buffer.from(lowerText(question, at, question.length - 4), 'latin1'));
    putYoungest(this.#known, keyOfDomain(zone, question, at), { zone, wire }, nodeDomainsMax);
  }

  /** Where the search domain begins that the question's name ends in, the shortest; or -1. */
  beginsAt(zone: ServedZone, question: Uint8Array): number {
    if (this.#known.size === 0) return -1;
    return lastLabel(zone, question, (at) => this.#known.has(keyOfDomain(zone, question, at)));
  }

  clear(): void {
    this.#begun.clear();
    this.#known.clear();
  }
}

/** Where the last label of the question's name begins of which this is true, up to the zone's own name; or -1. */
function lastLabel(zone: ServedZone, question: Uint8Array, isWanted: (at: number) => boolean): number {
  const zoneAt = question.length - 4 - zone.wire.length;
  let last = -1;
  for (let at = 0; at <= zoneAt; at += question[at] + 1) {
    if (isWanted(at)) last = at;
    if (question[at] === 0) break;
  }
  return last;
}

function keyOfDomain({ zoneId }: ServedZone, question: Uint8Array, at: number): string {
  return `${zoneId} ${lowerText(question, at, question.length - 4)}`;
}

/** A part of a name as a key, in lower case. */
function lowerText(question: Uint8Array, from: number, end: number): string {
  let text = '';
  for (let at = from; at < end; at++) text += String.fromCharCode(lower[question[at]]);
  return text;
}

function putYoungest<Value>(map: Map<string, Value>, key: string, value: Value, entriesMax: number): void {
  map.delete(key);
  for (const [oldest] of map) {
    if (map.size < entriesMax) break;
    map.delete(oldest);
  }
  map.set(key, value);
}
