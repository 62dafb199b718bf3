/**
 * Numbers for zones that stay the same over reloads, so that what is cached and counted for a zone is found again
 * under a new configuration. `Numbering` only grows, up to a bound. `ReusableNumbering` gives a number that no
 * configuration needs any more to another zone, so that it grows with the zones in force and not with the reloads.
 */
import { idleNumbersKept, zoneIdsMax } from '../limits.js';

export class Numbering {
  readonly #numbers = new Map<string, number>();

  /** The number of this text; throws when there have been too many different ones in this process. */
  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const next = this.#numbers.size;
    assertRoom(next);
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

/** The numbers that one configuration uses. They keep their meaning until it releases them. */
export interface Holding {
  /** The number of this text; throws when too many are held. */
  of(text: string): number;
  /**
   * The configuration needs them no more. `isUnused` says, whenever it is asked later, whether nobody uses numbers of
   * configurations that were released by now. The second call does nothing.
   */
  release(isUnused: () => boolean): void;
}

interface Entry {
  text: string;
  readonly number: number;
  /** Configurations that hold it. */
  holders: number;
  /** Given by the last one to release it. */
  isUnused: () => boolean;
}

export class ReusableNumbering {
  readonly #entries = new Map<string, Entry>();
  readonly #byNumber: Entry[] = [];
  /** Entries without holders, the longest idle first. A zone that comes back meanwhile finds its number and counts. */
  readonly #idle = new Set<Entry>();
  readonly #clear: (number: number) => void;

  /** `clear` is called before a number gets another text: what was counted under it must not be seen again. */
  constructor(clear: (number: number) => void) {
    this.#clear = clear;
  }

  /** One more than the highest number. */
  get size(): number {
    return this.#byNumber.length;
  }

  /** The text that has this number now. */
  textOf(number: number): string {
    return this.#byNumber[number].text;
  }

  /** Begins to hold numbers for one configuration. */
  hold(): Holding {
    let held: Set<Entry> | null = new Set();
    return {
      of: (text) => {
        if (held === null) throw new Error('It does not hold that numbers are asked for before they are released.');
        const entry = this.#entries.get(text) ?? this.#newEntry(text);
        if (!held.has(entry)) {
          held.add(entry);
          entry.holders++;
          this.#idle.delete(entry);
        }
        return entry.number;
      },
      release: (isUnused) => {
        for (const entry of held ?? []) this.#release(entry, isUnused);
        held = null;
      },
    };
  }

  #release(entry: Entry, isUnused: () => boolean): void {
    entry.holders--;
    entry.isUnused = isUnused;
    if (entry.holders === 0) this.#idle.add(entry);
  }

  #newEntry(text: string): Entry {
    const entry = this.#takeIdle(text) ?? this.#append(text);
    this.#entries.set(text, entry);
    return entry;
  }

  /** The longest idle entry under a new text; null while few are idle, or somebody may still count under its number. */
  #takeIdle(text: string): Entry | null {
    if (this.#idle.size <= idleNumbersKept) return null;
    const [longest] = this.#idle;
    if (!longest.isUnused()) return null;
    this.#clear(longest.number);
    this.#entries.delete(longest.text);
    longest.text = text;
    return longest;
  }

  #append(text: string): Entry {
    const number = this.#byNumber.length;
    assertRoom(number);
    const entry = { text, number, holders: 0, isUnused: () => true };
    this.#byNumber.push(entry);
    return entry;
  }
}

function assertRoom(number: number): void {
  if (number < zoneIdsMax) return;
  throw new Error(`more than ${zoneIdsMax} different zones were served; restart the process.`);
}
