/**
 * An answer that is put aside while a better one is looked for, and given when there is none: its rcode sends us on to
 * another upstream, or it was cut over UDP and the whole of it is asked for over TCP. One that was cut is passed on as
 * it is, with TC, where TCP leads nowhere: some of the records are more than SERVFAIL.
 */
import { ttlSeconds } from '../dns/normalise.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  copyOf,
  setU16,
  setU32,
  skipName,
  typeOpt,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Counters } from '../ops/counters.js';
import type { Outcome } from './ask.js';
import { reader, type Try } from './try.js';
import type { Upstream } from './upstream.js';
import { waysTried } from './ways.js';

export interface SecondBest {
  /** A copy. */
  readonly message: Uint8Array;
  readonly questionBytes: number;
  readonly cameAtMs: number;
  readonly upstream: Upstream;
  readonly isCut: boolean;
}

/** Of the message that was read last. Copies it. */
export function putAside({ upstream }: Try, message: Uint8Array, nowMs: number): SecondBest {
  const isCut = reader.verdict === 'truncated';
  const { questionBytes } = reader;
  const copy = isCut ? cutCopy(message) : copyOf(message, 0, message.length);
  return { message: copy, questionBytes, cameAtMs: nowMs, upstream, isCut };
}

/** What is given in want of a better one, of the tries that were made; an upstream without TCP is remembered as such. */
export function bestOf(aside: SecondBest, made: readonly Try[], counters: Counters, nowMs: number): Outcome {
  const { message, questionBytes, cameAtMs, upstream, isCut } = aside;
  countDown(message, headerBytes + questionBytes, Math.ceil((nowMs - cameAtMs) / 1000));
  if (isCut) {
    counters.count('upstreamCutAnswers');
    upstream.heardBy('udp', waysTried(made, upstream), nowMs);
  }
  return { ok: true, message, from: upstream.to };
}

/** While it was put aside its records have grown older. A started second counts, so that none outlives its TTL. */
function countDown(message: Uint8Array, from: number, ageSeconds: number): void {
  if (ageSeconds === 0) return;
  const records = u16(message, atAnswers) + u16(message, atAuthorities) + u16(message, atAdditionals);
  for (let at = from, index = 0; index < records; index++) {
    const fixed = skipName(message, at, message.length);
    const end = fixed + 10 + u16(message, fixed + 8);
    const type = u16(message, fixed);
    let ttl = ttlSeconds(message, fixed + 4);
    // A denial lives no longer than MINIMUM says (RFC 2308 5).
    if (type === typeSoa) ttl = Math.min(ttl, ttlSeconds(message, end - 4));
    if (type !== typeOpt) setU32(message, fixed + 4, Math.max(0, ttl - ageSeconds));
    at = end;
  }
}

/** What ends within a record has none that could be read: header and question say that there is more. */
function cutCopy(message: Uint8Array): Uint8Array {
  if (reader.isWhole) return copyOf(message, 0, message.length);
  const empty = copyOf(message, 0, headerBytes + reader.questionBytes);
  for (const at of [atAnswers, atAuthorities, atAdditionals]) setU16(empty, at, 0);
  return empty;
}
