/**
 * Whether what is newly opened to one upstream address may lead nowhere. A balancer gives each connection, or each
 * source port over UDP, to one of several endpoints; when one of them is dead, some connections answer and others
 * never do, for as long as the balancer is not told. What has answered since the trouble began is trusted; all else is
 * tried with a probe before questions depend on it. Two moments, no more.
 */
import { flagQr, messageFlags } from '../dns/wire.js';
import { doubtMs, headerBytes } from '../limits.js';
import type { Request } from './ask.js';
import { type Again, type Attempt, type Carrier, notSent, type Sent } from './attempt.js';

const never = Number.NEGATIVE_INFINITY;

export class Doubt {
  readonly #told: () => void;
  /** When the silence began that a trusted connection fell into. */
  #sinceMs = never;
  #untilMs = never;

  /** `told` is called when an address comes to be doubted, not while it is. */
  constructor(told: () => void) {
    this.#told = told;
  }

  /** While one is silent since `silentSinceMs`, another has answered: the silent one leads nowhere. */
  began(silentSinceMs: number, nowMs: number): void {
    const isNews = !this.isIn(nowMs);
    if (isNews || silentSinceMs > this.#sinceMs) this.#sinceMs = silentSinceMs;
    this.#untilMs = nowMs + doubtMs;
    if (isNews) this.#told();
  }

  /** A scout, sent at `sentAtMs`, was not answered either: the trouble goes on. What is trusted stays so. */
  goesOn(sentAtMs: number, nowMs: number): void {
    if (this.isIn(nowMs)) this.#untilMs = nowMs + doubtMs;
    else this.began(sentAtMs, nowMs);
  }

  isIn(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** Whether one that answered last at this moment may be given questions without a second thought. */
  trusts(lastHeardMs: number, nowMs: number): boolean {
    return !this.isIn(nowMs) || lastHeardMs >= this.#sinceMs;
  }

  /** What is to be said of one that answered last at this moment and is given a question. */
  verdict(lastHeardMs: number, again: Again | null, nowMs: number): Sent {
    if (again !== null) return lastHeardMs >= again.sinceMs ? 'proven' : 'unproven';
    if (!this.trusts(lastHeardMs, nowMs)) return 'unproven';
    return lastHeardMs === never ? 'new' : 'proven';
  }
}

/** What the connections, or the ports, of one address have of it. */
export interface Scouting {
  readonly doubt: Doubt;
  /** Makes a question of our own for a new one to prove itself by; null: no more may be asked now. */
  newScout(nowMs: number): Attempt | null;
}

export class Probe implements Attempt {
  // Without an OPT: an upstream that dislikes it is up.
  readonly allowsOpt = false;
  readonly isAgain = false;
  readonly isProbe = true;
  carrier: Carrier | null = null;
  sentAtMs = notSent;

  /** `ended` is called once, unless the probe is abandoned. */
  constructor(
    readonly request: Request,
    readonly startedAtMs: number,
    readonly ended: (probe: Probe, hasAnswer: boolean, nowMs: number) => void,
  ) {}

  accepts(message: Uint8Array): boolean {
    return message.length >= headerBytes && (messageFlags(message) & flagQr) !== 0;
  }

  answered(_message: Uint8Array, nowMs: number): void {
    this.ended(this, true, nowMs);
  }

  lost(_loss: unknown, nowMs: number): void {
    this.ended(this, false, nowMs);
  }
}
