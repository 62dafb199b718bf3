/**
 * System calls that Node.js lacks; the only user of koffi. Calls return their result or the negative errno, and take
 * addresses as numbers, so a call makes no garbage. message-batch.ts lays out the memory at these addresses.
 */
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

type Koffi = typeof koffiModule;

/** The same on x64 and arm64, with glibc and musl; test/os/headers.test.ts asks their headers. */
export const linux = {
  familyUnix: 1,
  familyIpv4: 2,
  familyIpv6: 10,
  familyNetlink: 16,
  netlinkRoute: 0,
  netlinkSocketDiagnosis: 4,
  raw: 3,
  stream: 1,
  datagrams: 2,
  socketLevel: 1,
  reuseAddress: 2,
  socketError: 4,
  receiveBuffer: 8,
  sendBuffer: 7,
  reusePort: 15,
  peerCredentials: 17,
  receiveTimeout: 20,
  sendTimeout: 21,
  sendBufferForce: 32,
  receiveBufferForce: 33,
  attachBpf: 50,
  attachReusePortProgram: 51,
  detachReusePortProgram: 68,
  ipLevel: 0,
  ipPacketInfo: 8,
  ipFreeBind: 15,
  ipBindAddressNoPort: 24,
  ipv6Level: 41,
  ipv6Only: 26,
  ipv6ReceivePacketInfo: 49,
  ipv6FreeBind: 78,
  tcpLevel: 6,
  tcpNoDelay: 1,
  tcpQuickAcknowledge: 12,
  dontWait: 0x40,
  waitForOne: 0x10000,
  pollIn: 1,
  epollIn: 1,
  epollOut: 4,
  epollAdd: 1,
  epollDelete: 2,
  epollModify: 3,
} as const;

/** Where a struct epoll_event has its parts, in 32-bit words: only x64 packs it. Events are the first word. */
export const epollLayouts = { x64: { words: 3, dataWord: 1 }, arm64: { words: 4, dataWord: 2 } } as const;
const processor = process.arch === 'arm64' ? 'arm64' : 'x64';
export const epollLayout = epollLayouts[processor];

/** Negative errno values. */
export const errors = {
  noEntry: -2,
  interrupted: -4,
  tryAgain: -11,
  noMemory: -12,
  notPermitted: -13,
  tooManyOfAll: -23,
  tooManyFiles: -24,
  badArgument: -22,
  notConnected: -107,
  noBuffers: -105,
  isConnected: -106,
  refused: -111,
  already: -114,
  inProgress: -115,
} as const;

/** `linux.datagrams` or `linux.stream`. */
export type SocketType = 1 | 2;

export interface SystemCalls {
  /** For datagrams or for listening, closed on exec. */
  socket(family: number, type: SocketType): number;
  bind(fd: number, address: Uint8Array): number;
  socketName(fd: number, address: Uint8Array): number;
  /** `value` is 32-bit or 64-bit words. */
  setOption(fd: number, level: number, option: number, value: Int32Array | BigInt64Array): number;
  option(fd: number, level: number, option: number, value: Int32Array): number;
  /** Attaches a classic BPF program to the socket's reuseport group. */
  attachProgram(fd: number, instructions: Uint8Array): number;
  detachProgram(fd: number): number;
  listen(fd: number, backlog: number): number;
  /** A stream socket to connect or, for unix sockets, to listen; non-blocking as those that it accepts. */
  streamSocket(family: number): number;
  /** To ask the kernel over netlink, of this protocol (`linux.netlink…`). */
  netlinkSocket(protocol: number): number;
  /** One message; what does not fit into `bytes` is lost. */
  sendBytes(fd: number, bytes: Uint8Array): number;
  receiveBytes(fd: number, bytes: Uint8Array): number;
  /** Reads as `read`, without waiting, and leaves the bytes with the socket. */
  peek(fd: number, at: number, bytes: number): number;
  connect(fd: number, address: Uint8Array): number;
  /** Writes the peer's address where there is room for it. */
  accept(fd: number, peer?: Uint8Array): number;
  sendDescriptors(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number;
  /** Receives what `sendDescriptors` sent, as far as it fits; appends the copies to `descriptors`. */
  receiveDescriptors(fd: number, bytes: Uint8Array, descriptors: number[]): number;
  /** Ends a blocked receive; queued datagrams can still be received. */
  shutdownReading(fd: number): number;
  shutdownWriting(fd: number): number;
  close(fd: number): number;
  receive(fd: number, headersAt: number, count: number, flags: number): number;
  send(fd: number, headersAt: number, count: number, flags: number): number;
  poll(entriesAt: number, count: number, timeoutMs: number): number;
  eventFd(): number;
  /**
   * Asks the scheduler for slices of so many nanoseconds for this thread (Linux 6.12; others do not mind): a thread that
   * wakes up then comes before one with longer slices.
   */
  setSlice(nanoseconds: bigint): number;
  /** bpf(2); `attributes` is a union bpf_attr, whose last bytes may be missing. */
  bpf(command: number, attributes: DataView): number;
  /** The same in a thread of libuv's pool, for commands that take long or wait for locks of the network. */
  bpfLater(command: number, attributes: DataView): Promise<number>;
  /** The memory that this descriptor shows, for good, or the negative errno: of a BPF map that may be shared. */
  showMemory(fd: number, bytes: number): ArrayBuffer | number;
  /** Copies as much of what this descriptor shows into our memory; 0 or the negative errno. */
  copyMemory(fd: number, to: ArrayBuffer): number;
  epoll(): number;
  /** `event` is one struct epoll_event, as of `epollLayouts`. */
  epollControl(epoll: number, operation: number, fd: number, event: Int32Array): number;
  /** Fills `events` with as many as fit, without waiting; their number. */
  epollReady(epoll: number, events: Int32Array, count: number): number;
  /** Fills it with unpredictable bytes, up to 256. */
  random(words: Uint32Array): number;
  read(fd: number, at: number, bytes: number): number;
  write(fd: number, at: number, bytes: number): number;
  /** Pins the memory for good, because the kernel may write to it. */
  addressOf(memory: ArrayBuffer): number;
  /** Calls `readable` in this thread's event loop while `fd` is readable; the result stops that. */
  watch(fd: number, readable: () => void): () => void;
}

export type SystemCallsOrWhyNot = { readonly calls: SystemCalls } | { readonly calls: null; readonly why: string };

/** `io` is ZEROHOP_IO; with `portable` there are no calls. */
export function chooseSystemCalls(io: string | undefined): SystemCallsOrWhyNot {
  return io === 'portable' ? { calls: null, why: 'ZEROHOP_IO=portable' } : loadSystemCalls();
}

/** Where numbers and layouts are known to be right. Others differ in constants, in byte order or in the size of pointers. */
const knownProcessors = ['x64', 'arm64'];

export function loadSystemCalls(
  { platform, arch }: Pick<NodeJS.Process, 'platform' | 'arch'> = process,
  load: () => Koffi = requireKoffi,
): SystemCallsOrWhyNot {
  if (platform !== 'linux') return { calls: null, why: `${platform} has no recvmmsg` };
  if (!knownProcessors.includes(arch)) return { calls: null, why: `the system calls of ${arch} are untested` };
  try {
    return { calls: bindCalls(load()) };
  } catch (error) {
    return { calls: null, why: `cannot load koffi: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** Ends the process at once with this status; null where that cannot be called. */
export function loadExit(load: () => Koffi = requireKoffi): ((status: number) => void) | null {
  if (process.platform !== 'linux') return null;
  try {
    return load().load(null).func('_exit', 'void', ['int']);
  } catch {
    return null;
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
/** SCM_RIGHTS; the kernel passes this many descriptors at once. */
const rights = 1;
export const descriptorsMax = 253;
const controlHeaderBytes = 16;
/** PROT_READ | PROT_WRITE, MAP_SHARED. */
const readAndWrite = 3;
const sharedMapping = 1;
const peeking = 2;
const noBytes = new Uint8Array(0);
const shutRead = 0;
const shutWrite = 1;

/** sched_setattr, which the C library lacks; everything that is 0 in struct sched_attr is as usual. */
export const schedulerLayout = { bytes: 48, atRuntime: 24, calls: { x64: 314, arm64: 274 } } as const;

/** bpf, which the C library lacks as well. */
export const bpfCalls = { x64: 321, arm64: 280 } as const;

interface Call {
  (...numbers: (number | ArrayBufferView)[]): number;
  async(...numbersAndThen: (number | ArrayBufferView | ((error: unknown, result: number) => void))[]): void;
}

/** Functions of the C library by name; `checked` replaces -1 by the negative errno. */
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
    ...epollCalls(libc),
    ...memoryCalls(libc),
    ...watchedDescriptors(koffi),
  };
}

function socketCalls({ koffi, of, checked }: Libc) {
  const socket = of('int', 'socket', ['int', 'int', 'int']);
  const bind = of('int', 'bind', ['int', 'void*', 'uint']);
  const getsockname = of('int', 'getsockname', ['int', 'void*', 'void*']);
  const setsockopt = of('int', 'setsockopt', ['int', 'int', 'int', 'void*', 'uint']);
  const getsockopt = of('int', 'getsockopt', ['int', 'int', 'int', 'void*', 'void*']);
  const listen = of('int', 'listen', ['int', 'int']);
  const connect = of('int', 'connect', ['int', 'void*', 'uint']);
  const accept4 = of('int', 'accept4', ['int', 'void*', 'void*', 'int']);
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
      // A struct sock_fprog: count, pointer.
      const program = new DataView(new ArrayBuffer(16));
      program.setUint16(0, instructions.length / 8, true);
      program.setBigUint64(8, BigInt(koffi.address(instructions)), true);
      return checked(setsockopt(fd, linux.socketLevel, linux.attachReusePortProgram, program, 16));
    },
    detachProgram: (fd) =>
      checked(setsockopt(fd, linux.socketLevel, linux.detachReusePortProgram, new Int32Array(1), 4)),
    listen: (fd, backlog) => checked(listen(fd, backlog)),
    streamSocket: (family) => checked(socket(family, linux.stream | socketCloseOnExec | streamNonBlocking, 0)),
    netlinkSocket: (protocol) => checked(socket(linux.familyNetlink, linux.raw | socketCloseOnExec, protocol)),
    connect: (fd, address) => checked(connect(fd, address, address.length)),
    accept: (fd, peer = noBytes) =>
      checked(accept4(fd, peer, new Uint32Array([peer.length]), socketCloseOnExec | streamNonBlocking)),
    shutdownReading: (fd) => checked(shutdown(fd, shutRead)),
    shutdownWriting: (fd) => checked(shutdown(fd, shutWrite)),
    close: (fd) => checked(close(fd)),
  } satisfies Partial<SystemCalls>;
}

function messageCalls({ koffi, of, checked }: Libc) {
  const send = of('int64_t', 'send', ['int', 'void*', 'size_t', 'int']);
  const recv = of('int64_t', 'recv', ['int', 'void*', 'size_t', 'int']);
  const sendmsg = of('int64_t', 'sendmsg', ['int', 'void*', 'int']);
  const recvmsg = of('int64_t', 'recvmsg', ['int', 'void*', 'int']);
  /** A struct msghdr over one buffer and a control message; the views keep the memory alive. */
  const messageOf = (bytes: Uint8Array, control: Uint8Array) => {
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
  } satisfies Partial<SystemCalls>;
}

function datagramCalls({ of, checked }: Libc) {
  const recvmmsg = of('int', 'recvmmsg', ['int', 'size_t', 'uint', 'int', 'size_t']);
  const sendmmsg = of('int', 'sendmmsg', ['int', 'size_t', 'uint', 'int']);
  const poll = of('int', 'poll', ['size_t', 'size_t', 'int']);
  const recv = of('int64_t', 'recv', ['int', 'size_t', 'size_t', 'int']);
  return {
    receive: (fd, headersAt, count, flags) => checked(recvmmsg(fd, headersAt, count, flags, 0)),
    send: (fd, headersAt, count, flags) => checked(sendmmsg(fd, headersAt, count, flags)),
    poll: (entriesAt, count, timeoutMs) => checked(poll(entriesAt, count, timeoutMs)),
    peek: (fd, at, bytes) => checked(recv(fd, at, bytes, peeking | linux.dontWait)),
  } satisfies Partial<SystemCalls>;
}

function epollCalls({ of, checked }: Libc) {
  const create = of('int', 'epoll_create1', ['int']);
  const control = of('int', 'epoll_ctl', ['int', 'int', 'int', 'void*']);
  const wait = of('int', 'epoll_wait', ['int', 'void*', 'int', 'int']);
  return {
    epoll: () => checked(create(socketCloseOnExec)),
    epollControl: (epoll, operation, fd, event) => checked(control(epoll, operation, fd, event)),
    epollReady: (epoll, events, count) => checked(wait(epoll, events, count, 0)),
  } satisfies Partial<SystemCalls>;
}

function memoryCalls({ koffi, of, checked }: Libc) {
  const eventfd = of('int', 'eventfd', ['uint', 'int']);
  const read = of('int64_t', 'read', ['int', 'size_t', 'size_t']);
  const write = of('int64_t', 'write', ['int', 'size_t', 'size_t']);
  const getrandom = of('int64_t', 'getrandom', ['void*', 'size_t', 'uint']);
  const mmap = of('int64_t', 'mmap', ['size_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const munmap = of('int', 'munmap', ['size_t', 'size_t']);
  const memmove = of('size_t', 'memmove', ['size_t', 'size_t', 'size_t']);
  const systemCall = of('int64_t', 'syscall', ['int64_t', 'int', 'void*', 'uint']);
  const pinned: ArrayBuffer[] = [];
  return {
    setSlice(nanoseconds) {
      const attributes = new DataView(new ArrayBuffer(schedulerLayout.bytes));
      attributes.setUint32(0, schedulerLayout.bytes, true);
      attributes.setBigUint64(schedulerLayout.atRuntime, nanoseconds, true);
      return checked(systemCall(schedulerLayout.calls[processor], 0, attributes, 0));
    },
    bpf: (command, attributes) => checked(systemCall(bpfCalls[processor], command, attributes, attributes.byteLength)),
    bpfLater: (command, attributes) =>
      new Promise((resolve) => {
        systemCall.async(bpfCalls[processor], command, attributes, attributes.byteLength, (_, result) => {
          // `attributes` must live until here.
          resolve(attributes.byteLength > 0 ? checked(result) : result);
        });
      }),
    showMemory(fd, bytes) {
      const address = mmap(0, bytes, readAndWrite, sharedMapping, fd, 0);
      return address < 0 ? checked(address) : koffi.view(BigInt(address), bytes);
    },
    copyMemory(fd, to) {
      const address = mmap(0, to.byteLength, readAndWrite, sharedMapping, fd, 0);
      if (address < 0) return checked(address);
      memmove(Number(koffi.address(to)), address, to.byteLength);
      return checked(munmap(address, to.byteLength));
    },
    random: (words) => checked(getrandom(words, words.byteLength, 0)),
    eventFd: () => checked(eventfd(0, eventCloseOnExecNonBlocking)),
    read: (fd, at, bytes) => checked(read(fd, at, bytes)),
    write: (fd, at, bytes) => checked(write(fd, at, bytes)),
    addressOf(memory) {
      pinned.push(memory);
      return Number(koffi.address(memory));
    },
  } satisfies Partial<SystemCalls>;
}

function watchedDescriptors(koffi: Koffi) {
  const watched = new Set<{ close(): void }>();
  /** Node.js runs the event loop once more after the last JavaScript; a callback of koffi there would abort. */
  const closeWatched = (): void => watched.forEach((handle) => void handle.close());
  let closesAtExit = false;
  return {
    watch(fd, readable) {
      // koffi would throw an exception at its next event, inside something else.
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
  } satisfies Partial<SystemCalls>;
}

/** Rethrows in a turn of its own, as an uncaught exception. */
function thrownAlone(run: () => void): void {
  try {
    run();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
