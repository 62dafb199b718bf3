/**
 * What each client has under way, so that it has no more than its share of the places of an upstream, or of the questions
 * of a `forward`: a client that asks for names which nobody answers would have all of them in the end, and everybody's
 * misses would wait for it.
 */
import { clientPlacesLeast, idleClientsMax } from '../limits.js';

export class Shares {
  readonly #ofClient = new Map<string, number>();
  /** Clients that have something. */
  #active = 0;

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
    if (count > 0) return;
    this.#active++;
    if (this.#ofClient.size - this.#active > idleClientsMax) this.#forgetIdle();
  }

  /** One of its is over. */
  gave(client: string | undefined): void {
    if (client === undefined) return;
    const left = this.#ofClient.get(client)! - 1;
    this.#ofClient.set(client, left);
    if (left === 0) this.#active--;
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
