/** Answers that the kernel has given, in the same counters as those of workers. */
import { type Kind, kindSuccess } from '../cache/blocks.js';
import {
  addBytes,
  addDurations,
  byCache,
  byTemplate,
  type Counters,
  countedType,
  countedTypes,
  overUdp,
  rcodesCounted,
  zonePlaces,
} from '../counters.js';
import { variantBits } from './layout.js';
import { extendedErrorBytes, optHeadBytes } from './text.js';

/** What all answers of a slot have in common. */
export interface Counted {
  /** The zone's place in the counters. */
  readonly ordinal: number;
  /** Of the entry; null: a denial for AAAA by the zone's policy. */
  readonly kind: Kind | null;
  readonly type: number;
  readonly rcode: number;
  readonly dnssecOk: boolean;
  /** Without an OPT. */
  readonly queryBytes: number;
  readonly answerBytes: number;
}

/** Counts `answers` answers of this variant: less than a quarter of a millisecond each, which is the first bucket. */
export function countGiven(counters: Counters, counted: Counted, variant: number, answers: number): void {
  const { ordinal, kind, type, rcode, dnssecOk, queryBytes, answerBytes } = counted;
  const base = counters.zoneBase(ordinal);
  const numbers = counters.zones;
  const hasOpt = (variant & variantBits.hasOpt) !== 0;
  const isStale = (variant & variantBits.isStale) !== 0;
  const family = (variant & variantBits.isIpv6) === 0 ? 0 : 1;
  const opt = hasOpt ? optHeadBytes : 0;
  numbers[base + zonePlaces.requests + (overUdp * 2 + family) * countedTypes.length + countedType(type)] += answers;
  const answerer = kind === null ? byTemplate : byCache;
  numbers[base + zonePlaces.responses + answerer * rcodesCounted + rcode] += answers;
  if (dnssecOk) numbers[base + zonePlaces.dnssecOk] += answers;
  addDurations(numbers, base + zonePlaces.duration, answers);
  addBytes(numbers, base + zonePlaces.requestBytes, queryBytes + opt, answers);
  const answerOpt = opt + (hasOpt && isStale ? extendedErrorBytes : 0);
  addBytes(numbers, base + zonePlaces.responseBytes, answerBytes + answerOpt, answers);
  if (kind === null) {
    counters.countTimes('aaaaSynthesized', answers);
    return;
  }
  numbers[base + zonePlaces.cacheRequests] += answers;
  numbers[base + (kind === kindSuccess ? zonePlaces.hitsSuccess : zonePlaces.hitsDenial)] += answers;
  if (!isStale) return;
  numbers[base + zonePlaces.servedStale] += answers;
  counters.countTimes('staleOnFailure', answers);
}
