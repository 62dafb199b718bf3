/**
 * Messages over TCP: each is preceded by its length in two bytes (RFC 1035 4.2.2), and the stream is cut into chunks
 * wherever the network likes. A chunk may hold many messages and a message may need many chunks. Whole messages are
 * handed on as views of the chunk; only a message that a chunk's end cuts in two is copied, once, into a buffer of its
 * own length. Nothing is concatenated. It knows bytes and lengths, not what a message says.
 */
import { messageBytesMax } from '../limits.js';

/** Bytes before each message. */
export const frameHeaderBytes = 2;

/** Bytes of a chunk from `at` on. */
export interface RestOfChunk {
  readonly bytes: Uint8Array;
  at: number;
}

/** Cuts one stream into messages. It keeps no more than one unfinished message. */
export class FrameReader {
  /** Of a longer message only so many bytes are handed on; the others are passed over. */
  readonly #bytesMax: number;
  /** The first byte of a length whose second has not come, or -1. */
  #lengthHigh = -1;
  /** The message under way, or null between messages. */
  #message: Uint8Array | null = null;
  #filledBytes = 0;
  /** What is still to come of it and is passed over. */
  #excessBytes = 0;

  constructor(bytesMax = messageBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the stream stands in the middle of a message: an end here has cut something off. */
  get unfinished(): boolean {
    return this.#lengthHigh !== -1 || this.#message !== null;
  }

  /**
   * Takes the next bytes and calls `onMessage` for each message that is complete now, in order. A message is borrowed
   * until `onMessage` returns: it is a view of `chunk` where it lies whole in it. A length of 0 gives an empty message.
   * `onMessage` returns false to have the rest of the chunk dropped (the stream is being closed). What it throws about
   * one message is thrown when it has had the others, too: bytes that are left out would make nonsense of the rest.
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

  /**
   * The next message that is complete with these bytes, whose place moves behind it; null when all bytes are taken and
   * none is. The message is borrowed until the bytes change.
   */
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

  /** Copies what belongs to the message under way; returns how many bytes it took. */
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

/** Writes a message's length and the message at `at`; returns where the next frame begins. The caller has checked the room. */
export function writeFrame(to: Uint8Array, at: number, message: Uint8Array): number {
  to[at] = message.length >> 8;
  to[at + 1] = message.length & 0xff;
  to.set(message, at + frameHeaderBytes);
  return at + frameHeaderBytes + message.length;
}
