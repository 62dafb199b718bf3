/**
 * The queries that a worker has asked upstream by itself: each row has the packet, its sender, and its arrival. Each
 * client has a share of the rows. Memory is touched as rows are used, those used last first.
 */
import type { HashKey } from '../dns/hash.js';
import { directQueriesMax, directQueriesPerClient, waiterQueryBytesMax } from '../limits.js';
import type { SystemCalls } from '../os/system-calls.js';
import { Datagrams } from './message-batch.js';
import { clientNumber } from './ring.js';

/** Places of clients, by their numbers; those with one place share it. A power of two. */
const clientPlacesOfRows = 1_024;

export class QueryRows {
  readonly datagrams: Datagrams;
  readonly arrivedMs = new Float64Array(directQueriesMax);
  /** The id of the socket on which the query came. */
  readonly socketOf = new Int32Array(directQueriesMax);
  readonly #hashKey: HashKey;
  readonly #free = new Uint16Array(directQueriesMax).map((_, index) => directQueriesMax - 1 - index);
  #freeCount = directQueriesMax;
  readonly #placeOf = new Uint16Array(directQueriesMax);
  readonly #queriesAt = new Uint16Array(clientPlacesOfRows);

  constructor(calls: Pick<SystemCalls, 'addressOf'>, hashKey: HashKey) {
    this.datagrams = new Datagrams(calls, waiterQueryBytesMax, directQueriesMax);
    this.#hashKey = hashKey;
  }

  get inUse(): number {
    return directQueriesMax - this.#freeCount;
  }

  /** A row with a copy of the received datagram; -1 when it is too long, or no row is left for this client. */
  take(socket: number, arrivedMs: number, from: Datagrams, index: number): number {
    if (this.#freeCount === 0 || from.length(index) > waiterQueryBytesMax) return -1;
    const place = clientNumber(from.words, from.peerAt(index), this.#hashKey) & (clientPlacesOfRows - 1);
    const has = this.#queriesAt[place];
    if (has >= directQueriesPerClient && has >= this.#freeCount) return -1;
    const row = this.#free[--this.#freeCount];
    this.#queriesAt[place]++;
    this.#placeOf[row] = place;
    this.arrivedMs[row] = arrivedMs;
    this.socketOf[row] = socket;
    this.datagrams.take(row, from, index);
    return row;
  }

  free(row: number): void {
    this.#queriesAt[this.#placeOf[row]]--;
    this.#free[this.#freeCount++] = row;
  }
}
