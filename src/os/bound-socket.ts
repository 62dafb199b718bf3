/**
 * Opens a socket with all its options, for a worker or for Node.js to accept TCP clients on, also before an interface
 * has the address. SO_REUSEPORT would also join sockets of any other program of the same user and take packets from it.
 * So a port not known to be shared is first bound without it, which the kernel refuses while anybody has the port.
 */
import { getSystemErrorName } from 'node:util';
import {
  receiveBufferBytes,
  receiveTimeoutMs,
  sendBufferBytes,
  sendTimeoutMs,
  tcpReceiveBufferBytes,
  tcpSendBufferBytes,
} from '../limits.js';
import { decodeSocketAddress, encodeSocketAddress, isIpv6, isWildcard, socketAddressBytes } from './addresses.js';
import type { Endpoint } from './network.js';
import { linux, type SocketType, type SystemCalls } from './system-calls.js';

export interface WorkerSocket {
  readonly fd: number;
  readonly local: Endpoint;
  /** Bound to all addresses: each datagram carries the one it was sent to. */
  readonly hasPacketInfo: boolean;
}

export interface SocketOptions {
  readonly at: Endpoint;
  /** Keeps `::` from IPv4, because another socket has the port there. */
  readonly ipv6Only: 'yes' | 'no';
  /** `us`: the port is shared with sockets of this process, or of another instance on this node. */
  readonly sharedWith: 'nobody' | 'us';
}

/** Binds a UDP socket. Throws the system's error (EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT). */
export function openSocket(calls: SystemCalls, wish: SocketOptions): WorkerSocket {
  const hasPacketInfo = isWildcard(wish.at.address);
  const fd = bound(calls, wish, linux.datagrams, (options) => {
    setBuffers(options);
    options.wait(linux.receiveTimeout, receiveTimeoutMs);
    options.wait(linux.sendTimeout, sendTimeoutMs);
    if (!hasPacketInfo) return;
    if (isIpv6(wish.at.address)) options.must('IPV6_RECVPKTINFO', linux.ipv6Level, linux.ipv6ReceivePacketInfo, 1);
    else options.must('IP_PKTINFO', linux.ipLevel, linux.ipPacketInfo, 1);
  });
  return { fd, local: { address: wish.at.address, port: boundPort(calls, fd) }, hasPacketInfo };
}

/** Binds a socket to listen on, which does not block; its descriptor. Throws as `openSocket` does. */
export function openStreamSocket(calls: SystemCalls, wish: SocketOptions): number {
  return bound(calls, wish, linux.stream, ({ must, set }) => {
    // Connections in TIME_WAIT must not block the port.
    must('SO_REUSEADDR', linux.socketLevel, linux.reuseAddress, 1);
    // Accepted connections inherit these buffers.
    set(linux.socketLevel, linux.sendBuffer, tcpSendBufferBytes);
    set(linux.socketLevel, linux.receiveBuffer, tcpReceiveBufferBytes);
  });
}

function bound(calls: SystemCalls, wish: SocketOptions, type: SocketType, setMore: (options: Options) => void): number {
  const shared = wish.sharedWith === 'nobody' ? { ...wish, at: freeEndpoint(calls, wish, type) } : wish;
  return boundAt(calls, shared, type, (options) => {
    setMore(options);
    options.must('SO_REUSEPORT', linux.socketLevel, linux.reusePort, 1);
  });
}

function freeEndpoint(calls: SystemCalls, wish: SocketOptions, type: SocketType): Endpoint {
  const fd = boundAt(calls, wish, type, ({ must }) => {
    if (type === linux.stream) must('SO_REUSEADDR', linux.socketLevel, linux.reuseAddress, 1);
  });
  try {
    return { address: wish.at.address, port: boundPort(calls, fd) };
  } finally {
    calls.close(fd);
  }
}

function boundAt(
  calls: SystemCalls,
  wish: SocketOptions,
  type: SocketType,
  setMore: (options: Options) => void,
): number {
  const { at, ipv6Only } = wish;
  const ipv6 = isIpv6(at.address);
  const family = ipv6 ? linux.familyIpv6 : linux.familyIpv4;
  const fd = must('socket', type === linux.stream ? calls.streamSocket(family) : calls.socket(family, type));
  try {
    const options = socketOptionsOf(calls, fd);
    // Old kernels and sandboxes may not know FREEBIND; there the address must exist.
    if (ipv6) {
      options.set(linux.ipv6Level, linux.ipv6FreeBind, 1);
      options.must('IPV6_V6ONLY', linux.ipv6Level, linux.ipv6Only, ipv6Only === 'yes' ? 1 : 0);
    } else options.set(linux.ipLevel, linux.ipFreeBind, 1);
    setMore(options);
    must('bind', calls.bind(fd, encodeSocketAddress(at)));
    return fd;
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

export function boundPort(calls: SystemCalls, fd: number): number {
  const name = new Uint8Array(socketAddressBytes);
  must('getsockname', calls.socketName(fd, name));
  return decodeSocketAddress(name).port;
}

interface Options {
  /** Negative when the kernel does not know the option or refuses it. */
  set(level: number, option: number, value: number): number;
  must(name: string, level: number, option: number, value: number): void;
  wait(option: number, ms: number): void;
}

function socketOptionsOf(calls: SystemCalls, fd: number): Options {
  const set: Options['set'] = (level, option, value) => calls.setOption(fd, level, option, new Int32Array([value]));
  return {
    set,
    must: (name, ...option) => void must(`setsockopt ${name}`, set(...option)),
    wait(option, ms) {
      const value = new BigInt64Array([BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1000)]);
      must('setsockopt timeout', calls.setOption(fd, linux.socketLevel, option, value));
    },
  };
}

/** More than net.core.rmem_max takes a capability; without it the kernel gives what it allows. */
function setBuffers({ set }: Options): void {
  if (set(linux.socketLevel, linux.receiveBufferForce, receiveBufferBytes) < 0) {
    set(linux.socketLevel, linux.receiveBuffer, receiveBufferBytes);
  }
  if (set(linux.socketLevel, linux.sendBufferForce, sendBufferBytes) < 0) {
    set(linux.socketLevel, linux.sendBuffer, sendBufferBytes);
  }
}

export function must(call: string, result: number): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  throw Object.assign(new Error(`${call} ${code}`), { code, errno: result, syscall: call.split(' ')[0] });
}
