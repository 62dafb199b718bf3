/**
 * DNS messages in a TCP stream, each behind its length in two bytes (RFC 1035 4.2.2). Messages are views of their
 * chunk; one that spans chunks is copied, once, into a buffer of its own length.
 */
import { messageBytesMax } from '../limits.js';

export const frameHeaderBytes = 2;

export interface RestOfChunk {
  readonly bytes: Uint8Array;
  at: number;
}

/** Cuts one stream into messages, and holds at most one unfinished message. */
export class FrameReader {
  /** The rest of a longer message is skipped. */
  readonly #bytesMax: number;
  /** The first byte of a length without its second, or -1. */
  #lengthHigh = -1;
  #message: Uint8Array | null = null;
  #filledBytes = 0;
  /** The bytes of this message to skip. */
  #excessBytes = 0;

  constructor(bytesMax = messageBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the stream is within a message. */
  get unfinished(): boolean {
    return this.#lengthHigh !== -1 || this.#message !== null;
  }

  /**
   * Calls `onMessage` for each message that `chunk` completes, in order; borrowed until it returns. A length of 0 is an
   * empty message. When `onMessage` returns false the rest of the chunk is dropped (the stream is being closed). Its
   * exceptions are thrown after all messages were handed on, because lost bytes would corrupt the stream.
   */
  push(chunk: Uint8Array, onMessage: (message: Uint8Array) => unknown): void {
    const thrown: unknown[] = [];
    const rest = { bytes: chunk, at: 0 };
    for (let message = this.next(rest); message !== null; message = this.next(rest)) {
      try {
        if (onMessage(message) === false) break;
      } catch (error) {
        thrown.push(error);
      }
    }
    if (thrown.length > 0) throw thrown[0];
  }

  /** The next complete message, borrowed until the bytes change; null once all bytes are taken. Advances `at`. */
  next(rest: RestOfChunk): Uint8Array | null {
    const { bytes } = rest;
    while (rest.at < bytes.length) {
      const { at } = rest;
      if (this.#message === null) {
        if (this.#lengthHigh === -1 && bytes.length - at >= frameHeaderBytes) {
          const begin = at + frameHeaderBytes;
          const end = begin + ((bytes[at] << 8) | bytes[at + 1]);
          if (end <= bytes.length) {
            rest.at = end;
            return bytes.subarray(begin, Math.min(end, begin + this.#bytesMax));
          }
        }
        rest.at++;
        if (this.#lengthHigh === -1) {
          this.#lengthHigh = bytes[at];
          continue;
        }
        this.#begin((this.#lengthHigh << 8) | bytes[at]);
      }
      rest.at += this.#fill(bytes, rest.at);
      const message = this.#finished();
      if (message !== null) return message;
    }
    return null;
  }

  #begin(lengthBytes: number): void {
    this.#lengthHigh = -1;
    this.#message = new Uint8Array(Math.min(lengthBytes, this.#bytesMax));
    this.#excessBytes = lengthBytes - this.#message.length;
    this.#filledBytes = 0;
  }

  #fill(chunk: Uint8Array, at: number): number {
    const message = this.#message as Uint8Array;
    const takenBytes = Math.min(message.length - this.#filledBytes, chunk.length - at);
    message.set(chunk.subarray(at, at + takenBytes), this.#filledBytes);
    this.#filledBytes += takenBytes;
    const passedBytes = Math.min(this.#excessBytes, chunk.length - at - takenBytes);
    this.#excessBytes -= passedBytes;
    return takenBytes + passedBytes;
  }

  #finished(): Uint8Array | null {
    const message = this.#message;
    if (message === null || this.#filledBytes < message.length || this.#excessBytes > 0) return null;
    this.#message = null;
    return message;
  }
}

/** Writes length and message at `at`; the offset of the next frame. The caller checks the room. */
export function writeFrame(to: Uint8Array, at: number, message: Uint8Array): number {
  to[at] = message.length >> 8;
  to[at + 1] = message.length & 0xff;
  to.set(message, at + frameHeaderBytes);
  return at + frameHeaderBytes + message.length;
}
