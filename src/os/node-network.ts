/**
 * The kernel's sockets through node:net and node:dgram; the only user of both. Every event has a handler, so a peer
 * cannot end the process. `::` means both families, unless this network already holds the port for IPv4; without IPv6
 * it becomes 0.0.0.0. IPv4 peers of such a socket have plain IPv4 addresses.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lstatSync } from 'node:fs';
import {
  connect,
  createServer,
  isIP,
  type Server as NetServer,
  type TcpNetConnectOpts,
  Socket as TcpSocket,
} from 'node:net';
import { networkInterfaces } from 'node:os';
import { receiveBufferBytes, sendBufferBytes } from '../limits.js';
import { HeldPorts, isIpv6, literalLookup, plainEndpoint, withoutIpv6 } from './addresses.js';
import type { SocketOptions } from './bound-socket.js';
import {
  type DatagramEvents,
  type DatagramSocket,
  type Endpoint,
  type Listener,
  type LocalListener,
  listenBacklog,
  type Network,
  type PathSockets,
  type Stream,
  type StreamEvents,
  unsentBytesHigh,
} from './network.js';
import type { Random } from './random.js';
import { SocketFile } from './socket-file.js';
import type { ConnectStream } from './stream-sockets.js';
import { tlsConnector } from './tls.js';

export interface NetworkFailures {
  /** A bound socket could not send a datagram: a full buffer, an unreachable peer. */
  sendFailed(error: NodeJS.ErrnoException): void;
  /** No descriptor was left for a TCP client. */
  acceptFailed(error: NodeJS.ErrnoException): void;
}

/** Replaces Node's own listening; throws the system's error. */
export type ListenStreams = (
  wish: SocketOptions,
  accepted: (stream: Stream) => StreamEvents,
  acceptFailed: NetworkFailures['acceptFailed'],
) => Listener;

/** One buffer for all connections that we open, because their bytes are borrowed. */
const readBufferBytes = 64 * 1024;

/** Replace Node's own. */
interface OwnStreams {
  readonly listenStreams?: ListenStreams | undefined;
  readonly connectStream?: ConnectStream | undefined;
}

/** The machine's network. By default Node.js listens for TCP and connects. */
export function nodeNetwork(failures: NetworkFailures, own: OwnStreams = {}): Network {
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
      withoutIpv6(at, (there) => listenStreams(there, accepted, streamPorts, failures.acceptFailed, own.listenStreams)),
    connectStream(to, events, sourceAddress, tls) {
      if (tls === undefined) {
        // Node.js resolves names.
        const isOwn = own.connectStream !== undefined && isIP(to.address) !== 0;
        if (isOwn) return own.connectStream(to, events, sourceAddress);
        return connectStream(to, events, sourceAddress, readBuffer);
      }
      const socket = connectTls(to, tls, sourceAddress);
      socket.once('secureConnect', () => events.opened?.());
      socket.on('data', (bytes) => events.data(bytes));
      watchSocket(socket, events);
      return new NodeStream(socket, to);
    },
    connectPath(path, events) {
      const socket = connect({ path, allowHalfOpen: true });
      socket.once('connect', () => events.opened?.());
      socket.on('data', (bytes) => events.data(bytes));
      watchSocket(socket, events);
      return new NodeStream(socket, { address: '', port: 0 });
    },
  };
}

export function hostAddresses(): string[] {
  return hostAddressesBeside();
}

/** The addresses of all interfaces but the named ones. */
export function hostAddressesBeside(...names: readonly string[]): string[] {
  const others = Object.entries(networkInterfaces()).filter(([name]) => !names.includes(name));
  return others.flatMap(([, all]) => (all ?? []).map(({ address }) => address));
}

async function listenStreams(
  at: Endpoint,
  accepted: (stream: Stream) => StreamEvents,
  ports: HeldPorts,
  acceptFailed: (error: NodeJS.ErrnoException) => void,
  listenOwn: ListenStreams | undefined,
): Promise<Listener> {
  const ipv6Only = ports.mustBeIpv6Only(at);
  if (listenOwn !== undefined) {
    const wish = { at, ipv6Only: ipv6Only ? 'yes' : 'no', sharedWith: ports.has(at) ? 'us' : 'nobody' } as const;
    const { local, close } = listenOwn(wish, accepted, acceptFailed);
    return held(ports, local, close);
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: unsentBytesHigh }, (socket) => {
    const stream = new NodeStream(socket, plainEndpoint(socket.remoteAddress ?? '', socket.remotePort ?? 0));
    if (socket.remoteAddress === undefined) {
      socket.on('error', acceptFailed);
      socket.destroy();
      return;
    }
    const events = accepted(stream);
    socket.on('data', (bytes) => events.data(bytes));
    watchSocket(socket, events);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.off('error', reject);
      server.on('error', acceptFailed);
      const bound = server.address();
      const local = { address: at.address, port: typeof bound === 'object' && bound !== null ? bound.port : at.port };
      resolve(held(ports, local, () => server.close()));
    };
    const how = { host: at.address, port: at.port, backlog: listenBacklog, exclusive: true, ipv6Only };
    server.listen(how, listening);
  });
}

/** Closed once, however often its owner does. */
function held(ports: HeldPorts, local: Endpoint, close: () => void): Listener {
  ports.hold(local);
  let isOpen = true;
  return {
    local,
    close() {
      if (!isOpen) return;
      isOpen = false;
      ports.release(local);
      close();
    },
  };
}

function connectStream(
  to: Endpoint,
  events: StreamEvents,
  sourceAddress: string | undefined,
  readBuffer: Buffer,
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
        // False would stop reading for good, unlike `pause`.
        return true;
      },
    },
  };
  const socket = connect(options);
  socket.once('connect', () => events.opened?.());
  watchSocket(socket, events);
  return new NodeStream(socket, to);
}

function watchSocket(socket: TcpSocket, events: StreamEvents): void {
  let failure: NodeJS.ErrnoException | undefined;
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('end', () => events.ended());
  socket.on('drain', () => events.drained?.());
  socket.on('close', () => (failure === undefined ? events.closed() : events.closed(failure)));
}

/** Makes a stream of a connected descriptor, which the stream closes; `began` returns the receiver of its events. */
export function adoptStream(fd: number, began: (stream: Stream) => StreamEvents): Stream {
  const socket = new TcpSocket({ fd, readable: true, writable: true, allowHalfOpen: true });
  const stream = new NodeStream(socket, { address: '', port: 0 });
  const events = began(stream);
  socket.on('data', (bytes) => events.data(bytes));
  watchSocket(socket, events);
  return stream;
}

/** Without SO_PEERCRED: the owner and the mode of the socket's file decide. */
export function portablePathSockets(random: Random): PathSockets {
  return {
    listen: (path, accepted) => listenAtPath(new SocketFile(path, random), accepted),
    connect: (path, events) =>
      new Promise((resolve, reject) => {
        const owner = lstatSync(path, { throwIfNoEntry: false })?.uid ?? process.getuid?.();
        if (owner !== process.getuid?.()) throw Object.assign(new Error(`connect EPERM ${path}`), { code: 'EPERM' });
        const socket = connect({ path, allowHalfOpen: true });
        socket.once('error', reject);
        socket.once('connect', () => {
          socket.on('data', (bytes) => events.data(bytes));
          watchSocket(socket, events);
          resolve(new NodeStream(socket, { address: '', port: 0 }));
        });
      }),
  };
}

function listenAtPath(file: SocketFile, accepted: (stream: Stream) => StreamEvents): Promise<LocalListener> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const events = accepted(new NodeStream(socket, { address: '', port: 0 }));
    socket.on('data', (bytes) => events.data(bytes));
    watchSocket(socket, events);
  });
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    file.remove();
    server.close();
  };
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => {
      close();
      reject(error);
    };
    server.once('error', failed);
    server.once('listening', () => {
      try {
        file.put();
      } catch (error) {
        return failed(error);
      }
      server.off('error', failed);
      server.on('error', () => {});
      resolve({ isInPlace: () => isOpen && file.isInPlace(), close });
    });
    file.makeFolder();
    bindForOwner(server, file);
  });
}

/** Node.js binds before `listen` returns, so that nobody else can connect before the mode is set. */
function bindForOwner(server: NetServer, file: SocketFile): void {
  const mask = process.umask(0o177);
  try {
    server.listen({ path: file.first, exclusive: true });
  } finally {
    process.umask(mask);
  }
}

class NodeStream implements Stream {
  readonly remote: Endpoint;
  readonly #socket: TcpSocket;

  constructor(socket: TcpSocket, remote: Endpoint) {
    this.#socket = socket;
    this.remote = remote;
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
          // A forged packet may have port 0, for which the socket would throw.
          if (to.port === 0) sendFailed(noDestination());
          else socket.send(Buffer.from(bytes), to.port, to.address, onSent);
        },
        close: close.run,
      });
    });
  });
}

function connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket {
  const socket = createSocket({ type: isIpv6(to.address) ? 'udp6' : 'udp4', lookup: literalLookup });
  const close = closer(socket, () => {});
  // Deferred: bind and connect fail before the caller has the socket.
  const fail = (error: Error): void => {
    process.nextTick(() => {
      if (!close.isDone()) events.error(error);
    });
  };
  socket.on('error', fail);
  socket.on('message', (bytes, from) => events.datagram(bytes, plainEndpoint(from.address, from.port)));
  // literalLookup is synchronous, so both calls are done when they return.
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

/** dgram throws on a second close. */
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

/** Some containers forbid this; the kernel's defaults stay then. */
function enlargeBuffers(socket: UdpSocket): void {
  tells(() => socket.setRecvBufferSize(receiveBufferBytes));
  tells(() => socket.setSendBufferSize(sendBufferBytes));
}

/** Whether the call returned: dgram reports its state by throwing. */
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
