/**
 * How much each client has in flight, so that it gets no more than its share of an upstream's connections or of a
 * `forward`'s queries: otherwise a client that asks for names without an answer would hold all of them, and every miss
 * would wait.
 */
import { assert, clientPlacesLeast, idleClientsMax } from '../limits.js';

export class Shares {
  readonly #ofClient = new Map<string, number>();
  /** Clients that have something. */
  #active = 0;

  /** Clients in the table. */
  get size(): number {
    return this.#ofClient.size;
  }

  of(client: string | undefined): number {
    return client === undefined ? 0 : (this.#ofClient.get(client) ?? 0);
  }

  took(client: string | undefined): void {
    if (client === undefined) return;
    const count = this.#ofClient.get(client) ?? 0;
    this.#ofClient.set(client, count + 1);
    if (count > 0) return;
    this.#active++;
    if (this.#ofClient.size - this.#active > idleClientsMax) this.#forgetIdle();
  }

  gave(client: string | undefined): void {
    if (client === undefined) return;
    const left = (this.#ofClient.get(client) ?? 0) - 1;
    assert(left >= 0, 'a client gives back no more than it took');
    this.#ofClient.set(client, left);
    if (left === 0) this.#active--;
  }

  /** Idle clients are removed in bulk: a Map whose keys come and go is rebuilt again and again. */
  #forgetIdle(): void {
    for (const [client, count] of this.#ofClient) if (count === 0) this.#ofClient.delete(client);
  }
}

/** Whether a client with so many has enough to be kept apart from the others. */
export function asksMuch(has: number): boolean {
  return has >= clientPlacesLeast;
}
