/**
 * The addresses behind one name: a headless Service of the cluster DNS (`endpoints`), or an upstream given by name.
 * They are looked up again every so often while the forward is in use; a failed lookup keeps the previous ones, because
 * the upstream that would answer is the one in trouble.
 */

import { canonicalAddress } from '../config/addresses.js';
import type { Counters } from '../counters.js';
import { questionFor } from '../dns/query.js';
import { atAnswers, messageRcode, skipName, typeA, typeAaaa, u16 } from '../dns/wire.js';
import { headerBytes, learnedAddressesMax, learnSoonMs } from '../limits.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import type { Outcome, Request } from './ask.js';

export interface NameSettings {
  /** Presentation form, lower-case, with the final dot. */
  readonly name: string;
  readonly port: number;
  readonly refreshMs: number;
}

interface NameDeps {
  readonly counters: Counters;
  readonly log: Log;
  /** Asks the upstreams with fixed addresses; false when there is none. */
  ask(request: Request, done: (outcome: Outcome) => void): boolean;
  /** A and AAAA, as far as the fixed upstreams' address families go. */
  types(): readonly number[];
  /** Called when the addresses have changed. */
  changed(): void;
}

export class DiscoveredName {
  readonly settings: NameSettings;
  readonly #deps: NameDeps;
  /** The addresses found last, sorted. */
  endpoints: readonly Endpoint[] = [];
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #awaited = 0;
  #found: string[] = [];
  #hasFailed = false;
  /** The failure logged last. */
  #saidWhy = '';

  constructor(settings: NameSettings, deps: NameDeps) {
    this.settings = settings;
    this.#deps = deps;
  }

  /** Looks the name up when it is due. */
  look(nowMs: number): void {
    if (nowMs < this.#nextAtMs || this.#awaited > 0) return;
    this.#nextAtMs = nowMs + this.settings.refreshMs;
    this.#found = [];
    this.#hasFailed = false;
    const types = this.#deps.types();
    this.#awaited = types.length;
    for (const type of types) {
      const request = lookupRequest(this.settings.name, type);
      const isAsked = this.#deps.ask(request, (outcome) => this.#answered(type, outcome, nowMs));
      if (!isAsked) this.#awaited--;
    }
  }

  /** An address is in trouble and may be gone: brings the next lookup forward. */
  lookSoon(nowMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs + learnSoonMs);
  }

  #answered(type: number, outcome: Outcome, askedAtMs: number): void {
    this.#awaited--;
    const rcode = outcome.ok ? messageRcode(outcome.message) : -1;
    if (outcome.ok && rcode === 0) this.#found.push(...learnedAddresses(outcome.message, type));
    else this.#hasFailed = true;
    if (this.#awaited > 0) return;
    if (this.#found.length > 0 && !this.#hasFailed) return this.#learn();
    const why = outcome.ok ? (rcode === 0 ? 'no addresses' : `rcode ${rcode}`) : outcome.text;
    this.#failed(why, askedAtMs);
  }

  #learn(): void {
    const { counters, log, changed } = this.#deps;
    const { name, port } = this.settings;
    this.#saidWhy = '';
    const addresses = [...new Set(this.#found)].sort().slice(0, learnedAddressesMax);
    if (addresses.join() === this.endpoints.map(({ address }) => address).join()) return;
    this.endpoints = addresses.map((address) => ({ address, port }));
    counters.count('endpointsLearned');
    log.info(`the addresses of ${name} are ${addresses.join(', ')}`);
    changed();
  }

  #failed(why: string, askedAtMs: number): void {
    const { counters, log } = this.#deps;
    counters.count('endpointsFailed');
    this.#nextAtMs = Math.min(this.#nextAtMs, askedAtMs + 5 * learnSoonMs);
    if (this.#saidWhy !== '') return;
    this.#saidWhy = why;
    const { name } = this.settings;
    const rest = this.endpoints.length > 0 ? 'keeping the previous ones' : 'using the other upstreams of the forward';
    log.warn(`resolving ${name} failed (${why}); ${rest}`);
  }
}

function lookupRequest(name: string, type: number): Request {
  const question = questionFor(name, type);
  return { question, recursionDesired: true, checkingDisabled: false, dnssecOk: false, clientTransport: 'tcp' };
}

/** Aliases are skipped. */
function learnedAddresses(message: Uint8Array, type: number): string[] {
  const found: string[] = [];
  let at = skipName(message, headerBytes, message.length) + 4;
  for (let left = u16(message, atAnswers); left > 0; left--) {
    const fixed = skipName(message, at, message.length);
    const bytes = u16(message, fixed + 8);
    const data = message.subarray(fixed + 10, fixed + 10 + bytes);
    if (u16(message, fixed) === type && bytes === (type === typeA ? 4 : 16)) {
      found.push(type === typeAaaa ? ipv6AddressText(data) : data.join('.'));
    }
    at = fixed + 10 + bytes;
  }
  return found;
}

function ipv6AddressText(data: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => u16(data, 2 * index).toString(16)).join(':');
  return canonicalAddress(groups) ?? groups;
}
