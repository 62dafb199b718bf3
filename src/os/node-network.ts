/**
 * The kernel's sockets through node:net, which nothing else in the program uses, and for UDP node-datagrams.ts. No event of a socket
 * is left without a handler, so a peer cannot end the process; what fails on the way is counted by the caller's
 * functions or reported by the socket's own events.
 *
 * `::` means all addresses of both families: it also takes IPv4 unless this network already holds the port for IPv4,
 * and where the machine has no IPv6 it becomes 0.0.0.0. IPv4 peers of such a socket have plain IPv4 addresses here.
 */

import { connect, createServer, type TcpNetConnectOpts, Socket as TcpSocket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { HeldPorts, plainEndpoint, withoutIpv6 } from './families.js';

import {
  type Endpoint,
  type Listener,
  listenBacklog,
  type Network,
  type Stream,
  type StreamEvents,
  unsentBytesHigh,
} from './network.js';
import { connectDatagrams, openDatagrams } from './node-datagrams.js';
import { tlsConnector } from './tls.js';

/** What nobody waits for: called with the system's error. */
export interface NetworkFailures {
  /** A datagram of a bound socket was not sent: a full buffer, an unreachable peer. */
  sendFailed(error: NodeJS.ErrnoException): void;
  /** A TCP client could not be accepted: no file descriptors left. */
  acceptFailed(error: NodeJS.ErrnoException): void;
}

/** What a listening socket is to be bound to. */
interface StreamOptions {
  readonly at: Endpoint;
  /** `::` without IPv4, because another socket has the port there. */
  readonly ipv6Only: 'yes' | 'no';
  /** `us` when sockets of this network have the port; a port of anybody else is refused. */
  readonly sharedWith: 'nobody' | 'us';
}

/** Binds a socket for TCP in another way than Node.js does; its descriptor. Throws the system's error. */
export type BindStream = (wish: StreamOptions) => number;

/** Reads of all connections that we open go here: the bytes are borrowed, so one buffer is enough. */
const readBufferBytes = 64 * 1024;

/** Has the kernel acknowledge at once what a TCP connection has received. */
type Acknowledge = (fd: number) => void;

/**
 * The machine's network. Without `bindStream` TCP listeners are bound as Node.js binds them; without `acknowledge`
 * what connections receive is acknowledged when the kernel sees fit.
 */
export function nodeNetwork(failures: NetworkFailures, bindStream?: BindStream, acknowledge?: Acknowledge): Network {
  const datagramPorts = new HeldPorts();
  const streamPorts = new HeldPorts();
  const connectTls = tlsConnector();
  const readBuffer = Buffer.allocUnsafeSlow(readBufferBytes);
  return {
    openDatagrams: (at, events) =>
      withoutIpv6(at, (there) => openDatagrams(there, events, datagramPorts, failures.sendFailed)),
    connectDatagrams,
    hostAddresses,
    listenStreams: (at, accepted) =>
      withoutIpv6(at, (there) => listenStreams(there, accepted, streamPorts, failures.acceptFailed, bindStream)),
    connectStream(to, events, sourceAddress, tls) {
      if (tls === undefined) return connectStream(to, events, sourceAddress, { readBuffer, acknowledge });
      const socket = connectTls(to, tls, sourceAddress);
      socket.once('secureConnect', () => events.opened?.());
      socket.on('data', (bytes) => events.data(bytes));
      watch(socket, events);
      return new NodeStream(socket, to);
    },
    connectPath(path, events) {
      const socket = connect({ path, allowHalfOpen: true });
      socket.once('connect', () => events.opened?.());
      socket.on('data', (bytes) => events.data(bytes));
      watch(socket, events);
      return new NodeStream(socket, { address: '', port: 0 });
    },
  };
}

/** The addresses of this host's interfaces. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

function listenStreams(
  at: Endpoint,
  accepted: (stream: Stream) => StreamEvents,
  ports: HeldPorts,
  acceptFailed: (error: NodeJS.ErrnoException) => void,
  bindStream: BindStream | undefined,
): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: unsentBytesHigh }, (socket) => {
    const stream = new NodeStream(socket, plainEndpoint(socket.remoteAddress ?? '', socket.remotePort ?? 0));
    // A client that is gone before we look has no address.
    if (socket.remoteAddress === undefined) {
      socket.on('error', acceptFailed);
      socket.destroy();
      return;
    }
    const events = accepted(stream);
    socket.on('data', (bytes) => events.data(bytes));
    watch(socket, events);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const ipv6Only = ports.mustBeIpv6Only(at);
    const listening = (): void => {
      server.off('error', reject);
      server.on('error', acceptFailed);
      const bound = server.address();
      const local = { address: at.address, port: typeof bound === 'object' && bound !== null ? bound.port : at.port };
      ports.hold(local);
      let isOpen = true;
      resolve({
        local,
        close() {
          if (!isOpen) return;
          isOpen = false;
          ports.release(local);
          server.close();
        },
      });
    };
    if (bindStream === undefined) {
      const how = { host: at.address, port: at.port, backlog: listenBacklog, exclusive: true, ipv6Only };
      server.listen(how, listening);
    } else {
      const sharedWith = ports.has(at) ? 'us' : 'nobody';
      const fd = bindStream({ at, ipv6Only: ipv6Only ? 'yes' : 'no', sharedWith });
      server.listen({ fd }, listenBacklog, listening);
    }
  });
}

function connectStream(
  to: Endpoint,
  events: StreamEvents,
  sourceAddress: string | undefined,
  { readBuffer, acknowledge }: { readonly readBuffer: Buffer; readonly acknowledge: Acknowledge | undefined },
): Stream {
  const options: TcpNetConnectOpts & { writableHighWaterMark: number } = {
    host: to.address,
    port: to.port,
    ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
    allowHalfOpen: true,
    noDelay: true,
    writableHighWaterMark: unsentBytesHigh,
    onread: {
      buffer: readBuffer,
      callback(bytesRead, buffer) {
        events.data(buffer.subarray(0, bytesRead));
        // False would stop reading for good; `pause` is how the reader stops it.
        return true;
      },
    },
  };
  const socket = connect(options);
  socket.once('connect', () => events.opened?.());
  watch(socket, events);
  return new NodeStream(socket, to, acknowledge);
}

/** The events that accepted and opened connections have in common. */
function watch(socket: TcpSocket, events: StreamEvents): void {
  let failure: NodeJS.ErrnoException | undefined;
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('end', () => events.ended());
  socket.on('drain', () => events.drained?.());
  socket.on('close', () => (failure === undefined ? events.closed() : events.closed(failure)));
}

/**
 * Makes a stream of a connected descriptor, which is closed with it. `began` is given the stream and says who wants
 * its events.
 */
export function adoptStream(fd: number, began: (stream: Stream) => StreamEvents): Stream {
  const socket = new TcpSocket({ fd, readable: true, writable: true, allowHalfOpen: true });
  const stream = new NodeStream(socket, { address: '', port: 0 });
  const events = began(stream);
  socket.on('data', (bytes) => events.data(bytes));
  watch(socket, events);
  return stream;
}

class NodeStream implements Stream {
  readonly remote: Endpoint;
  readonly #socket: TcpSocket;
  readonly #acknowledge: Acknowledge | undefined;

  constructor(socket: TcpSocket, remote: Endpoint, acknowledge?: Acknowledge) {
    this.#socket = socket;
    this.remote = remote;
    this.#acknowledge = acknowledge;
  }

  acknowledge(): void {
    // Node.js has no documented way to the descriptor; should this one go, nothing but a little time is lost.
    const { _handle: handle } = this.#socket as { readonly _handle?: { readonly fd?: number } | null };
    const fd = handle?.fd ?? -1;
    if (fd >= 0) this.#acknowledge?.(fd);
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    // A copy, because the socket keeps what the kernel does not take at once.
    if (this.#socket.writable) this.#socket.write(Buffer.from(bytes));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
