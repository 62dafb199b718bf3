/**
 * Attempts that wait for a free place on a connection or for a socket: bounded, and fair. Each client has a queue of
 * its own, first come, first served, and the queues take turns, so that one client's flood does not hold up the
 * question of another. When too many wait, the client with the most loses its latest. One that is given up is passed
 * over when its turn comes, so giving up costs nothing.
 */
import { upstreamQueueMax } from '../limits.js';
import type { Attempt, Carrier, Loss } from './attempt.js';

/** One client's. Those before `first` have been taken; of the rest `live` have not been given up. */
interface ClientQueue {
  attempts: Attempt[];
  first: number;
  live: number;
}

export class Waiting implements Carrier {
  readonly waitsFor = 'answer';
  readonly lastHeardMs = Number.NEGATIVE_INFINITY;
  /** In the order of their turns; none is without a live attempt. */
  readonly #queues = new Map<string, ClientQueue>();
  #live = 0;

  get size(): number {
    return this.#live;
  }

  /** False when the queue is full, and this client has the most in it. Another's may be lost for it. */
  push(attempt: Attempt, full: Loss, nowMs: number): boolean {
    const client = clientOf(attempt);
    const queue = this.#queues.get(client) ?? { attempts: [], first: 0, live: 0 };
    if (this.#live >= upstreamQueueMax) {
      const longest = this.#longest();
      if (queue.live >= longest.live) return false;
      this.#loseLatest(longest, full, nowMs);
    }
    if (queue.attempts.length >= 2 * upstreamQueueMax) this.#compact(queue);
    queue.attempts.push(attempt);
    queue.live++;
    this.#queues.set(client, queue);
    this.#live++;
    attempt.carrier = this;
    return true;
  }

  /** The one that has waited longest of the client whose turn it is, held by nobody now; null when none waits. */
  take(): Attempt | null {
    for (const [client, queue] of this.#queues) {
      this.#queues.delete(client);
      let attempt = queue.attempts[queue.first++];
      while (attempt.carrier !== this) attempt = queue.attempts[queue.first++];
      attempt.carrier = null;
      this.#live--;
      queue.live--;
      if (queue.live > 0) this.#queues.set(client, queue);
      return attempt;
    }
    return null;
  }

  abandon(attempt: Attempt): void {
    const client = clientOf(attempt);
    const queue = this.#queues.get(client)!;
    attempt.carrier = null;
    this.#live--;
    queue.live--;
    if (queue.live === 0) this.#queues.delete(client);
  }

  #longest(): ClientQueue {
    let longest: ClientQueue | null = null;
    for (const queue of this.#queues.values()) if (longest === null || queue.live > longest.live) longest = queue;
    return longest!;
  }

  #loseLatest(queue: ClientQueue, loss: Loss, nowMs: number): void {
    let attempt = queue.attempts.pop()!;
    while (attempt.carrier !== this) attempt = queue.attempts.pop()!;
    attempt.carrier = null;
    this.#live--;
    queue.live--;
    attempt.lost(loss, nowMs);
  }

  #compact(queue: ClientQueue): void {
    queue.attempts = queue.attempts.filter((attempt, index) => index >= queue.first && attempt.carrier === this);
    queue.first = 0;
  }
}

function clientOf({ request }: Attempt): string {
  return request.client ?? '';
}
