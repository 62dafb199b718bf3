/**
 * Which zone a question is in, and the zone's properties as plain data that threads can copy. A table never changes.
 */
import { type HeaderFlags, seeAll, seeLocalPrefix } from '../config/config.js';
import type { DirectUpstream } from '../config/direct.js';
import type { Denial } from '../dns/answer.js';
import { ownQuery } from '../dns/own-queries.js';
import { isLocalName, type Query, readQuery } from '../dns/query.js';
import type { Preference } from '../dns/shuffle.js';
import { classIn, sameName, typeAaaa, typeDs } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { KeepPolicy } from './cacheability.js';

export const aaaaForward = 0;
export const aaaaNxdomain = 1;
export const aaaaNodata = 2;
export const aaaaSmart = 3;

export interface ServedZone {
  /** The name in wire form, lower-case. */
  readonly wire: Uint8Array;
  /** Place in the counters: one per listener and zone. */
  readonly ordinal: number;
  /** Part of the cache key: one per zone and port, the same over reloads. */
  readonly zoneId: number;
  /** Index of the server block in the configuration. */
  readonly block: number;
  /** The AAAA policy: one of the constants above. */
  readonly aaaa: number;
  /** The SOA and its TTL for our own denials. */
  readonly denial: Denial;
  /** The largest UDP answer, and the size in our OPT. */
  readonly udpBytes: number;
  /** Which queries workers defer (for a query log, a guard): bits of `see…` in config.ts. */
  readonly defers: number;
  /** Has access checks before the cache (route.ts). */
  readonly isGuarded: boolean;
  /** Null: nothing of this zone is cached. */
  readonly cache: CachePolicy | null;
  /** Changes to stored answers when they are sent; null: none. */
  readonly finishing: Finishing | null;
  /** Where IPv6 clients' AAAA questions are answered; null: as all others. */
  readonly translation: Translation | null;
  /** Header flags to set or clear (`header`); null: none. */
  readonly flags: HeaderFlags | null;
  /** edns-tcp-keepalive in units of 100 ms. */
  readonly keepalive: number;
  /** The NSID option's value; null: none. */
  readonly serverId: Uint8Array | null;
  /** A worker may ask upstream by itself; null: it defers all misses. One object for all zones of a block. */
  readonly asks: DirectAsk | null;
  /** The kernel may give its cached answers, and its denials for AAAA (lane/). */
  readonly isForKernel: boolean;
  /** A fresh NXDOMAIN of a name in it answers the names below as well (cut.ts). */
  readonly isCut: boolean;
  /** … and what could be denied for many names at once is asked about in advance (learned-cuts.ts). */
  readonly learnsCuts: boolean;
}

export interface DirectAsk {
  readonly upstream: DirectUpstream;
  /** Shared with the main thread, which alone writes it: 1 while the upstream may be asked, else 0. */
  readonly mayAsk: Int32Array;
  readonly policy: KeepPolicy;
}

export interface Finishing {
  /** Shuffles addresses, those in these networks first; null: does not. */
  readonly balance: readonly Preference[] | null;
  readonly countsTranslated: boolean;
}

interface Translation {
  /** The same zone with a cache key of its own. */
  readonly zone: ServedZone;
  /** Also for IPv4 clients. */
  readonly forIpv4: boolean;
}

export interface CachePolicy {
  readonly keepTtl: boolean;
  /** Hits in a row that make an entry worth a refresh; 0: never. */
  readonly prefetchHits: number;
  readonly prefetchGapMs: number;
  readonly prefetchShare: number;
  /** How long past its expiry an answer may be used; 0: not at all. */
  readonly staleMaxMs: number;
  /** A stale answer is sent before the upstream is asked. */
  readonly staleAtOnce: boolean;
  readonly staleTtlSeconds: number;
}

export interface ZoneTable {
  /** By the length of the name in wire form. */
  readonly byBytes: readonly (readonly ServedZone[])[];
  /** Place in the counters for queries in no zone. */
  readonly droppedOrdinal: number;
  /** Of some zone. */
  readonly isGuarded: boolean;
  /** The main thread may ask the root's names ahead of clients (walks.ts), so workers tell it of walks. */
  readonly asksAhead: boolean;
}

export function zoneTable(zones: readonly ServedZone[], droppedOrdinal: number): ZoneTable {
  const byBytes: ServedZone[][] = Array.from({ length: 256 }, () => []);
  for (const zone of zones) byBytes[zone.wire.length].push(zone);
  const asksAhead = zones.some((zone) => zone.wire.length === 1 && mayAskAhead(zone));
  return { byBytes, droppedOrdinal, isGuarded: zones.some(({ isGuarded }) => isGuarded), asksAhead };
}

/** Whether answers in this zone are for all clients and kept, and no worker asks for them by itself. */
export function mayAskAhead({ cache, isGuarded, asks }: ServedZone): boolean {
  return cache !== null && !isGuarded && asks === null;
}

/** Whether workers defer this query; `bits` is its zone's `defers`, not 0. */
export function isToBeSeen(bits: number, packet: Uint8Array, query: Query): boolean {
  return (bits & seeAll) !== 0 || isLocalName(packet, query, (bits & seeLocalPrefix) !== 0);
}

/** The zone for a client of this family. A validator that checks by itself also translates by itself (RFC 6147 5.5). */
export function zoneOfClient(zone: ServedZone, query: Query, family: 0 | 1): ServedZone {
  const { translation } = zone;
  if (translation === null || query.type !== typeAaaa || query.class !== classIn) return zone;
  if (family === 0 && !translation.forIpv4) return zone;
  return query.dnssecOk && query.checkingDisabled ? zone : translation.zone;
}

/**
 * The zone with the longest name that the question's name ends in, or null. DS at a zone's own name is its parent's
 * (RFC 4035 3.1.4.1): the zone itself gets it only if no parent is served.
 */
export function findZone(table: ZoneTable, packet: Uint8Array, query: Query): ServedZone | null {
  let own: ServedZone | null = null;
  for (let label = 0; label <= query.labelCount; label++) {
    const at = label < query.labelCount ? query.labels[label] : query.nameEnd - 1;
    const length = query.nameEnd - at;
    const candidates = table.byBytes[length];
    for (let index = 0; index < candidates.length; index++) {
      const zone = candidates[index];
      if (!sameName(packet, at, zone.wire, 0, length)) continue;
      if (query.type !== typeDs || at !== headerBytes || length === 1) return zone;
      own = zone;
    }
  }
  return own;
}

/** The zone of the question's name; null where none is served. `query` is overwritten. */
export function zoneOfQuestion(table: ZoneTable, question: Uint8Array, query: Query): ServedZone | null {
  const packet = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
  return readQuery(packet, packet.length, query) === 'ok' ? findZone(table, packet, query) : null;
}
