/**
 * How often a question may be put again to an upstream while somebody still owes its answer, and how many probes may be
 * sent to find a way to it: together a share of the questions of the last ten seconds. A lost packet or a dead connection
 * is mended with it; an upstream that is slow because it has too much to do does not get twice as much. Where so little
 * is asked that the share is next to nothing, questions and probes each have what one dead connection can hold.
 */
import { askAgainLeast, askAgainOfClientLeast, askAgainShare, askAgainWindowMs } from '../limits.js';

/** The window moves by steps. Repetitions are counted one step longer than questions, so the share holds between steps. */
const steps = 20;
const stepMs = askAgainWindowMs / steps;
const places = steps + 1;

export class AgainBudget {
  readonly #asked = new SlidingCount();
  readonly #again = new SlidingCount();
  readonly #scouts = new SlidingCount();
  /** What each client has spent since the table was made; few questions are put again. */
  readonly #ofClient = new Map<string, number>();
  #ofClientSince = 0;
  #step = 0;

  /** A question was asked for the first time. */
  asked(nowMs: number): void {
    this.#moveTo(nowMs);
    this.#asked.add(this.#step);
  }

  /**
   * Whether one that this client waits for may be put again; it is then paid for. One client may spend as much as is left
   * for others, so that slow names of one leave something for a lost packet of another.
   */
  spend(nowMs: number, client?: string): boolean {
    const left = this.#left(this.#again, nowMs);
    const has = client === undefined ? 0 : (this.#ofClient.get(client) ?? 0);
    if (left < 1 || (has >= askAgainOfClientLeast && has >= left)) return false;
    this.#again.add(this.#step);
    if (client !== undefined) this.#ofClient.set(client, has + 1);
    return true;
  }

  /** Whether a probe may be sent; it is then paid for. */
  spendOnScout(nowMs: number): boolean {
    if (this.#left(this.#scouts, nowMs) < 1) return false;
    this.#scouts.add(this.#step);
    return true;
  }

  /** How many more of this kind may be asked: of the share, or of what is there in any case. */
  #left(count: SlidingCount, nowMs: number): number {
    this.#moveTo(nowMs);
    // The oldest step is half outside of the window.
    const asked = this.#asked.inWindow - this.#asked.at(this.#step + 1);
    const share = asked * askAgainShare;
    const spent = this.#again.inWindow + this.#scouts.inWindow;
    const own = Math.min(askAgainLeast - count.inWindow, Math.ceil(Math.max(2 * askAgainLeast, share) - spent));
    return Math.max(own, Math.floor(share - spent));
  }

  /** Forgets what is older than the window. */
  #moveTo(nowMs: number): void {
    const step = Math.floor(nowMs / stepMs);
    if (step - this.#step > places) this.#step = step - places;
    while (this.#step < step) {
      this.#step++;
      for (const count of [this.#asked, this.#again, this.#scouts]) count.forget(this.#step);
    }
    if (step - this.#ofClientSince < steps) return;
    this.#ofClient.clear();
    this.#ofClientSince = step;
  }
}

/** What was counted in the last steps. */
class SlidingCount {
  inWindow = 0;
  readonly #counts = new Uint32Array(places);

  add(step: number): void {
    this.#counts[step % places]++;
    this.inWindow++;
  }

  at(step: number): number {
    return this.#counts[step % places];
  }

  /** The step that had this one's place is over. */
  forget(step: number): void {
    this.inWindow -= this.at(step);
    this.#counts[step % places] = 0;
  }
}
