/**
 * A bounded queue in which clients take turns: one line per client, first come, first served, and each turn takes from
 * the next line, so that one client's flood does not delay another's items. A full queue drops the latest item of the
 * client with the most. Its users differ in what they do with a turn: attempts without a connection
 * (upstream/attempt.ts), deferred packets (listen/deferred.ts), TCP clients with queries (listen/tcp-turns.ts).
 */
import { assert } from '../limits.js';

/** One client's items. Those before `first` are taken; a line in the queue has at least one left. */
interface Line<Item> {
  items: Item[];
  first: number;
}

/** Taken items are removed when there are so many. */
const takenMax = 64;

export class FairQueue<Client, Item> {
  /** In the order of turns; none is empty. */
  readonly #lines = new Map<Client, Line<Item>>();
  /** The same lines by length; no set is empty. */
  readonly #byLength = new Map<number, Set<Line<Item>>>();
  #longest = 0;
  #size = 0;
  readonly #itemsMax: number;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds an item. A full queue returns the one that is dropped: another client's, or this one. */
  push(client: Client, item: Item): Item | null {
    const line = this.#lines.get(client);
    let lost: Item | null = null;
    if (this.#size >= this.#itemsMax) {
      // A line with at least two more than this client's can lose one; the longest keeps one.
      if ((line === undefined ? 0 : lengthOf(line)) + 1 >= this.#longest) return item;
      lost = this.#loseLatest();
    }
    this.#size++;
    if (line === undefined) {
      const first: Line<Item> = { items: [item], first: 0 };
      this.#lines.set(client, first);
      this.#file(first, 1);
    } else {
      const before = lengthOf(line);
      line.items.push(item);
      this.#refile(line, before);
    }
    return lost;
  }

  /**
   * The oldest item of the next client that `mayHave` it; null when there is none. Clients passed over keep their turn.
   */
  take(mayHave?: (client: Client) => boolean): Item | null {
    for (const [client, line] of this.#lines) {
      if (mayHave?.(client) === false) continue;
      const before = lengthOf(line);
      assert(before > 0, 'a client in the queue has an item');
      const item = line.items[line.first++];
      this.#size--;
      // The client's next turn comes after all others.
      this.#lines.delete(client);
      if (before > 1) this.#lines.set(client, line);
      this.#refile(line, before);
      forgetTaken(line);
      return item;
    }
    return null;
  }

  /** Removes an item of this client; false when it does not wait. Searches the client's line. */
  remove(client: Client, item: Item): boolean {
    const line = this.#lines.get(client);
    const index = line === undefined ? -1 : line.items.indexOf(item, line.first);
    if (line === undefined || index < 0) return false;
    const before = lengthOf(line);
    line.items.splice(index, 1);
    assert(lengthOf(line) === before - 1, 'one item leaves at a time');
    this.#size--;
    if (before === 1) this.#lines.delete(client);
    this.#refile(line, before);
    return true;
  }

  /** Of the longest line, which has at least two. */
  #loseLatest(): Item {
    const [line] = this.#byLength.get(this.#longest)!;
    const item = line.items.pop() as Item;
    this.#size--;
    this.#refile(line, this.#longest);
    return item;
  }

  /** The line has one more or one less than before. */
  #refile(line: Line<Item>, before: number): void {
    const set = this.#byLength.get(before)!;
    set.delete(line);
    if (set.size === 0) this.#byLength.delete(before);
    this.#file(line, lengthOf(line));
    if (before === this.#longest && set.size === 0) this.#longest = lengthOf(line);
  }

  #file(line: Line<Item>, length: number): void {
    if (length === 0) return;
    const set = this.#byLength.get(length);
    if (set === undefined) this.#byLength.set(length, new Set([line]));
    else set.add(line);
    this.#longest = Math.max(this.#longest, length);
  }
}

function lengthOf<Item>({ items, first }: Line<Item>): number {
  return items.length - first;
}

function forgetTaken<Item>(line: Line<Item>): void {
  if (line.first < takenMax) return;
  line.items.splice(0, line.first);
  line.first = 0;
}
