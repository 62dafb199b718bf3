/**
 * AAAA questions of clients that have IPv6 alone, as DNS64 answers them (RFC 6147): a name without AAAA records gets
 * some made of its A records. Both are asked as any client's questions are; what becomes of them is kept and shared as
 * an answer in a zone of its own, which others do not see.
 */

import type { Network } from '../../config/addresses.js';
import type { Position } from '../../config/config.js';
import { addressesIn, type Finding, translated, withoutMapped } from '../../dns/dns64.js';
import type { Normaliser } from '../../dns/normalise.js';
import { encodeAnswerTo } from '../../dns/records.js';
import { copyOf, flagRd, flagTc, flagZ, messageFlags, rcodeNoError, setU16, typeA, typeAaaa } from '../../dns/wire.js';
import { headerBytes, messageBytesMax } from '../../limits.js';
import { isFinal } from '../../resolve/respond.js';
import type { Made, Route } from '../../resolve/route.js';
import type { Ask, Outcome, Request } from '../../upstream/ask.js';

export interface Dns64Config {
  readonly at: Position;
  /** Sixteen bytes, of which the prefix's count. */
  readonly prefix: Network;
  /** Whether names that have AAAA records of their own are translated, too. */
  readonly translatesAll: boolean;
  /** Whether clients that ask over IPv4 are answered so, too. */
  readonly forIpv4: boolean;
}

/** The question as it is, for its asker alone. */
const nothingElse = {
  options: undefined,
  recursionDesired: null,
  next: null,
  changes: null,
  holdsFor: 'asker',
} as const;

const failed: Outcome = { ok: false, why: 'timeout', text: 'neither AAAA nor A got an answer' };

/**
 * The way of a zone's clients that are translated for; `within` asks in the zone itself, where questions are changed
 * and answers made. Here it only matters which of those are for one asker: they must not be asked for many.
 */
export function translatedRoute(route: Route, config: Dns64Config, within: Ask, normaliser: Normaliser): Route {
  const { make, plan } = route;
  return {
    ...route,
    ask: asWithin(within, (asking) => translatingAsk(config, asking, normaliser)),
    asksOurselves: true,
    plan(query) {
      const course = plan === null ? null : plan(query);
      if (course === null || 'failure' in course || course.holdsFor === 'everybody') return null;
      return { ...nothingElse, question: query.question };
    },
    make(query, zone, asker) {
      if (make === null) return { kind: 'next' };
      const made = make(query, zone, asker);
      if (!isForAskerAlone(made)) return { kind: 'next' };
      // Somebody else may know the name's A.
      return isForAskerAlone(make({ ...query, question: forA(query.question) }, zone, asker)) ? made : { kind: 'next' };
    },
    // The questions within have said what failed.
    failed() {},
  };
}

function translatingAsk(config: Dns64Config, within: Ask, normaliser: Normaliser): Ask {
  return (request, done) => {
    within(request, (own) => {
      const message = own.ok ? copyOf(own.message, 0, own.message.length) : null;
      const finding = message === null ? null : addressesIn(message, normaliser);
      const isFailed = message === null || finding === null || finding.kind === 'failed';
      // Both questions have one deadline, and this one has taken all of it.
      if (!own.ok && own.why === 'timeout') return done(failed);
      if (!isFailed && !mustTranslate(finding, config)) return done(answered(whole(message, finding, request), own));
      const question = forA(request.question);
      within({ ...request, question }, (other) => {
        const a = other.ok ? addressesIn(other.message, normaliser) : null;
        if (a !== null && a.kind === 'addresses') {
          const ttlSecondsMax = finding?.ttlSecondsMax ?? a.ttlSecondsMax;
          const addresses = translated(a.records, config.prefix, ttlSecondsMax);
          return done(answered(made(request, addresses, a.truncated), own, other));
        }
        if (!isFailed) return done(answered(whole(message, finding, request), own));
        if (a === null || !other.ok || a.kind === 'failed') return done(failed);
        // There is no such name, or nothing at it: that is as true of AAAA.
        const denial = copyOf(other.message, 0, other.message.length);
        setU16(denial, headerBytes + question.length - 4, typeAaaa);
        done(answered(denial, other));
      });
    });
  };
}

/**
 * What is made of an answer that is for a moment is for that moment, too; and what fails for a reason that the client is to
 * hear fails for that.
 */
function asWithin(within: Ask, making: (within: Ask) => Ask): Ask {
  return (request, done) => {
    let mayKeep = true;
    let final: Outcome | null = null;
    const watched: Ask = (inner, heard) =>
      within(inner, (outcome) => {
        if (outcome.ok && outcome.mayKeep === false) mayKeep = false;
        if (!outcome.ok && isFinal(outcome.why)) final = outcome;
        heard(outcome);
      });
    making(watched)(request, (outcome) => done(outcome.ok ? { ...outcome, mayKeep } : (final ?? outcome)));
  };
}

function isForAskerAlone(made: Made): boolean {
  return made.kind === 'message' && made.isForAskerAlone === true;
}

function forA(question: Uint8Array): Uint8Array {
  const copy = copyOf(question, 0, question.length);
  setU16(copy, copy.length - 4, typeA);
  return copy;
}

/** RFC 6147 5.1.1 to 5.1.3; an answer that was cut tells nothing of what it has not. */
function mustTranslate({ kind, truncated }: Finding, { translatesAll }: Dns64Config): boolean {
  if (kind === 'no such name' || (kind === 'none' && truncated)) return false;
  return kind === 'none' || translatesAll;
}

/** The message, made of what these say. */
function answered(message: Uint8Array, ...all: readonly Outcome[]): Outcome {
  return { ok: true, message, from: '', isStale: all.some((one) => one.ok && one.isStale === true) };
}

/** What the name has of its own, without addresses that are none (RFC 6147 5.1.4). */
function whole(message: Uint8Array, { records, truncated }: Finding, request: Request): Uint8Array {
  const left = withoutMapped(records);
  return left.length === records.length ? message : encoded(request, left, truncated);
}

function made(request: Request, records: readonly Uint8Array[], truncated: boolean): Uint8Array {
  const message = encoded(request, records, truncated);
  setU16(message, 2, messageFlags(message) | flagZ);
  return message;
}

function encoded(
  { question, recursionDesired }: Request,
  records: readonly Uint8Array[],
  truncated: boolean,
): Uint8Array {
  const query = { id: 0, flags: recursionDesired ? flagRd : 0, question };
  const answer = thatFit(records, messageBytesMax - headerBytes - question.length);
  const parts = { authoritative: false, rcode: rcodeNoError, answer, authority: [], additional: [] };
  const message = encodeAnswerTo(query, parts);
  if (truncated || answer.length < records.length) setU16(message, 2, messageFlags(message) | flagTc);
  return message;
}

/** Addresses have grown, and thousands of them may have outgrown the largest message. */
function thatFit(records: readonly Uint8Array[], bytesMax: number): readonly Uint8Array[] {
  let bytes = 0;
  const tooMany = records.findIndex((record) => {
    bytes += record.length;
    return bytes > bytesMax;
  });
  return tooMany === -1 ? records : records.slice(0, tooMany);
}
