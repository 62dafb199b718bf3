/**
 * The sockets that share a port, from sock_diag(7): the kernel selects them in 11 ms among 90,000 (Linux 6.18). The
 * fallback is /proc/net, which is text of all sockets, counted anew for each page: 13 s for as many.
 */
import { encodeSocketAddress, isIpv6 } from './addresses.js';
import type { Endpoint } from './network.js';
import { type Protocol, socketsAt } from './proc.js';
import { linux, type SystemCalls } from './system-calls.js';

/** The inodes of all sockets at an endpoint, unordered, for TCP listening ones only; undefined when unknown. */
export type SocketsAt = (protocol: Protocol, at: Endpoint) => readonly number[] | undefined;

/** Asks the kernel once for each port. */
export function lookAtSockets(calls: SystemCalls | null, otherwise: SocketsAt = socketsAt): SocketsAt {
  const asked = new Map<string, readonly BoundSocket[] | undefined>();
  return (protocol, at) => {
    if (calls === null) return otherwise(protocol, at);
    const family = isIpv6(at.address) ? linux.familyIpv6 : linux.familyIpv4;
    const key = `${protocol} ${family} ${at.port}`;
    if (!asked.has(key)) asked.set(key, askKernel(calls, { protocol, family, port: at.port }));
    const sockets = asked.get(key);
    if (sockets === undefined) return otherwise(protocol, at);
    const wanted = addressText(at);
    return sockets.filter(({ address }) => address === wanted).map(({ inode }) => inode);
  };
}

interface BoundSocket {
  readonly address: string;
  readonly inode: number;
}

interface Wanted {
  readonly protocol: Protocol;
  readonly family: number;
  readonly port: number;
}

/** A netlink message: length, type, flags, sequence, sender. */
const messageHeaderBytes = 16;
const typeError = 2;
const typeDone = 3;
const typeByFamily = 20;
/** NLM_F_REQUEST, NLM_F_DUMP. */
const flagsDump = 0x301;
/** A struct inet_diag_req_v2 in a message. */
const requestBytes = messageHeaderBytes + 56;
/** What is read of a struct inet_diag_msg. */
const atPort = messageHeaderBytes + 4;
const atAddress = messageHeaderBytes + 8;
const atInode = messageHeaderBytes + 68;
const answerBytes = messageHeaderBytes + 72;
const protocolNumbers = { tcp: 6, udp: 17 } as const;
const diagStateListen = 1 << 10;
/** The most that the kernel gives at once. */
const diagChunkBytes = 32 * 1024;

function askKernel(calls: SystemCalls, wanted: Wanted): BoundSocket[] | undefined {
  const fd = calls.netlinkSocket(linux.netlinkSocketDiagnosis);
  if (fd < 0) return undefined;
  try {
    if (calls.sendBytes(fd, diagRequest(wanted)) < 0) return undefined;
    const sockets: BoundSocket[] = [];
    const chunk = new Uint8Array(diagChunkBytes);
    for (;;) {
      const received = calls.receiveBytes(fd, chunk);
      if (received <= 0) return undefined;
      const end = readMessages(new DataView(chunk.buffer, 0, received), wanted, sockets);
      if (end !== 'more') return end === 'done' ? sockets : undefined;
    }
  } finally {
    calls.close(fd);
  }
}

function diagRequest({ protocol, family, port }: Wanted): Uint8Array {
  const request = new DataView(new ArrayBuffer(requestBytes));
  request.setUint32(0, requestBytes, true);
  request.setUint16(4, typeByFamily, true);
  request.setUint16(6, flagsDump, true);
  request.setUint8(messageHeaderBytes, family);
  request.setUint8(messageHeaderBytes + 1, protocolNumbers[protocol]);
  request.setUint32(messageHeaderBytes + 4, protocol === 'tcp' ? diagStateListen : 0xffff_ffff, true);
  request.setUint16(messageHeaderBytes + 8, port);
  return new Uint8Array(request.buffer);
}

function readMessages(view: DataView, { family, port }: Wanted, to: BoundSocket[]): 'more' | 'done' | 'failed' {
  for (let at = 0; at + messageHeaderBytes <= view.byteLength; ) {
    const length = view.getUint32(at, true);
    const type = view.getUint16(at + 4, true);
    // A list that ends in an error has it in its end message.
    const isOver =
      type === typeDone && (length < messageHeaderBytes + 4 || view.getInt32(at + messageHeaderBytes, true) >= 0);
    if (isOver) return 'done';
    if (type === typeError || type === typeDone || length < messageHeaderBytes || at + length > view.byteLength)
      return 'failed';
    if (type === typeByFamily && length >= answerBytes && view.getUint16(at + atPort) === port) {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + at + atAddress, inetAddressBytes(family));
      to.push({ address: Buffer.from(bytes).toString('hex'), inode: view.getUint32(at + atInode, true) });
    }
    at += (length + 3) & ~3;
  }
  return 'more';
}

function inetAddressBytes(family: number): number {
  return family === linux.familyIpv6 ? 16 : 4;
}

function addressText(at: Endpoint): string {
  const bytes = encodeSocketAddress(at);
  return Buffer.from(isIpv6(at.address) ? bytes.subarray(8, 24) : bytes.subarray(4, 8)).toString('hex');
}
