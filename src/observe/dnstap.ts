/**
 * The `dnstap` directives of one server block: sends each query and its answer to a collector, as two messages in dnstap's
 * Protocol Buffers encoding (dnstap.proto of dnstap.info; only the fields that we fill), over a Frame Stream (fstrm).
 *
 *     closed ─> greeting (READY ─>, <─ ACCEPT) ─> open (START ─>, frames ─>) ─> STOP ─> closed
 *       ^  every two seconds, until it is stopped                                         │
 *       └─────────────────────────────────────────────────────────────────────────────────┘
 */
import type { DnstapConfig, DnstapTarget } from '../config/config.js';
import type { Counters } from '../counters.js';
import { frameStreamBytesMax, frameStreamFlushMs, frameStreamFramesMax, frameStreamRetryMs } from '../limits.js';
import { addressBytes } from '../os/addresses.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { type Network, type Stream, type StreamEvents, unsentBytesHigh } from '../os/network.js';
import type { QueryLogRecord } from '../resolve/worker-context.js';
import { compileLogFormat } from './log-format.js';

interface DnstapDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
}

interface Dnstap {
  /** Records a query that has just been answered. */
  answered(facts: QueryLogRecord): void;
  stop(): void;
}

const contentType = 'protobuf:dnstap.Dnstap';

/** Null without directives. */
export function newDnstap(configs: readonly DnstapConfig[], deps: DnstapDeps): Dnstap | null {
  if (configs.length === 0) return null;
  const { network, clock, log, counters } = deps;
  const taps = configs.map((config) => ({
    config,
    extra: compileLogFormat(config.extra ?? ''),
    stream: new FrameStream({
      name: config.socket,
      contentType,
      clock,
      log,
      connect: (events) => connectTo(config.to, network, events),
      dropped: () => counters.count('dnstapDropped'),
    }),
  }));
  return {
    answered(facts) {
      const responseMs = clock.wallMs();
      const times = { queryMs: responseMs - facts.durationMs, responseMs };
      for (const { config, extra, stream } of taps) {
        const settings = { ...config, extra: extra(facts) };
        stream.send(dnstapMessage('client query', facts, times, settings));
        stream.send(dnstapMessage('client response', facts, times, settings));
      }
    },
    stop() {
      for (const { stream } of taps) stream.stop();
    },
  };
}

function connectTo(to: DnstapTarget, network: Network, events: StreamEvents): Stream {
  if (to.kind === 'path') return network.connectPath(to.path, events);
  if (to.kind === 'tcp') return network.connectStream(to.endpoint, events);
  const tls = { serverName: null, material: null, isVerified: to.isVerified };
  return network.connectStream(to.endpoint, events, undefined, tls);
}

type DnstapSettings = Pick<DnstapConfig, 'identity' | 'version' | 'full'>;

/** Wall-clock milliseconds since 1970. */
interface DnstapTimes {
  readonly queryMs: number;
  readonly responseMs: number;
}

type DnstapType = 'client query' | 'client response';

// Message.Type, SocketFamily and SocketProtocol of the schema.
const messageTypeNumbers: Readonly<Record<DnstapType, number>> = { 'client query': 5, 'client response': 6 };
const inet = 1;
const inet6 = 2;
const protocols = { udp: 1, tcp: 2 } as const;
/** Dnstap.Type: the content is in the field `message`. */
const typeMessage = 1;

/** One payload of a frame stream; an empty `extra` is left out. */
export function dnstapMessage(
  type: DnstapType,
  facts: QueryLogRecord,
  { queryMs, responseMs }: DnstapTimes,
  { identity, version, full, extra }: DnstapSettings & { readonly extra: string },
): Buffer {
  const isResponse = type === 'client response';
  const { remote, local, transport } = facts;
  const message = Buffer.concat([
    numberField(1, messageTypeNumbers[type]),
    numberField(2, remote.address.includes(':') ? inet6 : inet),
    numberField(3, protocols[transport]),
    bytesField(4, plainAddress(remote.address)),
    bytesField(5, plainAddress(local.address)),
    numberField(6, remote.port),
    numberField(7, local.port),
    ...timeFields(8, queryMs),
    ...(full && !isResponse ? [bytesField(10, facts.query)] : []),
    ...(isResponse ? timeFields(12, responseMs) : []),
    ...(full && isResponse ? [bytesField(14, facts.answer)] : []),
  ]);
  return Buffer.concat([
    bytesField(1, Buffer.from(identity)),
    bytesField(2, Buffer.from(version)),
    ...(extra === '' ? [] : [bytesField(3, Buffer.from(extra))]),
    bytesField(14, message),
    numberField(15, typeMessage),
  ]);
}

/** Seconds in one field, the remaining nanoseconds in the next. */
function timeFields(number: number, ms: number): Buffer[] {
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = Buffer.alloc(4);
  nanoseconds.writeUInt32LE(Math.round((ms - seconds * 1000) * 1e6) % 1e9);
  return [numberField(number, seconds), Buffer.concat([varint((number + 1) * 8 + 5), nanoseconds])];
}

function numberField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function bytesField(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** Seven bits a byte, the lowest first; the top bit means that more bytes follow. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}

function plainAddress(address: string): Uint8Array {
  return addressBytes(address.replace(/%.*$/u, ''));
}

interface FrameStreamDeps {
  /** The collector's name in the log. */
  readonly name: string;
  readonly contentType: string;
  readonly connect: (events: StreamEvents) => Stream;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts a dropped frame. */
  dropped(): void;
}

// Control frames by their number, and the one field that they have.
const accept = 1;
const start = 2;
const stop = 3;
const ready = 4;
const fieldContentType = 1;
/** No sender's control frames are longer. */
const controlBytesMax = 512;

export class FrameStream {
  readonly #deps: FrameStreamDeps;
  #state: 'closed' | 'greeting' | 'open' | 'stopped' = 'closed';
  #stream: Stream | null = null;
  #received: Buffer = Buffer.alloc(0);
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Since the last connection. */
  #dropped = 0;
  #isFailureSaid = false;
  /** Ends a slow greeting, or the wait for the next attempt. */
  #timer: Timer | null = null;
  #flushing: Timer | null = null;

  constructor(deps: FrameStreamDeps) {
    this.#deps = deps;
    this.#connect();
  }

  /** Queues the payload, whose bytes it keeps, or drops it if the queue is full. Never waits. */
  send(payload: Uint8Array): void {
    if (this.#queue.length >= frameStreamFramesMax || this.#queuedBytes + payload.length > frameStreamBytesMax) {
      this.#dropped++;
      return this.#deps.dropped();
    }
    this.#queue.push(payload);
    this.#queuedBytes += payload.length;
    if (this.#state === 'open') this.#flushing ??= this.#deps.clock.after(frameStreamFlushMs, () => this.#flush());
  }

  /** Sends the queue if the collector is connected, and ends the stream. */
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

  /** Writes the queue, as far as the connection accepts it. */
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

/** A data frame: length and payload. */
function framed(payload: Uint8Array): Buffer {
  return Buffer.concat([bigEndian32(payload.length), payload]);
}

/** A control frame: an empty data frame, length, number and the content type, if any. */
function control(number: number, contentType: string | null): Buffer {
  const type = contentType === null ? null : Buffer.from(contentType);
  const field = type === null ? [] : [bigEndian32(fieldContentType), bigEndian32(type.length), type];
  const content = Buffer.concat([bigEndian32(number), ...field]);
  return Buffer.concat([bigEndian32(0), bigEndian32(content.length), content]);
}

function bigEndian32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
