/**
 * One conversation with another instance on this node: frames both ways, and the sending of many cached answers at
 * the pace at which they are taken. What is said, and what follows from it, is succession.ts's business.
 */
import { connectionUnsentBytesMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Stream, StreamEvents } from '../os/network.js';
import { entriesFrame, FrameReader, type Introduction, type Message, messageFrame } from './messages.js';

export interface LinkEvents {
  message(message: Message, link: Link): void;
  entries(chunk: Uint8Array, link: Link): void;
  /** Once, however it came. */
  closed(link: Link): void;
}

export class Link {
  /** What the other one has said of itself. */
  peer: Introduction | null = null;
  /** It has all its sockets, and packets would be answered if they came to it. */
  standsBy = false;
  readonly events: StreamEvents;
  readonly #clock: Clock;
  readonly #reader = new FrameReader();
  readonly #owner: LinkEvents;
  #stream: Stream | null = null;
  #sending: Iterator<Uint8Array> | null = null;
  #whenSent: () => void = () => {};
  #nextChunk: Timer | null = null;
  #isClosed = false;

  constructor(clock: Clock, owner: LinkEvents) {
    this.#clock = clock;
    this.#owner = owner;
    this.events = {
      data: (bytes) => this.#read(bytes),
      drained: () => this.#send(),
      ended: () => this.finish(),
      closed: () => this.#gone(),
    };
  }

  /** The stream whose events are this link's. */
  use(stream: Stream): this {
    this.#stream = stream;
    return this;
  }

  /** Who the other one is, for the log. */
  get about(): { version: string; pid: number } {
    return { version: this.peer?.version ?? '', pid: this.peer?.pid ?? 0 };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  say(message: Message): void {
    if (!this.#isClosed) this.#stream?.write(messageFrame(message));
  }

  /**
   * Sends chunks of answers, some at a time, and calls `sent` behind the last. While others are under way, or the
   * peer does not take them, further ones are left out: what is cached costs nobody an answer.
   */
  sendEntries(chunks: Iterator<Uint8Array>, sent: () => void = () => {}): void {
    if (this.#isClosed || this.#sending !== null) return;
    this.#sending = chunks;
    this.#whenSent = sent;
    this.#send();
  }

  /** Says goodbye behind what was said. */
  finish(): void {
    if (!this.#isClosed) this.#stream?.end();
    this.#gone();
  }

  /** Breaks off. */
  close(): void {
    if (!this.#isClosed) this.#stream?.destroy();
    this.#gone();
  }

  /** One chunk a turn, so that clients are answered in between. */
  #send(): void {
    if (this.#sending === null || this.#nextChunk !== null || this.#stream === null) return;
    if (this.#stream.unsentBytes > connectionUnsentBytesMax) return;
    const { value, done } = this.#nextOf(this.#sending);
    if (done === true) {
      this.#sending = null;
      this.#whenSent();
      return;
    }
    this.#stream.write(entriesFrame(value));
    this.#nextChunk = this.#clock.after(0, () => {
      this.#nextChunk = null;
      this.#send();
    });
  }

  /** Where an exception leaves out some, the peer is to ask for all again. */
  #nextOf(chunks: Iterator<Uint8Array>): IteratorResult<Uint8Array> {
    try {
      return chunks.next();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #read(bytes: Uint8Array): void {
    const frames = this.#isClosed ? [] : this.#reader.read(bytes);
    if (frames === null) return this.close();
    for (const frame of frames) {
      if (this.#isClosed) return;
      if (frame.kind === 'entries') this.#owner.entries(frame.chunk, this);
      else this.#owner.message(frame.message, this);
    }
  }

  #gone(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sending = null;
    this.#nextChunk?.stop();
    this.#owner.closed(this);
  }
}
