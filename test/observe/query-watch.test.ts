import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { readNetwork } from '../../src/config/addresses.js';
import { newSlot } from '../../src/dns/answer.js';
import { readNameGlob } from '../../src/dns/name-glob.js';
import { queryWatchersMax, tracedHitsMax, tracesMax, tracesReadMs, tracesTurnMs } from '../../src/limits.js';
import type { AnswerOrigin, Client } from '../../src/listen/client.js';
import { Datagrams } from '../../src/listen/message-batch.js';
import { TraceReader, TraceWriter, tracesMemory } from '../../src/listen/traces.js';
import { QueryWatch, type WatchedQuery, type WatchFilter } from '../../src/observe/query-watch.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { ManualClock } from '../simulation/clock.js';

const everything: WatchFilter = { name: null, client: null, rcode: null, leastMs: 0 };

function answerTo(name: string, rcode = 0): Buffer {
  const questions = [{ name, type: 'A', class: 'IN' }] as packets.Question[];
  return packets.encode({ type: 'response', id: 7, flags: rcode, questions });
}

function newFixture(workers = 1) {
  const clock = new ManualClock();
  const memories = Array.from({ length: workers }, () => tracesMemory());
  const writers = memories.map((memory) => new TraceWriter(memory));
  let kernel = 0;
  const watch = new QueryWatch({
    clock,
    traces: memories.map((memory) => new TraceReader(memory)),
    localOf: (socket) => (socket === 1 ? { address: '169.254.20.10', port: 53 } : null),
    byKernel: () => kernel,
  });
  const peers = new Datagrams({ addressOf: () => 4096 }, 64, 1);
  const slot = newSlot(4_096);
  /** As a worker does. */
  const answers = (
    name: string,
    parts: {
      from?: string;
      rcode?: number;
      origin?: AnswerOrigin;
      durationMs?: number;
      socket?: number;
      worker?: number;
    } = {},
  ) => {
    const { from = '10.244.0.7', rcode = 0, origin = 'hit', durationMs = 0, socket = 1, worker = 0 } = parts;
    const message = answerTo(name, rcode);
    slot.bytes.set(message);
    const address = new Uint8Array(32);
    address.set(encodeSocketAddress({ address: from, port: 40_000 }));
    peers.address(0, message.length, new Int32Array(address.buffer), 0, 16, 0);
    const about = { socket, transport: 0, origin, atMs: clock.nowMs(), durationMs } as const;
    const writer = writers[worker];
    if (origin === 'miss') {
      if (writer.wantsOthers) writer.put(about, slot, message.length, peers, 0);
    } else if (writer.wantsHits && !writer.passesOver()) writer.putHit(about, slot, message.length, peers, 0);
  };
  /** As the main thread does. */
  const answersHere = (name: string, origin: AnswerOrigin, durationMs: number, transport: 0 | 1 = 1) => {
    const message = answerTo(name);
    slot.bytes.set(message);
    const client: Client = {
      transport,
      remote: { address: 'fd00::7', port: 40_000 },
      local: { address: 'fd00::a', port: 53 },
      reply() {},
    };
    if (watch.isWatched) watch.answered(slot, client, { origin, bytes: message.length, durationMs });
  };
  const seen: WatchedQuery[] = [];
  const watches = (filter: Partial<WatchFilter> = {}) =>
    watch.watch({ ...everything, ...filter }, (queries) => void seen.push(...queries))!;
  const names = (): string[] => seen.splice(0).map(({ name }) => name);
  return {
    clock,
    watch,
    writers,
    answers,
    answersHere,
    seen,
    watches,
    names,
    kernelAnswers: (more: number) => (kernel += more),
  };
}

describe('QueryWatch', () => {
  it('asks workers for nothing while nobody watches, and has no timer', () => {
    const { clock, watch, writers, watches } = newFixture();
    assert.deepEqual(
      [watch.isWatched, writers[0].wantsHits, writers[0].wantsOthers, clock.timersSet],
      [false, false, false, 0],
    );
    const [one, other] = [watches(), watches({ leastMs: 5 })];
    assert.deepEqual([watch.isWatched, writers[0].wantsHits, clock.timersSet], [true, true, 1]);
    one.end();
    assert.deepEqual([writers[0].wantsHits, writers[0].wantsOthers], [false, true], 'the other wants no hits');
    other.end();
    other.end();
    assert.deepEqual(
      [watch.isWatched, writers[0].wantsHits, writers[0].wantsOthers, clock.timersSet],
      [false, false, false, 0],
    );
  });

  it('shows what workers and the main thread answer, each as it was', async () => {
    const { clock, answers, answersHere, seen, watches } = newFixture();
    watches();
    answers('Web.example', { durationMs: 0 });
    answersHere('slow.example', 'miss', 12.3456);
    answers('gone.example', { socket: 9, rcode: 3, origin: 'miss', durationMs: 3.25 });
    await clock.pass(tracesReadMs);
    const atMs = clock.wallMs() - tracesReadMs;
    const [slow, web, gone] = seen;
    assert.deepEqual(web, {
      atMs,
      client: '10.244.0.7',
      listener: '169.254.20.10:53',
      transport: 'udp',
      name: 'Web.example.',
      type: 'A',
      rcode: 'NOERROR',
      origin: 'hit',
      bytes: 29,
      durationMs: 0,
    });
    const { client, listener, transport, origin, durationMs } = slow;
    assert.deepEqual(
      [client, listener, transport, origin, durationMs],
      ['fd00::7', '[fd00::a]:53', 'tcp', 'miss', 12.346],
    );
    assert.deepEqual([gone.listener, gone.rcode, gone.durationMs], ['', 'NXDOMAIN', 3.25]);
  });

  it('filters by name, client, rcode and duration, all of them', async () => {
    const { clock, answers, watches, names } = newFixture();
    const sees = async (filter: Partial<WatchFilter>): Promise<string[]> => {
      const watching = watches(filter);
      answers('a.example', { from: '10.244.0.7', rcode: 3, origin: 'miss', durationMs: 60 });
      answers('b.example', { from: '10.244.1.7', rcode: 2, origin: 'miss', durationMs: 20 });
      answers('c.other', { from: 'fd00::7', origin: 'hit' });
      await clock.pass(tracesReadMs);
      watching.end();
      return names();
    };
    assert.deepEqual(await sees({}), ['a.example.', 'b.example.', 'c.other.']);
    assert.deepEqual(await sees({ name: readNameGlob('*.EXAMPLE')! }), ['a.example.', 'b.example.']);
    assert.deepEqual(await sees({ client: readNetwork('10.244.0.0/24')! }), ['a.example.']);
    assert.deepEqual(await sees({ client: readNetwork('fd00::/8')! }), ['c.other.']);
    assert.deepEqual(await sees({ rcode: 2 }), ['b.example.']);
    assert.deepEqual(await sees({ leastMs: 50 }), ['a.example.']);
    assert.deepEqual(await sees({ leastMs: 10, rcode: 2, name: readNameGlob('a.*')! }), []);
  });

  it('writes names from packets as printable ASCII', async () => {
    const { clock, answersHere, seen, watches } = newFixture();
    watches();
    answersHere('\x1b]0;owned\x07\x1b[2J\u202e<script>.example', 'hit', 0);
    await clock.pass(tracesReadMs);
    assert.match(seen[0].name, /^[\x21-\x7e]+$/);
    assert.ok(seen[0].name.startsWith('\\027]0\\;owned\\007\\027[2J'));
  });

  it('shows no answer without a question, such as those to the self-check', async () => {
    const { clock, watch, watches, names } = newFixture();
    watches();
    const slot = newSlot(64);
    const client = {
      transport: 0,
      remote: { address: '::1', port: 1 },
      local: { address: '::1', port: 53 },
      reply() {},
    } as const;
    watch.answered(slot, client, { origin: 'refused', bytes: 12, durationMs: 0 });
    slot.bytes[5] = 1;
    slot.bytes[12] = 40;
    watch.answered(slot, client, { origin: 'refused', bytes: 30, durationMs: 0 });
    await clock.pass(tracesReadMs);
    assert.deepEqual(names(), []);
  });

  it('samples hits when there are many, says how many it left out, and shows all again afterwards', async () => {
    const { clock, answers, watches, names } = newFixture();
    const watching = watches();
    let told = 0;
    let asked = 0;
    const load = async (periods: number, each: number): Promise<void> => {
      for (let period = 0; period < periods; period++) {
        for (let count = 0; count < each; count++) answers('hot.example');
        asked += each;
        await clock.pass(tracesReadMs);
        told += names().length;
      }
    };
    await load(20, 4 * tracedHitsMax);
    const { sampledOut, lost } = watching.untold();
    assert.equal(told + sampledOut + lost, asked);
    assert.equal(watching.hitsOneIn, 4);
    assert.ok(lost < 4 * tracedHitsMax, 'only before it is known how many there are');
    await load(5, 10);
    assert.equal(watching.hitsOneIn, 1);
    const before = told;
    await load(3, 10);
    assert.equal(told - before, 30);
  });

  it('never samples what took time, and leaves hits alone when only that is wanted', async () => {
    const { clock, answers, writers, watches, names } = newFixture();
    watches({ leastMs: 10 });
    for (let count = 0; count < 300; count++) {
      answers('hot.example');
      answers('slow.example', { origin: 'miss', durationMs: 11 });
    }
    assert.equal(writers[0].wantsHits, false);
    await clock.pass(tracesReadMs);
    assert.equal(names().length, 300);
  });

  it('reads for a bounded time, then samples more', async () => {
    const { clock, answers, watches, names } = newFixture(2);
    const watching = watches();
    for (let count = 0; count < 200; count++) {
      answers('a.example', { worker: 0 });
      answers('b.example', { worker: 1 });
    }
    const real = clock.nowMs.bind(clock);
    let looks = 0;
    clock.nowMs = () => real() + (looks++ * tracesTurnMs) / 2;
    clock.passMs(tracesReadMs);
    const first = names().length;
    assert.ok(first > 0 && first < 400, `${first} read in one turn`);
    assert.ok(watching.hitsOneIn > 1);
    clock.nowMs = real;
    await clock.pass(tracesReadMs);
    assert.equal(first + names().length, 400, 'the rest in the next');
  });

  it('bounds what waits for a watcher, and how many there are', async () => {
    const { clock, watch, answersHere, watches, names } = newFixture();
    const watching = watches();
    for (let count = 0; count < tracesMax + 10; count++) answersHere('x.example', 'miss', 1);
    await clock.pass(tracesReadMs);
    assert.deepEqual([names().length, watching.untold().lost], [tracesMax, 10]);
    const more = Array.from({ length: queryWatchersMax - 1 }, () => watches());
    assert.equal(
      watch.watch(everything, () => {}),
      null,
    );
    for (const each of [watching, ...more]) each.end();
    assert.equal(clock.timersSet, 0);
  });

  it('an exception of one watcher does not keep the others from seeing', () => {
    const { clock, watch, answers, watches, names } = newFixture();
    watch.watch(everything, () => {
      throw new Error('planted');
    });
    watches();
    answers('a.example');
    assert.throws(() => clock.passMs(tracesReadMs), /planted/);
    assert.deepEqual(names(), ['a.example.']);
  });

  it('says how many answers the kernel has given', () => {
    const { watches, kernelAnswers } = newFixture();
    const watching = watches();
    kernelAnswers(12);
    assert.equal(watching.untold().byKernel, 12);
  });
});
