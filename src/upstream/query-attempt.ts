/**
 * One attempt of a query at one upstream: with which transport and OPT it is sent, what its answer is worth, and the
 * fallback answer. An OPT may be why an upstream is silent or fails, so the query is sent without one as well; only a
 * good answer to that turns OPT off for the upstream, because a slow or dead one answers neither.
 */
import { type Counters, observeDuration } from '../counters.js';
import { rcodeName } from '../dns/names.js';
import { ttlSeconds } from '../dns/normalise.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atFlags,
  copyOf,
  flagTc,
  messageFlags,
  rcodeFormErr,
  rcodeNoError,
  rcodeNotImp,
  rcodeNxDomain,
  rcodeServFail,
  setU16,
  setU32,
  skipName,
  typeOpt,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { askAgainAfterMsMin, assert, headerBytes } from '../limits.js';
import type { Outcome, Request } from './ask.js';
import { type Attempt, anyTime, type Carrier, type Hedge, type Loss, notSent, timeoutText } from './attempt.js';
import type { HedgeBudget } from './budget.js';
import { durationsOf } from './endpoint.js';
import { AnswerReader, needsOpt } from './request.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

export interface AttemptOptions {
  readonly transport: UpstreamTransport;
  readonly allowsOpt: boolean;
  /** Sent without OPT to see whether that brings an answer. */
  readonly testsOpt: boolean;
}

/** All that there are, so that an attempt makes none. */
const everyOptions = (['udp', 'tcp'] as const).map((transport) =>
  [false, true].map((allowsOpt) => [false, true].map((testsOpt) => ({ transport, allowsOpt, testsOpt }))),
);

function attemptOptionsOf(transport: UpstreamTransport, allowsOpt: boolean, testsOpt: boolean): AttemptOptions {
  return everyOptions[transport === 'udp' ? 0 : 1][allowsOpt ? 1 : 0][testsOpt ? 1 : 0];
}

/**
 * `cut`: over UDP, with TC or damaged like it (RFC 7766 5), so TCP may bring the rest. `opt refused`: the upstream
 * cannot handle our OPT (RFC 6891 6.2.2).
 */
type Judgement = 'good' | 'cut' | 'opt refused' | 'malformed';

/** The query, as its attempts see it. */
export interface AttemptOwner {
  readonly request: Request;
  answered(attempt: QueryAttempt, message: Uint8Array, nowMs: number): void;
  lost(attempt: QueryAttempt, loss: Loss, nowMs: number): void;
}

/** The message accepted last; overwritten by the next one. */
export const reader = new AnswerReader();

/** An object is used for one attempt after another of queries that use the same object (query.ts). */
export class QueryAttempt implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  /** Null until answered. */
  judgement: Judgement | null = null;
  /** The carrier broke or rejected it. */
  isLost = false;
  /** The port received something unsolicited. */
  isDisturbed = false;
  isHedge = false;
  #options: AttemptOptions = attemptOptionsOf('tcp', false, false);
  #upstream: Upstream | null = null;
  readonly #owner: AttemptOwner;

  constructor(owner: AttemptOwner) {
    this.#owner = owner;
  }

  /** Only for a new object, and one that no carrier holds. */
  begin(upstream: Upstream, options: AttemptOptions, isHedge: boolean): void {
    assert(this.carrier === null, 'an attempt begins without a carrier');
    this.sentAtMs = notSent;
    this.judgement = null;
    this.isLost = false;
    this.isDisturbed = false;
    this.isHedge = isHedge;
    this.#options = options;
    this.#upstream = upstream;
  }

  get upstream(): Upstream {
    return this.#upstream!;
  }

  get transport(): UpstreamTransport {
    return this.#options.transport;
  }

  get allowsOpt(): boolean {
    return this.#options.allowsOpt;
  }

  get testsOpt(): boolean {
    return this.#options.testsOpt;
  }

  get request(): Request {
    return this.#owner.request;
  }

  /** Whether the request has an OPT: over UDP always, over TCP where it needs one. */
  get carriesOpt(): boolean {
    return this.allowsOpt && (this.transport === 'udp' || needsOpt(this.request));
  }

  accepts(message: Uint8Array): boolean {
    const verdict = reader.read(message, this.request);
    if (verdict !== 'stranger' && verdict !== 'garbage') return true;
    this.upstream.rejected(verdict);
    return false;
  }

  answered(message: Uint8Array, nowMs: number): void {
    this.#owner.answered(this, message, nowMs);
  }

  lost(loss: Loss, nowMs: number): void {
    this.isLost = true;
    this.isDisturbed = loss.isDisturbed === true;
    this.#owner.lost(this, loss, nowMs);
  }

  /** Without a call to the owner. */
  abandon(nowMs: number): void {
    this.carrier?.abandon(this, nowMs);
  }

  /** Whether the carrier has been heard since: then this name is slow, not the carrier. */
  isCarrierHeardSince(timeMs: number): boolean {
    return this.carrier !== null && this.carrier.lastHeardMs >= timeMs;
  }

  timeoutText(): string {
    return timeoutText(this.transport, this.upstream.to, this.carrier?.waitsFor ?? 'answer');
  }

  malformed(): Loss {
    return { why: 'malformed', text: `read ${this.transport} ${this.upstream.to}: dns: bad message`, blame: true };
  }
}

/** How a query is sent to an upstream about which nothing is known. */
export interface TransportPreference {
  readonly request: Request;
  readonly transport: UpstreamTransport;
  /** force_tcp, or an answer had TC over UDP: only this transport. */
  readonly isFixed: boolean;
}

/** How the next attempt of a query at this upstream is sent, after these attempts. */
export function attemptOptions(
  upstream: Upstream,
  attempts: readonly QueryAttempt[],
  preference: TransportPreference,
  nowMs: number,
): AttemptOptions {
  const before = attempts.length === 0 ? attempts : attempts.filter((attempt) => attempt.upstream === upstream);
  if (!preference.isFixed && isCutWithoutTcp(upstream, before, nowMs)) return withoutOpt('udp');
  const transport = transportNow(upstream, before, preference, nowMs);
  const isRefused = before.some(({ judgement }) => judgement === 'opt refused');
  const isSilent = before.some((attempt) => attempt.transport === transport && isSilentForOpt(attempt, nowMs));
  if (isRefused || isSilent) return withoutOpt(transport);
  const allowsOpt = needsOpt(preference.request) || transport === 'tcp' || upstream.edns.nextHasOpt(nowMs);
  return attemptOptionsOf(transport, allowsOpt, false);
}

/** Options that show whether the OPT is the trouble. */
export function withoutOpt(transport: UpstreamTransport): AttemptOptions {
  return attemptOptionsOf(transport, false, true);
}

/**
 * Whether this upstream may be asked without OPT: where no answer has proved the OPT harmless lately. A request that
 * needs an OPT goes without only where OPT is known to fail (RFC 6891 6.2.2), because DNSSEC is lost.
 */
export function doubtsOpt({ request, upstream }: Pick<QueryAttempt, 'request' | 'upstream'>, nowMs: number): boolean {
  return needsOpt(request) ? upstream.edns.isWithout : !upstream.edns.isProven(nowMs);
}

/**
 * Whether to ask the same upstream without OPT beside a silent attempt. `known`: it answers only without. `perhaps`: it
 * may. `no`: the OPT is not the trouble, or that was tried.
 */
export function besideWithoutOpt(
  silent: QueryAttempt,
  attempts: readonly QueryAttempt[],
  nowMs: number,
): 'known' | 'perhaps' | 'no' {
  const { upstream, transport, request, carriesOpt } = silent;
  if (!carriesOpt) return 'no';
  const isTried = attempts.some((one) => one.upstream === upstream && one.transport === transport && !one.carriesOpt);
  if (isTried) return 'no';
  if (!needsOpt(request) && upstream.edns.isWithout) return 'known';
  return isSilentForOpt(silent, nowMs) ? 'perhaps' : 'no';
}

/** The answer to an OPT was cut, and TCP fails: without OPT the answer is short, or honest with TC. */
function isCutWithoutTcp(upstream: Upstream, before: readonly QueryAttempt[], nowMs: number): boolean {
  if (!before.some((attempt) => attempt.judgement === 'cut' && attempt.carriesOpt && doubtsOpt(attempt, nowMs)))
    return false;
  if (before.some(({ transport, carriesOpt }) => transport === 'udp' && !carriesOpt)) return false;
  return (
    upstream.transportFor('tcp', [], nowMs) === 'udp' ||
    before.some(({ transport, isLost }) => transport === 'tcp' && isLost)
  );
}

function isSilentForOpt(attempt: QueryAttempt, nowMs: number): boolean {
  const { carriesOpt, judgement, isLost, sentAtMs } = attempt;
  return carriesOpt && judgement === null && !isLost && sentAtMs !== notSent && doubtsOpt(attempt, nowMs);
}

/** TCP after a cut answer or a guessed id over UDP, unless TCP leads nowhere. */
function transportNow(
  upstream: Upstream,
  before: readonly QueryAttempt[],
  { transport, isFixed }: TransportPreference,
  nowMs: number,
): UpstreamTransport {
  if (isFixed) return transport;
  if (before.some(({ judgement }) => judgement === 'cut')) return 'tcp';
  const isDisturbed = before.some((attempt) => attempt.isDisturbed);
  return upstream.transportFor(isDisturbed ? 'tcp' : transport, transportsTried(before, upstream), nowMs);
}

export const noTransports: readonly UpstreamTransport[] = [];

/** Transports of the attempts at its upstream that were sent before this one; later ones have had less time. */
export function transportsBefore(
  attempts: readonly QueryAttempt[],
  attempt: QueryAttempt,
): readonly UpstreamTransport[] {
  if (attempts.length === 1) return noTransports;
  const { sentAtMs } = attempt;
  const before = attempts.filter((one) => one.sentAtMs !== notSent && one.sentAtMs < sentAtMs);
  return transportsTried(before, attempt.upstream);
}

/** Transports of the attempts at this upstream; a disturbed one had no time to be answered. */
function transportsTried(attempts: readonly QueryAttempt[], upstream: Upstream): readonly UpstreamTransport[] {
  if (attempts.length === 0) return noTransports;
  return attempts
    .filter((attempt) => attempt.upstream === upstream && !attempt.isDisturbed)
    .map(({ transport }) => transport);
}

/** The transports for a hedge of this query at its upstream: the preferred one first. */
export function transportsBeside(
  transport: UpstreamTransport,
  upstream: Upstream,
  attempts: readonly QueryAttempt[],
  { isFixed }: TransportPreference,
): readonly UpstreamTransport[] {
  const wasCut = attempts.some((attempt) => attempt.upstream === upstream && attempt.judgement === 'cut');
  if (isFixed || upstream.isTls || wasCut) return [transport];
  return transport === 'udp' ? ['udp', 'tcp'] : ['tcp', 'udp'];
}

/**
 * Another attempt was silent for long where this one was answered quickly. Same upstream and transport: the other's
 * carrier is dead. Otherwise scouts find out whether all that leads to the other upstream is.
 */
export function learnFrom(
  { upstream, transport, sentAtMs }: QueryAttempt,
  pending: readonly QueryAttempt[],
  nowMs: number,
): void {
  const tookMs = nowMs - sentAtMs;
  for (const other of pending) {
    // A carrier that has answered before gets the upstream's usual time.
    const isNew = !other.isCarrierHeardSince(anyTime);
    const silenceMs = isNew ? askAgainAfterMsMin : other.upstream.rtt.waitMs;
    const isSilent = other.sentAtMs !== notSent && nowMs - other.sentAtMs >= Math.max(silenceMs, 2 * tookMs);
    if (!isSilent || other.isCarrierHeardSince(other.sentAtMs)) continue;
    const isAlike = other.upstream === upstream && other.transport === transport;
    if (isAlike) upstream.doubt(transport, other.sentAtMs, nowMs);
    else other.upstream.explore([other.transport], nowMs);
  }
}

/** How a hedge at this upstream is to be sent, beside these attempts. */
export function hedgeTo(upstream: Upstream, pending: readonly QueryAttempt[], nowMs: number): Hedge {
  const out = pending.filter((attempt) => attempt.upstream === upstream && attempt.sentAtMs !== notSent);
  const sinceMs = out.length === 0 ? nowMs : Math.min(...out.map(({ sentAtMs }) => sentAtMs));
  return { tried: out.flatMap(({ carrier }) => carrier ?? []), sinceMs };
}

/** A larger rcode comes from an OPT and is about EDNS itself (RFC 6891 6.1.3). */
const rcodeOfHeaderMax = 0x0f;

/** Judges and counts the message in `reader`, which answers this attempt. */
export function judge(attempt: QueryAttempt, counters: Counters, budget: HedgeBudget, nowMs: number): Judgement {
  const { verdict, rcode } = reader;
  const isReadable = verdict === 'answer' || verdict === 'truncated';
  if (isReadable || verdict === 'bare') noteDuration(attempt, rcode, nowMs);
  if (isReadable && (rcode === rcodeNoError || rcode === rcodeNxDomain)) attempt.upstream.answeredWell(attempt, nowMs);
  if (isOptToBlame(attempt, budget, nowMs)) {
    counters.count('upstreamEdnsRetries');
    return 'opt refused';
  }
  if (attempt.transport === 'udp' && (verdict === 'truncated' || verdict === 'cut')) {
    counters.count('upstreamTcpRetries');
    return 'cut';
  }
  if (isReadable) return 'good';
  counters.count(verdict === 'bare' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  return 'malformed';
}

/**
 * Whether the OPT may be why this attempt failed. An error without OPT means no EDNS (RFC 6891 7). Other errors may be
 * about the name, and asking without OPT costs a query: only within the budget, and not where OPT worked lately.
 */
function isOptToBlame(attempt: QueryAttempt, budget: HedgeBudget, nowMs: number): boolean {
  if (!attempt.carriesOpt) return false;
  const { verdict, rcode, hasOpt, records } = reader;
  const isRefused = rcode === rcodeFormErr || rcode === rcodeNotImp;
  if (isRefused && !hasOpt) return true;
  if (isRefused || rcode > rcodeOfHeaderMax)
    return !attempt.upstream.edns.isProven(nowMs) && budget.spend(nowMs, attempt.request.client);
  const isMangled = (verdict === 'broken' || verdict === 'cut') && records.isOptDamaged;
  return (
    (isMangled || rcode === rcodeServFail) && doubtsOpt(attempt, nowMs) && budget.spend(nowMs, attempt.request.client)
  );
}

function noteDuration({ upstream, sentAtMs }: QueryAttempt, rcode: number, nowMs: number): void {
  const durationMs = nowMs - sentAtMs;
  observeDuration(durationsOf(upstream.stats, rcodeName(rcode)), 0, durationMs / 1000);
  upstream.rtt.took(durationMs);
}

export interface Fallback {
  readonly message: Uint8Array;
  readonly questionBytes: number;
  readonly cameAtMs: number;
  readonly upstream: Upstream;
  /** Why a better answer is looked for: its rcode, TC, or cut without TC. */
  readonly kind: 'rcode' | 'truncated' | 'cut';
}

/** Copies the message in `reader`, to be given if no better answer comes. */
export function keepFallback({ upstream }: QueryAttempt, message: Uint8Array, nowMs: number): Fallback {
  const { verdict, records, questionBytes } = reader;
  const kind = verdict === 'truncated' || verdict === 'cut' ? verdict : 'rcode';
  const isWhole = kind === 'rcode' || records.damage === 'none';
  const copy = isWhole ? copyOf(message, 0, message.length) : emptyCopy(message);
  return { message: copy, questionBytes, cameAtMs: nowMs, upstream, kind };
}

/** The fallback after a malformed answer: one that is broken over TCP too was not cut on its way. */
export function fallbackAfterMalformed(
  fallback: Fallback | null,
  { upstream, transport }: QueryAttempt,
): Fallback | null {
  return fallback?.kind === 'cut' && fallback.upstream === upstream && transport === 'tcp' ? null : fallback;
}

/**
 * The outcome where no better answer came. A cut one goes out with TC: it sends the client to TCP, and some records are
 * better than SERVFAIL. The upstream is noted as one without TCP.
 */
export function fallbackOutcome(
  fallback: Fallback,
  attempts: readonly QueryAttempt[],
  counters: Counters,
  nowMs: number,
): Outcome {
  const { message, questionBytes, cameAtMs, upstream, kind } = fallback;
  countDownTtls(message, headerBytes + questionBytes, Math.ceil((nowMs - cameAtMs) / 1000));
  if (kind !== 'rcode') {
    counters.count('upstreamCutAnswers');
    upstream.heardBy('udp', transportsTried(attempts, upstream), nowMs);
  }
  return { ok: true, message, from: upstream.to };
}

/** Ages the records by the time they were held; a started second counts, so that none outlives its TTL. */
function countDownTtls(message: Uint8Array, from: number, ageSeconds: number): void {
  if (ageSeconds === 0) return;
  const records = u16(message, atAnswers) + u16(message, atAuthorities) + u16(message, atAdditionals);
  for (let at = from, index = 0; index < records; index++) {
    const fixed = skipName(message, at, message.length);
    const end = fixed + 10 + u16(message, fixed + 8);
    const type = u16(message, fixed);
    const ttl = ttlSeconds(message, fixed + 4);
    // RFC 2308 5: MINIMUM limits a denial.
    const left = Math.max(0, (type === typeSoa ? Math.min(ttl, ttlSeconds(message, end - 4)) : ttl) - ageSeconds);
    if (type !== typeOpt && ttl > 0) setU32(message, fixed + 4, left);
    at = end;
  }
}

/** Header and question with TC, where a record was cut and none can be read. */
function emptyCopy(message: Uint8Array): Uint8Array {
  const empty = copyOf(message, 0, headerBytes + reader.questionBytes);
  setU16(empty, atFlags, messageFlags(empty) | flagTc);
  for (const at of [atAnswers, atAuthorities, atAdditionals]) setU16(empty, at, 0);
  return empty;
}
