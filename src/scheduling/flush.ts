/**
 * Work for the end of the event loop's turn, after all that has arrived is read: the requests of one turn leave in one
 * write, and no outcome is told before the call that asked has returned. `setImmediate` runs after the ready sockets
 * are read and before the loop waits again; no time passes, so it is not a timer.
 */
import { toEach } from './each.js';

export interface Flushable {
  flush(): void;
}

export class Flush {
  #waiting: Flushable[] = [];
  readonly #run = (): void => {
    const due = this.#waiting;
    this.#waiting = [];
    toEach(due, (one) => one.flush());
  };

  /** Calls `one.flush()` when this turn ends; what a flush adds comes in the next turn. Once per turn for each. */
  add(one: Flushable): void {
    if (this.#waiting.length === 0) setImmediate(this.#run);
    this.#waiting.push(one);
  }
}
