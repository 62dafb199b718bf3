/**
 * The life of one question in one `forward`: it is tried, tried again elsewhere when that fails or takes long, and
 * ends exactly once, by its deadline. Several tries may be out at once; the first good answer wins.
 *
 *     start ─> try ─┬─ answer ───────────────> ok
 *               ^   ├─ cut over UDP ─> the same upstream over TCP
 *               │   ├─ OPT refused ──> the same upstream without OPT
 *               │   ├─ lost, failover rcode ─> the next upstream, or after a pause the same
 *               └───┴─ silent ───────> another try beside it, on what has answered; else scouts look for such a way
 *     the deadline, or nobody left to ask ───> failed, and a late answer is still taken for the cache
 *
 * There are two deadlines: a short one where all that were asked have been silent altogether since, and a long one where
 * an upstream answers others, as a slow name is not a dead upstream.
 */
import { rcodeNoError, rcodeServFail } from '../dns/wire.js';
import {
  askAgainAfterMs,
  askAgainAfterMsMin,
  askAgainNextMs,
  lateAnswerMs,
  queryDeadlineMs,
  rescueBeforeMs,
  retryPauseMs,
  triesChargedLeast,
  triesPerQuestionMax,
} from '../limits.js';
import type { AtTurnEnd } from '../scheduling/flush.js';
import type { Answer, Outcome, Request } from './ask.js';
import { type Again, type Loss, loopLoss, notSent, queueLoss, unhealthyLoss } from './attempt.js';
import type { AgainBudget } from './budget.js';
import type { UpstreamDeps } from './endpoint.js';
import {
  type Asker,
  besideWithoutOpt,
  bestOf,
  judge,
  leftOf,
  type Manner,
  mannerOf,
  putAside,
  reader,
  type SecondBest,
  Try,
  type Wish,
  waysBefore,
  withoutOpt,
} from './query-attempt.js';
import { needsOpt } from './request.js';
import { Rounds, type RoundsSettings } from './selection.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

const never = Number.POSITIVE_INFINITY;
const provenTriesMax = 2;
const earliest = Number.MIN_SAFE_INTEGER;

export interface QuestionSettings extends RoundsSettings {
  readonly transport: 'client' | UpstreamTransport;
  /** From when it was asked until it has failed where all that were asked have been silent altogether. */
  readonly deadlineMs: number;
  /** The same while one of them answers other questions. */
  readonly slowDeadlineMs: number;
  /** 0: twice the number of upstreams, and no less than three. */
  readonly connectAttemptsMax: number;
  readonly failover: readonly number[];
}

/** The `forward` that asks. */
export interface QuestionHome {
  readonly settings: QuestionSettings;
  readonly deps: UpstreamDeps;
  readonly budget: AgainBudget;
  /** The question is over: it leaves the table. */
  finished(question: Question): void;
  /** It has failed, and takes the answer that may still come: it is swept until it says `lateEnded`. */
  staysForLate(question: Question): void;
  lateEnded(question: Question): void;
}

export interface Asked {
  readonly request: Request;
  readonly askedAtMs: number;
  /** At least one; not changed while the question lives. Those given come first, then those learned. */
  readonly upstreams: readonly Upstream[];
  /** How many of them were learned. */
  readonly learned: number;
  /** How many questions were asked before it: where round_robin begins. */
  readonly number: number;
  readonly done: (outcome: Outcome) => void;
  /** Wants the answer that comes after `done` was told of a failure; null: nobody does. */
  readonly late: ((answer: Answer) => void) | null;
}

export class Question implements Asker, AtTurnEnd {
  /** Its place among the home's questions; the home's own. */
  place = 0;
  readonly request: Request;
  readonly #home: QuestionHome;
  readonly #done: (outcome: Outcome) => void;
  #late: ((answer: Answer) => void) | null;
  readonly #askedAtMs: number;
  /** When it fails where all that were asked have been silent since, and when in any case. */
  #deadlineAtMs: number;
  #slowDeadlineAtMs: number;
  readonly #tries: Try[] = [];
  readonly #made: Try[] = [];
  #triesCharged = 0;
  readonly #triesChargedMax: number;
  readonly #rounds: Rounds;
  #wish: Wish;
  /** Whether somebody was asked beside one who kept silent. */
  #wasAskedAgain = false;
  /** Whether that was not allowed once, which is counted. */
  #wasDenied = false;
  /** Whether it was asked beyond the budget, as it would have failed. */
  #wasRescued = false;
  /** It was asked on nothing that is known to lead anywhere: as soon as something is, it is asked there. */
  #isInTheDark = false;
  /** Tries beside silent ones, on what had just answered: two such are silent too, so it is the name that takes long. */
  #provenTries = 0;
  #againAtMs = never;
  #retryAtMs = never;
  #lastLoss: Loss | null = null;
  /** Should nobody have a better one. */
  #secondBest: SecondBest | null = null;
  /** When the second best was put aside to wait for the first that was asked; `never` where it waits for nobody. */
  #heldSinceMs = never;
  #isStarting = true;
  #isOver = false;

  constructor(home: QuestionHome, asked: Asked) {
    const { settings } = home;
    this.#home = home;
    this.request = asked.request;
    this.#done = asked.done;
    this.#late = asked.late;
    this.#askedAtMs = asked.askedAtMs;
    this.#deadlineAtMs = asked.askedAtMs + settings.deadlineMs;
    this.#slowDeadlineAtMs = asked.askedAtMs + settings.slowDeadlineMs;
    const transport = settings.transport === 'client' ? asked.request.clientTransport : settings.transport;
    this.#wish = { request: asked.request, transport, isFixed: settings.transport === 'tcp' };
    this.#rounds = new Rounds(asked.upstreams, asked.number, asked.learned);
    this.#triesChargedMax = settings.connectAttemptsMax || Math.max(triesChargedLeast, 2 * asked.upstreams.length);
  }

  start(nowMs: number): void {
    this.#home.budget.asked(nowMs);
    this.#tryNext(nowMs);
    this.#isStarting = false;
  }

  turnEnded(): void {
    this.#conclude();
  }

  sweep(nowMs: number): void {
    if (this.#isOver) {
      if (nowMs >= this.#askedAtMs + lateAnswerMs) this.endLate(nowMs);
      return;
    }
    if (nowMs >= this.#heldUntilMs() || this.#isTimeUp(nowMs)) return this.#timeOut(nowMs);
    if (nowMs >= this.#retryAtMs) return this.#retry(nowMs);
    this.#endSilentTries(nowMs);
    if (!this.#isOver && nowMs >= this.#againAtMs) this.#askAgain(nowMs);
  }

  /** Something of this upstream has been found to lead to an endpoint that answers. */
  scoutAnswered(upstream: Upstream, nowMs: number): void {
    if (this.#isOver) return;
    const isStuckThere = this.#isInTheDark && this.#tries.some((attempt) => attempt.upstream === upstream);
    if (isStuckThere || this.#rounds.hasAskedDown) this.#askAgain(nowMs);
  }

  /** Ends it now, without asking further. */
  cancel(text: string): void {
    if (this.#isOver) return;
    this.#secondBest = null;
    this.#late = null;
    this.#lastLoss = { why: 'unreachable', text, blame: false };
    this.#conclude();
  }

  /** The answer that may still come is not waited for any longer. */
  endLate(nowMs: number): void {
    this.#late = null;
    for (const attempt of this.#tries.splice(0)) attempt.abandon(nowMs);
    this.#home.lateEnded(this);
  }

  answered(attempt: Try, message: Uint8Array, nowMs: number): void {
    const { upstream } = attempt;
    this.#remove(attempt, nowMs);
    upstream.heard(attempt.sentAtMs, nowMs);
    upstream.heardBy(attempt.transport, this.#wish.isFixed ? [] : waysBefore(this.#made, attempt), nowMs);
    if (this.#isOver) return this.#answeredLate(attempt, message, nowMs);
    attempt.judgement = judge(attempt, this.#home, nowMs);
    if (attempt.judgement === 'malformed') {
      this.#secondBest = leftOf(this.#secondBest, attempt);
      return this.#afterLoss(attempt, attempt.malformed(), nowMs);
    }
    if (attempt.judgement === 'cut') return this.#askOverTcp(attempt, message, nowMs);
    const { rcode } = reader;
    if (attempt.judgement === 'opt refused') {
      // A SERVFAIL may have been meant: it is given if nothing else comes.
      if (reader.verdict === 'answer' && rcode === rcodeServFail) {
        this.#secondBest = putAside(attempt, message, nowMs);
        this.#slowDeadlineAtMs = Math.min(this.#slowDeadlineAtMs, Math.max(nowMs, this.#deadlineAtMs));
      }
      return this.#tryOtherwise(attempt, nowMs);
    }
    if (this.#home.settings.failover.includes(rcode) && this.#failOver(attempt, message, nowMs)) return;
    if (this.#waitsForFirst(attempt, rcode, nowMs)) return this.#hold(attempt, message, nowMs);
    this.#learnFrom(attempt, nowMs);
    this.#finish(this.#answerOf(attempt, message));
  }

  /** What was asked for by an OPT and came without one is for this moment (RFC 6891 6.2.2). */
  #answerOf({ upstream, carriesOpt, transport }: Try, message: Uint8Array): Answer {
    const mayKeep = needsOpt(this.request) && !carriesOpt ? false : undefined;
    return { ok: true, message, from: upstream.to, isOverTcp: transport === 'tcp', mayKeep };
  }

  lost(attempt: Try, loss: Loss, nowMs: number): void {
    if (!this.#remove(attempt, nowMs)) return;
    // That too much is asked is no fault of the upstream.
    if (loss.blame && loss.why !== 'overloaded') attempt.upstream.health.failed(nowMs);
    if (!this.#isOver) this.#afterLoss(attempt, loss, nowMs);
    else if (this.#tries.length === 0) this.endLate(nowMs);
  }

  #tryNext(nowMs: number): void {
    const upstream = this.#rounds.next(this.#home.settings, this.#home.deps, nowMs);
    if (upstream === null) this.#fail(this.#rounds.allLoop ? loopLoss : unhealthyLoss);
    else this.#try(upstream, nowMs, null);
  }

  #try(upstream: Upstream, nowMs: number, again: Again | null, as: Manner | null = null): void {
    const manner = as ?? mannerOf(upstream, this.#made, this.#wish, nowMs);
    const attempt = new Try(this, upstream, manner, this.#wasAskedAgain);
    this.#tries.push(attempt);
    this.#made.push(attempt);
    upstream.tryStarted(nowMs);
    this.#triesCharged++;
    this.#againAtMs = this.#nextAtMs(upstream, nowMs);
    const sent = upstream.send(attempt, manner.transport, nowMs, again);
    if (sent === 'full') {
      this.#remove(attempt, nowMs);
      return this.#afterLoss(attempt, queueLoss(upstream.to), nowMs);
    }
    this.#isInTheDark = sent !== 'proven';
    if (sent === 'new') this.#againAtMs = Math.min(this.#againAtMs, nowMs + askAgainAfterMsMin);
    if (sent !== 'unproven') return;
    this.#againAtMs = nowMs;
    upstream.explore([manner.transport], nowMs);
  }

  #nextAtMs(upstream: Upstream, nowMs: number): number {
    return Math.min(nowMs + this.#patienceMs(upstream), this.#turnEndsAtMs(nowMs));
  }

  /** How long the try that was made last may be silent. */
  #patienceMs({ pace }: Upstream): number {
    if (!this.#wasAskedAgain) return pace.waitMs;
    return this.#rounds.hasOther && !this.#isRanked ? askAgainAfterMs : askAgainNextMs;
  }

  /** `sequential`: when the upstream that was asked last has had `read_timeout`; `never` where that changes nothing. */
  #turnEndsAtMs(nowMs: number): number {
    if (!this.#isRanked || !this.#rounds.hasOther) return never;
    return this.#turnBeganAtMs(nowMs) + this.#home.settings.readTimeoutMs;
  }

  /** When the upstream that was asked last was first asked. */
  #turnBeganAtMs(nowMs: number): number {
    const { upstream } = this.#made[this.#made.length - 1];
    const { sentAtMs } = this.#made.find((one) => one.upstream === upstream)!;
    return sentAtMs === notSent ? nowMs : sentAtMs;
  }

  /** The first upstream knows what the others do not: `policy sequential` over addresses that the Corefile names. */
  get #isRanked(): boolean {
    return this.#home.settings.policy === 'sequential' && this.#rounds.isAllNamed;
  }

  #mayTry(): boolean {
    return this.#mayTryBeside() && this.#triesCharged < this.#triesChargedMax;
  }

  #mayTryBeside(): boolean {
    const { connectAttemptsMax } = this.#home.settings;
    const mayConnect = connectAttemptsMax === 0 || this.#triesCharged < connectAttemptsMax;
    return this.#made.length < triesPerQuestionMax && mayConnect && !this.#rounds.isLastResort;
  }

  /** The same upstream, asked in another way; its other tries would only bring what we have just heard. */
  #tryOtherwise({ upstream }: Try, nowMs: number): void {
    this.#abandonTries(nowMs, upstream);
    this.#triesCharged--;
    this.#try(upstream, nowMs, null);
  }

  #askOverTcp(attempt: Try, message: Uint8Array, nowMs: number): void {
    this.#secondBest = putAside(attempt, message, nowMs);
    // That it answers over UDP says nothing of TCP; where that led nowhere lately it gets little time.
    const isHopeless = attempt.upstream.wayTo('tcp', [], nowMs) === 'udp';
    const endAtMs = isHopeless ? nowMs + askAgainAfterMs : Math.max(this.#deadlineAtMs, nowMs + askAgainAfterMs);
    this.#slowDeadlineAtMs = Math.min(this.#slowDeadlineAtMs, endAtMs);
    // What has TC is too long for any upstream; what was cut without it may come whole from another one.
    if (reader.verdict === 'truncated') this.#wish = { request: this.request, transport: 'tcp', isFixed: true };
    this.#tryOtherwise(attempt, nowMs);
  }

  #failOver(attempt: Try, message: Uint8Array, nowMs: number): boolean {
    if (this.#tries.length === 0 && !(this.#mayTry() && this.#rounds.hasOther)) return false;
    this.#secondBest = putAside(attempt, message, nowMs);
    if (this.#tries.length === 0) this.#retry(nowMs);
    return true;
  }

  /** Whether an answer without records must wait for an upstream that was asked before, and may have some. */
  #waitsForFirst(attempt: Try, rcode: number, nowMs: number): boolean {
    if (attempt.upstream === this.#made[0].upstream || (rcode === rcodeNoError && !reader.isEmpty)) return false;
    const owed = this.#owedByFirst();
    return owed !== null && nowMs < this.#waitsUntilMs(owed, nowMs);
  }

  /** The earliest try with the upstream that was asked first; null where that has said what it knows, or is down. */
  #owedByFirst(): Try | null {
    const { upstream } = this.#made[0];
    if (!upstream.isUp) return null;
    return this.#tries.find((one) => one.upstream === upstream && one.sentAtMs !== notSent) ?? null;
  }

  /** How long the answer of another waits for it: its usual time; where it is not known to be well, for a probe's. */
  #waitsUntilMs({ upstream, sentAtMs }: Try, heldSinceMs: number): number {
    if (!upstream.wasHeardSince(sentAtMs)) return this.#isRanked ? heldSinceMs : heldSinceMs + askAgainAfterMsMin;
    return this.#isRanked ? this.#slowDeadlineAtMs : sentAtMs + upstream.pace.usualMs;
  }

  #hold(attempt: Try, message: Uint8Array, nowMs: number): void {
    this.#secondBest = putAside(attempt, message, nowMs);
    this.#heldSinceMs = nowMs;
  }

  #heldUntilMs(): number {
    if (this.#heldSinceMs === never) return never;
    const owed = this.#owedByFirst();
    return owed === null ? this.#heldSinceMs : this.#waitsUntilMs(owed, this.#heldSinceMs);
  }

  #afterLoss({ upstream }: Try, loss: Loss, nowMs: number): void {
    this.#lastLoss = loss;
    if (!loss.blame) this.#triesCharged--;
    if (loss.isDisturbed && this.#made.length < triesPerQuestionMax) return this.#retryElsewhere(upstream, nowMs);
    if (this.#tries.length > 0) return;
    if (this.#heldSinceMs !== never) return this.#conclude();
    if (!this.#mayTry() && (loss.blame || this.#made.length >= triesPerQuestionMax)) return this.#fail(loss);
    // What was lost through no fault of the upstream is no reason to ask another one.
    if (!loss.blame && upstream.isUp && !this.#rounds.hasAskedDown) return this.#retrySame(upstream, nowMs);
    if (!loss.blame || this.#rounds.hasOther) return this.#retry(nowMs);
    if (loss.why === 'overloaded') return this.#fail(loss);
    this.#retryAtMs = nowMs + retryPauseMs;
  }

  #retry(nowMs: number): void {
    this.#retryAtMs = never;
    this.#home.deps.counters.count('upstreamRetries');
    this.#tryNext(nowMs);
  }

  #retrySame(upstream: Upstream, nowMs: number): void {
    this.#home.deps.counters.count('upstreamRetries');
    this.#try(upstream, nowMs, null);
  }

  /** The port where somebody guesses is left, before the right id may be among the guesses. */
  #retryElsewhere(upstream: Upstream, nowMs: number): void {
    this.#home.deps.counters.count('upstreamDisturbedRetries');
    this.#try(upstream, nowMs, null);
  }

  /** Gives up tries that have had `read_timeout`, with upstreams that have said nothing at all meanwhile. */
  #endSilentTries(nowMs: number): void {
    const { readTimeoutMs } = this.#home.settings;
    for (let index = this.#tries.length - 1; index >= 0; index--) {
      const attempt = this.#tries[index];
      const { sentAtMs, upstream } = attempt;
      if (sentAtMs === notSent || nowMs - sentAtMs < readTimeoutMs || upstream.wasHeardSince(sentAtMs)) continue;
      const text = attempt.timeoutText();
      attempt.abandon(nowMs);
      this.lost(attempt, { why: 'timeout', text, blame: true }, nowMs);
      if (this.#isOver) return;
    }
  }

  #askAgain(nowMs: number): void {
    const [first] = this.#tries;
    this.#againAtMs = never;
    if (first === undefined) return;
    if (first.sentAtMs === notSent) {
      // It waits for a place: asking again would only make the queue longer.
      this.#againAtMs = nowMs + first.upstream.pace.waitMs;
      return;
    }
    for (const { upstream, sentAtMs } of this.#tries) {
      if (!upstream.wasHeardSince(sentAtMs)) upstream.health.suspect(nowMs);
    }
    if (this.#rounds.isLastResort) {
      // The upstream may come back while this query waits for it on a connection that leads nowhere.
      this.#againAtMs = nowMs;
      return;
    }
    if (!this.#mayTryBeside()) return;
    // What was sent to an upstream that was down does not count: the query is asked as if for the first time.
    if (this.#rounds.hasAskedDown) return this.#retry(nowMs);
    if (nowMs >= this.#turnEndsAtMs(nowMs)) return this.#retry(nowMs);
    const isEarly = this.#isInTheDark && nowMs < first.sentAtMs + first.upstream.pace.waitMs;
    const without = isEarly ? 'no' : besideWithoutOpt(first, this.#made, nowMs);
    // It answers in no other way, as has been found meanwhile: this try is the first that counts.
    if (without === 'known') return this.#try(first.upstream, nowMs, this.#againTo(first.upstream, nowMs));
    if (this.#rounds.hasOther && !this.#isRanked && !isEarly) return this.#askOtherBeside(first, without, nowMs);
    const { upstream } = this.#isRanked ? this.#made[this.#made.length - 1] : first;
    this.#askSameAgain(upstream, nowMs);
    if (without === 'perhaps') this.#askBesideWithoutOpt(first, nowMs);
  }

  #askOtherBeside(silent: Try, without: 'perhaps' | 'no', nowMs: number): void {
    if (!this.#mayAskBeside(nowMs, false)) return;
    // Before others are asked, whose answer would end it.
    if (without === 'perhaps') this.#askBesideWithoutOpt(silent, nowMs);
    this.#tryNext(nowMs);
  }

  /** Unless what was just asked is that already. */
  #askBesideWithoutOpt(silent: Try, nowMs: number): void {
    if (this.#isOver || this.#made.length >= triesPerQuestionMax) return;
    if (besideWithoutOpt(silent, this.#made, nowMs) === 'no' || !this.#home.budget.spend(nowMs, this.request.client))
      return;
    this.#triesCharged--;
    this.#try(silent.upstream, nowMs, this.#againTo(silent.upstream, nowMs), withoutOpt(silent.transport));
  }

  /** Once more to the upstream that is silent, on what has answered since; where nothing has, scouts are sent. */
  #askSameAgain(upstream: Upstream, nowMs: number): void {
    this.#againAtMs = nowMs;
    if (upstream.health.isDown) return;
    const again = this.#againTo(upstream, nowMs);
    const manner = mannerOf(upstream, this.#made, this.#wish, nowMs);
    const transports = this.#transportsBeside(manner.transport, upstream);
    const proven = transports.find((transport) => upstream.hasHeard(transport, again.sinceMs, nowMs));
    // Scouts tell within a round trip; a second question into the dark waits until they have had their time.
    const darkUntilMs = this.#made[this.#made.length - 1].sentAtMs + this.#patienceMs(upstream);
    if (proven === undefined && this.#isInTheDark && nowMs < darkUntilMs) upstream.explore(transports, nowMs);
    else if (proven !== undefined && this.#provenTries >= provenTriesMax) this.#againAtMs = this.#turnEndsAtMs(nowMs);
    else if (this.#mayAskBeside(nowMs, proven !== undefined)) {
      if (proven !== undefined) this.#provenTries++;
      this.#try(upstream, nowMs, again, { ...manner, transport: proven ?? manner.transport });
    }
  }

  /** By which it may be asked: the transport that is next, and where both may be used, the other. */
  #transportsBeside(transport: UpstreamTransport, upstream: Upstream): readonly UpstreamTransport[] {
    const wasCut = this.#made.some((attempt) => attempt.upstream === upstream && attempt.judgement === 'cut');
    if (this.#wish.isFixed || upstream.isTls || wasCut) return [transport];
    return transport === 'udp' ? ['udp', 'tcp'] : ['tcp', 'udp'];
  }

  /** What this upstream is asked on without an answer yet. */
  #againTo(upstream: Upstream, nowMs: number): Again {
    const out = this.#tries.filter((attempt) => attempt.upstream === upstream && attempt.sentAtMs !== notSent);
    const sinceMs = out.length === 0 ? nowMs : Math.min(...out.map(({ sentAtMs }) => sentAtMs));
    return { tried: out.flatMap(({ carrier }) => carrier ?? []), sinceMs };
  }

  /** Whether the budget allows another try; beyond it one that is sure to help, for a question that would fail. */
  #mayAskBeside(nowMs: number, isSure: boolean): boolean {
    const { counters } = this.#home.deps;
    const isRescue = isSure && !this.#wasRescued && nowMs >= this.#deadlineAtMs - rescueBeforeMs;
    if (!this.#home.budget.spend(nowMs, this.request.client)) {
      if (!this.#wasDenied) counters.count('upstreamHedgesDenied');
      this.#wasDenied = true;
      // There may be something in it when more has been asked.
      this.#againAtMs = nowMs;
      if (!isRescue) return false;
      this.#wasRescued = true;
    }
    this.#wasAskedAgain = true;
    counters.count('upstreamHedges');
    return true;
  }

  /** Whether it has had its time: more of it where an upstream answers others, or another has its turn yet. */
  #isTimeUp(nowMs: number): boolean {
    if (nowMs >= this.#slowDeadlineAtMs) return true;
    if (nowMs < this.#deadlineAtMs) return false;
    if (this.#isRanked && this.#hasTurnsLeft(nowMs)) return false;
    return !this.#tries.some(({ upstream, sentAtMs }) => sentAtMs !== notSent && upstream.wasHeardSince(sentAtMs));
  }

  /** `sequential`: the next upstream is asked after read_timeout, and has as long as the first had. */
  #hasTurnsLeft(nowMs: number): boolean {
    const { upstream } = this.#made[this.#made.length - 1];
    if (upstream !== this.#made[0].upstream && nowMs - this.#turnBeganAtMs(nowMs) < queryDeadlineMs) return true;
    return this.#rounds.hasOther && this.#mayTryBeside();
  }

  #timeOut(nowMs: number): void {
    const [first] = this.#tries;
    for (const { upstream, sentAtMs } of this.#tries) {
      if (sentAtMs !== notSent && !upstream.wasHeardSince(sentAtMs)) upstream.health.failed(nowMs);
    }
    if (first !== undefined) this.#lastLoss = { why: 'timeout', text: first.timeoutText(), blame: true };
    this.#conclude();
  }

  #fail(loss: Loss): void {
    this.#lastLoss = loss;
    if (this.#isStarting) this.#home.deps.turn.add(this);
    else this.#conclude();
  }

  #conclude(): void {
    if (this.#isOver) return;
    const { counters, clock } = this.#home.deps;
    if (this.#secondBest !== null) return this.#finish(bestOf(this.#secondBest, this.#made, counters, clock.nowMs()));
    const { why, text } = this.#lastLoss!;
    if (why === 'timeout') counters.count('upstreamTimeouts');
    this.#finish({ ok: false, why, text });
  }

  #finish(outcome: Outcome): void {
    this.#isOver = true;
    this.#home.finished(this);
    try {
      if (!outcome.ok && this.#late !== null) this.#stayForLate();
      else if (this.#tries.length > 0) this.#abandonTries(this.#home.deps.clock.nowMs());
    } finally {
      // Whoever waits is told, whatever goes wrong with what carried the question.
      this.#done(outcome);
    }
  }

  #stayForLate(): void {
    const nowMs = this.#home.deps.clock.nowMs();
    for (const attempt of this.#tries.slice()) {
      attempt.upstream.tryEnded(attempt.sentAtMs, nowMs);
      if (attempt.sentAtMs !== notSent) continue;
      attempt.abandon(nowMs);
      this.#tries.splice(this.#tries.indexOf(attempt), 1);
    }
    if (this.#tries.length > 0) this.#home.staysForLate(this);
  }

  /** An answer to a question that has failed: good for whoever asks it next. */
  #answeredLate(attempt: Try, message: Uint8Array, nowMs: number): void {
    const late = this.#late;
    attempt.upstream.pace.took(nowMs - attempt.sentAtMs);
    const isGood = reader.verdict === 'answer';
    if (isGood || this.#tries.length === 0) this.endLate(nowMs);
    if (late === null || !isGood) return;
    this.#home.deps.counters.count('upstreamLateAnswers');
    late(this.#answerOf(attempt, message));
  }

  /**
   * The same question was silent on something else for long, and quick here. Where both lead to one address in one way,
   * the other leads nowhere; where not, scouts find out whether all that leads there does.
   */
  #learnFrom({ upstream, transport, sentAtMs }: Try, nowMs: number): void {
    const tookMs = nowMs - sentAtMs;
    for (const other of this.#tries) {
      // One that has answered before is given the time that this upstream takes now and then.
      const isNew = !other.isCarrierHeardSince(earliest);
      const silenceMs = isNew ? askAgainAfterMsMin : other.upstream.pace.waitMs;
      const isSilent = other.sentAtMs !== notSent && nowMs - other.sentAtMs >= Math.max(silenceMs, 2 * tookMs);
      if (!isSilent || other.isCarrierHeardSince(other.sentAtMs)) continue;
      const isAlike = other.upstream === upstream && other.transport === transport;
      if (isAlike) upstream.doubt(transport, other.sentAtMs, nowMs);
      else other.upstream.explore([other.transport], nowMs);
    }
  }

  /** Gives up all tries, or those with one upstream. */
  #abandonTries(nowMs: number, upstream: Upstream | null = null): void {
    const given = this.#tries.filter((attempt) => upstream === null || attempt.upstream === upstream);
    for (const attempt of given) {
      this.#tries.splice(this.#tries.indexOf(attempt), 1);
      attempt.upstream.tryEnded(attempt.sentAtMs, nowMs);
    }
    for (const attempt of given) attempt.abandon(nowMs);
  }

  #remove(attempt: Try, nowMs: number): boolean {
    const index = this.#tries.indexOf(attempt);
    if (index < 0) return false;
    this.#tries.splice(index, 1);
    if (!this.#isOver) attempt.upstream.tryEnded(attempt.sentAtMs, nowMs);
    return true;
  }
}
