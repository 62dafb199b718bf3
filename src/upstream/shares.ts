/**
 * What each client has under way, so that it has no more than its share of the places of an upstream, or of the questions
 * of a `forward`: a client that asks for names which nobody answers would have all of them in the end, and everybody's
 * misses would wait for it.
 */
import { clientPlacesLeast } from '../limits.js';

/** Clients that have nothing under way are forgotten when there are so many. */
const idleClientsMax = 1_024;

export class Shares {
  readonly #ofClient = new Map<string, number>();

  /** Clients that are known. */
  get size(): number {
    return this.#ofClient.size;
  }

  /** How many it has. */
  of(client: string | undefined): number {
    return client === undefined ? 0 : (this.#ofClient.get(client) ?? 0);
  }

  /** It has one more. */
  took(client: string | undefined): void {
    if (client === undefined) return;
    const count = this.#ofClient.get(client) ?? 0;
    this.#ofClient.set(client, count + 1);
    if (count === 0 && this.#ofClient.size > idleClientsMax) this.#forgetIdle();
  }

  /** One of its is over. */
  gave(client: string | undefined): void {
    if (client !== undefined) this.#ofClient.set(client, this.#ofClient.get(client)! - 1);
  }

  /** Rather than with each of its questions: a Map whose keys come and go is made anew again and again. */
  #forgetIdle(): void {
    for (const [client, count] of this.#ofClient) if (count === 0) this.#ofClient.delete(client);
  }
}

/** Whether a client that has so many asks for much: what it asks is kept away from what others ask. */
export function asksMuch(has: number): boolean {
  return has >= clientPlacesLeast;
}
