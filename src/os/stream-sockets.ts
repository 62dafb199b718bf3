/**
 * TCP connections by system calls of our own. One epoll descriptor has them all and the event loop watches
 * it, so one turn reads every ready connection into one arena; Node's streams would cost a miss more than its answer
 * does (docs/decisions/own-sockets-upstream.md).
 *
 *     connecting ──> open ──> closed
 *          └───────────────────┘
 */
import { getSystemErrorName } from 'node:util';
import { decodeSocketAddress, encodeSocketAddress, isIpv6, socketAddressBytes } from './addresses.js';
import { type Endpoint, type Stream, type StreamEvents, unsentBytesHigh } from './network.js';
import { epollLayout, errors, linux, type SystemCalls } from './system-calls.js';

/** Fails as `closed(error)`, with the errors of node:net. `to` is an address, not a name. */
export type ConnectStream = (to: Endpoint, events: StreamEvents, sourceAddress?: string) => Stream;

/** Accepts on a bound socket that listens and does not block; `failed` is told when a connection cannot be accepted. */
type AcceptStreams = (
  fd: number,
  accepted: (stream: Stream) => StreamEvents,
  failed: (error: NodeJS.ErrnoException) => void,
) => Accepting;

interface Accepting {
  /** Closes the socket. */
  stop(): void;
}

interface StreamSockets {
  readonly connectStream: ConnectStream;
  readonly acceptStreams: AcceptStreams;
}

/** They share an arena and an epoll descriptor, which is open while one of them is. */
export function streamSockets(calls: SystemCalls): StreamSockets {
  const epollSet = new EpollSet(calls);
  return {
    connectStream(to, events, sourceAddress) {
      const stream = new SocketStream(epollSet, to, events);
      stream.connect(sourceAddress);
      return stream;
    },
    acceptStreams: (fd, accepted, failed) => new Acceptor(epollSet, fd, accepted, failed),
  };
}

/** What the event loop is told of. */
interface Polled {
  readonly number: number;
  readonly fd: number;
  ready(events: number): void;
}

/** A stream is read once a turn, up to this, so that streams take turns. */
const arenaBytes = 64 * 1024;
/** Streams served in a turn; the kernel gives the others first in the next one. */
const readyMax = 64;

const { words: eventWords, dataWord } = epollLayout;

/** Tells streams what their sockets are ready for: level-triggered, so an event that is not acted upon comes again. */
class EpollSet {
  readonly calls: SystemCalls;
  /** For the bytes of one read. */
  readonly arena = new Uint8Array(arenaBytes);
  readonly #event = new Int32Array(eventWords);
  readonly #ready = new Int32Array(eventWords * readyMax);
  /** By numbers of ours: a descriptor closed within a turn may be another stream's while its events are in `#ready`. */
  readonly #streams = new Map<number, Polled>();
  #lastNumber = 0;
  #epoll: number | null = null;
  #stopWatching = (): void => {};

  constructor(calls: SystemCalls) {
    this.calls = calls;
  }

  /** The stream's number, or a negative errno. */
  add(stream: Polled): number {
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
  change(stream: Polled, from: number, to: number): number {
    const operation = from === 0 ? linux.epollAdd : to === 0 ? linux.epollDelete : linux.epollModify;
    this.#event[0] = to;
    this.#event[dataWord] = stream.number;
    return this.calls.epollControl(this.#epoll!, operation, stream.fd, this.#event);
  }

  /** Before its descriptor is closed, which ends its events. */
  remove({ number }: Polled): void {
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

/** Connections accepted in a turn. */
const acceptedMax = 64;

class Acceptor implements Polled, Accepting {
  readonly fd: number;
  readonly number: number;
  readonly #epollSet: EpollSet;
  readonly #by: (stream: Stream) => StreamEvents;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  readonly #peer = new Uint8Array(socketAddressBytes);
  /** A descriptor to give up when there are no others: a connection that stays in the queue would come in every turn. */
  #reserve: number;
  #isOpen = true;

  constructor(epollSet: EpollSet, ...[fd, by, failed]: Parameters<AcceptStreams>) {
    this.fd = fd;
    this.#epollSet = epollSet;
    this.#by = by;
    this.#failed = failed;
    this.#reserve = epollSet.calls.eventFd();
    // Accepted connections inherit it.
    epollSet.calls.setOption(fd, linux.tcpLevel, linux.tcpNoDelay, on);
    this.number = epollSet.add(this);
    const result = this.number < 0 ? this.number : epollSet.change(this, 0, linux.epollIn);
    if (result < 0) throw systemError('epoll_ctl', result);
  }

  ready(): void {
    for (let left = acceptedMax; left > 0 && this.#isOpen; left--) {
      const fd = this.#epollSet.calls.accept(this.fd, this.#peer);
      if (fd === errors.tryAgain) return;
      // Others are errors of that one connection.
      if (fd >= 0) this.#accepted(fd);
      else if (fd === errors.tooManyFiles || fd === errors.tooManyOfAll) return this.#turnAway(fd);
    }
  }

  #accepted(fd: number): void {
    const stream = new SocketStream(this.#epollSet, decodeSocketAddress(this.#peer), null);
    stream.accepted(fd, this.#by);
  }

  #turnAway(errno: number): void {
    const { calls } = this.#epollSet;
    if (this.#reserve >= 0) calls.close(this.#reserve);
    for (let left = acceptedMax; left > 0; left--) {
      const fd = calls.accept(this.fd, this.#peer);
      if (fd < 0) break;
      calls.close(fd);
      this.#failed(systemError('accept', errno));
    }
    this.#reserve = calls.eventFd();
  }

  stop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { calls } = this.#epollSet;
    this.#epollSet.change(this, linux.epollIn, 0);
    this.#epollSet.remove(this);
    calls.close(this.fd);
    if (this.#reserve >= 0) calls.close(this.#reserve);
  }
}

function systemError(syscall: string, errno: number, details = ''): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}${details}`), { code, errno, syscall });
}

const on = new Int32Array([1]);

const noEvents: StreamEvents = { data() {}, ended() {}, closed() {} };

class SocketStream implements Stream, Polled {
  readonly remote: Endpoint;
  unsentBytes = 0;
  fd = -1;
  number = -1;
  readonly #epollSet: EpollSet;
  readonly #calls: SystemCalls;
  #events: StreamEvents;
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

  /** Null for one that is accepted: its receiver comes then. */
  constructor(epollSet: EpollSet, remote: Endpoint, events: StreamEvents | null) {
    this.#epollSet = epollSet;
    this.#calls = epollSet.calls;
    this.remote = remote;
    this.#events = events ?? noEvents;
  }

  accepted(fd: number, by: (stream: Stream) => StreamEvents): void {
    this.fd = fd;
    this.number = this.#epollSet.add(this);
    this.#state = 'open';
    this.#events = by(this);
    this.#follow();
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
    const { address, port } = this.remote;
    const details = syscall === 'connect' ? ` ${address}:${port}` : at === '' ? '' : ` ${at}`;
    this.#close(systemError(syscall, errno, details));
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
