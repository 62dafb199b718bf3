/**
 * Answers of the control lane to packets that answering threads handed over: collected during a turn of the event
 * loop and sent, on the threads' sockets, in one call at its end.
 */

import type { Counters } from '../counters.js';
import { batchPacketsMax, sendSlotBytes } from '../limits.js';
import { errors, linux, type SystemCalls } from '../os/system-calls.js';
import { Datagrams, headerAt } from './message-batch.js';

/** Whom an answer is for: the peer's words as the ring had them. */
export interface Peer {
  readonly words: Int32Array;
  readonly nameBytes: number;
  readonly controlBytes: number;
}

export class Replies {
  readonly #calls: SystemCalls;
  readonly #counters: Counters;
  readonly #answers: Datagrams;
  #fd = -1;
  #count = 0;
  #isScheduled = false;

  constructor(calls: SystemCalls, counters: Counters) {
    this.#calls = calls;
    this.#counters = counters;
    this.#answers = new Datagrams(calls, sendSlotBytes);
  }

  /** Copies the answer, to be sent at the end of this turn. */
  add(fd: number, answer: Uint8Array, peer: Peer): void {
    if (answer.length > sendSlotBytes) return this.#counters.count('sendFailed');
    if (fd !== this.#fd || this.#count === batchPacketsMax) this.flush();
    this.#fd = fd;
    const index = this.#count++;
    this.#answers.slots[index].bytes.set(answer);
    this.#answers.address(index, answer.length, peer.words, 0, peer.nameBytes, peer.controlBytes);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#turnEnded);
  }

  /** Sends what there is; before a socket is closed. */
  flush(): void {
    const count = this.#count;
    this.#count = 0;
    for (let sent = 0; sent < count; ) {
      const result = this.#calls.send(this.#fd, headerAt(this.#answers, sent), count - sent, linux.dontWait);
      if (result > 0) sent += result;
      else if (result !== errors.interrupted) {
        this.#counters.count('sendFailed');
        sent++;
      }
    }
  }

  readonly #turnEnded = (): void => {
    this.#isScheduled = false;
    this.flush();
  };
}
