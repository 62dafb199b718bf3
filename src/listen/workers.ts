/**
 * The main thread's side of the workers, which serve DNS over UDP: it opens the sockets, one per worker and endpoint,
 * orders the workers which tables to answer by, and serves what they defer.
 */
import { type Counters, overUdp } from '../counters.js';
import type { HashKey } from '../dns/hash.js';
import { copyOf } from '../dns/wire.js';
import {
  assert,
  freeQuestionsMax,
  handedOverMax,
  handOverTurnMs,
  lentBatchesPerQuery,
  ringMovedAtOnceMax,
  settleMs,
} from '../limits.js';
import { endpointOf, HeldPorts, withoutIpv6 } from '../os/addresses.js';
import type { WorkerSocket } from '../os/bound-socket.js';
import type { Endpoint } from '../os/network.js';
import type { Groups } from '../os/reuseport-groups.js';
import { toEach } from '../scheduling/each.js';
import { FairQueue } from '../scheduling/fair-queue.js';
import type { Client } from './client.js';
import type { Lending } from './lender.js';
import type { WantedListener } from './listeners.js';
import { type Peer, peerWords, SendBatch } from './message-batch.js';
import { clientNumber, type EntryKind, kindAnswer, kindRefresh, type RingReader } from './ring.js';
import type { SampleReader } from './samples.js';
import type { TraceReader } from './traces.js';
import type { UdpListener } from './udp-portable.js';
import { type SocketOrder, UdpWorker, type WorkerDeps } from './worker.js';

interface WorkersDeps<Shared> extends Omit<WorkerDeps<Shared>, 'wakeFd' | 'died'> {
  readonly threads: number;
  readonly hashKey: HashKey;
  readonly groups: Pick<Groups, 'openDatagrams' | 'joined' | 'inherits' | 'look'>;
  threadDied(index: number): void;
}

type WantedUdp<Table> = Pick<WantedListener<Table>, 'at' | 'table' | 'serve' | 'refresh' | 'refuse' | 'keep'>;

interface Socket<Table> extends Omit<SocketOrder<Table>, 'table'> {
  readonly listener: WorkerListener<Table>;
}

class WorkerListener<Table> {
  /** One per worker, in their order; an inherited listener may have fewer. */
  readonly sockets: Socket<Table>[] = [];
  inFlight = 0;
  /** The orders after which no worker touches the sockets; null while the listener is open. */
  leavesWith: readonly number[] | null = null;
  isClosed = false;
  /** Later answers are dropped. */
  isSilent = false;
  readonly whenClosed: (() => void)[] = [];

  /** An inherited listener has copies of another process's sockets. */
  constructor(
    readonly wanted: WantedUdp<Table>,
    readonly local: Endpoint,
    readonly origin: 'opened' | 'inherited',
  ) {}
}

export class Workers<Table, Shared> {
  readonly samples: readonly SampleReader[];
  readonly traces: readonly TraceReader[];
  readonly #deps: WorkersDeps<Shared>;
  readonly #workers: readonly UdpWorker<Table, Shared>[];
  readonly #rings: readonly RingReader[];
  readonly #replies: SendBatch;
  readonly #deferred: DeferredQueue<Deferred<Table>>;
  /** The item read last, overwritten by the next one. */
  readonly #item: Deferred<Table> = { kind: kindRefresh, listener: null!, packet: null!, client: null! };
  readonly #freeClients: WorkerClient<Table>[] = [];
  readonly #ports = new HeldPorts();
  readonly #listeners = new Set<WorkerListener<Table>>();
  readonly #sockets = new Map<number, Socket<Table>>();
  readonly #wakeFd: number;
  readonly #stopWatching: () => void;
  readonly #whenAnswering: (() => void)[] = [];
  #nextId = 1;
  #willTake = false;
  #whenOpened: (fd: number) => void = () => {};
  #latest: readonly number[] = [];

  constructor(deps: WorkersDeps<Shared>) {
    const { calls, counters, groups } = deps;
    this.#deps = deps;
    this.#wakeFd = calls.eventFd();
    const wakingsAt = calls.addressOf(new ArrayBuffer(8));
    this.#replies = new SendBatch(calls, counters);
    this.#deferred = this.#newDeferredQueue();
    this.#workers = this.#newWorkers();
    this.#rings = this.#workers.map(({ ring }) => ring);
    this.samples = this.#workers.map(({ samples }) => samples);
    this.traces = this.#workers.map(({ traces }) => traces);
    // Early, because a worker takes a while to start.
    for (const worker of this.#workers) worker.order([]);
    this.#stopWatching = calls.watch(this.#wakeFd, () => {
      calls.read(this.#wakeFd, wakingsAt, 8);
      this.#takeAll();
    });
    groups.inherits((at, fds) => this.#inherit(at, fds));
  }

  get pages(): readonly Counters[] {
    return this.#workers.flatMap((worker) => worker.pages);
  }

  /** Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  open(wanted: WantedUdp<Table>): Promise<UdpListener> {
    return withoutIpv6(wanted.at, async (at) => this.#openAt(wanted, at));
  }

  /** Calls `met` with the descriptor of each socket that is open, and of those that will be. */
  eachSocket(met: (fd: number) => void): void {
    for (const { fd } of this.#sockets.values()) met(fd);
    this.#whenOpened = met;
  }

  /** Our address of the socket with this id; null once it is closed. */
  localOf(socket: number): Endpoint | null {
    return this.#sockets.get(socket)?.listener.local ?? null;
  }

  /** Resolves when every worker serves all sockets that are open now. */
  answering(): Promise<void> {
    if (this.#haveTaken(this.#latest)) return Promise.resolve();
    return new Promise<void>((resolve) => void this.#whenAnswering.push(resolve));
  }

  /** Serves what workers have deferred, and caches their answers, as far as one turn allows: the tables change next. */
  settle(): void {
    this.#takeAll();
  }

  /** Orders the workers to use the current tables, and pages as large as the main thread's. */
  update(): void {
    this.#order();
  }

  /** The result tells whether every worker follows the orders of this moment or newer ones. */
  following(): () => boolean {
    const numbers = this.#latest;
    return () => this.#haveTaken(numbers);
  }

  async end(): Promise<void> {
    toEach(this.#listeners, (listener) => this.#leave(listener));
    await Promise.all(this.#workers.map((worker) => new Promise<void>((resolve) => worker.end(resolve))));
    for (const { lender } of this.#workers) lender.close();
    this.#takeAll();
    toEach(this.#listeners, (listener) => this.#close(listener));
    this.#stopWatching();
    this.#deps.calls.close(this.#wakeFd);
  }

  #newWorkers(): readonly UdpWorker<Table, Shared>[] {
    const workerDeps: WorkerDeps<Shared> = {
      ...this.#deps,
      wakeFd: this.#wakeFd,
      died: (index) => {
        this.#deps.threadDied(index);
        this.#takeAll();
      },
    };
    const indexes = Array.from({ length: this.#deps.threads }, (_, index) => index);
    return indexes.map((index) => new UdpWorker<Table, Shared>(workerDeps, index));
  }

  #newDeferredQueue(): DeferredQueue<Deferred<Table>> {
    return new DeferredQueue({
      nowMs: this.#deps.clock.nowMs,
      hashKey: this.#deps.hashKey,
      read: (ring) => this.#read(ring),
      keep: ({ kind, listener, packet, client }) => {
        return { kind, listener, packet: copyOf(packet, 0, packet.length), client };
      },
      serve({ kind, listener, packet, client }) {
        if (kind === kindRefresh) listener.wanted.refresh(packet, client);
        else listener.wanted.serve(packet, client);
      },
      refuse({ kind, listener, packet, client }) {
        if (kind !== kindRefresh) listener.wanted.refuse(packet, client);
      },
    });
  }

  /** Serves what is in the rings for one turn of the event loop; continues in the next one, also after an exception. */
  #takeAll(): void {
    this.#willTake = false;
    // Read before the rings: all that a worker deferred before it took its orders is in them.
    const leaving = [...this.#listeners].filter((listener) => this.#hasLeft(listener));
    let isAll = false;
    try {
      isAll = this.#deferred.take(this.#rings);
    } finally {
      if (!isAll) this.#takeSoon();
    }
    for (const worker of this.#workers) {
      worker.foldPages();
      // After the rings, which has told the workers to wake this thread again.
      worker.lender.take();
    }
    if (this.#haveTaken(this.#latest)) for (const resolve of this.#whenAnswering.splice(0)) resolve();
    for (const listener of leaving) if (isAll && (listener.inFlight === 0 || listener.isSilent)) this.#close(listener);
  }

  #takeSoon(): void {
    if (!this.#willTake) setImmediate(() => this.#takeAll());
    this.#willTake = true;
  }

  #haveTaken(numbers: readonly number[]): boolean {
    return this.#workers.every((worker, index) => worker.hasTaken(numbers[index] ?? 0));
  }

  #hasLeft({ leavesWith }: WorkerListener<Table>): boolean {
    return leavesWith !== null && this.#haveTaken(leavesWith);
  }

  #read(ring: RingReader): Deferred<Table> | null {
    const socket = this.#sockets.get(ring.socket);
    if (socket === undefined) return null;
    const { kind, packet } = ring;
    const { listener } = socket;
    if (kind === kindAnswer) {
      // After a reload an answer may belong to what is gone.
      if (ring.orders === this.#latest[this.#rings.indexOf(ring)]) listener.wanted.keep(packet, ring.arrivedMs);
      return null;
    }
    const client = this.#freeClients.pop() ?? new WorkerClient<Table>(this.#clients);
    client.begin(socket, ring);
    if (kind !== kindRefresh) listener.inFlight++;
    this.#item.kind = kind;
    this.#item.listener = listener;
    this.#item.packet = packet;
    this.#item.client = client;
    return this.#item;
  }

  readonly #clients: WorkerClientOwner<Table> = {
    answered: (answer, client) => {
      const { fd, listener } = client.socket;
      listener.inFlight--;
      if (answer !== null && !listener.isSilent) this.#replies.add(fd, answer, client);
      if (listener.leavesWith !== null && listener.inFlight === 0) this.#takeSoon();
    },
    freed: (client) => {
      if (this.#freeClients.length < freeQuestionsMax) this.#freeClients.push(client);
    },
  };

  #close(listener: WorkerListener<Table>): void {
    listener.isClosed = true;
    this.#listeners.delete(listener);
    this.#replies.flush();
    for (const { id, fd } of listener.sockets) {
      this.#sockets.delete(id);
      this.#deps.calls.close(fd);
    }
    this.#ports.release(listener.local);
    toEach(listener.whenClosed.splice(0), (done) => done());
  }

  /** Orders every worker to serve its sockets of the open listeners; the numbers of the orders. */
  #order(): readonly number[] {
    const open = [...this.#listeners].filter(({ leavesWith }) => leavesWith === null);
    this.#latest = this.#workers.map((worker, index) => {
      const ours = open.flatMap(({ sockets }) => sockets.slice(index, index + 1));
      return worker.order(
        ours.map(({ id, fd, hasPacketInfo, listener }) => ({ id, fd, hasPacketInfo, table: listener.wanted.table() })),
      );
    });
    return this.#latest;
  }

  #leave(listener: WorkerListener<Table>): void {
    if (listener.leavesWith !== null) return;
    // Set first, so that the orders omit it.
    listener.leavesWith = [];
    listener.leavesWith = this.#order();
    // The process that owns the originals may be alive.
    if (listener.origin === 'inherited') return;
    for (const { fd } of listener.sockets) this.#deps.calls.shutdownReading(fd);
  }

  #openAt(wanted: WantedUdp<Table>, at: Endpoint): UdpListener {
    const ipv6Only = this.#ports.mustBeIpv6Only(at) ? 'yes' : 'no';
    const sockets: WorkerSocket[] = [];
    let local = { address: at.address, port: at.port };
    try {
      while (sockets.length < this.#workers.length) {
        const sharedWith = sockets.length > 0 || this.#ports.has(at) ? 'us' : 'nobody';
        const socket = this.#deps.groups.openDatagrams({ at: local, ipv6Only, sharedWith });
        local = socket.local;
        sockets.push(socket);
      }
    } catch (error) {
      for (const { fd } of sockets) this.#deps.calls.close(fd);
      throw error;
    }
    const listener = new WorkerListener(wanted, local, 'opened');
    const fds = sockets.map(({ fd }) => fd);
    this.#deps.groups.joined('udp', local, fds);
    this.#add(listener, fds, sockets[0].hasPacketInfo);
    return {
      local,
      lending: this.#lending(listener),
      drain: (done) => {
        if (listener.isClosed) return queueMicrotask(done);
        listener.whenClosed.push(done);
        this.#leave(listener);
      },
      close: () => {
        listener.isSilent = true;
        this.#leave(listener);
      },
    };
  }

  #lending(listener: WorkerListener<Table>): Lending {
    let batchesBefore = 0;
    return {
      pays: (queries) => {
        const batches = this.pages.reduce((sum, page) => sum + page.batchesTotal(), 0);
        const isWorth = queries > 0 && queries * lentBatchesPerQuery >= batches - batchesBefore;
        batchesBefore = batches;
        return isWorth;
      },
      lend: (client, nowMs) => {
        if (listener.leavesWith !== null) return null;
        const lent = this.#workers.map(({ lender }) => lender.lent);
        const least = lent.indexOf(Math.min(...lent));
        return this.#workers[least].lender.lend(client, listener.sockets[least].id, nowMs);
      },
    };
  }

  #add(listener: WorkerListener<Table>, fds: readonly number[], hasPacketInfo: boolean): void {
    listener.sockets.push(...fds.map((fd) => ({ id: this.#nextId++, fd, hasPacketInfo, listener })));
    for (const socket of listener.sockets) {
      this.#sockets.set(socket.id, socket);
      this.#whenOpened(socket.fd);
    }
    this.#ports.hold(listener.local);
    this.#listeners.add(listener);
    this.#order();
  }

  /** Serves and closes copies of another process's sockets, as our own listener at that endpoint does. */
  #inherit(at: Endpoint, fds: readonly number[]): void {
    const own = [...this.#listeners].find(({ local, leavesWith, origin }) => {
      return local.address === at.address && local.port === at.port && leavesWith === null && origin === 'opened';
    });
    if (own === undefined) return fds.forEach((fd) => void this.#deps.calls.close(fd));
    for (let from = 0; from < fds.length; from += this.#workers.length) {
      const copies = new WorkerListener(own.wanted, own.local, 'inherited');
      copies.whenClosed.push(() => this.#deps.groups.look());
      this.#add(copies, fds.slice(from, from + this.#workers.length), own.sockets[0].hasPacketInfo);
      this.#deps.clock.after(settleMs, () => this.#leave(copies));
    }
  }
}

interface WorkerClientOwner<Table> {
  answered(answer: Uint8Array | null, client: WorkerClient<Table>): void;
  freed(client: WorkerClient<Table>): void;
}

/** The sender of a deferred packet; an object is used for one after another. */
class WorkerClient<Table> implements Client, Peer {
  readonly transport = overUdp;
  receivedAtMs = 0;
  socket!: Socket<Table>;
  readonly words = new Int32Array(peerWords);
  nameBytes = 0;
  controlBytes = 0;
  #remote: Endpoint | null = null;
  #isSettled = true;
  readonly #owner: WorkerClientOwner<Table>;

  constructor(owner: WorkerClientOwner<Table>) {
    this.#owner = owner;
  }

  begin(socket: Socket<Table>, ring: RingReader): void {
    this.socket = socket;
    this.receivedAtMs = ring.arrivedMs;
    this.nameBytes = ring.nameBytes;
    this.controlBytes = ring.controlBytes;
    ring.copyPeer(this.words);
    this.#remote = null;
    this.#isSettled = false;
  }

  get local(): Endpoint {
    return this.socket.listener.local;
  }

  get remote(): Endpoint {
    this.#remote ??= endpointOf(this.words);
    return this.#remote;
  }

  reply(answer: Uint8Array | null): void {
    assert(!this.#isSettled, 'a query is answered once');
    this.#isSettled = true;
    this.#owner.answered(answer, this);
  }

  free(): void {
    assert(this.#isSettled, 'a client is free after its answer');
    this.#owner.freed(this);
  }
}

interface Deferred<Table> {
  kind: EntryKind;
  listener: WorkerListener<Table>;
  packet: Uint8Array;
  client: Client;
}

interface DeferredDeps<Item> {
  readonly hashKey: HashKey;
  nowMs(): number;
  /** What the reader's current entry asks for; null when its listener is closed, or it was an answer for the cache. */
  read(ring: RingReader): Item | null;
  /** A copy of the item, which outlives the reader's entry. */
  keep(item: Item): Item;
  serve(item: Item): void;
  refuse(item: Item): void;
}

/** Items served between two looks at the clock. */
const servedPerLook = 8;

export class DeferredQueue<Item> {
  readonly #deps: DeferredDeps<Item>;
  readonly #turns = new FairQueue<number, Item>(handedOverMax);
  /** A turn begins with the ring behind the one with which the last turn ended. */
  #next = 0;
  /** The last turn has left something in a ring: queries there wait like those in the queue, not in the ring's order. */
  #isBehind = false;

  constructor(deps: DeferredDeps<Item>) {
    this.#deps = deps;
  }

  /** Serves for one turn; false when more is left and `take` must be called in the next turn of the event loop. */
  take(rings: readonly RingReader[]): boolean {
    const { nowMs, read, serve } = this.#deps;
    const turns = this.#turns;
    const untilMs = nowMs() + handOverTurnMs;
    let served = 0;
    let moved = 0;
    const hasTime = (): boolean => ++served % servedPerLook !== 0 || nowMs() < untilMs;
    let isInTime = true;
    const isBehind = this.#isBehind;
    this.#isBehind = false;
    for (let left = rings.length; left > 0; left--) {
      const ring = rings[this.#next];
      this.#next = (this.#next + 1) % rings.length;
      ring.awake();
      while (moved < ringMovedAtOnceMax && ring.next()) {
        const item = read(ring);
        if (item === null) {
          // An answer was cached: queries behind it may wait for the next turn, but not other work of the loop.
          isInTime &&= hasTime();
          if (isInTime) continue;
          this.#isBehind = true;
          // Nor may those that are in the queue.
          for (let count = 0; count < servedPerLook && turns.size > 0; count++) serve(turns.take() as Item);
          return false;
        }
        if (turns.size === 0 && isInTime && !isBehind) {
          serve(item);
          isInTime = hasTime();
        } else {
          moved++;
          this.#queue(ring, item);
        }
      }
    }
    while (isInTime && turns.size > 0) {
      serve(turns.take() as Item);
      isInTime = hasTime();
    }
    return turns.size === 0 && moved < ringMovedAtOnceMax;
  }

  #queue(ring: RingReader, item: Item): void {
    const { keep, refuse, hashKey } = this.#deps;
    const lost = this.#turns.push(clientNumber(ring.peerWords, ring.peerAt, hashKey), keep(item));
    if (lost !== null) refuse(lost);
  }
}
