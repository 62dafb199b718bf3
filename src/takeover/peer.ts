/**
 * The other instances on this node: the path of their socket, a link to each, and waiting for a message. succession.ts
 * decides what is said.
 */
import { connectionUnsentBytesMax, handoverPeersMax, introductionTimeoutMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Greeting, LocalListener, LocalSockets, Stream, StreamEvents } from '../os/network.js';
import { entriesFrame, FrameReader, type Introduction, type Message, messageFrame } from './protocol.js';

export interface LinkEvents {
  message(message: Message, link: Link): void;
  entries(chunk: Uint8Array, link: Link): void;
  /** Exactly once. */
  closed(link: Link): void;
}

export class Link {
  /** The peer's introduction. */
  peer: Introduction | null = null;
  /** The peer has all its sockets and would answer packets. */
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

  use(stream: Stream): this {
    this.#stream = stream;
    return this;
  }

  /** For the log. */
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
   * Sends chunks one by one, then calls `sent`. A call while others are being sent is ignored: a cache entry that is
   * not transferred costs no answer.
   */
  sendEntries(chunks: Iterator<Uint8Array>, sent: () => void = () => {}): void {
    if (this.#isClosed || this.#sending !== null) return;
    this.#sending = chunks;
    this.#whenSent = sent;
    this.#send();
  }

  /** Closes after what was written. */
  finish(): void {
    if (!this.#isClosed) this.#stream?.end();
    this.#gone();
  }

  /** Closes at once. */
  close(): void {
    if (!this.#isClosed) this.#stream?.destroy();
    this.#gone();
  }

  /** One chunk per turn of the event loop, so that queries are answered in between. */
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

  /** Closes after an exception, so that the peer asks for all entries again. */
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

/** `entries`: a chunk came; `nothing`: the time is over. */
type Heard = Message['type'] | 'entries' | 'closed' | 'nothing';

export class Hearing {
  readonly #clock: Clock;
  #listener: (what: Heard) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(what: Heard): void {
    this.#listener(what);
  }

  /**
   * The first of the wanted events, or `nothing` after the silence or the whole time. Each chunk of entries restarts
   * the silence.
   */
  first(wanted: readonly Heard[], silenceMs: number, wholeMs = silenceMs): Promise<Heard> {
    return new Promise((resolve) => {
      const over = (what: Heard): void => {
        silence.stop();
        whole.stop();
        this.#listener = () => {};
        resolve(what);
      };
      const patience = (ms: number): Timer => this.#clock.after(ms, () => over('nothing'));
      let silence = patience(silenceMs);
      const whole = patience(wholeMs);
      this.#listener = (what) => {
        if (wanted.includes(what)) return over(what);
        if (what !== 'entries') return;
        silence.stop();
        silence = patience(silenceMs);
      };
    });
  }
}

export interface MeetingPlaceDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly self: Omit<Introduction, 'clockMs'>;
  readonly greeting: () => Greeting;
}

const rejected: StreamEvents = { data() {}, ended() {}, closed() {} };

export class MeetingPlace {
  /** Another network namespace or configuration has the path. */
  isForeign = false;
  readonly #deps: MeetingPlaceDeps;
  readonly #events: LinkEvents;
  readonly #accepted: (link: Link) => void;
  /** Accepted links that are open. */
  #peers = 0;
  #listener: LocalListener | null = null;
  #hasComplained = false;

  constructor(deps: MeetingPlaceDeps, events: LinkEvents, accepted: (link: Link) => void) {
    this.#deps = deps;
    this.#accepted = accepted;
    this.#events = events;
  }

  get isOurs(): boolean {
    return this.#listener?.isInPlace() === true;
  }

  /** Listens at the path, replacing another listener. */
  take(): void {
    this.leave();
    if (this.isForeign) return;
    const { sockets, path } = this.#deps;
    const { listener, why } = sockets.listen(path, (stream) => this.#accept(stream), this.#deps.greeting);
    this.#listener = listener;
    if (why !== null) this.#complain(`handover unavailable, a successor cannot find this instance: ${why}`);
  }

  leave(): void {
    this.#listener?.close();
    this.#listener = null;
  }

  /** Connects to the listener at the path and introduces us; null without a listener. */
  connect(as: 'successor' | 'stand-by'): Link | null {
    if (this.isForeign) return null;
    const { clock, path, self, sockets } = this.#deps;
    const link = new Link(clock, this.#events);
    const { stream, why } = sockets.connect(path, link.events);
    if (why !== null) this.#complain(`not using the handover socket ${path}: ${why}`);
    if (stream === null) return null;
    link.use(stream).say({ type: 'hello', as, ...self, clockMs: clock.nowMs() });
    this.#mustBeIntroduced(link);
    return link;
  }

  #accept(stream: Stream): StreamEvents {
    if (this.#peers >= handoverPeersMax) {
      stream.destroy();
      return rejected;
    }
    this.#peers++;
    const closed = (gone: Link): void => {
      this.#peers--;
      this.#events.closed(gone);
    };
    const link = new Link(this.#deps.clock, { ...this.#events, closed }).use(stream);
    this.#accepted(link);
    this.#mustBeIntroduced(link);
    return link.events;
  }

  #mustBeIntroduced(link: Link): void {
    this.#deps.clock.after(introductionTimeoutMs, () => {
      if (link.peer === null) link.close();
    });
  }

  /** Logs once, because it is retried every second. */
  #complain(text: string): void {
    if (!this.#hasComplained) this.#deps.log.warn(text);
    this.#hasComplained = true;
  }
}
