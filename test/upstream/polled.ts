/** TCP connections by system calls to a network that does as a test says, and a worker's questions over them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { directQueriesMax } from '../../src/limits.js';
import { decodeSocketAddress } from '../../src/os/addresses.js';
import { errors, linux } from '../../src/os/system-calls.js';
import {
  DirectConnections,
  type DirectDeps,
  type DirectOutcomes,
  type DirectTarget,
} from '../../src/upstream/direct.js';
import { Rtt } from '../../src/upstream/endpoint.js';
import { framed, Unframer } from '../simulation/framing.js';
import { seededRandom } from '../simulation/random.js';
import { answerTo, type Query, question } from './scripted.js';

/** Where the program's memory is said to be. */
const memoryAt = 0x10_0000;
/** What `read` may give. */
export const endOfStream = 0;
export const reset = -104;
/** So many quick ones show that an upstream is fast. */
const fastAnswers = 600;

/** A request as it arrived. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly bytes: Buffer;
}

/** One socket of the program, and the upstream at its other end. */
export class PolledSocket {
  readonly fd: number;
  readonly family: number;
  to = '';
  isClosed = false;
  /** What `connect` gives, one after another; the last one stays. */
  connects: number[];
  /** What `write` gives instead of taking all bytes. */
  writes: number | null = null;
  /** Requests that have arrived, and how many in each write. */
  readonly asked: Asked[] = [];
  readonly asksPerWrite: number[] = [];
  readonly options: string[] = [];
  readonly #unframer = new Unframer();
  #incoming: (Uint8Array | number)[] = [];

  constructor(fd: number, family: number, connects: readonly number[]) {
    this.fd = fd;
    this.family = family;
    this.connects = [...connects];
  }

  get isReadable(): boolean {
    return this.#incoming.length > 0;
  }

  /** These bytes, or the result of `read` that is no number of bytes, arrive. */
  arrives(...incoming: readonly (Uint8Array | number)[]): void {
    this.#incoming.push(...incoming);
  }

  /** The upstream answers these requests, each with a frame of its own in one segment. */
  answers(...requests: readonly Asked[]): void {
    this.arrives(Buffer.concat(requests.map(answerFrame)));
  }

  written(bytes: Uint8Array): void {
    const messages = this.#unframer.push(bytes);
    assert.equal(this.#unframer.rest.length, 0, 'requests are written whole');
    this.asksPerWrite.push(messages.length);
    for (const message of messages) {
      const labels: string[] = [];
      let at = 12;
      for (; message[at] !== 0; at += message[at] + 1)
        labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
      assert.equal(message.length, at + 5, 'a header and one question');
      this.asked.push({ id: message.readUInt16BE(0), name: labels.join('.'), bytes: Buffer.from(message) });
    }
  }

  /** As much as fits of what has arrived; what is no bytes stays. */
  read(to: Uint8Array): number {
    const [first] = this.#incoming;
    if (first === undefined) return errors.tryAgain;
    if (typeof first === 'number') return first;
    const bytes = Math.min(first.length, to.length);
    to.set(first.subarray(0, bytes));
    if (bytes === first.length) this.#incoming.shift();
    else this.#incoming[0] = first.subarray(bytes);
    return bytes;
  }

  /** An interrupted read can be tried again. */
  recovers(): void {
    this.#incoming = this.#incoming.filter((each) => typeof each !== 'number');
  }
}

export function answerFrame({ id, bytes }: Asked): Buffer {
  return framed(answerTo({ id, question: bytes.subarray(12) } as Query));
}

/** The kernel: uses of descriptors that are closed are errors of the program, and fail the test. */
export class PolledNetwork {
  readonly sockets: PolledSocket[] = [];
  /** Of the next sockets. */
  connects: readonly number[] = [errors.inProgress, 0, errors.isConnected];
  /** `streamSocket` fails so. */
  socketFails: number | null = null;
  #memory = new ArrayBuffer(0);

  readonly calls: DirectDeps['calls'] = {
    streamSocket: (family) => {
      if (this.socketFails !== null) return this.socketFails;
      const socket = new PolledSocket(this.sockets.length + 100, family, this.connects);
      this.sockets.push(socket);
      return socket.fd;
    },
    setOption: (fd, level, option, value) => this.#open(fd).options.push(`${level} ${option} ${value[0]}`),
    connect: (fd, address) => {
      const socket = this.#open(fd);
      const endpoint = decodeSocketAddress(address);
      socket.to = `${endpoint.address} ${endpoint.port}`;
      return socket.connects.length > 1 ? socket.connects.shift()! : socket.connects[0];
    },
    read: (fd, at, bytes) => this.#open(fd).read(new Uint8Array(this.#memory, at - memoryAt, bytes)),
    write: (fd, at, bytes) => {
      const socket = this.#open(fd);
      if (socket.writes !== null) return socket.writes;
      socket.written(new Uint8Array(this.#memory, at - memoryAt, bytes));
      return bytes;
    },
    close: (fd) => {
      this.#open(fd).isClosed = true;
      return 0;
    },
    addressOf: (memory) => {
      this.#memory = memory;
      return memoryAt;
    },
  };

  get open(): PolledSocket[] {
    return this.sockets.filter(({ isClosed }) => !isClosed);
  }

  get last(): PolledSocket {
    return this.sockets[this.sockets.length - 1];
  }

  /** Requests on all sockets. */
  get asked(): Asked[] {
    return this.sockets.flatMap(({ asked }) => asked);
  }

  #open(fd: number): PolledSocket {
    const socket = this.sockets.find((each) => each.fd === fd);
    assert.ok(socket !== undefined && !socket.isClosed, `descriptor ${fd} is open`);
    return socket;
  }
}

export function directTarget(settings: Partial<DirectTarget['upstream']> = {}): DirectTarget {
  const upstream = { address: '10.96.0.10', port: 53, expireMs: 10_000, maxAgeMs: 0, probeName: '.', ...settings };
  return { upstream, mayAsk: new Int32Array(new SharedArrayBuffer(4)).fill(1) };
}

type End = 'answered' | 'given up';

/** A worker: rows of its own, and a clock that moves when the test says so. */
export class PollingWorker {
  readonly network = new PolledNetwork();
  readonly counters = new Counters(countersMemory(0));
  readonly target: DirectTarget;
  readonly direct: DirectConnections;
  nowMs = 1_000;
  /** How the last question of each row ended. */
  readonly ends = new Map<number, End>();
  /** Names of answers, in their order, and how long they took. */
  readonly got: string[] = [];
  readonly tookMs: number[] = [];
  /** What is said of each answer. */
  isGood = true;
  readonly #under = new Map<number, string>();
  readonly #freeRows = Array.from({ length: directQueriesMax }, (_, row) => directQueriesMax - 1 - row);
  /** The poll entry of the first connection: sockets are before it. */
  at = 1;
  readonly entries = new Int32Array(2 * 128);

  constructor(target = directTarget(), random = seededRandom(7)) {
    this.target = target;
    const { calls } = this.network;
    this.direct = new DirectConnections({ calls, random, counters: this.counters }, this.#outcomes());
    this.direct.follow([target]);
  }

  #outcomes(): DirectOutcomes {
    return {
      answered: (row, message, durationMs) => {
        const bytes = Buffer.from(message);
        const name = this.#under.get(row);
        assert.ok(name !== undefined && bytes.includes(question(name)), `row ${row} gets the answer to its question`);
        this.#end(row, 'answered');
        this.got.push(name);
        this.tookMs.push(durationMs);
        return this.isGood;
      },
      givenUp: (row) => this.#end(row, 'given up'),
    };
  }

  get underWay(): number {
    return this.#under.size;
  }

  #end(row: number, end: End): void {
    assert.ok(this.#under.delete(row), `row ${row} ends once`);
    this.#freeRows.push(row);
    this.ends.set(row, end);
  }

  /** The row of the question, which is not sent yet; -1 when the main thread has to ask. */
  ask(name: string, target = this.target): number {
    const row = this.#freeRows.pop();
    assert.ok(row !== undefined);
    const header = Buffer.from('abcd01000001000000000001', 'hex');
    const opt = Buffer.from('00002904d0000000000000', 'hex');
    const packet = Buffer.concat([header, question(name), opt]);
    this.#under.set(row, name);
    this.ends.delete(row);
    if (this.direct.ask(row, target, packet, packet.length - opt.length, this.nowMs)) return row;
    this.#under.delete(row);
    this.#freeRows.push(row);
    return -1;
  }

  flush(): void {
    this.direct.flush(this.nowMs);
  }

  /** Asks and sends. */
  asks(name: string, target = this.target): number {
    const row = this.ask(name, target);
    this.flush();
    return row;
  }

  /** Asks `count` questions that have to be taken, and sends them. */
  asksMany(count: number, prefix = 'n'): number[] {
    const rows = Array.from({ length: count }, (_, index) => this.ask(`${prefix}${index}.test`));
    assert.ok(!rows.includes(-1), `${rows}`);
    this.flush();
    return rows;
  }

  /** Turns of poll, so many that all open connections have been looked at: reads what has arrived. */
  poll(): void {
    for (let times = 0; times < 16; times++) this.pollOnce();
  }

  /** One turn, perhaps of those alone that owe answers. */
  pollOnce(): void {
    const { direct, entries, at, network } = this;
    const count = direct.watch(entries, at);
    for (let index = at; index < at + count; index++) {
      const [fd, events] = entries.subarray(index * 2);
      assert.equal(events & 0xffff, linux.pollIn);
      const isReadable = network.open.find((socket) => socket.fd === fd)!.isReadable;
      entries[index * 2 + 1] = linux.pollIn | (isReadable ? linux.pollIn << 16 : 0);
    }
    direct.read(entries, at, this.nowMs);
  }

  /** Time passes; then what is due is done. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.direct.sweep(this.nowMs);
  }

  /** Opens a connection that answers its trial, so that it carries questions. */
  proves(): PolledSocket {
    assert.equal(this.ask('first.test'), -1, 'the connection is on its way');
    return this.provesLast();
  }

  /** The connection that was opened last answers its trial. */
  provesLast(): PolledSocket {
    const { inflight } = this.direct;
    const answers = this.got.length;
    const socket = this.tries();
    this.nowMs += 1;
    socket.answers(socket.asked[socket.asked.length - 1]);
    this.poll();
    assert.deepEqual([this.direct.inflight, this.got.length], [inflight, answers], 'a trial is no row');
    return socket;
  }

  /** The connection that was opened last is tried. */
  tries(name = 'trial.test'): PolledSocket {
    const socket = this.network.last;
    const before = socket.asked.length;
    assert.equal(this.asks(name), -1, 'nobody waits on a trial');
    assert.equal(socket.asked.length, before + 1);
    assert.equal(socket.asked[before].name, '', 'the question of the health check, about the root');
    return socket;
  }

  /** Quick answers, until the upstream counts as a fast one. */
  provesFast(): PolledSocket {
    const socket = this.proves();
    for (let round = 0; round < fastAnswers; round++) {
      assert.notEqual(this.asks('again.test'), -1);
      this.nowMs += 1;
      socket.answers(socket.asked[socket.asked.length - 1]);
      this.poll();
    }
    return socket;
  }
}

/** A test with a worker of its own, after which no descriptor is open and no question under way. */
export function check(
  name: string,
  run: (worker: PollingWorker) => void,
  settings: Partial<DirectTarget['upstream']> = {},
): void {
  test(name, () => {
    const worker = new PollingWorker(directTarget(settings));
    run(worker);
    worker.direct.close();
    assert.deepEqual(worker.network.open, [], 'every descriptor is closed');
    assert.deepEqual([worker.direct.inflight, worker.underWay], [0, 0]);
  });
}

/** What is known of the times of an upstream that has proved to be a fast one. */
export function fastRtt(): Rtt {
  const rtt = new Rtt();
  for (let round = 0; round < fastAnswers; round++) rtt.took(1);
  return rtt;
}
