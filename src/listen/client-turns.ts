/**
 * Things that wait for their client's turn: each client has a queue of its own, first come, first served, and the
 * queues take turns, so that one client's flood does not hold up what another has sent. Bounded: when it is full, who
 * has much there loses its latest. A client is a number; two clients of one number share their turns. What waits, and
 * for what, is not known here.
 */

/** One client's. Those before `first` have been taken. */
interface Queue<Item> {
  items: Item[];
  first: number;
}

/** Queues that are looked at for the longest one: a flood's turn is among the next of them, however many clients there are. */
const lookedAt = 64;
/** Taken items are let go when there are so many of them. */
const takenMax = 64;

export class ClientTurns<Item> {
  /** In the order of their turns; none is empty. */
  readonly #queues = new Map<number, Queue<Item>>();
  readonly #itemsMax: number;
  #size = 0;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get size(): number {
    return this.#size;
  }

  /** Lets it wait. When there is no room for it, gives back the one that is lost for it: another client's, or itself. */
  push(client: number, item: Item): Item | null {
    const queue = this.#queues.get(client);
    let lost: Item | null = null;
    if (this.#size >= this.#itemsMax) {
      const longest = this.#longest();
      if ((queue === undefined ? 0 : length(queue)) + 1 >= length(longest)) return item;
      lost = longest.items.pop() as Item;
      this.#size--;
    }
    this.#size++;
    if (queue === undefined) this.#queues.set(client, { items: [item], first: 0 });
    else queue.items.push(item);
    return lost;
  }

  /** The one that has waited longest of the client whose turn it is; null when none waits. */
  take(): Item | null {
    for (const [client, queue] of this.#queues) {
      const item = queue.items[queue.first++];
      this.#size--;
      // The client's next turn comes after everybody else's.
      this.#queues.delete(client);
      if (length(queue) > 0) this.#queues.set(client, queue);
      if (queue.first >= takenMax) {
        queue.items.splice(0, queue.first);
        queue.first = 0;
      }
      return item;
    }
    return null;
  }

  #longest(): Queue<Item> {
    let longest: Queue<Item> | null = null;
    let left = lookedAt;
    for (const queue of this.#queues.values()) {
      if (longest === null || length(queue) > length(longest)) longest = queue;
      if (--left === 0) break;
    }
    return longest!;
  }
}

function length<Item>({ items, first }: Queue<Item>): number {
  return items.length - first;
}
