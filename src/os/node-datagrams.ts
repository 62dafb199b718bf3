/**
 * UDP sockets through node:dgram, which nothing else in the program uses: those of portable I/O, and those from which
 * upstreams are asked. The half of node-network.ts that knows no streams.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type HeldPorts, isIpv6, literalLookup, plainEndpoint } from './families.js';
import type { DatagramEvents, DatagramSocket, Endpoint } from './network.js';

/** Room for the packets of a busy moment; the kernel gives at most net.core.rmem_max. */
const receiveBufferBytes = 4 * 1024 * 1024;
const sendBufferBytes = 1024 * 1024;

/** Binds a socket; `sendFailed` is called for each datagram that it could not send. */
export function openDatagrams(
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
export function connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket {
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
