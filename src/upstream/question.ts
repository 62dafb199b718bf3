/**
 * The life of one question in one `forward`: it is tried, tried again elsewhere when that fails or takes long, and
 * ends exactly once, by its deadline. Several tries may be out at once; the first good answer wins.
 *
 *     start ─> try ─┬─ answer ───────────────> ok
 *               ^   ├─ cut over UDP ─> the same upstream over TCP
 *               │   ├─ OPT refused ──> the same upstream without OPT
 *               │   ├─ lost, failover rcode ─> the next upstream, or after a pause the same
 *               └───┴─ silent ───────> another try beside it
 *     the deadline, or nobody left to ask ───> failed
 */
import { rcodeServFail } from '../dns/wire.js';
import { askAgainAfterMs, askAgainNextMs, retryPauseMs, triesChargedLeast, triesPerQuestionMax } from '../limits.js';
import type { Outcome, Request } from './ask.js';
import { type Carrier, type Loss, loopLoss, notSent, queueLoss, unhealthyLoss } from './attempt.js';
import { judge } from './judge.js';
import { besideWithoutOpt, type Manner, mannerOf, type Wish, withoutOpt } from './manner.js';
import type { Asked, QuestionHome } from './question-home.js';
import { needsOpt } from './request.js';
import { Rounds } from './rounds.js';
import { bestOf, leftOf, putAside, type SecondBest } from './second-best.js';
import { type Asker, reader, Try } from './try.js';
import type { AtTurnEnd } from './turn.js';
import type { Upstream } from './upstream.js';
import { waysBefore } from './ways.js';

const never = Number.POSITIVE_INFINITY;

export class Question implements Asker, AtTurnEnd {
  /** Its place among the home's questions; the home's own. */
  place = 0;
  readonly request: Request;
  readonly #home: QuestionHome;
  readonly #done: (outcome: Outcome) => void;
  #deadlineAtMs: number;
  /** Those that are out. */
  readonly #tries: Try[] = [];
  /** All that there were. */
  readonly #made: Try[] = [];
  /** Of these, how many the upstreams answer for. */
  #triesCharged = 0;
  readonly #triesChargedMax: number;
  readonly #rounds: Rounds;
  #wish: Wish;
  /** Whether somebody was asked beside one who kept silent. */
  #wasAskedAgain = false;
  /** Whether that was not allowed once, which is counted. */
  #wasDenied = false;
  #againAtMs = never;
  #retryAtMs = never;
  #lastLoss: Loss | null = null;
  /** Should nobody have a better one. */
  #secondBest: SecondBest | null = null;
  #isStarting = true;
  #isOver = false;

  constructor(home: QuestionHome, asked: Asked, done: (outcome: Outcome) => void) {
    const { settings } = home;
    this.#home = home;
    this.request = asked.request;
    this.#done = done;
    this.#deadlineAtMs = asked.askedAtMs + settings.deadlineMs;
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

  /** A failure found while the question was being asked is told now. */
  turnEnded(): void {
    this.#conclude();
  }

  sweep(nowMs: number): void {
    if (nowMs >= this.#deadlineAtMs) return this.#timeOut(nowMs);
    if (nowMs >= this.#retryAtMs) return this.#retry(nowMs);
    this.#endSilentTries(nowMs);
    if (!this.#isOver && nowMs >= this.#againAtMs) this.#askAgain(nowMs);
  }

  /** Ends it now, without asking further. */
  cancel(text: string): void {
    if (this.#isOver) return;
    this.#secondBest = null;
    this.#lastLoss = { why: 'unreachable', text, blame: false };
    this.#conclude();
  }

  answered(attempt: Try, message: Uint8Array, nowMs: number): void {
    const { upstream } = attempt;
    this.#remove(attempt, nowMs);
    upstream.heard(nowMs);
    upstream.heardBy(attempt.transport, this.#wish.isFixed ? [] : waysBefore(this.#made, attempt), nowMs);
    attempt.judgement = judge(attempt, this.#home, nowMs);
    if (attempt.judgement === 'malformed') {
      this.#secondBest = leftOf(this.#secondBest, attempt);
      return this.#afterLoss(attempt.malformed(), nowMs);
    }
    if (attempt.judgement === 'cut') return this.#askOverTcp(attempt, message, nowMs);
    if (attempt.judgement === 'opt refused') {
      // A SERVFAIL may have been meant: it is given if nothing else comes.
      if (reader.verdict === 'answer' && reader.rcode === rcodeServFail) this.#secondBest = putAside(attempt, message);
      return this.#tryOtherwise(attempt, nowMs);
    }
    if (this.#home.settings.failover.includes(reader.rcode) && this.#failOver(attempt, message, nowMs)) return;
    this.#finish({ ok: true, message, from: upstream.to, lacksOpt: needsOpt(this.request) && !attempt.carriesOpt });
  }

  lost(attempt: Try, loss: Loss, nowMs: number): void {
    if (!this.#remove(attempt, nowMs)) return;
    // That too much is asked is no fault of the upstream.
    if (loss.blame && loss.why !== 'overloaded') attempt.upstream.health.failed(nowMs);
    this.#afterLoss(loss, nowMs);
  }

  /** Asks the upstream whose turn it is. */
  #tryNext(nowMs: number): void {
    const upstream = this.#rounds.next(this.#home.settings, this.#home.world, nowMs);
    if (upstream === null) this.#fail(this.#rounds.allLoop ? loopLoss : unhealthyLoss);
    else this.#try(upstream, nowMs, null);
  }

  /** Asks this upstream; not on the connection `except`. */
  #try(upstream: Upstream, nowMs: number, except: Carrier | null, as: Manner | null = null): void {
    const manner = as ?? mannerOf(upstream, this.#made, this.#wish, nowMs);
    const attempt = new Try(this, upstream, manner, this.#wasAskedAgain);
    this.#tries.push(attempt);
    this.#made.push(attempt);
    upstream.tryStarted(nowMs);
    this.#triesCharged++;
    this.#againAtMs = nowMs + this.#patienceMs(upstream);
    if (upstream.send(attempt, manner.transport, nowMs, except)) return;
    this.#remove(attempt, nowMs);
    this.#afterLoss(queueLoss(upstream.to), nowMs);
  }

  /** How long this try may be silent before somebody is asked beside it. */
  #patienceMs({ pace }: Upstream): number {
    if (!this.#wasAskedAgain) return pace.waitMs;
    return this.#rounds.hasOther ? askAgainAfterMs : askAgainNextMs;
  }

  #mayTry(): boolean {
    return (
      this.#made.length < triesPerQuestionMax &&
      this.#triesCharged < this.#triesChargedMax &&
      !this.#rounds.isLastResort
    );
  }

  /** The same upstream, asked in another way; its other tries would only bring what we have just heard. */
  #tryOtherwise({ upstream }: Try, nowMs: number): void {
    this.#abandonTries(nowMs, upstream);
    this.#triesCharged--;
    this.#try(upstream, nowMs, null);
  }

  #askOverTcp(attempt: Try, message: Uint8Array, nowMs: number): void {
    this.#secondBest = putAside(attempt, message);
    // Where TCP led nowhere lately it gets little time.
    const isHopeless = attempt.upstream.wayTo('tcp', [], nowMs) === 'udp';
    if (isHopeless) this.#deadlineAtMs = Math.min(this.#deadlineAtMs, nowMs + askAgainAfterMs);
    // What has TC is too long for any upstream; what was cut without it may come whole from another one.
    if (reader.verdict === 'truncated') this.#wish = { request: this.request, transport: 'tcp', isFixed: true };
    this.#tryOtherwise(attempt, nowMs);
  }

  /** True when the answer is put aside for a better one. */
  #failOver(attempt: Try, message: Uint8Array, nowMs: number): boolean {
    if (this.#tries.length === 0 && !(this.#mayTry() && this.#rounds.hasOther)) return false;
    this.#secondBest = putAside(attempt, message);
    if (this.#tries.length === 0) this.#retry(nowMs);
    return true;
  }

  #afterLoss(loss: Loss, nowMs: number): void {
    this.#lastLoss = loss;
    if (!loss.blame) this.#triesCharged--;
    if (this.#tries.length > 0) return;
    if (!this.#mayTry() && (loss.blame || this.#made.length >= triesPerQuestionMax)) return this.#fail(loss);
    if (!loss.blame || this.#rounds.hasOther) return this.#retry(nowMs);
    if (loss.why === 'overloaded') return this.#fail(loss);
    this.#retryAtMs = nowMs + retryPauseMs;
  }

  #retry(nowMs: number): void {
    this.#retryAtMs = never;
    this.#home.world.counters.count('upstreamRetries');
    this.#tryNext(nowMs);
  }

  /** Gives up tries that have had `read_timeout`. */
  #endSilentTries(nowMs: number): void {
    const { readTimeoutMs } = this.#home.settings;
    for (let index = this.#tries.length - 1; index >= 0; index--) {
      const attempt = this.#tries[index];
      if (attempt.sentAtMs === notSent || nowMs - attempt.sentAtMs < readTimeoutMs) continue;
      const text = attempt.timeoutText();
      attempt.abandon(nowMs);
      this.lost(attempt, { why: 'timeout', text, blame: true }, nowMs);
      if (this.#isOver) return;
    }
  }

  /** Another try beside those that are out and silent. */
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
    if (!this.#mayTry()) return;
    // The order of `sequential` is a preference: the first is asked twice before somebody else is.
    const staysWithFirst = this.#home.settings.policy === 'sequential' && this.#made.length === 1;
    const without = besideWithoutOpt(first, this.#made, nowMs);
    const goesOn = this.#rounds.hasOther && !staysWithFirst && without !== 'known';
    if (!goesOn && first.upstream.health.isDown) return;
    const { counters } = this.#home.world;
    if (without !== 'known' && !this.#home.budget.spend(nowMs)) {
      if (!this.#wasDenied) counters.count('upstreamHedgesDenied');
      this.#wasDenied = true;
      // There may be something in it when more has been asked.
      this.#againAtMs = nowMs;
      return;
    }
    this.#wasAskedAgain = true;
    counters.count('upstreamHedges');
    if (!goesOn) this.#try(first.upstream, nowMs, first.carrier);
    // Before others are asked, whose answer would end it.
    if (without === 'perhaps') this.#askBesideWithoutOpt(first, nowMs);
    if (goesOn) this.#tryNext(nowMs);
  }

  /** Unless what was just asked is that already. */
  #askBesideWithoutOpt(silent: Try, nowMs: number): void {
    if (this.#isOver || this.#made.length >= triesPerQuestionMax) return;
    if (besideWithoutOpt(silent, this.#made, nowMs) === 'no' || !this.#home.budget.spend(nowMs)) return;
    this.#triesCharged--;
    this.#try(silent.upstream, nowMs, null, withoutOpt(silent.transport));
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
    if (this.#isStarting) this.#home.world.turn.add(this);
    else this.#conclude();
  }

  /** Ends it without a good answer. */
  #conclude(): void {
    if (this.#isOver) return;
    const { counters, clock } = this.#home.world;
    if (this.#secondBest !== null) return this.#finish(bestOf(this.#secondBest, this.#made, counters, clock.nowMs()));
    const { why, text } = this.#lastLoss!;
    if (why === 'timeout') counters.count('upstreamTimeouts');
    this.#finish({ ok: false, why, text });
  }

  #finish(outcome: Outcome): void {
    this.#isOver = true;
    if (this.#tries.length > 0) this.#abandonTries(this.#home.world.clock.nowMs());
    this.#home.finished(this);
    this.#done(outcome);
  }

  /** Gives up all tries, or those with one upstream. */
  #abandonTries(nowMs: number, upstream: Upstream | null = null): void {
    const given = this.#tries.filter((attempt) => upstream === null || attempt.upstream === upstream);
    for (const attempt of given) this.#remove(attempt, nowMs);
    for (const attempt of given) attempt.abandon(nowMs);
  }

  #remove(attempt: Try, nowMs: number): boolean {
    const index = this.#tries.indexOf(attempt);
    if (index < 0) return false;
    this.#tries.splice(index, 1);
    attempt.upstream.tryEnded(attempt.sentAtMs, nowMs);
    return true;
  }
}
