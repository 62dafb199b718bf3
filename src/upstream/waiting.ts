/**
 * Attempts that wait for a free place on a connection or for a socket: a bounded queue in which clients take turns. It
 * holds what waits in it, as a connection holds what it has sent; one that is given up leaves it.
 */
import { upstreamQueueMax } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';
import type { Attempt, Carrier, Loss } from './attempt.js';

export class Waiting implements Carrier {
  readonly waitsFor = 'answer';
  readonly lastHeardMs = Number.NEGATIVE_INFINITY;
  readonly #queue = new FairQueue<string | undefined, Attempt>(upstreamQueueMax);

  get size(): number {
    return this.#queue.size;
  }

  /** False when the queue is full, and no client has more in it than this one would. Another's may be lost for it. */
  push(attempt: Attempt, full: Loss, nowMs: number): boolean {
    const lost = this.#queue.push(attempt.request.client, attempt);
    if (lost === attempt) return false;
    attempt.carrier = this;
    if (lost !== null) {
      lost.carrier = null;
      lost.lost(full, nowMs);
    }
    return true;
  }

  /**
   * The one that has waited longest of the client whose turn it is, among those of whom one may go, held by nobody now;
   * null when none waits.
   */
  take(mayGo?: (client: string | undefined) => boolean): Attempt | null {
    const attempt = this.#queue.take(mayGo);
    if (attempt !== null) attempt.carrier = null;
    return attempt;
  }

  abandon(attempt: Attempt): void {
    attempt.carrier = null;
    this.#queue.remove(attempt.request.client, attempt);
  }
}
