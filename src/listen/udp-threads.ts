/**
 * DNS over UDP by answering threads, as the control lane sees it: it opens the sockets, one per thread for each
 * address and port, tells the threads which tables to answer by, and takes from their rings what they cannot answer.
 * That goes to `serve` with an asker that replies on the same socket.
 */

import type { Counters } from '../counters.js';
import type { HashKey } from '../dns/hash.js';
import { copyOf } from '../dns/wire.js';
import { settleMs } from '../limits.js';
import { HeldPorts, withoutIpv6 } from '../os/families.js';
import type { Endpoint } from '../os/network.js';
import type { Groups } from '../os/reuseport-groups.js';
import type { SystemCalls } from '../os/system-calls.js';
import { toEach } from '../scheduling/each.js';
import type { Asker } from './asker.js';
import { HandOver } from './deferred.js';
import type { WantedListener } from './listeners.js';
import { type EntryKind, kindRefresh, type RingReader } from './ring.js';
import type { SampleReader } from './samples.js';
import { type Peer, Replies } from './send-batch.js';
import { AnsweringThread, type ThreadDeps } from './thread.js';
import { ThreadAsker } from './thread-asker.js';
import type { UdpListener } from './udp-portable.js';
import type { SocketOrder } from './worker-mailbox.js';

export interface UdpThreadsDeps<Shared> extends Omit<ThreadDeps<Shared>, 'wakeFd' | 'died'> {
  readonly calls: SystemCalls;
  readonly threads: number;
  /** Tells clients apart. */
  readonly hashKey: HashKey;
  /** Opens the sockets, and knows who else has their ports. */
  readonly groups: Pick<Groups, 'openDatagrams' | 'joined' | 'inherits' | 'look'>;
  /** A thread has died within whatever it was doing. */
  threadDied(index: number): void;
}

/** What of a wanted listener concerns UDP. */
export type WantedUdp<Table> = Pick<WantedListener<Table>, 'at' | 'table' | 'serve' | 'refresh' | 'refuse'>;

export interface UdpThreads<Table> {
  /** Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  open(wanted: WantedUdp<Table>): Promise<UdpListener>;
  /** Resolves when every thread answers on all sockets that are open now: a thread takes a while to start. */
  answering(): Promise<void>;
  /** Gives the threads the tables that are in force now, and pages as large as the control lane's. */
  update(): void;
  /** What it returns says, when it is asked later, whether every thread works by orders of this moment or newer ones. */
  following(): () => boolean;
  readonly pages: readonly Counters[];
  /** Some of the packets of each thread. */
  readonly samples: readonly SampleReader[];
  /** Closes what is still open and ends the threads. */
  end(): Promise<void>;
}

/** One socket: one thread's part of a listener. */
interface Socket<Table> {
  readonly id: number;
  readonly fd: number;
  readonly hasPacketInfo: boolean;
  readonly listener: Listener<Table>;
}

interface Listener<Table> {
  readonly wanted: WantedUdp<Table>;
  readonly local: Endpoint;
  /** One for each thread, in their order; those of a listener that is inherited may be fewer. */
  readonly sockets: Socket<Table>[];
  inFlight: number;
  /** The orders after which no thread touches the sockets; null while it is open. */
  leavesWith: readonly number[] | null;
  isClosed: boolean;
  /** Its sockets are copies of another process's. */
  readonly isInherited: boolean;
  /** Answers that come later go nowhere. */
  isSilent: boolean;
  readonly whenClosed: (() => void)[];
}

export function newUdpThreads<Table, Shared>(deps: UdpThreadsDeps<Shared>): UdpThreads<Table> {
  const { calls, counters, groups } = deps;
  const wakeFd = calls.eventFd();
  const wakingsAt = calls.addressOf(new ArrayBuffer(8));
  const replies = new Replies(calls, counters);
  const ports = new HeldPorts();
  const listeners = new Set<Listener<Table>>();
  const sockets = new Map<number, Socket<Table>>();
  let nextId = 1;
  let willTake = false;
  let latest: readonly number[] = [];
  const whenAnswering: (() => void)[] = [];

  const threadWorld: ThreadDeps<Shared> = {
    ...deps,
    wakeFd,
    died(index) {
      deps.threadDied(index);
      takeAll();
    },
  };
  const threads = Array.from(
    { length: deps.threads },
    (_, index) => new AnsweringThread<Table, Shared>(threadWorld, index),
  );
  // Before there is anything to serve: a thread needs some time to start, and the rest of the program too.
  for (const thread of threads) thread.order([]);
  const stopWatching = calls.watch(wakeFd, () => {
    calls.read(wakeFd, wakingsAt, 8);
    takeAll();
  });

  const handOver = new HandOver<HandedOver<Table>>({
    ...{ nowMs: deps.clock.nowMs, hashKey: deps.hashKey, read, serve },
    keep: (item) => ({ ...item, packet: copyOf(item.packet, 0, item.packet.length) }),
    refuse({ kind, listener, packet, asker }) {
      if (kind !== kindRefresh) listener.wanted.refuse(packet, asker);
    },
  });
  const rings = threads.map(({ ring }) => ring);

  /** Takes what is in the rings, but gives other events of the loop their turn in between; goes on after an exception, too. */
  function takeAll(): void {
    willTake = false;
    // Known before the rings are looked at: what a thread has handed over until it took its orders is in them.
    const leaving = [...listeners].filter(hasLeft);
    let isAll = false;
    try {
      isAll = handOver.take(rings);
    } finally {
      if (!isAll) takeSoon();
    }
    for (const thread of threads) thread.foldPages();
    if (areAnswering()) for (const resolve of whenAnswering.splice(0)) resolve();
    for (const listener of leaving) if (isAll && (listener.inFlight === 0 || listener.isSilent)) close(listener);
  }

  function takeSoon(): void {
    if (!willTake) setImmediate(takeAll);
    willTake = true;
  }

  function areAnswering(): boolean {
    return haveTaken(latest);
  }

  function haveTaken(numbers: readonly number[]): boolean {
    return threads.every((thread, index) => thread.hasTaken(numbers[index] ?? 0));
  }

  /** Whether it is to be closed, and no thread touches its sockets any more. */
  function hasLeft({ leavesWith }: Listener<Table>): boolean {
    return leavesWith !== null && haveTaken(leavesWith);
  }

  function read(ring: RingReader): HandedOver<Table> | null {
    const socket = sockets.get(ring.socket);
    // The listener was closed without waiting for anybody.
    if (socket === undefined) return null;
    const { kind, packet } = ring;
    const { listener } = socket;
    const peer = { words: ring.peer(), nameBytes: ring.nameBytes, controlBytes: ring.controlBytes };
    if (kind !== kindRefresh) listener.inFlight++;
    return { kind, listener, packet, asker: new ThreadAsker(socket, peer, ring.arrivedMs, settled) };
  }

  function serve({ kind, listener, packet, asker }: HandedOver<Table>): void {
    if (kind === kindRefresh) listener.wanted.refresh(packet, asker);
    else listener.wanted.serve(packet, asker);
  }

  function settled(socket: Socket<Table>, answer: Uint8Array | null, peer: Peer): void {
    const { listener } = socket;
    listener.inFlight--;
    if (answer !== null && !listener.isSilent) replies.add(socket.fd, answer, peer);
    if (listener.leavesWith !== null && listener.inFlight === 0) takeSoon();
  }

  function close(listener: Listener<Table>): void {
    listener.isClosed = true;
    listeners.delete(listener);
    replies.flush();
    for (const { id, fd } of listener.sockets) {
      sockets.delete(id);
      calls.close(fd);
    }
    ports.release(listener.local);
    toEach(listener.whenClosed.splice(0), (done) => done());
  }

  /** Gives every thread its sockets of the listeners that are open; returns the orders' numbers. */
  function order(): readonly number[] {
    const open = [...listeners].filter(({ leavesWith }) => leavesWith === null);
    latest = threads.map((thread, index) =>
      thread.order(
        open.flatMap(({ sockets, wanted }) => (index in sockets ? [orderOf(sockets[index], wanted.table())] : [])),
      ),
    );
    return latest;
  }

  function leave(listener: Listener<Table>): void {
    if (listener.leavesWith !== null) return;
    // Set first, so that the orders leave it out.
    listener.leavesWith = [];
    listener.leavesWith = order();
    // Whoever has the original may be alive.
    if (listener.isInherited) return;
    // The thread may be waiting in the kernel; it need not wait for its timeout.
    for (const { fd } of listener.sockets) calls.shutdownReading(fd);
  }

  function openAt(wanted: WantedUdp<Table>, at: Endpoint): UdpListener {
    const listener: Listener<Table> = {
      wanted,
      local: { address: at.address, port: at.port },
      ...{ sockets: [], inFlight: 0, leavesWith: null, isClosed: false },
      ...{ isInherited: false, isSilent: false, whenClosed: [] },
    };
    const ipv6Only = ports.mustBeIpv6Only(at) ? 'yes' : 'no';
    let { local } = listener;
    try {
      for (let thread = 0; thread < threads.length; thread++) {
        const sharedWith = thread > 0 || ports.has(at) ? 'us' : 'nobody';
        const socket = groups.openDatagrams({ at: local, ipv6Only, sharedWith });
        local = socket.local;
        listener.sockets.push({ id: nextId++, fd: socket.fd, hasPacketInfo: socket.hasPacketInfo, listener });
      }
    } catch (error) {
      for (const { fd } of listener.sockets) calls.close(fd);
      throw error;
    }
    const opened: Listener<Table> = Object.assign(listener, { local });
    ports.hold(local);
    const fds = opened.sockets.map(({ fd }) => fd);
    groups.joined('udp', local, fds);
    listeners.add(opened);
    for (const socket of opened.sockets) sockets.set(socket.id, socket);
    order();
    return {
      local,
      drain(done) {
        if (opened.isClosed) return queueMicrotask(done);
        opened.whenClosed.push(done);
        leave(opened);
      },
      close() {
        opened.isSilent = true;
        leave(opened);
      },
    };
  }

  /** Answers what is in copies of another process's sockets, as its own listener there would, and closes them. */
  function inherit(at: Endpoint, fds: readonly number[]): void {
    const own = [...listeners].find(({ local, leavesWith, isInherited }) => {
      return local.address === at.address && local.port === at.port && leavesWith === null && !isInherited;
    });
    for (let from = 0; from < fds.length; from += threads.length) {
      const some = fds.slice(from, from + threads.length);
      if (own === undefined) {
        for (const fd of some) calls.close(fd);
        continue;
      }
      const { hasPacketInfo } = own.sockets[0];
      const copies: Listener<Table> = {
        ...{ wanted: own.wanted, local: own.local, sockets: [], inFlight: 0, leavesWith: null },
        ...{ isClosed: false, isInherited: true, isSilent: false, whenClosed: [() => groups.look()] },
      };
      copies.sockets.push(...some.map((fd) => ({ id: nextId++, fd, hasPacketInfo, listener: copies })));
      for (const socket of copies.sockets) sockets.set(socket.id, socket);
      ports.hold(copies.local);
      listeners.add(copies);
      order();
      deps.clock.after(settleMs, () => leave(copies));
    }
  }

  groups.inherits(inherit);
  return {
    open: (wanted) => withoutIpv6(wanted.at, async (at) => openAt(wanted, at)),
    answering: () =>
      areAnswering() ? Promise.resolve() : new Promise<void>((resolve) => void whenAnswering.push(resolve)),
    update: () => void order(),
    following() {
      const numbers = latest;
      return () => haveTaken(numbers);
    },
    samples: threads.map(({ samples }) => samples),
    get pages() {
      return threads.flatMap((thread) => thread.pages);
    },
    async end() {
      toEach(listeners, leave);
      await Promise.all(threads.map((thread) => new Promise<void>((resolve) => thread.end(resolve))));
      takeAll();
      toEach(listeners, close);
      stopWatching();
      calls.close(wakeFd);
    },
  };
}

function orderOf<Table>({ id, fd, hasPacketInfo }: Socket<Table>, table: Table): SocketOrder<Table> {
  return { id, fd, hasPacketInfo, table };
}

/** A packet from a ring. */
interface HandedOver<Table> {
  readonly kind: EntryKind;
  readonly listener: Listener<Table>;
  readonly packet: Uint8Array;
  readonly asker: Asker;
}
