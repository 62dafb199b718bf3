/**
 * Waiting for something to be said, by one waiter at a time and not for ever.
 */
import type { Clock, Timer } from '../os/clock.js';
import type { Message } from './messages.js';

/** A message, answers that came, the end of a conversation; or `nothing` in time. */
export type Heard = Message['type'] | 'entries' | 'closed' | 'nothing';

export class Hearing {
  readonly #clock: Clock;
  #listener: (what: Heard) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(what: Heard): void {
    this.#listener(what);
  }

  /** The first of these things that is said; `nothing` after so long. Answers that come are worth more patience. */
  first(wanted: readonly Heard[], silenceMs: number, wholeMs = silenceMs): Promise<Heard> {
    return new Promise((resolve) => {
      const over = (what: Heard): void => {
        silence.stop();
        whole.stop();
        this.#listener = () => {};
        resolve(what);
      };
      const patience = (ms: number): Timer => this.#clock.after(ms, () => over('nothing'));
      let silence = patience(silenceMs);
      const whole = patience(wholeMs);
      this.#listener = (what) => {
        if (wanted.includes(what)) return over(what);
        if (what !== 'entries') return;
        silence.stop();
        silence = patience(silenceMs);
      };
    });
  }
}
