/**
 * How many hedges and scouts may be sent: together a share of the queries of the last ten seconds, enough for a lost
 * packet or a dead connection without doubling the load of an overloaded upstream. Where the share is next to nothing,
 * hedges and scouts each get what one dead connection can hold.
 */
import { askAgainLeast, askAgainOfClientLeast, askAgainShare, askAgainWindowMs } from '../limits.js';

/** Hedges are counted one step longer than queries, so the share holds between steps. */
const steps = 20;
const stepMs = askAgainWindowMs / steps;
const windowSlots = steps + 1;

export class HedgeBudget {
  readonly #asked = new SlidingCount();
  readonly #hedges = new SlidingCount();
  readonly #scouts = new SlidingCount();
  /** Hedges by client, cleared once per window. */
  readonly #ofClient = new Map<string, number>();
  #ofClientSince = 0;
  #step = 0;

  asked(nowMs: number): void {
    this.#moveTo(nowMs);
    this.#asked.add(this.#step);
  }

  /** Takes one hedge, if there is one. A client may spend as much as is left for others, so slow names leave some. */
  spend(nowMs: number, client?: string): boolean {
    const left = this.#left(this.#hedges, nowMs);
    const has = client === undefined ? 0 : (this.#ofClient.get(client) ?? 0);
    if (left < 1 || (has >= askAgainOfClientLeast && has >= left)) return false;
    this.#hedges.add(this.#step);
    if (client !== undefined) this.#ofClient.set(client, has + 1);
    return true;
  }

  /** Takes one scout from the budget; false when there is none. */
  spendOnScout(nowMs: number): boolean {
    if (this.#left(this.#scouts, nowMs) < 1) return false;
    this.#scouts.add(this.#step);
    return true;
  }

  /** What is left for this kind: of the share, or of its fixed minimum. */
  #left(count: SlidingCount, nowMs: number): number {
    this.#moveTo(nowMs);
    // Half of the oldest step is outside of the window.
    const asked = this.#asked.inWindow - this.#asked.at(this.#step + 1);
    const share = asked * askAgainShare;
    const spent = this.#hedges.inWindow + this.#scouts.inWindow;
    const own = Math.min(askAgainLeast - count.inWindow, Math.ceil(Math.max(2 * askAgainLeast, share) - spent));
    return Math.max(own, Math.floor(share - spent));
  }

  #moveTo(nowMs: number): void {
    const step = Math.floor(nowMs / stepMs);
    if (step - this.#step > windowSlots) this.#step = step - windowSlots;
    while (this.#step < step) {
      this.#step++;
      for (const count of [this.#asked, this.#hedges, this.#scouts]) count.forget(this.#step);
    }
    if (step - this.#ofClientSince < steps) return;
    this.#ofClient.clear();
    this.#ofClientSince = step;
  }
}

/** A count over the last steps. */
class SlidingCount {
  inWindow = 0;
  readonly #counts = new Uint32Array(windowSlots);

  add(step: number): void {
    this.#counts[step % windowSlots]++;
    this.inWindow++;
  }

  at(step: number): number {
    return this.#counts[step % windowSlots];
  }

  /** Drops the step whose slot the new step takes. */
  forget(step: number): void {
    this.inWindow -= this.at(step);
    this.#counts[step % windowSlots] = 0;
  }
}
