/**
 * An answer that is put aside while a better one is looked for, and given when there is none: its rcode sends us on to
 * another upstream, or it was cut over UDP and the whole of it is asked for over TCP. One that was cut is passed on
 * with TC where TCP leads nowhere: it tells the client to ask over TCP, and some of the records are more than SERVFAIL.
 */

import type { Counters } from '../counters.js';
import { ttlSeconds } from '../dns/normalise.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atFlags,
  copyOf,
  flagTc,
  messageFlags,
  setU16,
  setU32,
  skipName,
  typeOpt,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Outcome } from './ask.js';
import { waysTried } from './manner.js';
import { reader, type Try } from './try.js';
import type { Upstream } from './upstream.js';

export interface SecondBest {
  /** A copy. */
  readonly message: Uint8Array;
  readonly questionBytes: number;
  readonly cameAtMs: number;
  readonly upstream: Upstream;
  /** Why it is not the best: its rcode, TC, or that it was cut without TC. */
  readonly kind: 'rcode' | 'truncated' | 'cut';
}

/** Of the message that was read last. Copies it. */
export function putAside({ upstream }: Try, message: Uint8Array, nowMs: number): SecondBest {
  const { verdict, records, questionBytes } = reader;
  const kind = verdict === 'truncated' || verdict === 'cut' ? verdict : 'rcode';
  const isWhole = kind === 'rcode' || records.damage === 'none';
  const copy = isWhole ? copyOf(message, 0, message.length) : emptyCopy(message);
  return { message: copy, questionBytes, cameAtMs: nowMs, upstream, kind };
}

/** What is left of it after a try whose answer is malformed: what is broken over TCP as well was not cut on its way. */
export function leftOf(aside: SecondBest | null, { upstream, transport }: Try): SecondBest | null {
  return aside?.kind === 'cut' && aside.upstream === upstream && transport === 'tcp' ? null : aside;
}

/** What is given in want of a better one, of the tries that were made; an upstream without TCP is remembered as such. */
export function bestOf(aside: SecondBest, made: readonly Try[], counters: Counters, nowMs: number): Outcome {
  const { message, questionBytes, cameAtMs, upstream, kind } = aside;
  countDown(message, headerBytes + questionBytes, Math.ceil((nowMs - cameAtMs) / 1000));
  if (kind !== 'rcode') {
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
    const ttl = ttlSeconds(message, fixed + 4);
    // A denial lives no longer than MINIMUM says (RFC 2308 5).
    const left = Math.max(0, (type === typeSoa ? Math.min(ttl, ttlSeconds(message, end - 4)) : ttl) - ageSeconds);
    if (type !== typeOpt && ttl > 0) setU32(message, fixed + 4, left);
    at = end;
  }
}

/** What ends within a record has none that could be read: header and question say, with TC, that there is more. */
function emptyCopy(message: Uint8Array): Uint8Array {
  const empty = copyOf(message, 0, headerBytes + reader.questionBytes);
  setU16(empty, atFlags, messageFlags(empty) | flagTc);
  for (const at of [atAnswers, atAuthorities, atAdditionals]) setU16(empty, at, 0);
  return empty;
}
