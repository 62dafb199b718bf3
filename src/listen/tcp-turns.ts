/**
 * When queries over TCP are served, over all listeners: at once while this turn of the event loop has time and nobody
 * waits, else in the next turns, a few queries per address. So a client that sends all it can delays neither other TCP
 * clients nor deferred packets, timers and probes.
 */
import { assert, tcpClientsMax, tcpTurnMs } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';

export interface TakesTurns {
  readonly address: string;
  /** Serves at most `queriesMax` queries; true when more may be served now. */
  serveSome(queriesMax: number): boolean;
}

/** Queries served between two looks at the clock. */
const turnsPerLook = 8;
/** Per client and go: its answers leave in one write, which costs as much as some hits. */
const servedPerGo = 16;

export class TcpTurns {
  readonly #nowMs: () => number;
  readonly #queue = new FairQueue<string, TakesTurns>(tcpClientsMax);
  readonly #waiting = new Set<TakesTurns>();
  readonly #next = (): void => this.#serveWaiting();
  #hasBegun = false;
  #untilMs = 0;
  #served = 0;
  #isOver = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether a query may be served at once; counts it. */
  mayServe(): boolean {
    if (this.#waiting.size > 0) return false;
    if (!this.#hasBegun) this.#begin();
    if (!this.#isOver && ++this.#served % turnsPerLook === 0) this.#isOver = this.#nowMs() >= this.#untilMs;
    return !this.#isOver;
  }

  wait(client: TakesTurns): void {
    if (this.#waiting.has(client)) return;
    this.#waiting.add(client);
    assert(this.#queue.push(client.address, client) === null, 'there are no more TCP clients than places');
    if (!this.#hasBegun) this.#begin();
  }

  leave(client: TakesTurns): void {
    if (this.#waiting.delete(client)) this.#queue.remove(client.address, client);
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#isOver = false;
    this.#served = 0;
    this.#untilMs = this.#nowMs() + tcpTurnMs;
    // Runs after the event loop has polled sockets and timers.
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
