/**
 * Which zone a question belongs to, and everything about that zone which answering code needs, as plain numbers and
 * bytes that any thread may have a copy of. A table is one listener's; it is made from the configuration and never
 * changes.
 */
import { type HeaderFlags, seeAll, seeLocalPrefix } from '../config/config.js';
import type { Denial } from '../dns/answer.js';
import { ownQuery } from '../dns/own-queries.js';
import { isLocalName, type Query, readQuery } from '../dns/query.js';
import type { Preference } from '../dns/shuffle.js';
import { classIn, sameName, typeAaaa } from '../dns/wire.js';
import { headerBytes } from '../limits.js';

export const aaaaForward = 0;
export const aaaaNxdomain = 1;
export const aaaaNodata = 2;
export const aaaaSmart = 3;

/** One zone on one listener. */
export interface ServedZone {
  /** The name in wire form, lower-case. */
  readonly wire: Uint8Array;
  /** Place in the counters: one per listener and zone. */
  readonly ordinal: number;
  /** Part of the cache's key: one per zone and port, the same over reloads. */
  readonly zoneId: number;
  /** Index of the server block in the configuration. */
  readonly block: number;
  /** What AAAA questions get: one of the constants above. */
  readonly aaaa: number;
  /** How this zone says no by itself. */
  readonly denial: Denial;
  /** The largest UDP answer and the size our OPT advertises. */
  readonly udpBytes: number;
  /** Which queries the control lane is to see (for a query log, a guard): bits of the `see…` above. */
  readonly handOver: number;
  /** Something judges queries before they are looked up (route.ts). */
  readonly isGuarded: boolean;
  /** Null: nothing of this zone is kept. */
  readonly cache: CachePolicy | null;
  /** What happens to stored answers on their way out; null: nothing. */
  readonly finishing: Finishing | null;
  /** Where AAAA questions are answered for clients that have IPv6 alone; null: as everybody's. */
  readonly translation: Translation | null;
  /** Flags that its answers have or lack (`header`); null: as they are. */
  readonly flags: HeaderFlags | null;
  /** edns-tcp-keepalive in units of 100 ms. */
  readonly keepalive: number;
  /** What clients are told that ask who answers; null: nothing. */
  readonly serverId: Uint8Array | null;
}

export interface Finishing {
  /** Addresses change places in every answer, but those in these networks come first; null leaves them. */
  readonly balance: readonly Preference[] | null;
  /** Answers with addresses that were made here are counted. */
  readonly countsTranslated: boolean;
}

/** `dns64` of a zone. */
interface Translation {
  /** The same zone with a place of its own in the cache. */
  readonly zone: ServedZone;
  /** Also for those that ask over IPv4. */
  readonly forIpv4: boolean;
}

/** What finding an answer in the cache needs to know. */
export interface CachePolicy {
  readonly keepTtl: boolean;
  /** Hits in a row that make a refresh worth it; 0 is never. */
  readonly prefetchHits: number;
  readonly prefetchGapMs: number;
  readonly prefetchShare: number;
  /** How long past its expiry an answer may be used; 0 is not at all. */
  readonly staleMaxMs: number;
  /** A stale answer is given before the upstream is asked. */
  readonly staleAtOnce: boolean;
  readonly staleTtlSeconds: number;
}

export interface ZoneTable {
  /** Zones by the length of their name in wire form. */
  readonly byBytes: readonly (readonly ServedZone[])[];
  /** Place in the counters for what no zone is responsible for. */
  readonly droppedOrdinal: number;
  /** Some zone is. */
  readonly isGuarded: boolean;
}

export function zoneTable(zones: readonly ServedZone[], droppedOrdinal: number): ZoneTable {
  const byBytes: ServedZone[][] = Array.from({ length: 256 }, () => []);
  for (const zone of zones) byBytes[zone.wire.length].push(zone);
  return { byBytes, droppedOrdinal, isGuarded: zones.some(({ isGuarded }) => isGuarded) };
}

/** Whether the control lane is to see a query to a zone of which it is to see some: `bits` is its `handOver`. */
export function isToBeSeen(bits: number, packet: Uint8Array, query: Query): boolean {
  return (bits & seeAll) !== 0 || isLocalName(packet, query, (bits & seeLocalPrefix) !== 0);
}

/**
 * The zone in which a client of this family is answered. A validator that does its own checking does its own
 * translation (RFC 6147 5.5).
 */
export function zoneOfClient(zone: ServedZone, query: Query, family: 0 | 1): ServedZone {
  const { translation } = zone;
  if (translation === null || query.type !== typeAaaa || query.class !== classIn) return zone;
  if (family === 0 && !translation.forIpv4) return zone;
  return query.dnssecOk && query.checkingDisabled ? zone : translation.zone;
}

const typeDs = 43;

/**
 * The zone with the longest name that the question's name ends in, or null. A DS question at a zone's own name is
 * its parent's (RFC 4035 3.1.4.1): the zone itself gets it only if no parent is served.
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

/** The zone of a name in a table; null where nobody serves it. `query` is overwritten. */
export function zoneOfQuestion(table: ZoneTable, question: Uint8Array, query: Query): ServedZone | null {
  const packet = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
  return readQuery(packet, packet.length, query) === 'ok' ? findZone(table, packet, query) : null;
}
