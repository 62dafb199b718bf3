/**
 * Opening a UDP socket for an answering thread, with all its options. It shares its port with the sockets of other
 * threads and instances, may be bound before the address is on a link, and wakes from a blocked receive now and then.
 */
import { getSystemErrorName } from 'node:util';
import { receiveBufferBytes, receiveTimeoutMs, sendBufferBytes, sendTimeoutMs } from '../limits.js';
import { isIpv6 } from '../outside/families.js';
import type { Endpoint } from '../outside/network.js';
import { decodeSocketAddress, encodeSocketAddress, socketAddressBytes } from './socket-address.js';
import { linux, type SystemCalls } from './system-calls.js';

export interface AnsweringSocket {
  readonly fd: number;
  /** The port is the real one when 0 was asked for. */
  readonly local: Endpoint;
  /** Bound to all addresses: each datagram tells which of ours it came to. */
  readonly hasPacketInfo: boolean;
}

export interface SocketWish {
  readonly at: Endpoint;
  /** `::` without IPv4, because another socket has the port there. */
  readonly ipv6Only: 'yes' | 'no';
}

/** Binds the socket. Throws the system's error (EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT). */
export function openSocket(calls: SystemCalls, { at, ipv6Only }: SocketWish): AnsweringSocket {
  const ipv6 = isIpv6(at.address);
  const fd = must('socket', calls.socket(ipv6 ? linux.familyIpv6 : linux.familyIpv4));
  try {
    const hasPacketInfo = at.address === '::' || at.address === '0.0.0.0';
    setOptions(calls, fd, ipv6 ? { ipv6Only, hasPacketInfo } : { hasPacketInfo });
    must('bind', calls.bind(fd, encodeSocketAddress(at)));
    const name = new Uint8Array(socketAddressBytes);
    must('getsockname', calls.socketName(fd, name));
    return { fd, local: { address: at.address, port: decodeSocketAddress(name).port }, hasPacketInfo };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

function setOptions(
  calls: SystemCalls,
  fd: number,
  options: { readonly ipv6Only?: SocketWish['ipv6Only']; readonly hasPacketInfo: boolean },
): void {
  const set = (level: number, option: number, value: number): number =>
    calls.setOption(fd, level, option, new Int32Array([value]));
  must('setsockopt SO_REUSEPORT', set(linux.socketLevel, linux.reusePort, 1));
  // What is beyond net.core.rmem_max takes a capability; without it the kernel gives what it allows.
  if (set(linux.socketLevel, linux.receiveBufferForce, receiveBufferBytes) < 0) {
    set(linux.socketLevel, linux.receiveBuffer, receiveBufferBytes);
  }
  if (set(linux.socketLevel, linux.sendBufferForce, sendBufferBytes) < 0) {
    set(linux.socketLevel, linux.sendBuffer, sendBufferBytes);
  }
  setTimeoutOption(calls, fd, linux.receiveTimeout, receiveTimeoutMs);
  setTimeoutOption(calls, fd, linux.sendTimeout, sendTimeoutMs);
  // Old kernels and sandboxes may not know it; then the address must be there.
  if (options.ipv6Only === undefined) set(linux.ipLevel, linux.ipFreeBind, 1);
  else {
    set(linux.ipv6Level, linux.ipv6FreeBind, 1);
    must('setsockopt IPV6_V6ONLY', set(linux.ipv6Level, linux.ipv6Only, options.ipv6Only === 'yes' ? 1 : 0));
  }
  if (!options.hasPacketInfo) return;
  if (options.ipv6Only === undefined) must('setsockopt IP_PKTINFO', set(linux.ipLevel, linux.ipPacketInfo, 1));
  else must('setsockopt IPV6_RECVPKTINFO', set(linux.ipv6Level, linux.ipv6ReceivePacketInfo, 1));
}

/** A struct timeval. */
function setTimeoutOption(calls: SystemCalls, fd: number, option: number, ms: number): void {
  const value = new BigInt64Array([BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1000)]);
  must('setsockopt timeout', calls.setOption(fd, linux.socketLevel, option, value));
}

/** The result, or the error as Node.js would throw it. */
function must(call: string, result: number): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  throw Object.assign(new Error(`${call} ${code}`), { code, errno: result, syscall: call.split(' ')[0] });
}
