/**
 * The kernel's sockets through node:net, which nothing else in the program uses, and for UDP node-network.ts. No event of a socket
 * is left without a handler, so a peer cannot end the process; what fails on the way is counted by the caller's
 * functions or reported by the socket's own events.
 *
 * `::` means all addresses of both families: it also takes IPv4 unless this network already holds the port for IPv4,
 * and where the machine has no IPv6 it becomes 0.0.0.0. IPv4 peers of such a socket have plain IPv4 addresses here.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type TcpNetConnectOpts, Socket as TcpSocket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { HeldPorts, isIpv6, literalLookup, plainEndpoint, withoutIpv6 } from './families.js';
import {
  type DatagramEvents,
  type DatagramSocket,
  type Endpoint,
  type Listener,
  listenBacklog,
  type Network,
  type Stream,
  type StreamEvents,
  unsentBytesHigh,
} from './network.js';
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

/** Room for the packets of a busy moment; the kernel gives at most net.core.rmem_max. */
const receiveBufferBytes = 4 * 1024 * 1024;
const sendBufferBytes = 1024 * 1024;

/** Binds a socket; `sendFailed` is called for each datagram that it could not send. */
function openDatagrams(
  at: Endpoint,
  events: DatagramEvents,
  ports: HeldPorts,
  sendFailed: (error: NodeJS.ErrnoException) => void,
): Promise<DatagramSocket> {
  const socket = createSocket({
    type: isIpv6(at.address) ? 'udp6' : 'udp4',
    ipv6Only: ports.mustBeIpv6Only(at),
    lookup: literalLookup,
  });
  const onSent = (error: Error | null): void => {
    if (error !== null) sendFailed(error);
  };
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', failed);
    socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
      socket.off('error', failed);
      socket.on('error', (error) => events.error(error));
      socket.on('message', (bytes, from) => events.datagram(bytes, plainEndpoint(from.address, from.port)));
      enlargeBuffers(socket);
      const local = { address: at.address, port: socket.address().port };
      ports.hold(local);
      const close = closer(socket, () => ports.release(local));
      resolve({
        local,
        send(bytes, to) {
          if (close.isDone()) return;
          // Port 0 can stand in a forged packet; the socket would throw.
          if (to.port === 0) sendFailed(noDestination());
          else socket.send(Buffer.from(bytes), to.port, to.address, onSent);
        },
        close: close.run,
      });
    });
  });
}

/** A socket that talks to one peer; `Network.connectDatagrams` says the rest. */
function connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket {
  const socket = createSocket({ type: isIpv6(to.address) ? 'udp6' : 'udp4', lookup: literalLookup });
  const close = closer(socket, () => {});
  // Deferred, because bind and connect fail within this call, before the caller has the socket.
  const fail = (error: Error): void => {
    process.nextTick(() => {
      if (!close.isDone()) events.error(error);
    });
  };
  socket.on('error', fail);
  socket.on('message', (bytes, from) => events.datagram(bytes, plainEndpoint(from.address, from.port)));
  // literalLookup answers at once, so both calls are done when they return.
  socket.bind({ port: 0, exclusive: true, ...(sourceAddress === undefined ? {} : { address: sourceAddress }) });
  const isBound = tells(() => socket.address());
  if (isBound) socket.connect(to.port, to.address);
  const isConnected = isBound && tells(() => socket.remoteAddress());
  const onSent = (error: Error | null): void => {
    if (error !== null) fail(error);
  };
  return {
    local: isBound ? plainEndpoint(socket.address().address, socket.address().port) : { address: '', port: 0 },
    send(bytes) {
      if (isConnected && !close.isDone()) socket.send(Buffer.from(bytes), onSent);
    },
    close: close.run,
  };
}

/** Closes once; dgram throws when asked twice. */
function closer(socket: UdpSocket, released: () => void): { isDone(): boolean; run(): void } {
  let isDone = false;
  return {
    isDone: () => isDone,
    run() {
      if (isDone) return;
      isDone = true;
      released();
      socket.close();
    },
  };
}

/** Some containers forbid it; the kernel's defaults serve then. */
function enlargeBuffers(socket: UdpSocket): void {
  tells(() => socket.setRecvBufferSize(receiveBufferBytes));
  tells(() => socket.setSendBufferSize(sendBufferBytes));
}

/** Whether the call went well: dgram tells its state by throwing. */
function tells(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}

function noDestination(): NodeJS.ErrnoException {
  return Object.assign(new Error('send EINVAL: port 0'), { code: 'EINVAL', syscall: 'send' });
}
