/**
 * One try of a question with one upstream: the attempt that a connection or socket carries. It reads what comes back
 * and leaves what to do about it to the question.
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
import { headerBytes } from '../limits.js';
import type { Outcome, Request } from './ask.js';
import { type Attempt, type Carrier, type Loss, notSent, timeoutText } from './attempt.js';
import type { AgainBudget } from './budget.js';
import { durationsOf, type UpstreamDeps } from './endpoint.js';
import { AnswerReader, needsOpt } from './request.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

/** In which manner the upstream is asked. */
export interface Manner {
  readonly transport: UpstreamTransport;
  readonly allowsOpt: boolean;
  /** There is no OPT so that it is seen whether that brings an answer. */
  readonly testsOpt: boolean;
}

/**
 * `cut`: over UDP, with TC or as good as that (RFC 7766 5), so TCP may bring the rest. `opt refused`: the upstream
 * cannot do anything with our OPT (RFC 6891 6.2.2).
 */
type Judgement = 'good' | 'cut' | 'opt refused' | 'malformed';

/** The question as its tries see it. */
export interface Asker {
  readonly request: Request;
  answered(attempt: Try, message: Uint8Array, nowMs: number): void;
  lost(attempt: Try, loss: Loss, nowMs: number): void;
}

/** What the message last accepted says; good until anything else is read. */
export const reader = new AnswerReader();

export class Try implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  /** Of its answer; null while there is none. */
  judgement: Judgement | null = null;
  /** Its carrier broke or turned it away. */
  isLost = false;
  /** Its port got something that was not asked for. */
  isDisturbed = false;
  readonly transport: UpstreamTransport;
  readonly allowsOpt: boolean;
  readonly testsOpt: boolean;
  readonly #asker: Asker;

  constructor(
    asker: Asker,
    readonly upstream: Upstream,
    { transport, allowsOpt, testsOpt }: Manner,
    readonly isAgain: boolean,
  ) {
    this.#asker = asker;
    this.transport = transport;
    this.allowsOpt = allowsOpt;
    this.testsOpt = testsOpt;
  }

  get request(): Request {
    return this.#asker.request;
  }

  /** Whether the request had an OPT record: over UDP always, over TCP where it has to. */
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
    this.#asker.answered(this, message, nowMs);
  }

  lost(loss: Loss, nowMs: number): void {
    this.isLost = true;
    this.isDisturbed = loss.isDisturbed === true;
    this.#asker.lost(this, loss, nowMs);
  }

  /** Gives it up; nothing is said to the question. */
  abandon(nowMs: number): void {
    this.carrier?.abandon(this, nowMs);
  }

  /** Whether what carries it has been heard since: then it is this question that takes long. */
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

/** How a question would be asked if nothing were known of the upstream. */
export interface Wish {
  readonly request: Request;
  readonly transport: UpstreamTransport;
  /** The transport is a matter of course: force_tcp, or what has TC over UDP. */
  readonly isFixed: boolean;
}

/** How a question asks this upstream after these tries. */
export function mannerOf(upstream: Upstream, tries: readonly Try[], wish: Wish, nowMs: number): Manner {
  const before = tries.filter((attempt) => attempt.upstream === upstream);
  if (!wish.isFixed && isCutWithoutTcp(upstream, before, nowMs)) return withoutOpt('udp');
  const transport = wish.isFixed ? wish.transport : wayNow(upstream, wish.transport, before, nowMs);
  const isRefused = before.some(({ judgement }) => judgement === 'opt refused');
  const isSilent = before.some((attempt) => attempt.transport === transport && isSilentForOpt(attempt, nowMs));
  if (isRefused || isSilent) return withoutOpt(transport);
  const allowsOpt = needsOpt(wish.request) || transport === 'tcp' || upstream.edns.nextHasOpt(nowMs);
  return { transport, testsOpt: false, allowsOpt };
}

/** The manner that shows whether the OPT is the trouble. */
export function withoutOpt(transport: UpstreamTransport): Manner {
  return { transport, testsOpt: true, allowsOpt: false };
}

/**
 * Whether this upstream may be asked without an OPT as well: where nothing is known of it that speaks for the OPT. What
 * has to have one is only asked without where it is known that nothing comes with one (RFC 6891 6.2.2), as DNSSEC is lost.
 */
export function doubtsOpt({ request, upstream }: Pick<Try, 'request' | 'upstream'>, nowMs: number): boolean {
  return needsOpt(request) ? upstream.edns.isWithout : !upstream.edns.isProven(nowMs);
}

/**
 * Beside a silent try: how the same upstream is asked without an OPT. `known`: it answers in no other way, as has been
 * found meanwhile. `perhaps`: it may. `no`: the OPT is not the trouble, or that has been tried.
 */
export function besideWithoutOpt(silent: Try, tries: readonly Try[], nowMs: number): 'known' | 'perhaps' | 'no' {
  const { upstream, transport, request, carriesOpt } = silent;
  if (!carriesOpt) return 'no';
  const isTried = tries.some((one) => one.upstream === upstream && one.transport === transport && !one.carriesOpt);
  if (isTried) return 'no';
  if (!needsOpt(request) && upstream.edns.isWithout) return 'known';
  return isSilentForOpt(silent, nowMs) ? 'perhaps' : 'no';
}

/** What it answered to an OPT was cut, and TCP has nothing: without OPT an answer is short, or honest with TC. */
function isCutWithoutTcp(upstream: Upstream, before: readonly Try[], nowMs: number): boolean {
  if (!before.some((attempt) => attempt.judgement === 'cut' && attempt.carriesOpt && doubtsOpt(attempt, nowMs)))
    return false;
  if (before.some(({ transport, carriesOpt }) => transport === 'udp' && !carriesOpt)) return false;
  return (
    upstream.wayTo('tcp', [], nowMs) === 'udp' || before.some(({ transport, isLost }) => transport === 'tcp' && isLost)
  );
}

/** It got no answer of any kind, and an OPT may be why. */
function isSilentForOpt(attempt: Try, nowMs: number): boolean {
  const { carriesOpt, judgement, isLost, sentAtMs } = attempt;
  return carriesOpt && judgement === null && !isLost && sentAtMs !== notSent && doubtsOpt(attempt, nowMs);
}

/**
 * How a question with these tries asks this upstream: over TCP what it has cut over UDP, and what somebody guesses the id of
 * there, unless TCP leads nowhere.
 */
function wayNow(
  upstream: Upstream,
  wanted: UpstreamTransport,
  tries: readonly Try[],
  nowMs: number,
): UpstreamTransport {
  const before = tries.filter((attempt) => attempt.upstream === upstream);
  if (before.some(({ judgement }) => judgement === 'cut')) return 'tcp';
  const isDisturbed = before.some((attempt) => attempt.isDisturbed);
  return upstream.wayTo(isDisturbed ? 'tcp' : wanted, waysTried(before, upstream), nowMs);
}

/** How its upstream had been asked before this try was sent. What was sent with it or later has had less time. */
export function waysBefore(tries: readonly Try[], attempt: Try): UpstreamTransport[] {
  if (tries.length === 1) return [];
  const { sentAtMs } = attempt;
  const before = tries.filter((one) => one.sentAtMs !== notSent && one.sentAtMs < sentAtMs);
  return waysTried(before, attempt.upstream);
}

/** How this upstream has been asked in these tries. One that was disturbed had no time to answer. */
function waysTried(tries: readonly Try[], upstream: Upstream): UpstreamTransport[] {
  return tries
    .filter((attempt) => attempt.upstream === upstream && !attempt.isDisturbed)
    .map(({ transport }) => transport);
}

/** What a question's home has for it. */
interface JudgeDeps {
  readonly budget: AgainBudget;
  readonly deps: Pick<UpstreamDeps, 'counters'>;
}

/** A larger one is said by an OPT, about EDNS itself (RFC 6891 6.1.3). */
const rcodeOfHeaderMax = 0x0f;

/** Judges the message that was read last, which answers this try, and counts it. */
export function judge(attempt: Try, { deps, budget }: JudgeDeps, nowMs: number): Judgement {
  const { verdict, rcode } = reader;
  const { counters } = deps;
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
 * Whether it may be for its OPT that this try brought nothing good. Who refuses it without an OPT does not know EDNS
 * (RFC 6891 7). All else may be meant, and costs a question more, so it is asked about seldom, and not of an upstream
 * that has answered with OPT lately.
 */
function isOptToBlame(attempt: Try, budget: AgainBudget, nowMs: number): boolean {
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

function noteDuration({ upstream, sentAtMs }: Try, rcode: number, nowMs: number): void {
  const durationMs = nowMs - sentAtMs;
  observeDuration(durationsOf(upstream.stats, rcodeName(rcode)), 0, durationMs / 1000);
  upstream.pace.took(durationMs);
}

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
