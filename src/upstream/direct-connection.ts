/** What a worker knows of one upstream, of each of its connections there, and of the queries under way. */
import type { DirectUpstream } from '../config/direct.js';
import { FrameReader, frameHeaderBytes } from '../dns/frame.js';
import { questionFor } from '../dns/query.js';
import { setU16, typeNs } from '../dns/wire.js';
import {
  assert,
  directInflightMax,
  directLossesMax,
  directLossesShare,
  directPauseMs,
  directQueriesMax,
  directReadBytes,
  headerBytes,
} from '../limits.js';
import { encodeSocketAddress } from '../os/addresses.js';
import { Rtt } from './endpoint.js';
import { plainRequestBytesMax, writePlainRequest } from './request.js';

export const noRow = -1;
export const noTrial = -1;
/** Requests of one connection that were not written yet. */
export const requestsBytes = directInflightMax * (frameHeaderBytes + plainRequestBytesMax);

export interface PlainForm {
  readonly id: number;
  readonly questionEnd: number;
}

/** What is known of the queries under way, by row. */
export class RowsUnderWay {
  count = 0;
  readonly sentAtMs = new Float64Array(directQueriesMax);
  readonly #idOf = new Uint16Array(directQueriesMax);
  /** The row's place in its connection's `rows`. */
  readonly #placeOf = new Uint8Array(directQueriesMax);

  add(row: number, connection: DirectConnection, id: number, nowMs: number): void {
    const place = connection.takePlace();
    connection.rows[place] = row;
    this.#placeOf[row] = place;
    this.#idOf[row] = id;
    this.sentAtMs[row] = nowMs;
    this.count++;
  }

  remove(row: number, connection: DirectConnection): void {
    connection.rows[this.#placeOf[row]] = noRow;
    connection.freePlace(this.#placeOf[row]);
    this.count--;
  }

  find({ rows }: DirectConnection, id: number): number {
    for (let place = 0; place < directInflightMax; place++) {
      const row = rows[place];
      if (row !== noRow && this.#idOf[row] === id) return row;
    }
    return noRow;
  }

  oldest({ rows }: DirectConnection): number {
    let oldest = noRow;
    for (const row of rows) {
      if (row !== noRow && (oldest === noRow || this.sentAtMs[row] < this.sentAtMs[oldest])) oldest = row;
    }
    return oldest;
  }
}

/** One upstream: its connections, its round-trip times, and whether it is worth asking. */
export class UpstreamConnections {
  readonly socketAddress: Uint8Array;
  /** A packet with the question of trials. */
  readonly probe: Uint8Array;
  readonly connections: DirectConnection[] = [];
  readonly rtt = new Rtt();
  /** Falls with each loss, and rises with answers; below 1 it pauses. */
  #credit = directLossesMax;
  #pausedUntilMs = 0;

  constructor(readonly to: DirectUpstream) {
    this.socketAddress = encodeSocketAddress(to);
    const question = questionFor(to.probeName, typeNs);
    this.probe = new Uint8Array(headerBytes + question.length);
    this.probe.set(question, headerBytes);
  }

  takes(nowMs: number): boolean {
    return nowMs >= this.#pausedUntilMs;
  }

  answered(durationMs: number, nowMs: number): void {
    this.rtt.took(durationMs);
    this.rtt.heard(nowMs);
    this.#credit = Math.min(directLossesMax, this.#credit + directLossesShare);
  }

  lost(nowMs: number): void {
    this.#credit--;
    if (this.#credit >= 1) return;
    this.#credit = 1;
    this.#pausedUntilMs = nowMs + directPauseMs;
    for (const connection of this.connections) connection.isProven = false;
  }
}

export class DirectConnection {
  readonly frames = new FrameReader();
  /** The queries under way, by place; `noRow` is a free one. */
  readonly rows = new Int16Array(directInflightMax).fill(noRow);
  readonly #free = new Uint8Array(directInflightMax).map((_, index) => directInflightMax - 1 - index);
  inflight = 0;
  isOpen = false;
  isClosed = false;
  /** It has answered something. */
  isProven = false;
  /** The id of its probe, until that is answered. */
  trialId = noTrial;
  unwrittenBytes = 0;
  readonly fd: number;
  readonly place: number;
  /** Where the memory has its requests. */
  readonly requestsFrom: number;
  readonly #memory: Uint8Array;
  /** Since when it has owed answers and received nothing; of one that owes some. */
  silentSinceMs = 0;
  /** The silence since then was acknowledged. */
  acknowledgedMs = 0;
  idleSinceMs: number;
  /** When what it reads arrived. */
  nowMs = 0;

  constructor(
    readonly upstream: UpstreamConnections,
    { fd, place, memory }: { readonly fd: number; readonly place: number; readonly memory: Uint8Array },
    readonly openedAtMs: number,
    readonly receive: (message: Uint8Array) => boolean,
  ) {
    this.fd = fd;
    this.place = place;
    this.requestsFrom = directReadBytes + place * requestsBytes;
    this.#memory = memory;
    this.idleSinceMs = openedAtMs;
  }

  /** Answers that it owes, that of a trial among them. */
  get owed(): number {
    return this.inflight + (this.trialId === noTrial ? 0 : 1);
  }

  /** Whether it may get another query: it is not full, nor behind a slow name, nor too old. */
  takes(nowMs: number): boolean {
    if (this.inflight >= directInflightMax || this.#isOld(nowMs)) return false;
    return this.inflight === 0 || nowMs - this.silentSinceMs < this.upstream.rtt.slowMs;
  }

  /** Of one that owes nothing. */
  isExpired(nowMs: number): boolean {
    return this.#isOld(nowMs) || nowMs - this.idleSinceMs >= this.upstream.to.expireMs;
  }

  #isOld(nowMs: number): boolean {
    const { maxAgeMs } = this.upstream.to;
    return maxAgeMs > 0 && nowMs - this.openedAtMs >= maxAgeMs;
  }

  takePlace(): number {
    assert(this.inflight < directInflightMax, 'a connection is given what it has a place for');
    this.inflight++;
    return this.#free[directInflightMax - this.inflight];
  }

  freePlace(place: number): void {
    this.#free[directInflightMax - this.inflight] = place;
    this.inflight--;
  }

  /** Writes a request behind those that were not sent yet. */
  write(packet: Uint8Array, form: PlainForm): void {
    const at = this.requestsFrom + this.unwrittenBytes;
    const end = writePlainRequest(this.#memory, at + frameHeaderBytes, packet, form);
    setU16(this.#memory, at, end - at - frameHeaderBytes);
    this.unwrittenBytes = end - this.requestsFrom;
  }
}
