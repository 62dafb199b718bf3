/**
 * The end of the event loop's turn: work put off until everything that has arrived is read, so that what one turn
 * asks leaves in one write, and no answer is given before the question was taken. It uses `setImmediate`, which runs
 * after all sockets that are ready have been read and before the loop waits again; no time passes, so it is no timer.
 */
import { toEach } from './each.js';

/** Something with work for the end of the turn; it puts itself on the list once per turn. */
export interface AtTurnEnd {
  turnEnded(): void;
}

export class Turn {
  #waiting: AtTurnEnd[] = [];
  readonly #run = (): void => {
    const due = this.#waiting;
    this.#waiting = [];
    toEach(due, (one) => one.turnEnded());
  };

  /** Calls `one.turnEnded()` when this turn ends; what is added by then comes in the next. */
  add(one: AtTurnEnd): void {
    if (this.#waiting.length === 0) setImmediate(this.#run);
    this.#waiting.push(one);
  }
}
