/**
 * Messages that one read brought and that must wait, in one piece of memory: a read of 64 kB can hold thousands of
 * small queries, and an object for each would cost many times what they say. First in, first out. It knows nothing
 * of why they wait.
 */
import { frameHeaderBytes, writeFrame } from '../dns/frame.js';

export class Backlog {
  #frames: Uint8Array | null = null;
  #from = 0;
  #to = 0;

  get isEmpty(): boolean {
    return this.#frames === null;
  }

  /** Copies the message to the end. `moreBytes` is how much may still follow before it is empty again. */
  push(message: Uint8Array, moreBytes: number): void {
    const frames = this.#frames;
    if (frames === null || this.#to + frameHeaderBytes + message.length > frames.length) {
      this.#grow(frameHeaderBytes + message.length + moreBytes);
    }
    this.#to = writeFrame(this.#frames as Uint8Array, this.#to, message);
  }

  /** Takes out the first message; it is the caller's to read until the next `push`. Empty gives null. */
  shift(): Uint8Array | null {
    const frames = this.#frames;
    if (frames === null) return null;
    const start = this.#from + frameHeaderBytes;
    const end = start + ((frames[this.#from] << 8) | frames[this.#from + 1]);
    this.#from = end;
    if (end === this.#to) this.clear();
    return frames.subarray(start, end);
  }

  clear(): void {
    this.#frames = null;
    this.#from = 0;
    this.#to = 0;
  }

  #grow(neededBytes: number): void {
    const left = this.#frames?.subarray(this.#from, this.#to) ?? new Uint8Array(0);
    const frames = new Uint8Array(left.length + neededBytes);
    frames.set(left);
    this.#frames = frames;
    this.#from = 0;
    this.#to = left.length;
  }
}
