/**
 * The messages between instances on one node: frames over a stream, each a length, a kind, and JSON or a chunk of cache
 * entries. The peer may have any version, be broken or hostile: what is not understood is null here, and its reader
 * closes the link. docs/PROTOCOL.md describes the conversation.
 */
import { connectionUnsentBytesMax, handoverFrameBytesMax, handoverPeersMax, introductionTimeoutMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Greeting, LocalListener, LocalSockets, Stream, StreamEvents } from '../os/network.js';

/** The inodes of each group's sockets in the kernel's order, as in os/reuseport-groups.ts. */
export type Layout = Readonly<Record<string, readonly number[]>>;

/** Sent first by both sides; these fields keep their meaning in all versions. */
export interface Introduction {
  readonly version: string;
  readonly pid: number;
  /** The network namespace; sockets of another one cannot be joined. */
  readonly network: string;
  /** The monotonic clock, which a machine has once. */
  readonly clockMs: number;
  readonly entriesFormat: number;
}

export type Message =
  /** From a starting process, or a standby that looks for the serving one. */
  | ({ readonly type: 'hello'; readonly as: 'successor' | 'stand-by' } & Introduction)
  | ({ readonly type: 'welcome'; readonly layout: Layout } & Introduction)
  | { readonly type: 'give' }
  | { readonly type: 'given' }
  /** The sender receives the packets from now on. */
  | { readonly type: 'serving' }
  /** The sender is about to exit: the receiver is to serve. */
  | { readonly type: 'serve'; readonly layout: Layout }
  /** The sender wants to close a socket in each group, which must get no more packets. */
  | { readonly type: 'leaving' }
  | { readonly type: 'go' }
  | { readonly type: 'left' }
  /** The greeting: the group of each descriptor that comes with it. */
  | { readonly type: 'sockets'; readonly groups: readonly string[] }
  /** From a newer version; ignored. */
  | { readonly type: 'unknown' };

export type Frame =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'entries'; readonly chunk: Uint8Array };

const kindMessage = 1;
const kindEntries = 2;
const peerFrameHeaderBytes = 5;

export function messageFrame(message: Message): Uint8Array {
  return framedForPeer(kindMessage, Buffer.from(JSON.stringify(message)));
}

export function entriesFrame(chunk: Uint8Array): Uint8Array {
  return framedForPeer(kindEntries, chunk);
}

function framedForPeer(kind: number, content: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(peerFrameHeaderBytes + content.length);
  bytes.writeUInt32LE(content.length, 0);
  bytes[4] = kind;
  bytes.set(content, peerFrameHeaderBytes);
  return bytes;
}

export class PeerFrameReader {
  #rest = Buffer.alloc(0);

  /** The frames that are complete now; null for anything else than frames. Borrows the bytes. */
  read(bytes: Uint8Array): Frame[] | null {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    let at = 0;
    while (this.#rest.length - at >= peerFrameHeaderBytes) {
      const length = this.#rest.readUInt32LE(at);
      if (length > handoverFrameBytesMax) return null;
      const end = at + peerFrameHeaderBytes + length;
      if (end > this.#rest.length) break;
      const frame = readFrame(this.#rest[at + 4], this.#rest.subarray(at + peerFrameHeaderBytes, end));
      if (frame === null) return null;
      frames.push(frame);
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }
}

function readFrame(kind: number, content: Buffer): Frame | null {
  if (kind === kindEntries) return { kind: 'entries', chunk: content };
  if (kind !== kindMessage) return null;
  const message = readMessage(content.toString());
  return message && { kind: 'message', message };
}

/** The message, or null. Unknown fields are ignored: a newer version may send them. */
export function readMessage(text: string): Message | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  switch (value['type']) {
    case 'hello':
      return isIntroduction(value) && (value['as'] === 'successor' || value['as'] === 'stand-by')
        ? { type: 'hello', as: value['as'], ...introductionOf(value) }
        : null;
    case 'welcome':
      return isIntroduction(value) && isLayout(value['layout'])
        ? { type: 'welcome', layout: value['layout'], ...introductionOf(value) }
        : null;
    case 'serve':
      return isLayout(value['layout']) ? { type: 'serve', layout: value['layout'] } : null;
    case 'sockets':
      return isTexts(value['groups']) ? { type: 'sockets', groups: value['groups'] } : null;
    case 'give':
    case 'given':
    case 'serving':
    case 'leaving':
    case 'go':
    case 'left':
      return { type: value['type'] };
    default:
      return typeof value['type'] === 'string' ? { type: 'unknown' } : null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIntroduction(value: Record<string, unknown>): value is Record<string, unknown> & Introduction {
  const { version, pid, network, clockMs, entriesFormat } = value;
  return (
    typeof version === 'string' &&
    version.length <= 100 &&
    Number.isSafeInteger(pid) &&
    typeof network === 'string' &&
    Number.isFinite(clockMs) &&
    Number.isSafeInteger(entriesFormat)
  );
}

function introductionOf({ version, pid, network, clockMs, entriesFormat }: Introduction): Introduction {
  return { version, pid, network, clockMs, entriesFormat };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function isLayout(value: unknown): value is Layout {
  if (!isRecord(value)) return false;
  return Object.values(value).every((places) => Array.isArray(places) && places.every(Number.isSafeInteger));
}

export interface LinkEvents {
  message(message: Message, link: PeerLink): void;
  entries(chunk: Uint8Array, link: PeerLink): void;
  closed(link: PeerLink): void;
}

/** Length of a turn of sending, so that a miss waits no longer for it, and its chunks at most. */
const sendingTurnMs = 0.2;
const chunksPerTurn = 8;

export class PeerLink {
  peer: Introduction | null = null;
  /** The peer has all its sockets and would answer packets. */
  standsBy = false;
  readonly events: StreamEvents;
  readonly #clock: Clock;
  readonly #reader = new PeerFrameReader();
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

  get about(): { version: string; pid: number } {
    return { version: this.peer?.version ?? '', pid: this.peer?.pid ?? 0 };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  say(message: Message): void {
    if (!this.#isClosed) this.#stream?.write(messageFrame(message));
  }

  /** Sends chunks one by one, then calls `sent`. Ignored while others are sent: a lost cache entry costs no answer. */
  sendEntries(chunks: Iterator<Uint8Array>, sent: () => void = () => {}): void {
    if (this.#isClosed || this.#sending !== null) return;
    this.#sending = chunks;
    this.#whenSent = sent;
    this.#send(1);
  }

  /** Closes after what was written. */
  finish(): void {
    if (!this.#isClosed) this.#stream?.end();
    this.#gone();
  }

  close(): void {
    if (!this.#isClosed) this.#stream?.destroy();
    this.#gone();
  }

  /** Some chunks per turn of the event loop, so that queries are answered in between. */
  #send(chunks = chunksPerTurn): void {
    if (this.#sending === null || this.#nextChunk !== null || this.#stream === null) return;
    const beganAtMs = this.#clock.nowMs();
    for (let left = chunks; left > 0 && this.#clock.nowMs() - beganAtMs < sendingTurnMs; left--) {
      if (this.#stream.unsentBytes > connectionUnsentBytesMax) return;
      const { value, done } = this.#nextOf(this.#sending);
      if (done === true) {
        this.#sending = null;
        this.#whenSent();
        return;
      }
      this.#stream.write(entriesFrame(value));
    }
    this.#clock.rest();
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
    this.#sending?.return?.();
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

  /** The first wanted event, or `nothing` after `wholeMs`, or after `silenceMs` without a chunk of entries. */
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

const rejectedPeer: StreamEvents = { data() {}, ended() {}, closed() {} };

export class MeetingPlace {
  /** Another network namespace or configuration has the path. */
  isForeign = false;
  readonly #deps: MeetingPlaceDeps;
  readonly #events: LinkEvents;
  readonly #accepted: (link: PeerLink) => void;
  /** Accepted links that are open. */
  #peers = 0;
  #listener: LocalListener | null = null;
  #hasComplained = false;

  constructor(deps: MeetingPlaceDeps, events: LinkEvents, accepted: (link: PeerLink) => void) {
    this.#deps = deps;
    this.#accepted = accepted;
    this.#events = events;
  }

  get isOurs(): boolean {
    return this.#listener?.isInPlace() === true;
  }

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
  connect(as: 'successor' | 'stand-by'): PeerLink | null {
    if (this.isForeign) return null;
    const { clock, path, self, sockets } = this.#deps;
    const link = new PeerLink(clock, this.#events);
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
      return rejectedPeer;
    }
    this.#peers++;
    const closed = (gone: PeerLink): void => {
      this.#peers--;
      this.#events.closed(gone);
    };
    const link = new PeerLink(this.#deps.clock, { ...this.#events, closed }).use(stream);
    this.#accepted(link);
    this.#mustBeIntroduced(link);
    return link.events;
  }

  #mustBeIntroduced(link: PeerLink): void {
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
