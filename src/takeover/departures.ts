/**
 * Those that want to close their sockets while we serve, one after another: while one does, packets go to a single
 * socket of ours, whose place in its group no closing changes before the last.
 */
import type { Link } from './link.js';
import type { Seats } from './seats.js';

export class Departures {
  readonly #seats: Pick<Seats, 'look' | 'steer'>;
  /** The first of them may. */
  readonly #leavers: Link[] = [];

  constructor(seats: Pick<Seats, 'look' | 'steer'>) {
    this.#seats = seats;
  }

  asks(link: Link): void {
    this.#leavers.push(link);
    if (this.#leavers.length === 1) this.#letGo();
  }

  /** It has closed them, or is gone. */
  over(link: Link): void {
    const place = this.#leavers.indexOf(link);
    if (place < 0) return;
    this.#leavers.splice(place, 1);
    if (place > 0) return;
    if (this.#leavers.length > 0) return this.#letGo();
    this.#seats.look();
    this.#seats.steer('all');
  }

  /** It is another's business from now on. */
  forget(): void {
    this.#leavers.length = 0;
  }

  #letGo(): void {
    this.#seats.look();
    this.#seats.steer('one');
    this.#leavers[0].say({ type: 'go' });
  }
}
