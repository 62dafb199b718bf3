/**
 * The system calls that Node.js has no door for, and the only user of koffi: sockets with options that Node.js does
 * not set, many datagrams in one call, and an eventfd to wake the control lane. Calls give their
 * result or the negative errno, and take numbers for addresses, so that a call makes no garbage. What is laid out
 * where those addresses point is message-batch.ts's business.
 */
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

type Koffi = typeof koffiModule;

/** Numbers of Linux, the same on x64 and arm64. */
export const linux = {
  familyUnix: 1,
  familyIpv4: 2,
  familyIpv6: 10,
  familyNetlink: 16,
  netlinkSocketDiagnosis: 4,
  raw: 3,
  stream: 1,
  datagrams: 2,
  socketLevel: 1,
  reuseAddress: 2,
  receiveBuffer: 8,
  sendBuffer: 7,
  reusePort: 15,
  peerCredentials: 17,
  receiveTimeout: 20,
  sendTimeout: 21,
  sendBufferForce: 32,
  receiveBufferForce: 33,
  attachReusePortProgram: 51,
  detachReusePortProgram: 68,
  ipLevel: 0,
  ipPacketInfo: 8,
  ipFreeBind: 15,
  ipv6Level: 41,
  ipv6Only: 26,
  ipv6ReceivePacketInfo: 49,
  ipv6FreeBind: 78,
  tcpLevel: 6,
  tcpQuickAcknowledge: 12,
  /** MSG_DONTWAIT, MSG_WAITFORONE. */
  dontWait: 0x40,
  waitForOne: 0x10000,
  pollIn: 1,
} as const;

/** Errno values, as the calls below give them, negative. */
export const errors = {
  noEntry: -2,
  interrupted: -4,
  tryAgain: -11,
  noMemory: -12,
  notPermitted: -13,
  badArgument: -22,
  notConnected: -107,
  noBuffers: -105,
  refused: -111,
} as const;

/** `linux.datagrams` or `linux.stream`. */
export type SocketType = 1 | 2;

export interface SystemCalls {
  /** A socket for datagrams or for listening to streams, closed on exec. */
  socket(family: number, type: SocketType): number;
  bind(fd: number, address: Uint8Array): number;
  /** The bound address is written to `address`. */
  socketName(fd: number, address: Uint8Array): number;
  /** An option whose value is so many 32-bit or 64-bit words. */
  setOption(fd: number, level: number, option: number, value: Int32Array | BigInt64Array): number;
  /** Reads an option of so many 32-bit words. */
  option(fd: number, level: number, option: number, value: Int32Array): number;
  /** Gives the group of sockets that this one shares its port with a classic BPF program, or takes it away. */
  attachProgram(fd: number, instructions: Uint8Array): number;
  detachProgram(fd: number): number;
  listen(fd: number, backlog: number): number;
  /** A unix socket for streams. It does not block, nor do those that are accepted. */
  localSocket(): number;
  /** A netlink socket for NETLINK_SOCK_DIAG. */
  diagnosisSocket(): number;
  /** Sends one message; receives the next one that is there, as far as there is room in `bytes`. */
  sendBytes(fd: number, bytes: Uint8Array): number;
  receiveBytes(fd: number, bytes: Uint8Array): number;
  connect(fd: number, address: Uint8Array): number;
  accept(fd: number): number;
  /** Sends bytes with copies of open descriptors over a unix socket. */
  sendDescriptors(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number;
  /** Receives what `sendDescriptors` sent, as far as there is room in `bytes`; the copies are pushed to the list. */
  receiveDescriptors(fd: number, bytes: Uint8Array, descriptors: number[]): number;
  /** Ends a blocked receive; what is queued can still be received. */
  shutdownReading(fd: number): number;
  close(fd: number): number;
  /** recvmmsg and sendmmsg over `count` headers at an address. */
  receive(fd: number, headersAt: number, count: number, flags: number): number;
  send(fd: number, headersAt: number, count: number, flags: number): number;
  /** poll over `count` pollfds at an address. */
  poll(entriesAt: number, count: number, timeoutMs: number): number;
  /** An eventfd that does not block. */
  eventFd(): number;
  read(fd: number, at: number, bytes: number): number;
  write(fd: number, at: number, bytes: number): number;
  /** Where this memory is. From now on it is never freed: the kernel may write there whoever holds it. */
  addressOf(memory: ArrayBuffer): number;
  /** Calls `readable` on this thread's event loop whenever there is something to read; the result ends that. */
  watch(fd: number, readable: () => void): () => void;
}

export type SystemCallsOrWhyNot = { readonly calls: SystemCalls } | { readonly calls: null; readonly why: string };

/** The calls, or why there are none: also because `io`, the environment's ZEROHOP_IO, is `portable`. */
export function chooseSystemCalls(io: string | undefined): SystemCallsOrWhyNot {
  return io === 'portable' ? { calls: null, why: 'ZEROHOP_IO=portable' } : loadSystemCalls();
}

/** The calls, or in a few words why there are none on this machine. */
export function loadSystemCalls(
  platform: string = process.platform,
  load: () => Koffi = requireKoffi,
): SystemCallsOrWhyNot {
  if (platform !== 'linux') return { calls: null, why: `${platform} has no recvmmsg` };
  try {
    return { calls: bindCalls(load()) };
  } catch (error) {
    return { calls: null, why: `cannot load koffi: ${(error as Error).message.split('\n')[0]}` };
  }
}

function requireKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi');
}

const socketCloseOnExec = 0o2000000;
const eventCloseOnExecNonBlocking = 0o2000000 | 0o4000;
const streamNonBlocking = 0o4000;
const closeOnExecReceived = 0x4000_0000;
const noSignal = 0x4000;
/** SCM_RIGHTS: as many as the kernel passes at once. */
const rights = 1;
export const descriptorsMax = 253;
const controlHeaderBytes = 16;
const shutRead = 0;

type Call = (...numbers: (number | ArrayBufferView)[]) => number;

/** The C library: its functions by name, and their results with the errno in place of -1. */
interface Libc {
  readonly koffi: Koffi;
  of(result: string, name: string, parameters: string[]): Call;
  checked(result: number): number;
}

function bindCalls(koffi: Koffi): SystemCalls {
  const library = koffi.load(null);
  const libc: Libc = {
    koffi,
    of: (result, name, parameters) => library.func(name, result, parameters),
    checked: (result) => (result < 0 ? -koffi.errno() : result),
  };
  return {
    ...socketCalls(libc),
    ...messageCalls(libc),
    ...datagramCalls(libc),
    ...memoryCalls(libc),
    ...watching(koffi),
  };
}

/** Sockets: made, set up, and closed. */
function socketCalls({
  koffi,
  of,
  checked,
}: Libc): Pick<
  SystemCalls,
  | 'socket'
  | 'bind'
  | 'socketName'
  | 'setOption'
  | 'option'
  | 'attachProgram'
  | 'detachProgram'
  | 'listen'
  | 'localSocket'
  | 'diagnosisSocket'
  | 'connect'
  | 'accept'
  | 'shutdownReading'
  | 'close'
> {
  const socket = of('int', 'socket', ['int', 'int', 'int']);
  const bind = of('int', 'bind', ['int', 'void*', 'uint']);
  const getsockname = of('int', 'getsockname', ['int', 'void*', 'void*']);
  const setsockopt = of('int', 'setsockopt', ['int', 'int', 'int', 'void*', 'uint']);
  const getsockopt = of('int', 'getsockopt', ['int', 'int', 'int', 'void*', 'void*']);
  const listen = of('int', 'listen', ['int', 'int']);
  const connect = of('int', 'connect', ['int', 'void*', 'uint']);
  const accept4 = of('int', 'accept4', ['int', 'size_t', 'size_t', 'int']);
  const shutdown = of('int', 'shutdown', ['int', 'int']);
  const close = of('int', 'close', ['int']);
  return {
    socket: (family, type) => checked(socket(family, type | socketCloseOnExec, 0)),
    bind: (fd, address) => checked(bind(fd, address, address.length)),
    socketName: (fd, address) => checked(getsockname(fd, address, new Uint32Array([address.length]))),
    setOption: (fd, level, option, value) => checked(setsockopt(fd, level, option, value, value.byteLength)),
    option: (fd, level, option, value) =>
      checked(getsockopt(fd, level, option, value, new Uint32Array([value.byteLength]))),
    attachProgram(fd, instructions) {
      // A struct sock_fprog: how many, and where.
      const program = new DataView(new ArrayBuffer(16));
      program.setUint16(0, instructions.length / 8, true);
      program.setBigUint64(8, BigInt(koffi.address(instructions)), true);
      return checked(setsockopt(fd, linux.socketLevel, linux.attachReusePortProgram, program, 16));
    },
    detachProgram: (fd) =>
      checked(setsockopt(fd, linux.socketLevel, linux.detachReusePortProgram, new Int32Array(1), 4)),
    listen: (fd, backlog) => checked(listen(fd, backlog)),
    localSocket: () => checked(socket(linux.familyUnix, linux.stream | socketCloseOnExec | streamNonBlocking, 0)),
    diagnosisSocket: () =>
      checked(socket(linux.familyNetlink, linux.raw | socketCloseOnExec, linux.netlinkSocketDiagnosis)),
    connect: (fd, address) => checked(connect(fd, address, address.length)),
    accept: (fd) => checked(accept4(fd, 0, 0, socketCloseOnExec | streamNonBlocking)),
    shutdownReading: (fd) => checked(shutdown(fd, shutRead)),
    close: (fd) => checked(close(fd)),
  };
}

/** One message, with descriptors or without. */
function messageCalls({
  koffi,
  of,
  checked,
}: Libc): Pick<SystemCalls, 'sendBytes' | 'receiveBytes' | 'sendDescriptors' | 'receiveDescriptors'> {
  const send = of('int64_t', 'send', ['int', 'void*', 'size_t', 'int']);
  const recv = of('int64_t', 'recv', ['int', 'void*', 'size_t', 'int']);
  const sendmsg = of('int64_t', 'sendmsg', ['int', 'void*', 'int']);
  const recvmsg = of('int64_t', 'recvmsg', ['int', 'void*', 'int']);
  /** A struct msghdr over one piece of memory and a control message; the views keep what it points to. */
  const messageOf = (
    bytes: Uint8Array,
    control: Uint8Array,
  ): { readonly header: DataView; readonly vector: DataView } => {
    const header = new DataView(new ArrayBuffer(56));
    const vector = new DataView(new ArrayBuffer(16));
    vector.setBigUint64(0, BigInt(koffi.address(bytes)), true);
    vector.setBigUint64(8, BigInt(bytes.length), true);
    header.setBigUint64(16, BigInt(koffi.address(vector)), true);
    header.setBigUint64(24, 1n, true);
    header.setBigUint64(32, BigInt(koffi.address(control)), true);
    header.setBigUint64(40, BigInt(control.length), true);
    return { header, vector };
  };
  return {
    sendBytes: (fd, bytes) => checked(send(fd, bytes, bytes.length, noSignal | linux.dontWait)),
    receiveBytes: (fd, bytes) => checked(recv(fd, bytes, bytes.length, linux.dontWait)),
    sendDescriptors(fd, bytes, descriptors) {
      const control = new DataView(new ArrayBuffer(controlHeaderBytes + ((descriptors.length * 4 + 7) & ~7)));
      control.setBigUint64(0, BigInt(controlHeaderBytes + descriptors.length * 4), true);
      control.setInt32(8, linux.socketLevel, true);
      control.setInt32(12, rights, true);
      for (const [index, each] of descriptors.entries()) control.setInt32(controlHeaderBytes + 4 * index, each, true);
      const { header, vector } = messageOf(bytes, new Uint8Array(control.buffer));
      if (descriptors.length === 0) header.setBigUint64(40, 0n, true);
      const sent = sendmsg(fd, header, noSignal | linux.dontWait);
      return vector.byteLength > 0 && sent >= 0 ? sent : -koffi.errno();
    },
    receiveDescriptors(fd, bytes, descriptors) {
      const control = new DataView(new ArrayBuffer(controlHeaderBytes + descriptorsMax * 4 + 4));
      const { header, vector } = messageOf(bytes, new Uint8Array(control.buffer));
      const received = recvmsg(fd, header, closeOnExecReceived | linux.dontWait);
      if (received < 0 || vector.byteLength === 0) return -koffi.errno();
      const isRights = control.getInt32(8, true) === linux.socketLevel && control.getInt32(12, true) === rights;
      const end = header.getBigUint64(40, true) < 16n || !isRights ? 0 : Number(control.getBigUint64(0, true));
      for (let at = controlHeaderBytes; at + 4 <= end; at += 4) descriptors.push(control.getInt32(at, true));
      return received;
    },
  };
}

/** Many datagrams at once, and waiting for them. */
function datagramCalls({ koffi, of, checked }: Libc): Pick<SystemCalls, 'receive' | 'send' | 'poll'> {
  const recvmmsg = of('int', 'recvmmsg', ['int', 'size_t', 'uint', 'int', 'size_t']);
  const sendmmsg = of('int', 'sendmmsg', ['int', 'size_t', 'uint', 'int']);
  const poll = of('int', 'poll', ['size_t', 'size_t', 'int']);
  return {
    receive(fd, headersAt, count, flags) {
      const received = recvmmsg(fd, headersAt, count, flags, 0);
      return received < 0 ? -koffi.errno() : received;
    },
    send(fd, headersAt, count, flags) {
      const sent = sendmmsg(fd, headersAt, count, flags);
      return sent < 0 ? -koffi.errno() : sent;
    },
    poll: (entriesAt, count, timeoutMs) => checked(poll(entriesAt, count, timeoutMs)),
  };
}

/** Memory, and words through a descriptor. */
function memoryCalls({ koffi, of, checked }: Libc): Pick<SystemCalls, 'eventFd' | 'read' | 'write' | 'addressOf'> {
  const eventfd = of('int', 'eventfd', ['uint', 'int']);
  const read = of('int64_t', 'read', ['int', 'size_t', 'size_t']);
  const write = of('int64_t', 'write', ['int', 'size_t', 'size_t']);
  const pinned: ArrayBuffer[] = [];
  return {
    eventFd: () => checked(eventfd(0, eventCloseOnExecNonBlocking)),
    read: (fd, at, bytes) => checked(read(fd, at, bytes)),
    write: (fd, at, bytes) => checked(write(fd, at, bytes)),
    addressOf(memory) {
      pinned.push(memory);
      return Number(koffi.address(memory));
    },
  };
}

/** Descriptors that the event loop looks at. */
function watching(koffi: Koffi): Pick<SystemCalls, 'watch'> {
  const watched = new Set<{ close(): void }>();
  /** Node.js runs the event loop once more after the last JavaScript; koffi would call back there, and abort. */
  const closeWatched = (): void => watched.forEach((handle) => void handle.close());
  let closesAtExit = false;
  return {
    watch(fd, readable) {
      // An exception that koffi gets would be thrown at its next event, in the middle of something else.
      const handle = koffi.node.poll(fd, { readable: true }, () => thrownAlone(readable));
      handle.unref();
      watched.add(handle);
      if (!closesAtExit) process.on('exit', closeWatched);
      closesAtExit = true;
      return () => {
        watched.delete(handle);
        handle.close();
      };
    },
  };
}

/** Runs it; what it throws is thrown in a turn of its own, as an exception that nobody has caught. */
function thrownAlone(run: () => void): void {
  try {
    run();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
