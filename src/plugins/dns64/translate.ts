/**
 * DNS64 (RFC 6147): a name without AAAA records gets AAAA records made of its A records. Both queries are asked like any
 * client's; their result is cached as an answer in a zone of its own, which other clients do not see.
 */

import type { IpNetwork } from '../../config/addresses.js';
import type { Position } from '../../config/config.js';
import { type AddressFinding, addressesIn, translated, withoutMapped } from '../../dns/dns64.js';
import type { Normaliser } from '../../dns/normalise.js';
import { encodeAnswerTo } from '../../dns/records.js';
import { copyOf, flagRd, flagTc, flagZ, messageFlags, rcodeNoError, setU16, typeA, typeAaaa } from '../../dns/wire.js';
import { headerBytes, messageBytesMax } from '../../limits.js';
import { finalFailures } from '../../resolve/respond.js';
import type { Made, Route } from '../../resolve/route.js';
import type { Ask, Outcome, Request } from '../../upstream/ask.js';

export interface Dns64Config {
  readonly at: Position;
  /** Sixteen bytes; those of the prefix count. */
  readonly prefix: IpNetwork;
  /** Names with AAAA records of their own are translated, too. */
  readonly translatesAll: boolean;
  /** Clients over IPv4 are answered so, too. */
  readonly forIpv4: boolean;
}

/** The query as it is, for its client alone. */
const nothingElse = {
  options: undefined,
  recursionDesired: null,
  next: null,
  changes: null,
  holdsFor: 'client',
} as const;

const failed: Outcome = { ok: false, why: 'timeout', text: 'neither AAAA nor A got an answer' };

/**
 * The route of clients with translated answers. `within` asks in the zone itself, where queries are rewritten and answers
 * made; here only the answers for one client alone matter, which no other client may get.
 */
export function translatedRoute(route: Route, config: Dns64Config, within: Ask, normaliser: Normaliser): Route {
  const { make, plan } = route;
  return {
    ...route,
    ask: asWithin(within, (asking) => translatingAsk(config, asking, normaliser)),
    asksOurselves: true,
    plan(query) {
      const planned = plan === null ? null : plan(query);
      if (planned === null || 'failure' in planned || planned.holdsFor === 'everybody') return null;
      return { ...nothingElse, question: query.question };
    },
    make(query, zone, client) {
      if (make === null) return { kind: 'next' };
      const made = make(query, zone, client);
      if (!isForClientAlone(made)) return { kind: 'next' };
      // Another part of the block may know the name's A.
      return isForClientAlone(make({ ...query, question: forA(query.question) }, zone, client))
        ? made
        : { kind: 'next' };
    },
    // The queries within have logged the failure.
    failed() {},
  };
}

function translatingAsk(config: Dns64Config, within: Ask, normaliser: Normaliser): Ask {
  return (request, done) => {
    within(request, (own) => {
      const message = own.ok ? copyOf(own.message, 0, own.message.length) : null;
      const finding = message === null ? null : addressesIn(message, normaliser);
      const isFailed = message === null || finding === null || finding.kind === 'failed';
      // Both queries share one deadline, and this one has used all of it.
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
        // The name or its records do not exist, for AAAA as well.
        const denial = copyOf(other.message, 0, other.message.length);
        setU16(denial, headerBytes + question.length - 4, typeAaaa);
        done(answered(denial, other));
      });
    });
  };
}

/**
 * A result made of an answer that may not be cached may not be cached either, and a failure whose reason the client is told
 * keeps its reason.
 */
function asWithin(within: Ask, making: (within: Ask) => Ask): Ask {
  return (request, done) => {
    let mayKeep = true;
    let final: Outcome | null = null;
    const watched: Ask = (inner, heard) =>
      within(inner, (outcome) => {
        if (outcome.ok && outcome.mayKeep === false) mayKeep = false;
        if (!outcome.ok && finalFailures.has(outcome.why)) final = outcome;
        heard(outcome);
      });
    making(watched)(request, (outcome) => done(outcome.ok ? { ...outcome, mayKeep } : (final ?? outcome)));
  };
}

function isForClientAlone(made: Made): boolean {
  return made.kind === 'message' && made.isForClientAlone === true;
}

function forA(question: Uint8Array): Uint8Array {
  const copy = copyOf(question, 0, question.length);
  setU16(copy, copy.length - 4, typeA);
  return copy;
}

/** RFC 6147 5.1.1 to 5.1.3. A truncated answer proves nothing about the records it lacks. */
function mustTranslate({ kind, truncated }: AddressFinding, { translatesAll }: Dns64Config): boolean {
  if (kind === 'no such name' || (kind === 'none' && truncated)) return false;
  return kind === 'none' || translatesAll;
}

/** The message made of these answers. */
function answered(message: Uint8Array, ...all: readonly Outcome[]): Outcome {
  return { ok: true, message, from: '', isStale: all.some((one) => one.ok && one.isStale === true) };
}

/** The name's own AAAA records, without addresses that do not count (RFC 6147 5.1.4). */
function whole(message: Uint8Array, { records, truncated }: AddressFinding, request: Request): Uint8Array {
  const left = withoutMapped(records);
  return left.length === records.length ? message : encodedAnswer(request, left, truncated);
}

function made(request: Request, records: readonly Uint8Array[], truncated: boolean): Uint8Array {
  const message = encodedAnswer(request, records, truncated);
  setU16(message, 2, messageFlags(message) | flagZ);
  return message;
}

function encodedAnswer(
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

/** AAAA records are longer than A records; thousands of them may exceed the largest message. */
function thatFit(records: readonly Uint8Array[], bytesMax: number): readonly Uint8Array[] {
  let bytes = 0;
  const tooMany = records.findIndex((record) => {
    bytes += record.length;
    return bytes > bytesMax;
  });
  return tooMany === -1 ? records : records.slice(0, tooMany);
}
