/**
 * One sender of a Frame Stream (fstrm, what carries dnstap): it greets the collector, sends frames, and comes back after
 * a failure. Who sends never waits: frames go into a bounded queue, and what has no room there is dropped and counted.
 *
 *     closed ─> greeting (READY ─>, <─ ACCEPT) ─> open (START ─>, frames ─>) ─> STOP ─> closed
 *       ^  every two seconds, until it is stopped                                         │
 *       └─────────────────────────────────────────────────────────────────────────────────┘
 */
import { frameStreamBytesMax, frameStreamFlushMs, frameStreamFramesMax, frameStreamRetryMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { type Stream, type StreamEvents, unsentBytesHigh } from '../os/network.js';

interface FrameStreamDeps {
  /** What the collector is called in the log. */
  readonly name: string;
  readonly contentType: string;
  readonly connect: (events: StreamEvents) => Stream;
  readonly clock: Clock;
  readonly log: Log;
  /** A frame was dropped. */
  dropped(): void;
}

// Control frames by their number, and the one field that they have.
const accept = 1;
const start = 2;
const stop = 3;
const ready = 4;
const fieldContentType = 1;
/** A control frame is longer by no sender's will. */
const controlBytesMax = 512;

export class FrameStream {
  readonly #deps: FrameStreamDeps;
  #state: 'closed' | 'greeting' | 'open' | 'stopped' = 'closed';
  #stream: Stream | null = null;
  #received: Buffer = Buffer.alloc(0);
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Since the collector was last there. */
  #dropped = 0;
  #isFailureSaid = false;
  /** Ends a greeting that takes too long, or the wait for the next try. */
  #timer: Timer | null = null;
  #flushing: Timer | null = null;

  constructor(deps: FrameStreamDeps) {
    this.#deps = deps;
    this.#connect();
  }

  /** Sends the payload some time, or drops it. Takes it over. */
  send(payload: Uint8Array): void {
    if (this.#queue.length >= frameStreamFramesMax || this.#queuedBytes + payload.length > frameStreamBytesMax) {
      this.#dropped++;
      return this.#deps.dropped();
    }
    this.#queue.push(payload);
    this.#queuedBytes += payload.length;
    if (this.#state === 'open') this.#flushing ??= this.#deps.clock.after(frameStreamFlushMs, () => this.#flush());
  }

  /** Sends what waits if the collector is there, says goodbye and does nothing more. */
  stop(): void {
    this.#timer?.stop();
    this.#flushing?.stop();
    const stream = this.#stream;
    if (this.#state === 'open' && stream !== null) {
      stream.write(Buffer.concat([...this.#queue.map(framed), control(stop, null)]));
      stream.end();
    } else stream?.destroy();
    this.#state = 'stopped';
    this.#queue = [];
  }

  #connect(): void {
    const { connect, clock, contentType } = this.#deps;
    this.#state = 'greeting';
    this.#received = Buffer.alloc(0);
    const stream = connect({
      opened: () => stream.write(control(ready, contentType)),
      data: (bytes) => this.#take(bytes),
      drained: () => this.#flush(),
      ended: () => stream.destroy(),
      closed: (error) => this.#closed(stream, error?.message ?? 'connection closed'),
    });
    this.#stream = stream;
    this.#timer = clock.after(frameStreamRetryMs, () => stream.destroy());
  }

  #take(bytes: Uint8Array): void {
    if (this.#state !== 'greeting') return;
    this.#received = Buffer.concat([this.#received, bytes]);
    const { length } = this.#received;
    if (length < 8) return;
    const controlBytes = this.#received.readUInt32BE(4);
    if (this.#received.readUInt32BE(0) !== 0 || controlBytes > controlBytesMax || length > 8 + controlBytesMax) {
      return this.#stream?.destroy();
    }
    if (length < 8 + controlBytes) return;
    if (controlBytes < 4 || this.#received.readUInt32BE(8) !== accept) return this.#stream?.destroy();
    this.#open();
  }

  #open(): void {
    const { log, name, contentType } = this.#deps;
    this.#timer?.stop();
    this.#state = 'open';
    this.#isFailureSaid = false;
    this.#stream?.write(control(start, contentType));
    log.info(`dnstap: connected to ${name}`, { dropped: this.#dropped });
    this.#dropped = 0;
    this.#flush();
  }

  /** Writes what waits, as far as the connection takes it. */
  #flush(): void {
    this.#flushing?.stop();
    this.#flushing = null;
    const stream = this.#stream;
    if (this.#state !== 'open' || stream === null) return;
    while (this.#queue.length > 0 && stream.unsentBytes < unsentBytesHigh) {
      const frames: Buffer[] = [];
      let bytes = 0;
      for (const payload of this.#queue) {
        if (bytes >= unsentBytesHigh) break;
        frames.push(framed(payload));
        bytes += payload.length;
      }
      this.#queue = this.#queue.slice(frames.length);
      this.#queuedBytes -= bytes;
      stream.write(Buffer.concat(frames));
    }
  }

  #closed(stream: Stream, why: string): void {
    if (this.#state === 'stopped' || stream !== this.#stream) return;
    const { clock, log, name } = this.#deps;
    if (!this.#isFailureSaid) log.warn(`dnstap: connection to ${name} failed (${why}); retrying`);
    this.#isFailureSaid = true;
    this.#state = 'closed';
    this.#stream = null;
    this.#timer?.stop();
    this.#timer = clock.after(frameStreamRetryMs, () => this.#connect());
  }
}

/** A data frame: its length, and the payload. */
function framed(payload: Uint8Array): Buffer {
  return Buffer.concat([u32(payload.length), payload]);
}

/** A control frame: an empty data frame, its length, its number and, where it says one, the content type. */
function control(number: number, contentType: string | null): Buffer {
  const type = contentType === null ? null : Buffer.from(contentType);
  const field = type === null ? [] : [u32(fieldContentType), u32(type.length), type];
  const content = Buffer.concat([u32(number), ...field]);
  return Buffer.concat([u32(0), u32(content.length), content]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
