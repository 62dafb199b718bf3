/**
 * Numbers for zones that stay the same over reloads, so that what is cached and counted for a zone is found again
 * under a new configuration. Both tables only grow, up to a bound; a zone that comes back gets its old number.
 */
import { zoneIdsMax } from '../limits.js';

export class Numbering {
  readonly #numbers = new Map<string, number>();

  /** The number of this text; throws when there have been too many different ones in this process. */
  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const next = this.#numbers.size;
    if (next >= zoneIdsMax) {
      throw new Error(`More than ${zoneIdsMax} different zones have been served; start the process again.`);
    }
    this.#numbers.set(text, next);
    return next;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** All texts in the order of their numbers. */
  texts(): readonly string[] {
    return [...this.#numbers.keys()];
  }
}
