/**
 * A bounded queue in which clients take turns: each has a line of its own, first come, first served, and each turn takes
 * from the next line, so that one client's flood does not hold up what another has sent. When the queue is full, the
 * client with the most in it loses its latest. What waits, and for what, is not known here.
 */

/** One client's items. Those before `first` are taken; there is always one behind them while the line is in the queue. */
interface Line<Item> {
  items: Item[];
  first: number;
}

/** Taken items are let go when there are so many of them. */
const takenMax = 64;

export class FairQueue<Client, Item> {
  /** In the order of their turns; none is empty. */
  readonly #lines = new Map<Client, Line<Item>>();
  /** The same lines by how many items they have; no set is empty. */
  readonly #byLength = new Map<number, Set<Line<Item>>>();
  /** The length of the longest line. */
  #longest = 0;
  #size = 0;
  readonly #itemsMax: number;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get size(): number {
    return this.#size;
  }

  /** Lets it wait. When there is no room for it, gives back the one that is lost for it: another client's, or itself. */
  push(client: Client, item: Item): Item | null {
    const line = this.#lines.get(client);
    let lost: Item | null = null;
    if (this.#size >= this.#itemsMax) {
      // Who has two or more than this client has one to give; there is one in the longest line that stays.
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
   * The one that has waited longest of the client whose turn it is, among those that `mayHave` it; null when none waits.
   * Who is passed over keeps its turn.
   */
  take(mayHave?: (client: Client) => boolean): Item | null {
    for (const [client, line] of this.#lines) {
      if (mayHave?.(client) === false) continue;
      const before = lengthOf(line);
      const item = line.items[line.first++];
      this.#size--;
      // The client's next turn comes after everybody else's.
      this.#lines.delete(client);
      if (before > 1) this.#lines.set(client, line);
      this.#refile(line, before);
      forgetTaken(line);
      return item;
    }
    return null;
  }

  /** Takes an item of this client out of its turn; false when it does not wait. Looks through the client's own line. */
  remove(client: Client, item: Item): boolean {
    const line = this.#lines.get(client);
    const index = line === undefined ? -1 : line.items.indexOf(item, line.first);
    if (line === undefined || index < 0) return false;
    const before = lengthOf(line);
    line.items.splice(index, 1);
    this.#size--;
    if (before === 1) this.#lines.delete(client);
    this.#refile(line, before);
    return true;
  }

  /** Of the longest line, which has two at least. */
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
