/**
 * When queries over TCP are served, for the clients of all listeners together: at once while there is time left in
 * this turn of the event loop and nobody waits; else in the next turns, address by address, a few queries each. So a
 * client that sends all it can keeps neither other TCP clients waiting, nor what the threads hand over, timers and probes.
 */
import { assert, tcpClientsMax, tcpTurnMs } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';

/** A client with queries that wait. */
export interface TakesTurns {
  readonly address: string;
  /** Serves so many of them at most; whether more are to be served now. */
  serveSome(queriesMax: number): boolean;
}

/** Queries served between two looks at the clock. */
const servedPerLook = 8;
/** Of one client in one go: its answers leave in one write, which costs as much as some hits. */
const servedPerGo = 16;

export class TcpTurns {
  readonly #nowMs: () => number;
  readonly #queue = new FairQueue<string, TakesTurns>(tcpClientsMax);
  readonly #waiting = new Set<TakesTurns>();
  readonly #next = (): void => this.#serveWaiting();
  /** A turn is under way, at whose end `#next` is called. */
  #hasBegun = false;
  #untilMs = 0;
  #served = 0;
  #isOver = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether a query may be served at once, which is then counted. */
  mayServe(): boolean {
    if (this.#waiting.size > 0) return false;
    if (!this.#hasBegun) this.#begin();
    if (!this.#isOver && ++this.#served % servedPerLook === 0) this.#isOver = this.#nowMs() >= this.#untilMs;
    return !this.#isOver;
  }

  /** `serveSome` is to be called when it is this client's turn. */
  wait(client: TakesTurns): void {
    if (this.#waiting.has(client)) return;
    this.#waiting.add(client);
    assert(this.#queue.push(client.address, client) === null, 'there are no more TCP clients than places');
    if (!this.#hasBegun) this.#begin();
  }

  /** The client is gone. */
  leave(client: TakesTurns): void {
    if (this.#waiting.delete(client)) this.#queue.remove(client.address, client);
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#isOver = false;
    this.#served = 0;
    this.#untilMs = this.#nowMs() + tcpTurnMs;
    // Runs when the event loop has looked at its sockets and timers.
    setImmediate(this.#next);
  }

  #serveWaiting(): void {
    this.#hasBegun = false;
    if (this.#waiting.size === 0) return;
    this.#begin();
    for (let client = this.#queue.take(); client !== null; client = this.#isOver ? null : this.#queue.take()) {
      this.#waiting.delete(client);
      let hasMore = true;
      try {
        hasMore = client.serveSome(servedPerGo);
      } finally {
        if (hasMore) this.wait(client);
      }
      this.#isOver = this.#nowMs() >= this.#untilMs;
    }
  }
}
