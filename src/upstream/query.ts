/**
 * One query in one `forward`: it is sent to an upstream, sent again elsewhere when an attempt fails or stays silent,
 * and ends exactly once, by its deadline. Several attempts may be pending at once; the first good answer wins.
 *
 *     start ─> attempt ─┬─ answer ───────────────> ok
 *                  ^    ├─ cut over UDP ─> the same upstream over TCP
 *                  │    ├─ OPT refused ──> the same upstream without OPT
 *                  │    ├─ lost, failover rcode ─> the next upstream, or the same one after a pause
 *                  └────┴─ silent ───────> a hedge, on a carrier that has answered since; else scouts look for one
 *     deadline, or no upstream left ───> failed; a late answer still goes to the cache
 *
 * The deadline is short while every upstream that was asked is silent, and long while one of them answers other
 * queries: a slow name is not a dead upstream.
 */
import { rcodeNoError, rcodeServFail } from '../dns/wire.js';
import {
  askAgainAfterMs,
  askAgainAfterMsMin,
  askAgainNextMs,
  assert,
  lateAnswerMs,
  queryDeadlineMs,
  rescueBeforeMs,
  retryPauseMs,
  triesChargedLeast,
  triesPerQuestionMax,
} from '../limits.js';
import type { Flushable } from '../scheduling/flush.js';
import type { Answer, Outcome, QueryCaller, Request } from './ask.js';
import { type Hedge, type Loss, loopLoss, noTime, notSent, queueLoss, unhealthyLoss } from './attempt.js';
import type { HedgeBudget } from './budget.js';
import type { UpstreamDeps } from './endpoint.js';
import {
  type AttemptOptions,
  type AttemptOwner,
  attemptOptions,
  besideWithoutOpt,
  type Fallback,
  fallbackAfterMalformed,
  fallbackOutcome,
  hedgeTo,
  judge,
  keepFallback,
  learnFrom,
  noTransports,
  QueryAttempt,
  reader,
  type TransportPreference,
  transportsBefore,
  transportsBeside,
  withoutOpt,
} from './query-attempt.js';
import { needsOpt } from './request.js';
import { Selection, type SelectionSettings, type UpstreamsToAsk } from './selection.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

const provenHedgesMax = 2;

export interface QuerySettings extends SelectionSettings {
  readonly transport: 'client' | UpstreamTransport;
  /** Until the query fails where all its upstreams are silent. */
  readonly deadlineMs: number;
  /** The same where one of them answers other queries. */
  readonly slowDeadlineMs: number;
  /** 0: twice the number of upstreams, at least three. */
  readonly connectAttemptsMax: number;
  readonly failover: readonly number[];
}

export interface QueryOwner {
  readonly settings: QuerySettings;
  readonly deps: UpstreamDeps;
  readonly budget: HedgeBudget;
  finished(query: UpstreamQuery): void;
  /** Nothing refers to the query any more: it may begin again, as another one. */
  free(query: UpstreamQuery): void;
  /** The query has failed and waits for a late answer: the owner sweeps it until `lateEnded`. */
  staysForLate(query: UpstreamQuery): void;
  lateEnded(query: UpstreamQuery): void;
}

/**
 * An object is used for one query after another, because garbage costs a miss more than all else. It is free again only
 * where the answer to its only attempt has ended it: then no carrier, no list and no later call knows it.
 */
export class UpstreamQuery implements AttemptOwner, Flushable, TransportPreference {
  /** Index in the owner's table; set by the owner. */
  index = 0;
  request!: Request;
  transport: UpstreamTransport = 'tcp';
  isFixed = false;
  readonly #owner: QueryOwner;
  #caller!: QueryCaller;
  #late: QueryCaller['late'] = null;
  #deadlineAtMs = noTime;
  #slowDeadlineAtMs = noTime;
  readonly #pending: QueryAttempt[] = [];
  readonly #attempts: QueryAttempt[] = [];
  /** The first attempt of each query. */
  readonly #first = new QueryAttempt(this);
  #attemptsCharged = 0;
  #attemptsChargedMax = 0;
  readonly #selection = new Selection();
  #wasHedged = false;
  /** The budget denied a hedge; counted once. */
  #wasDenied = false;
  /** One hedge went beyond the budget, shortly before the deadline. */
  #wasRescued = false;
  /** No attempt is on a carrier that is known to reach an endpoint: the query is hedged as soon as one is found. */
  #isInTheDark = false;
  /** Hedges on carriers that had just answered. After two silent ones the name itself is slow. */
  #provenHedges = 0;
  #hedgeAtMs = noTime;
  #retryAtMs = noTime;
  #lastLoss: Loss | null = null;
  #fallback: Fallback | null = null;
  /** Since when the fallback waits for the upstream that was asked first; `never` where it does not. */
  #heldSinceMs = noTime;
  #isStarting = false;
  #isOver = true;

  constructor(owner: QueryOwner) {
    this.#owner = owner;
  }

  /** Starts a query; `number` is where round_robin begins. Only for a new object and one that is free. */
  begin(request: Request, caller: QueryCaller, toAsk: UpstreamsToAsk, number: number, nowMs: number): void {
    assert(this.#isOver && this.#pending.length === 0, 'a query begins with an object that is free');
    const { settings } = this.#owner;
    const { askedAtMs } = caller;
    this.request = request;
    this.transport = settings.transport === 'client' ? request.clientTransport : settings.transport;
    this.isFixed = settings.transport === 'tcp';
    this.#caller = caller;
    this.#late = caller.late;
    this.#deadlineAtMs = askedAtMs + settings.deadlineMs;
    this.#slowDeadlineAtMs = askedAtMs + settings.slowDeadlineMs;
    while (this.#attempts.length > 0) this.#attempts.pop();
    this.#attemptsCharged = 0;
    this.#attemptsChargedMax = settings.connectAttemptsMax || Math.max(triesChargedLeast, 2 * toAsk.upstreams.length);
    this.#selection.begin(toAsk, number);
    this.#wasHedged = false;
    this.#wasDenied = false;
    this.#wasRescued = false;
    this.#isInTheDark = false;
    this.#provenHedges = 0;
    this.#hedgeAtMs = noTime;
    this.#retryAtMs = noTime;
    this.#lastLoss = null;
    this.#fallback = null;
    this.#heldSinceMs = noTime;
    this.#isOver = false;
    this.#isStarting = true;
    this.#owner.budget.asked(nowMs);
    this.#attemptNext(nowMs);
    this.#isStarting = false;
  }

  flush(): void {
    this.#conclude();
  }

  sweep(nowMs: number): void {
    if (this.#isOver) {
      if (nowMs >= this.#caller.askedAtMs + lateAnswerMs) this.endLate(nowMs);
      return;
    }
    if (nowMs >= this.#heldUntilMs() || this.#isTimeUp(nowMs)) return this.#timeOut(nowMs);
    if (nowMs >= this.#retryAtMs) return this.#retry(nowMs);
    this.#endSilentAttempts(nowMs);
    if (!this.#isOver && nowMs >= this.#hedgeAtMs) this.#hedge(nowMs);
  }

  /** A scout has reached an endpoint of this upstream. */
  scoutAnswered(upstream: Upstream, nowMs: number): void {
    if (this.#isOver) return;
    const isStuckThere = this.#isInTheDark && this.#pending.some((attempt) => attempt.upstream === upstream);
    if (isStuckThere || this.#selection.hasAskedDown) this.#hedge(nowMs);
  }

  /** Fails the query now. */
  cancel(text: string): void {
    if (this.#isOver) return;
    this.#fallback = null;
    this.#late = null;
    this.#lastLoss = { why: 'unreachable', text, blame: false };
    this.#conclude();
  }

  /** Stops waiting for a late answer. */
  endLate(nowMs: number): void {
    this.#late = null;
    for (const attempt of this.#pending.splice(0)) attempt.abandon(nowMs);
    this.#owner.lateEnded(this);
  }

  answered(attempt: QueryAttempt, message: Uint8Array, nowMs: number): void {
    const { upstream } = attempt;
    this.#remove(attempt, nowMs);
    upstream.heard(attempt.sentAtMs, nowMs);
    const failed = this.isFixed ? noTransports : transportsBefore(this.#attempts, attempt);
    upstream.heardBy(attempt.transport, failed, nowMs);
    if (this.#isOver) return this.#answeredLate(attempt, message, nowMs);
    attempt.judgement = judge(attempt, this.#owner.deps.counters, this.#owner.budget, nowMs);
    if (attempt.judgement === 'malformed') {
      this.#fallback = fallbackAfterMalformed(this.#fallback, attempt);
      return this.#afterLoss(attempt, attempt.malformed(), nowMs);
    }
    if (attempt.judgement === 'cut') return this.#askOverTcp(attempt, message, nowMs);
    const { rcode } = reader;
    if (attempt.judgement === 'opt refused') {
      // The SERVFAIL may be about the name: it is the fallback.
      if (reader.verdict === 'answer' && rcode === rcodeServFail) {
        this.#fallback = keepFallback(attempt, message, nowMs);
        this.#slowDeadlineAtMs = Math.min(this.#slowDeadlineAtMs, Math.max(nowMs, this.#deadlineAtMs));
      }
      return this.#attemptOtherwise(attempt, nowMs);
    }
    if (this.#owner.settings.failover.includes(rcode) && this.#failOver(attempt, message, nowMs)) return;
    if (this.#waitsForFirst(attempt, rcode, nowMs)) {
      this.#fallback = keepFallback(attempt, message, nowMs);
      this.#heldSinceMs = nowMs;
      return;
    }
    learnFrom(attempt, this.#pending, nowMs);
    const isAlone = this.#attempts.length === 1;
    this.#finish(this.#answerOf(attempt, message));
    if (isAlone) this.#owner.free(this);
  }

  /** An answer without OPT to a request that needs one is not cached (RFC 6891 6.2.2). */
  #answerOf({ upstream, carriesOpt, transport }: QueryAttempt, message: Uint8Array): Answer {
    const mayKeep = needsOpt(this.request) && !carriesOpt ? false : undefined;
    return { ok: true, message, from: upstream.to, isOverTcp: transport === 'tcp', mayKeep };
  }

  lost(attempt: QueryAttempt, loss: Loss, nowMs: number): void {
    if (!this.#remove(attempt, nowMs)) return;
    // Our own overload is no failure of the upstream.
    if (loss.blame && loss.why !== 'overloaded') attempt.upstream.health.failed(nowMs);
    if (!this.#isOver) this.#afterLoss(attempt, loss, nowMs);
    else if (this.#pending.length === 0) this.endLate(nowMs);
  }

  #attemptNext(nowMs: number): void {
    const upstream = this.#selection.next(this.#owner.settings, this.#owner.deps, nowMs);
    if (upstream === null) this.#fail(this.#selection.allLoop ? loopLoss : unhealthyLoss);
    else this.#attemptAt(upstream, nowMs, null);
  }

  #attemptAt(upstream: Upstream, nowMs: number, hedge: Hedge | null, as: AttemptOptions | null = null): void {
    const options = as ?? attemptOptions(upstream, this.#attempts, this, nowMs);
    const attempt = this.#attempts.length === 0 ? this.#first : new QueryAttempt(this);
    attempt.begin(upstream, options, this.#wasHedged);
    this.#pending.push(attempt);
    this.#attempts.push(attempt);
    upstream.attemptStarted(nowMs);
    this.#attemptsCharged++;
    this.#hedgeAtMs = Math.min(nowMs + this.#silenceMaxMs(upstream), this.#nextUpstreamAtMs(nowMs));
    const sent = upstream.send(attempt, options.transport, nowMs, hedge);
    if (sent === 'full') {
      this.#remove(attempt, nowMs);
      return this.#afterLoss(attempt, queueLoss(upstream.to), nowMs);
    }
    this.#isInTheDark = sent !== 'proven';
    if (sent === 'new') this.#hedgeAtMs = Math.min(this.#hedgeAtMs, nowMs + askAgainAfterMsMin);
    if (sent !== 'unproven') return;
    this.#hedgeAtMs = nowMs;
    upstream.explore([options.transport], nowMs);
  }

  /** How long the latest attempt may stay silent. */
  #silenceMaxMs(upstream: Upstream): number {
    if (!this.#wasHedged) return upstream.rtt.waitMs;
    if (this.#selection.hasOther && !this.#isRanked) return askAgainAfterMs;
    const isFirst = this.#attempts.filter((attempt) => attempt.upstream === upstream).length === 1;
    return isFirst ? upstream.rtt.waitMs : askAgainNextMs;
  }

  /** `sequential`: when `read_timeout` of the latest upstream ends; `never` where no other is left. */
  #nextUpstreamAtMs(nowMs: number): number {
    if (!this.#isRanked || !this.#selection.hasOther) return noTime;
    return this.#firstAskedAtMs(nowMs) + this.#owner.settings.readTimeoutMs;
  }

  /** When the latest upstream was asked first. */
  #firstAskedAtMs(nowMs: number): number {
    const { upstream } = this.#attempts[this.#attempts.length - 1];
    const { sentAtMs } = this.#attempts.find((one) => one.upstream === upstream)!;
    return sentAtMs === notSent ? nowMs : sentAtMs;
  }

  /** `policy sequential` over addresses of the Corefile: the first upstream knows names that the others do not. */
  get #isRanked(): boolean {
    return this.#owner.settings.policy === 'sequential' && this.#selection.isAllNamed;
  }

  #mayAttempt(): boolean {
    return this.#mayAttemptBeside() && this.#attemptsCharged < this.#attemptsChargedMax;
  }

  #mayAttemptBeside(): boolean {
    const { connectAttemptsMax } = this.#owner.settings;
    const mayConnect = connectAttemptsMax === 0 || this.#attemptsCharged < connectAttemptsMax;
    return this.#attempts.length < triesPerQuestionMax && mayConnect && !this.#selection.isLastResort;
  }

  /** Asks the same upstream in another way, and abandons its other attempts, which would bring the same answer. */
  #attemptOtherwise({ upstream }: QueryAttempt, nowMs: number): void {
    this.#abandonAttempts(nowMs, upstream);
    this.#attemptsCharged--;
    this.#attemptAt(upstream, nowMs, null);
  }

  #askOverTcp(attempt: QueryAttempt, message: Uint8Array, nowMs: number): void {
    this.#fallback = keepFallback(attempt, message, nowMs);
    // An answer over UDP says nothing about TCP; where TCP has failed lately it gets little time.
    const isHopeless = attempt.upstream.transportFor('tcp', [], nowMs) === 'udp';
    const endAtMs = isHopeless ? nowMs + askAgainAfterMs : Math.max(this.#deadlineAtMs, nowMs + askAgainAfterMs);
    this.#slowDeadlineAtMs = Math.min(this.#slowDeadlineAtMs, endAtMs);
    // TC: too long for any upstream's UDP. Cut without TC: another upstream may answer whole.
    if (reader.verdict === 'truncated') {
      this.transport = 'tcp';
      this.isFixed = true;
    }
    this.#attemptOtherwise(attempt, nowMs);
  }

  #failOver(attempt: QueryAttempt, message: Uint8Array, nowMs: number): boolean {
    if (this.#pending.length === 0 && !(this.#mayAttempt() && this.#selection.hasOther)) return false;
    this.#fallback = keepFallback(attempt, message, nowMs);
    if (this.#pending.length === 0) this.#retry(nowMs);
    return true;
  }

  /** Whether an answer without records waits for the upstream that was asked first, which may have some. */
  #waitsForFirst(attempt: QueryAttempt, rcode: number, nowMs: number): boolean {
    if (attempt.upstream === this.#attempts[0].upstream || (rcode === rcodeNoError && !reader.isEmpty)) return false;
    const owed = this.#owedByFirst();
    return owed !== null && nowMs < this.#waitsUntilMs(owed, nowMs);
  }

  /** The first upstream's earliest pending attempt; null where it has answered or is down. */
  #owedByFirst(): QueryAttempt | null {
    const { upstream } = this.#attempts[0];
    if (!upstream.isUp) return null;
    return this.#pending.find((one) => one.upstream === upstream && one.sentAtMs !== notSent) ?? null;
  }

  /** Another's answer waits for this attempt: the upstream's usual time, or a probe's time if it has been silent. */
  #waitsUntilMs({ upstream, sentAtMs }: QueryAttempt, heldSinceMs: number): number {
    if (!upstream.rtt.wasHeardSince(sentAtMs)) return this.#isRanked ? heldSinceMs : heldSinceMs + askAgainAfterMsMin;
    return this.#isRanked ? this.#slowDeadlineAtMs : sentAtMs + upstream.rtt.usualMs;
  }

  #heldUntilMs(): number {
    if (this.#heldSinceMs === noTime) return noTime;
    const owed = this.#owedByFirst();
    return owed === null ? this.#heldSinceMs : this.#waitsUntilMs(owed, this.#heldSinceMs);
  }

  #afterLoss({ upstream }: QueryAttempt, loss: Loss, nowMs: number): void {
    this.#lastLoss = loss;
    if (!loss.blame) this.#attemptsCharged--;
    // Leaves the port at which someone guesses ids, before a guess is right.
    if (loss.isDisturbed && this.#attempts.length < triesPerQuestionMax)
      return this.#retrySame(upstream, 'upstreamDisturbedRetries', nowMs);
    if (this.#pending.length > 0) return;
    if (this.#heldSinceMs !== noTime) return this.#conclude();
    if (!this.#mayAttempt() && (loss.blame || this.#attempts.length >= triesPerQuestionMax)) return this.#fail(loss);
    // The upstream is not to blame, so it is asked again.
    if (!loss.blame && upstream.isUp && !this.#selection.hasAskedDown)
      return this.#retrySame(upstream, 'upstreamRetries', nowMs);
    if (!loss.blame || this.#selection.hasOther) return this.#retry(nowMs);
    if (loss.why === 'overloaded') return this.#fail(loss);
    this.#retryAtMs = nowMs + retryPauseMs;
  }

  #retry(nowMs: number): void {
    this.#retryAtMs = noTime;
    this.#owner.deps.counters.count('upstreamRetries');
    this.#attemptNext(nowMs);
  }

  #retrySame(upstream: Upstream, counter: 'upstreamRetries' | 'upstreamDisturbedRetries', nowMs: number): void {
    this.#owner.deps.counters.count(counter);
    this.#attemptAt(upstream, nowMs, null);
  }

  /** Ends attempts after `read_timeout` whose upstream has answered nothing meanwhile. */
  #endSilentAttempts(nowMs: number): void {
    const { readTimeoutMs } = this.#owner.settings;
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const attempt = this.#pending[index];
      const { sentAtMs, upstream } = attempt;
      if (sentAtMs === notSent || nowMs - sentAtMs < readTimeoutMs || upstream.rtt.wasHeardSince(sentAtMs)) continue;
      const text = attempt.timeoutText();
      attempt.abandon(nowMs);
      this.lost(attempt, { why: 'timeout', text, blame: true }, nowMs);
      if (this.#isOver) return;
    }
  }

  #hedge(nowMs: number): void {
    const [first] = this.#pending;
    this.#hedgeAtMs = noTime;
    if (first === undefined) return;
    if (first.sentAtMs === notSent) return this.#leaveQueue(first, nowMs);
    for (const { upstream, sentAtMs } of this.#pending) {
      if (!upstream.rtt.wasHeardSince(sentAtMs)) upstream.health.suspect(nowMs);
    }
    if (this.#selection.isLastResort) {
      // The upstream may come back while this query waits on a dead connection.
      this.#hedgeAtMs = nowMs;
      return;
    }
    if (!this.#mayAttemptBeside()) return;
    // Attempts at an upstream that was down do not count.
    if (this.#selection.hasAskedDown || nowMs >= this.#nextUpstreamAtMs(nowMs)) return this.#retry(nowMs);
    const isEarly = this.#isInTheDark && nowMs < first.sentAtMs + first.upstream.rtt.waitMs;
    const without = isEarly ? 'no' : besideWithoutOpt(first, this.#attempts, nowMs);
    // The upstream turned out to answer only without OPT: this attempt is the first that counts.
    if (without === 'known')
      return this.#attemptAt(first.upstream, nowMs, hedgeTo(first.upstream, this.#pending, nowMs));
    if (this.#selection.hasOther && !this.#isRanked && !isEarly) return this.#hedgeWithOther(first, without, nowMs);
    const { upstream } = this.#isRanked ? this.#attempts[this.#attempts.length - 1] : first;
    // All have been asked: one that answers others may have lost this query.
    const heard = this.#isRanked ? null : this.#selection.askedHeardSince(first.sentAtMs);
    this.#hedgeSame(heard ?? upstream, nowMs);
    if (without === 'perhaps') this.#hedgeWithoutOpt(first, nowMs);
  }

  /** A hedge would only make the queue longer. What waits in a silent upstream's goes to another, and cost nothing. */
  #leaveQueue(queued: QueryAttempt, nowMs: number): void {
    const { upstream } = queued;
    const isDead = !upstream.isUp || upstream.isSilent(nowMs);
    this.#hedgeAtMs = nowMs + upstream.rtt.waitMs;
    if (!isDead || this.#isRanked || !this.#selection.hasOther || !this.#mayAttemptBeside()) return;
    this.#abandonAttempts(nowMs, upstream);
    this.#attemptsCharged--;
    this.#retry(nowMs);
  }

  #hedgeWithOther(silent: QueryAttempt, without: 'perhaps' | 'no', nowMs: number): void {
    const heard = this.#selection.otherHeardSince(silent.sentAtMs);
    if (!this.#mayHedge(nowMs, heard !== null)) return;
    // First, because another upstream's answer ends the query.
    if (without === 'perhaps') this.#hedgeWithoutOpt(silent, nowMs);
    if (heard !== null && this.#wasRescued) this.#attemptAt(this.#selection.take(heard), nowMs, null);
    else this.#attemptNext(nowMs);
  }

  #hedgeWithoutOpt(silent: QueryAttempt, nowMs: number): void {
    if (this.#isOver || this.#attempts.length >= triesPerQuestionMax) return;
    if (besideWithoutOpt(silent, this.#attempts, nowMs) === 'no') return;
    if (!this.#owner.budget.spend(nowMs, this.request.client)) return;
    this.#attemptsCharged--;
    this.#attemptAt(
      silent.upstream,
      nowMs,
      hedgeTo(silent.upstream, this.#pending, nowMs),
      withoutOpt(silent.transport),
    );
  }

  /** Hedges at the silent upstream, on a carrier that has answered since; where there is none, sends scouts. */
  #hedgeSame(upstream: Upstream, nowMs: number): void {
    this.#hedgeAtMs = nowMs;
    if (upstream.health.isDown) return;
    const { client } = this.request;
    const hedge = hedgeTo(upstream, this.#pending, nowMs);
    const options = attemptOptions(upstream, this.#attempts, this, nowMs);
    const transports = transportsBeside(options.transport, upstream, this.#attempts, this);
    const proven = transports.find((transport) => upstream.hasHeard(transport, client, hedge, nowMs));
    // Scouts answer within a round trip; a second attempt in the dark waits for them.
    const darkUntilMs = this.#attempts[this.#attempts.length - 1].sentAtMs + this.#silenceMaxMs(upstream);
    if (proven === undefined && this.#isInTheDark && nowMs < darkUntilMs) upstream.explore(transports, nowMs);
    else if (proven !== undefined && this.#provenHedges >= provenHedgesMax)
      this.#hedgeAtMs = this.#nextUpstreamAtMs(nowMs);
    else if (this.#mayHedge(nowMs, proven !== undefined)) {
      if (proven !== undefined) this.#provenHedges++;
      this.#attemptAt(upstream, nowMs, hedge, { ...options, transport: proven ?? options.transport });
    }
  }

  /** Whether the budget allows a hedge. Beyond the budget a query near its deadline gets one that is sure to help. */
  #mayHedge(nowMs: number, isSure: boolean): boolean {
    const { counters } = this.#owner.deps;
    const isRescue = isSure && !this.#wasRescued && nowMs >= this.#deadlineAtMs - rescueBeforeMs;
    if (!this.#owner.budget.spend(nowMs, this.request.client)) {
      if (!this.#wasDenied) counters.count('upstreamHedgesDenied');
      this.#wasDenied = true;
      // The budget grows with new queries.
      this.#hedgeAtMs = nowMs;
      if (!isRescue) return false;
      this.#wasRescued = true;
    }
    this.#wasHedged = true;
    counters.count('upstreamHedges');
    return true;
  }

  #isTimeUp(nowMs: number): boolean {
    if (nowMs >= this.#slowDeadlineAtMs) return true;
    if (nowMs < this.#deadlineAtMs) return false;
    if (this.#isRanked && this.#hasUpstreamsLeft(nowMs)) return false;
    return !this.#pending.some(
      ({ upstream, sentAtMs }) => sentAtMs !== notSent && upstream.rtt.wasHeardSince(sentAtMs),
    );
  }

  /** `sequential`: the next upstream is asked after read_timeout, and gets as long as the first. */
  #hasUpstreamsLeft(nowMs: number): boolean {
    const { upstream } = this.#attempts[this.#attempts.length - 1];
    if (upstream !== this.#attempts[0].upstream && nowMs - this.#firstAskedAtMs(nowMs) < queryDeadlineMs) return true;
    return this.#selection.hasOther && this.#mayAttemptBeside();
  }

  #timeOut(nowMs: number): void {
    const [first] = this.#pending;
    for (const { upstream, sentAtMs } of this.#pending) {
      if (sentAtMs !== notSent && !upstream.rtt.wasHeardSince(sentAtMs)) upstream.health.failed(nowMs);
    }
    if (first !== undefined) this.#lastLoss = { why: 'timeout', text: first.timeoutText(), blame: true };
    this.#conclude();
  }

  #fail(loss: Loss): void {
    this.#lastLoss = loss;
    if (this.#isStarting) this.#owner.deps.flush.add(this);
    else this.#conclude();
  }

  #conclude(): void {
    if (this.#isOver) return;
    const { counters, clock } = this.#owner.deps;
    const fallback = this.#fallback;
    if (fallback !== null) return this.#finish(fallbackOutcome(fallback, this.#attempts, counters, clock.nowMs()));
    const { why, text } = this.#lastLoss!;
    if (why === 'timeout') counters.count('upstreamTimeouts');
    this.#finish({ ok: false, why, text });
  }

  #finish(outcome: Outcome): void {
    this.#isOver = true;
    this.#owner.finished(this);
    try {
      if (!outcome.ok && this.#late !== null) this.#stayForLate();
      else if (this.#pending.length > 0) this.#abandonAttempts(this.#owner.deps.clock.nowMs());
    } finally {
      // The waiter is told even if a carrier throws.
      this.#caller.done(outcome);
    }
  }

  #stayForLate(): void {
    const nowMs = this.#owner.deps.clock.nowMs();
    for (const attempt of this.#pending.slice()) {
      attempt.upstream.attemptEnded(attempt.sentAtMs, nowMs);
      if (attempt.sentAtMs !== notSent) continue;
      attempt.abandon(nowMs);
      this.#pending.splice(this.#pending.indexOf(attempt), 1);
    }
    if (this.#pending.length > 0) this.#owner.staysForLate(this);
  }

  /** A late answer to a failed query goes to the cache. */
  #answeredLate(attempt: QueryAttempt, message: Uint8Array, nowMs: number): void {
    const late = this.#late;
    attempt.upstream.rtt.took(nowMs - attempt.sentAtMs);
    const isGood = reader.verdict === 'answer';
    if (isGood || this.#pending.length === 0) this.endLate(nowMs);
    if (late === null || !isGood) return;
    this.#owner.deps.counters.count('upstreamLateAnswers');
    late(this.#answerOf(attempt, message));
  }

  /** Abandons all pending attempts, or those with one upstream. */
  #abandonAttempts(nowMs: number, upstream: Upstream | null = null): void {
    const given = this.#pending.filter((attempt) => upstream === null || attempt.upstream === upstream);
    for (const attempt of given) {
      this.#pending.splice(this.#pending.indexOf(attempt), 1);
      attempt.upstream.attemptEnded(attempt.sentAtMs, nowMs);
    }
    for (const attempt of given) attempt.abandon(nowMs);
  }

  #remove(attempt: QueryAttempt, nowMs: number): boolean {
    const index = this.#pending.indexOf(attempt);
    if (index < 0) return false;
    // Without a list of what was removed, for the usual only one.
    if (index === this.#pending.length - 1) this.#pending.pop();
    else this.#pending.splice(index, 1);
    if (!this.#isOver) attempt.upstream.attemptEnded(attempt.sentAtMs, nowMs);
    return true;
  }
}
