/**
 * TCP connections that we open, by system calls of our own. One epoll descriptor has them all and the event loop watches
 * it, so one turn reads every ready connection into one arena; Node's streams would cost a miss more than its answer
 * does (docs/decisions/own-sockets-upstream.md).
 *
 *     connecting ──> open ──> closed
 *          └───────────────────┘
 */
import { getSystemErrorName } from 'node:util';
import { encodeSocketAddress, isIpv6 } from './addresses.js';
import { type Endpoint, type Stream, type StreamEvents, unsentBytesHigh } from './network.js';
import { epollLayouts, errors, linux, type SystemCalls } from './system-calls.js';

/** Fails as `closed(error)`, with the errors of node:net. `to` is an address, not a name. */
export type ConnectStream = (to: Endpoint, events: StreamEvents, sourceAddress?: string) => Stream;

/** The streams of one connector share an arena and an epoll descriptor, which is open while a stream is. */
export function streamConnector(calls: SystemCalls): ConnectStream {
  const epollSet = new EpollSet(calls);
  return (to, events, sourceAddress) => {
    const stream = new SocketStream(epollSet, to, events);
    stream.connect(sourceAddress);
    return stream;
  };
}

/** A stream is read once a turn, up to this, so that streams take turns. */
const arenaBytes = 64 * 1024;
/** Streams served in a turn; the kernel gives the others first in the next one. */
const readyMax = 64;

const { words: eventWords, dataWord } = epollLayouts[process.arch === 'arm64' ? 'arm64' : 'x64'];

/** Tells streams what their sockets are ready for: level-triggered, so an event that is not acted upon comes again. */
class EpollSet {
  readonly calls: SystemCalls;
  /** For the bytes of one read. */
  readonly arena = new Uint8Array(arenaBytes);
  readonly #event = new Int32Array(eventWords);
  readonly #ready = new Int32Array(eventWords * readyMax);
  /** By numbers of ours: a descriptor closed within a turn may be another stream's while its events are in `#ready`. */
  readonly #streams = new Map<number, SocketStream>();
  #lastNumber = 0;
  #epoll: number | null = null;
  #stopWatching = (): void => {};

  constructor(calls: SystemCalls) {
    this.calls = calls;
  }

  /** The stream's number, or a negative errno. */
  add(stream: SocketStream): number {
    if (this.#epoll === null) {
      const epoll = this.calls.epoll();
      if (epoll < 0) return epoll;
      this.#epoll = epoll;
      this.#stopWatching = this.calls.watch(epoll, this.#serve);
    }
    do this.#lastNumber = (this.#lastNumber + 1) & 0x7fff_ffff;
    while (this.#streams.has(this.#lastNumber));
    this.#streams.set(this.#lastNumber, stream);
    return this.#lastNumber;
  }

  /** Changes the events that the stream is told of; 0 or a negative errno. */
  change(stream: SocketStream, from: number, to: number): number {
    const operation = from === 0 ? linux.epollAdd : to === 0 ? linux.epollDelete : linux.epollModify;
    this.#event[0] = to;
    this.#event[dataWord] = stream.number;
    return this.calls.epollControl(this.#epoll!, operation, stream.fd, this.#event);
  }

  /** Before its descriptor is closed, which ends its events. */
  remove({ number }: SocketStream): void {
    if (!this.#streams.delete(number) || this.#streams.size > 0) return;
    this.#stopWatching();
    this.calls.close(this.#epoll!);
    this.#epoll = null;
  }

  readonly #serve = (): void => {
    // Called outside of Node's callbacks: ticks and promises run only after something of its own, such as this.
    setImmediate(nothing);
    const count = this.calls.epollReady(this.#epoll!, this.#ready, readyMax);
    for (let at = 0; at < count * eventWords; at += eventWords) {
      this.#streams.get(this.#ready[at + dataWord])?.ready(this.#ready[at]);
    }
  };
}

const nothing = (): void => {};

const on = new Int32Array([1]);

class SocketStream implements Stream {
  readonly remote: Endpoint;
  unsentBytes = 0;
  fd = -1;
  number = -1;
  readonly #epollSet: EpollSet;
  readonly #calls: SystemCalls;
  readonly #events: StreamEvents;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  /** The epoll events that it is told of; errors come with any. */
  #interest = 0;
  /** Copies of the bytes that the kernel has not taken. */
  readonly #unsent: Uint8Array[] = [];
  #owesDrained = false;
  #isPaused = false;
  #hasEnded = false;
  #finIsSent = false;
  #finIsRead = false;

  constructor(epollSet: EpollSet, remote: Endpoint, events: StreamEvents) {
    this.#epollSet = epollSet;
    this.#calls = epollSet.calls;
    this.remote = remote;
    this.#events = events;
  }

  connect(sourceAddress: string | undefined): void {
    const { address } = this.remote;
    const fd = this.#calls.streamSocket(isIpv6(address) ? linux.familyIpv6 : linux.familyIpv4);
    if (fd < 0) return this.#fail('connect', fd);
    this.fd = fd;
    this.#calls.setOption(fd, linux.tcpLevel, linux.tcpNoDelay, on);
    if (sourceAddress !== undefined) {
      // The port is chosen by connect, which may use one again for another peer. Old kernels do not know the option.
      this.#calls.setOption(fd, linux.ipLevel, linux.ipBindAddressNoPort, on);
      const bound = this.#calls.bind(fd, encodeSocketAddress({ address: sourceAddress, port: 0 }));
      if (bound < 0) return this.#fail('bind', bound, sourceAddress);
    }
    const connected = this.#calls.connect(fd, encodeSocketAddress(this.remote));
    if (connected < 0 && connected !== errors.inProgress) return this.#fail('connect', connected);
    this.number = this.#epollSet.add(this);
    if (this.number < 0) this.#fail('connect', this.number);
    else this.#follow();
  }

  write(bytes: Uint8Array): void {
    if (this.#state === 'closed' || this.#hasEnded) return;
    const isFree = this.#state === 'open' && this.unsentBytes === 0;
    const sent = isFree ? this.#send(bytes) : 0;
    if (sent < 0 || sent === bytes.length) return;
    this.#unsent.push(new Uint8Array(bytes.subarray(sent)));
    this.unsentBytes += bytes.length - sent;
    if (this.unsentBytes >= unsentBytesHigh) this.#owesDrained = true;
    this.#follow();
  }

  pause(): void {
    this.#isPaused = true;
    this.#follow();
  }

  resume(): void {
    this.#isPaused = false;
    this.#follow();
  }

  acknowledge(): void {
    if (this.#state === 'open') this.#calls.setOption(this.fd, linux.tcpLevel, linux.tcpQuickAcknowledge, on);
  }

  end(): void {
    if (this.#state === 'closed' || this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#state === 'open' && this.unsentBytes === 0) this.#sendFin();
  }

  destroy(): void {
    this.#close();
  }

  /** `events` are those of epoll; errors and hang-ups show in the call that they are ready for. */
  ready(events: number): void {
    if (this.#state === 'connecting') return this.#connected();
    if (this.#reads && (events & ~linux.epollOut) !== 0) this.#read();
    if (this.unsentBytes > 0 && (events & ~linux.epollIn) !== 0) this.#sendRest();
  }

  get #reads(): boolean {
    return this.#state === 'open' && !this.#isPaused && !this.#finIsRead;
  }

  #connected(): void {
    const error = new Int32Array(1);
    const result = this.#calls.option(this.fd, linux.socketLevel, linux.socketError, error);
    if (result < 0 || error[0] !== 0) return this.#fail('connect', result < 0 ? result : -error[0]);
    this.#state = 'open';
    this.#follow();
    this.#events.opened?.();
    this.#sendRest();
  }

  #read(): void {
    const { arena } = this.#epollSet;
    const received = this.#calls.receiveBytes(this.fd, arena);
    if (received > 0) return this.#events.data(arena.subarray(0, received));
    if (received < 0) return received === errors.tryAgain ? undefined : this.#fail('read', received);
    this.#finIsRead = true;
    this.#follow();
    this.#events.ended();
    if (this.#finIsSent) this.#close();
  }

  #sendRest(): void {
    while (this.#unsent.length > 0) {
      const [first] = this.#unsent;
      const sent = this.#send(first);
      if (sent < 0) return;
      this.unsentBytes -= sent;
      if (sent < first.length) {
        this.#unsent[0] = first.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    this.#follow();
    if (this.#hasEnded) this.#sendFin();
    if (!this.#owesDrained) return;
    this.#owesDrained = false;
    this.#events.drained?.();
  }

  /** How many bytes the kernel took; negative when the stream has failed. */
  #send(bytes: Uint8Array): number {
    const sent = this.#calls.sendBytes(this.fd, bytes);
    if (sent === errors.tryAgain || sent === errors.noBuffers) return 0;
    if (sent < 0) this.#fail('write', sent);
    return sent;
  }

  #sendFin(): void {
    if (this.#finIsSent || this.#state !== 'open') return;
    this.#finIsSent = true;
    this.#calls.shutdownWriting(this.fd);
    if (this.#finIsRead) this.#close();
  }

  /** Is told of what it can act upon, and of nothing else: a lasting event would come in every turn. */
  #follow(): void {
    if (this.#state === 'closed') return;
    const sends = this.#state === 'connecting' || this.unsentBytes > 0;
    const interest = (this.#reads ? linux.epollIn : 0) | (sends ? linux.epollOut : 0);
    if (interest === this.#interest) return;
    const changed = this.#epollSet.change(this, this.#interest, interest);
    this.#interest = interest;
    if (changed < 0) this.#fail('epoll_ctl', changed);
  }

  #fail(syscall: string, errno: number, at = ''): void {
    const code = getSystemErrorName(errno);
    const { address, port } = this.remote;
    const details = syscall === 'connect' ? ` ${address}:${port}` : at === '' ? '' : ` ${at}`;
    this.#close(Object.assign(new Error(`${syscall} ${code}${details}`), { code, errno, syscall }));
  }

  #close(error?: NodeJS.ErrnoException): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.fd >= 0) {
      this.#epollSet.remove(this);
      this.#calls.close(this.fd);
    }
    this.#unsent.length = 0;
    this.unsentBytes = 0;
    this.#owesDrained = false;
    process.nextTick(() => (error === undefined ? this.#events.closed() : this.#events.closed(error)));
  }
}
