import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Counters, countersMemory, type EventName, overUdp } from '../../src/counters.js';
import {
  batchPacketsMax,
  directAnswersHeldMax,
  directAnswersHeldMs,
  directQueriesMax,
  receiveSlotBytes,
  sendSlotBytes,
} from '../../src/limits.js';
import { OwnQueries } from '../../src/listen/asking.js';
import { Datagrams, type Received } from '../../src/listen/message-batch.js';
import { kindAnswer, kindQuestion, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { TraceReader, TraceWriter, tracesMemory } from '../../src/listen/traces.js';
import type { Orders, SocketOrder } from '../../src/listen/worker.js';
import { endpointOf, familyAt } from '../../src/os/addresses.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { linux } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { answerMs, LetterAsker } from '../os/letter-asker.js';
import { letters } from '../os/letters.js';
import { calls, openClient, skip } from '../os/loopback-sockets.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Options {
  readonly sockets?: number;
  readonly ringBytes?: number;
  readonly address?: string;
}

/** Own queries whose packets come over real sockets, one by one, and whose upstream is the test. */
async function newWorld({ sockets = 1, ringBytes = 1 << 20, address = '127.0.0.1' }: Options = {}) {
  const opened = Array.from({ length: sockets }, () => {
    return openSocket(calls, { at: { address, port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });
  });
  const counters = new Counters(countersMemory(0));
  const memory = ringMemory(ringBytes);
  const ring = new RingReader(memory);
  const writer = new RingWriter(memory, hashKey());
  const asker = new LetterAsker(calls);
  const received = new Datagrams(calls, receiveSlotBytes);
  const answers = new Datagrams(calls, sendSlotBytes);
  const seen = { wakings: 0, failed: [] as string[] };
  const socketOrder = (index: number, table = 'one'): SocketOrder<string> => {
    const { fd, hasPacketInfo } = opened[index];
    return { id: index + 1, fd, hasPacketInfo, table };
  };
  const orders = (number: number, indexes: readonly number[], table?: string): Orders<string> => ({
    number,
    sockets: indexes.map((index) => socketOrder(index, table)),
    counters: counters.memory,
    next: 'serve',
  });
  const traced = tracesMemory();
  const own = new OwnQueries<string>(
    {
      ...{ calls, counters, hashKey: hashKey(), asking: asker, ring: writer, answers },
      traces: new TraceWriter(traced),
      wake: () => seen.wakings++,
      overloaded: letters(() => assert.fail('nobody dies here')).overloaded,
      failed: (error) => seen.failed.push((error as Error).message),
    },
    orders(7, [...opened.keys()]),
  );
  const client = await openClient(address === '0.0.0.0' ? '127.0.0.2' : address);
  const entries = new Int32Array(8);
  const entriesAt = calls.addressOf(entries.buffer);
  closing.push(() => {
    client.close();
    asker.close();
    for (const { fd } of opened) calls.close(fd);
  });
  return {
    ...{ own, asker, client, counters, seen, ring, orders, answers, traces: new TraceReader(traced) },
    count: (event: EventName) => counters.total(event),
    port: (index: number) => opened[index].local.port,
    /** A packet comes at this time over this socket; whether it is asked about. */
    async takes(text: string, nowMs: number, index = 0): Promise<boolean> {
      await client.send(text, opened[index].local.port);
      received.prepare(1, opened[index].hasPacketInfo ? 1 : 0);
      assert.equal(calls.receive(opened[index].fd, received.headersAt, 1, linux.dontWait), 1);
      const packet: Received = {
        packet: received.slots[0].bytes,
        length: received.length(0),
        family: familyAt(received.bytes, received.peerAt(0) * 4),
        transport: overUdp,
        nowMs,
      };
      return own.take(socketOrder(index), received, 0, packet);
    },
    /** Polls the upstream's descriptor, and reads from it. */
    reads(nowMs: number): void {
      const count = own.watch(entries, 1);
      assert.equal(calls.poll(entriesAt + 8, count, 0), 1, 'something has come');
      own.read(entries, 1, nowMs);
    },
    /** What is in the ring: as text, with the socket and the time. */
    inRing(): string[] {
      const all: string[] = [];
      while (ring.next()) {
        const { kind, socket, arrivedMs, orders: number } = ring;
        const what = kind === kindAnswer ? `answer under ${number}` : kind === kindQuestion ? 'question' : '?';
        all.push(`${what} at ${arrivedMs} on ${socket}: ${Buffer.from(ring.packet)}`);
      }
      return all;
    },
  };
}

describe('OwnQueries', { skip }, () => {
  test('tells those who watch what it has answered, and how long that took', async () => {
    const { takes, own, asker, traces, reads } = await newWorld();
    traces.want({ hitsOneIn: 0, others: 'told' });
    await takes('hq1', 100);
    own.flush(100);
    asker.comes([...asker.rows.keys()][0], 'yes');
    reads(103);
    const { answer, answerBytes, origin, atMs, durationMs, peer } = traces.next()!;
    assert.equal(Buffer.from(answer.subarray(0, answerBytes)).toString('latin1'), 'yes to hq1');
    assert.deepEqual([origin, atMs, durationMs, endpointOf(peer).address], ['miss', 103, 3, '127.0.0.1']);
    traces.want({ hitsOneIn: 0, others: 'untold' });
    await takes('hq2', 104);
    own.flush(104);
    asker.comes([...asker.rows.keys()][0], 'yes');
    reads(105);
    assert.equal(traces.next(), null);
  });

  test('asks, answers the client, and gives the answer to the cache with the number of the orders', async () => {
    const { takes, own, asker, client, count, inRing, reads } = await newWorld();
    assert.equal(own.isIdle, true);
    assert.equal(await takes('hq1', 100), true);
    assert.equal(own.isIdle, false);
    own.flush(100);
    assert.deepEqual(asker.flushed, [1]);
    asker.comes([...asker.rows.keys()][0], 'yes');
    reads(103);
    assert.equal(await client.receive(), 'yes to hq1');
    assert.deepEqual(inRing(), ['answer under 7 at 103 on 1: -yes']);
    assert.deepEqual(asker.came, [{ durationMs: answerMs, arrivedMs: 100, nowMs: 103, family: 0 }]);
    assert.deepEqual(asker.ofUse, [true]);
    assert.deepEqual([count('directAnswered'), count('directGivenUp'), own.isIdle], [1, 0, true]);
  });

  test('opens its way upstream with the first query that may be asked about, once, for the tables of its sockets', async () => {
    const { takes, own, asker } = await newWorld({ sockets: 2 });
    asker.isWilling = false;
    assert.equal(await takes('hq1', 0), false);
    assert.deepEqual(asker.followed, []);
    const entries = new Int32Array(4);
    assert.equal(own.watch(entries, 0), 0);
    own.flush(0);
    own.giveUpAll();
    asker.isWilling = true;
    assert.equal(await takes('hq2', 0), true);
    assert.equal(await takes('hq3', 0), true);
    assert.deepEqual(asker.followed, [['one', 'one']]);
    assert.equal(own.watch(entries, 0), 1);
  });

  test('takes nothing that its asker refuses, and keeps no row for it', async () => {
    const { takes, own, asker } = await newWorld();
    for (let times = 0; times < directQueriesMax + 1; times++) assert.equal(await takes('hno', 0), false);
    assert.deepEqual([own.isIdle, asker.rows.size], [true, 0]);
    assert.deepEqual([asker.deferredPackets.length, asker.deferredPackets[0]], [directQueriesMax + 1, 'hno']);
    assert.equal(await takes('hq', 0), true);
    assert.equal(asker.deferredPackets.length, directQueriesMax + 1);
  });

  test('takes no more than there are rows, and again when one is free', async () => {
    const { takes, own, asker, client, reads } = await newWorld();
    let taken = 0;
    while (await takes(`hq${taken}`, 0)) taken++;
    assert.ok(taken > directQueriesMax / 4 && taken <= directQueriesMax, `${taken}`);
    const [row, text] = [...asker.rows][0];
    asker.comes(row, 'yes');
    reads(1);
    assert.equal(await client.receive(), `yes to ${text}`);
    assert.equal(await takes('hq', 2), true);
    own.giveUpAll();
    assert.equal(own.isIdle, true);
  });

  test('an exception defers the query, is counted and told, and is no trouble of the upstream', async () => {
    const { takes, asker, own, count, seen, inRing, reads } = await newWorld();
    await takes('hq1', 100);
    asker.comes([...asker.rows.keys()][0], 'throws');
    reads(103);
    assert.deepEqual(inRing(), ['question at 100 on 1: hq1']);
    assert.deepEqual([count('panics'), count('directGivenUp'), count('directAnswered')], [1, 1, 0]);
    assert.deepEqual([seen.failed, asker.ofUse, own.isIdle], [['a message that throws'], [true], true]);
  });

  test('defers with the time of arrival what is no plain answer, and says whether that is trouble', async () => {
    const { takes, asker, own, count, seen, inRing, reads } = await newWorld();
    await takes('hq1', 100);
    await takes('hq2', 101);
    const [first, second] = asker.rows.keys();
    asker.comes(first, 'deferred');
    asker.comes(second, 'failure');
    reads(110);
    assert.deepEqual(inRing(), ['question at 100 on 1: hq1', 'question at 101 on 1: hq2']);
    assert.deepEqual(asker.ofUse, [true, false]);
    assert.deepEqual([count('directGivenUp'), seen.wakings, own.isIdle], [2, 2, true]);
  });

  test('gives no client an answer of nothing, and ends its query', async () => {
    const { takes, asker, own, client, reads } = await newWorld();
    await takes('hq1', 100);
    await takes('hq2', 100);
    const [first, second] = asker.rows.keys();
    asker.comes(first, 'nothing');
    asker.comes(second, 'yes');
    reads(110);
    assert.equal(await client.receive(), 'yes to hq2');
    assert.equal(own.isIdle, true);
  });

  test('has nothing for the cache where another row has given it the answer', async () => {
    const { takes, asker, client, inRing, reads, count } = await newWorld();
    await takes('hq1', 100);
    await takes('hq2', 100);
    const [first, second] = asker.rows.keys();
    asker.comes(first, 'yes');
    asker.comes(second, 'joined');
    reads(110);
    assert.deepEqual([await client.receive(), await client.receive()], ['yes to hq1', 'joined to hq2']);
    assert.deepEqual(inRing(), ['answer under 7 at 110 on 1: -yes']);
    assert.deepEqual([count('directAnswered'), count('storeFailed')], [2, 0]);
  });

  test('answers of two sockets in one batch leave from their own', async () => {
    const { takes, asker, client, port, reads } = await newWorld({ sockets: 2 });
    for (const [text, index] of [
      ['hq0', 0],
      ['hq1', 1],
      ['hq2', 0],
      ['hq3', 0],
      ['hq4', 1],
    ] as const) {
      await takes(text, 0, index);
    }
    for (const row of asker.rows.keys()) asker.comes(row, 'yes');
    reads(1);
    const got = [];
    for (let times = 0; times < 5; times++) got.push(await client.receiveFrom());
    assert.deepEqual(
      got.map((one) => `${one.text} ${one.port}`).sort(),
      [0, 1, 0, 0, 1].map((index, number) => `yes to hq${number} ${port(index)}`),
    );
  });

  test('more answers than a batch holds', async () => {
    const { takes, asker, client, reads } = await newWorld();
    const count = batchPacketsMax + 5;
    for (let index = 0; index < count; index++) assert.equal(await takes(`hq${index}`, 0), true);
    for (const row of asker.rows.keys()) asker.comes(row, 'yes');
    reads(1);
    const got = new Set<string>();
    for (let index = 0; index < count; index++) got.add(await client.receive());
    assert.deepEqual([...got].sort(), Array.from({ length: count }, (_, index) => `yes to hq${index}`).sort());
  });

  test('answers from the address that was asked, on a socket for all of them', async () => {
    const { takes, asker, client, reads } = await newWorld({ address: '0.0.0.0' });
    await takes('hq', 0);
    asker.comes([...asker.rows.keys()][0], 'yes');
    reads(1);
    assert.equal((await client.receiveFrom()).address, '127.0.0.2');
  });

  describe('without room in the ring', () => {
    /** Room for one entry, and none after it. */
    const full = async () => {
      const world = await newWorld({ ringBytes: 256, sockets: 2 });
      for (const text of ['hq1', 'hq2', 'hq3']) assert.equal(await world.takes(text, 100), true);
      return world;
    };

    type World = Awaited<ReturnType<typeof newWorld>>;
    const ways: Readonly<Record<string, (world: World, rows: readonly number[]) => void>> = {
      'a message'({ asker, reads }, rows) {
        for (const row of rows) asker.comes(row, 'deferred');
        reads(110);
      },
      'a flush'({ asker, own }, rows) {
        asker.lostInFlush.push(...rows);
        own.flush(110);
      },
      'a sweep'({ asker, own }, rows) {
        asker.slow.push(...rows);
        asker.sweepAtMs = 110;
        own.flush(109);
        assert.equal(own.isIdle, false);
        own.flush(110);
      },
      'new orders': ({ own, orders }) => own.follow(orders(8, [0, 1])),
      'the end': ({ own }) => own.giveUpAll(),
    };
    for (const [way, giveUp] of Object.entries(ways)) {
      test(`SERVFAIL is the answer of what is given up by ${way}`, async () => {
        const world = await full();
        const { asker, own, client, count, inRing, reads, takes } = world;
        giveUp(world, [...asker.rows.keys()]);
        assert.deepEqual([count('overloadedHandOver'), own.isIdle], [2, true]);
        // Nobody gets it twice, or in place of the next answer.
        await takes('hq4', 120, 1);
        asker.comes([...asker.rows.keys()][0], 'yes');
        reads(121);
        const got = [await client.receive(), await client.receive(), await client.receive()];
        assert.deepEqual(got, ['no room for q2', 'no room for q3', 'yes to hq4']);
        assert.deepEqual(inRing(), ['question at 100 on 1: hq1']);
      });
    }

    test('what a flush gives up is sent before the memory for it is used again', async () => {
      const { asker, own, client, answers } = await full();
      asker.lostInFlush.push(...asker.rows.keys());
      own.flush(110);
      for (const { bytes } of answers.slots) bytes.fill(0);
      own.flush(111);
      assert.deepEqual([await client.receive(), await client.receive()], ['no room for q2', 'no room for q3']);
    });

    test('the client has its answer, and the cache has none', async () => {
      const { asker, client, count, inRing, reads, seen } = await full();
      for (const row of asker.rows.keys()) asker.comes(row, 'yes');
      reads(110);
      for (const text of ['hq1', 'hq2', 'hq3']) assert.equal(await client.receive(), `yes to ${text}`);
      assert.equal(count('directAnswered'), 3);
      assert.equal(count('storeFailed') + inRing().length, 3);
      assert.ok(count('storeFailed') > 0);
      assert.equal(seen.wakings, 0);
    });
  });

  describe('answers for the cache', () => {
    test('wait for the main thread to be woken by something else, but not for long', async () => {
      const { takes, asker, own, seen, reads } = await newWorld();
      const answered = async (nowMs: number) => {
        await takes('hq', nowMs);
        own.flush(nowMs);
        asker.comes([...asker.rows.keys()][0], 'yes');
        reads(nowMs);
      };
      await answered(1_000);
      await answered(1_020);
      own.flush(1_000 + directAnswersHeldMs - 1);
      assert.equal(seen.wakings, 0);
      own.flush(1_000 + directAnswersHeldMs);
      assert.equal(seen.wakings, 1);
      own.flush(2_000);
      assert.equal(seen.wakings, 1, 'once');
      await answered(3_000);
      await answered(3_000 + directAnswersHeldMs);
      assert.equal(seen.wakings, 2, 'by the next answer, too');
    });

    test('do not wait when the main thread has something to do with them', async () => {
      const { takes, asker, seen, reads } = await newWorld();
      for (const isUrgent of [false, true]) {
        await takes('hq', 0);
        asker.isUrgent = isUrgent;
        asker.comes([...asker.rows.keys()][0], 'yes');
        reads(0);
        assert.equal(seen.wakings, isUrgent ? 1 : 0);
      }
    });

    test('do not wait when they are many', async () => {
      const { takes, asker, seen, reads } = await newWorld();
      for (let index = 0; index < directAnswersHeldMax; index++) {
        assert.equal(seen.wakings, 0);
        await takes('hq', 0);
        asker.comes([...asker.rows.keys()][0], 'yes');
        reads(0);
      }
      assert.equal(seen.wakings, 1);
    });

    test('go with what is deferred', async () => {
      const { takes, asker, own, seen, reads } = await newWorld();
      await takes('hq1', 0);
      await takes('hq2', 0);
      const [first, second] = asker.rows.keys();
      asker.comes(first, 'yes');
      asker.comes(second, 'deferred');
      reads(1);
      assert.equal(seen.wakings, 1);
      own.flush(1_000);
      assert.equal(seen.wakings, 1, 'nothing is held any more');
    });
  });

  test('new orders give up all rows, and answers after that are under their number', async () => {
    const { takes, asker, own, orders, inRing, reads, client, count } = await newWorld({ sockets: 2 });
    await takes('hq1', 100);
    await takes('hq2', 101, 1);
    own.follow(orders(8, [1], 'two'));
    assert.deepEqual(inRing(), ['question at 100 on 1: hq1', 'question at 101 on 2: hq2']);
    assert.deepEqual(asker.followed, [['one', 'one'], ['two']]);
    assert.deepEqual([own.isIdle, count('directAnswered')], [true, 0]);
    await takes('hq3', 102, 1);
    asker.comes([...asker.rows.keys()][0], 'yes');
    reads(103);
    assert.equal(await client.receive(), 'yes to hq3');
    assert.deepEqual(inRing(), ['answer under 8 at 103 on 2: -yes']);
  });

  test('orders before the first query are those that it is asked under', async () => {
    const { takes, asker, own, orders } = await newWorld();
    own.follow(orders(8, [0], 'two'));
    assert.deepEqual(asker.followed, []);
    await takes('hq', 0);
    assert.deepEqual(asker.followed, [['two']]);
  });

  test('gives up all before the end', async () => {
    const { takes, own, inRing, seen } = await newWorld();
    await takes('hq1', 100);
    await takes('hq2', 101);
    own.giveUpAll();
    assert.deepEqual(inRing(), ['question at 100 on 1: hq1', 'question at 101 on 1: hq2']);
    assert.ok(seen.wakings > 0);
    assert.equal(own.isIdle, true);
  });
});
