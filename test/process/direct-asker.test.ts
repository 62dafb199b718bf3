import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import packets from 'dns-packet';
import { overUdp } from '../../src/counters.js';
import { newSlot } from '../../src/dns/answer.js';
import { deferredAgainMs, sendSlotBytes } from '../../src/limits.js';
import type { Received } from '../../src/listen/message-batch.js';
import { DirectAsker } from '../../src/process/direct-asker.js';
import { deferred } from '../../src/resolve/fast-path.js';
import type { ZoneTable } from '../../src/resolve/zones.js';
import { calls, eventually, skip } from '../os/loopback-sockets.js';
import { type Decoded, fixture, query } from '../resolve/context-fixture.js';
import { addresses, message } from '../resolve/waiting-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { framed, Unframer } from '../simulation/framing.js';
import { seededRandom } from '../simulation/random.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Upstream {
  readonly port: number;
  /** What it was asked. */
  readonly asked: string[];
  /** Connections that were opened. */
  readonly sockets: Socket[];
  isSilent: boolean;
}

/** A real upstream, which answers every name with an address. */
async function newUpstream(): Promise<Upstream> {
  const server = createServer((socket) => {
    upstream.sockets.push(socket);
    socket.on('error', () => {});
    const unframer = new Unframer();
    socket.on('data', (chunk) => {
      for (const request of unframer.push(chunk)) {
        const { id, questions = [] } = packets.decode(Buffer.from(request));
        const [{ name }] = questions;
        // Trials ask about the root.
        if (name !== '.') upstream.asked.push(name);
        if (upstream.isSilent) continue;
        const answer = message(Buffer.from(request).subarray(12), { answers: addresses(name) });
        answer.writeUInt16BE(id ?? 0, 0);
        socket.write(framed(answer));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream: Upstream = {
    ...{ port: (server.address() as AddressInfo).port, asked: [] as string[], sockets: [] as Socket[] },
    isSilent: false,
  };
  closing.push(() => {
    for (const socket of upstream.sockets) socket.destroy();
    server.close();
  });
  return upstream;
}

const block = (zone: string, { port }: Upstream) =>
  `${zone} {\n cache\n forward . 127.0.0.1:${port} {\n force_tcp\n }\n}\n`;

function received(packet: Buffer, nowMs: number): Received {
  return { packet, length: packet.length, family: 0, transport: overUdp, nowMs };
}

function newWorld(corefile: string) {
  const { context, listener, ask, cache, store, zone } = fixture(corefile, 'worker');
  context.slot = newSlot(sendSlotBytes);
  const clock = new ManualClock();
  const asking = new DirectAsker({ context, calls, counters: context.counters, random: seededRandom(3), clock });
  for (const { asks } of listener.zones) if (asks !== null) asks.mayAsk[0] = 1;
  const ended: (readonly [number, string])[] = [];
  const rows = new Map<number, Buffer>();
  const came = { message: new Uint8Array(0) as Uint8Array, durationMs: 0, arrivedMs: 0, nowMs: 0 };
  const told = {
    answered(row: number, bytes: Uint8Array, durationMs: number): boolean {
      Object.assign(came, { message: bytes, durationMs, arrivedMs: clock.nowMs() - durationMs, nowMs: clock.nowMs() });
      const length = asking.answer(row, received(rows.get(row) as Buffer, clock.nowMs()), came, context.slot);
      ended.push([row, length < 0 ? `deferred ${length}` : text(length)]);
      return true;
    },
    givenUp: (row: number): void => void ended.push([row, 'given up']),
  };
  const text = (length: number): string => {
    const answer = packets.decode(Buffer.from(context.slot.bytes.slice(0, length))) as Decoded;
    return [answer.questions?.[0].name, ...(answer.answers as packets.StringAnswer[]).map(({ data }) => data)].join(
      ' ',
    );
  };
  let asker: ReturnType<typeof asking.open> | null = null;
  const entries = new Int32Array(64);
  const entriesAt = calls.addressOf(entries.buffer);
  closing.push(() => {
    // Its descriptors are closed with those that it is no longer to ask.
    asker?.follow([]);
  });
  const world = {
    ...{ clock, asking, ended, listener, context, cache, store, zone },
    /** The spine's part: the packet is deferred, and answered from what is remembered, if it is. */
    remembers(packet: Buffer): string | null {
      assert.equal(ask(packet, clock.nowMs()), 'handed over');
      const length = asking.answerRecent(received(packet, clock.nowMs()));
      return length === deferred ? null : text(length);
    },
    asker(tables: readonly ZoneTable[] = [listener.table]) {
      if (asker !== null) return asker;
      asker = asking.open(told);
      asker.follow(tables);
      return asker;
    },
    /** Whether the packet, which was just deferred, is asked about. */
    asks(row: number, packet: Buffer): boolean {
      assert.equal(world.remembers(packet), null);
      assert.equal(asking.mayAsk(), true);
      rows.set(row, packet);
      const isAsked = world.asker().ask(row, received(packet, clock.nowMs()));
      world.asker().flush(clock.nowMs());
      return isAsked;
    },
    /** The same, as soon as there is a connection over which something was answered. */
    async asksInTime(row: number, packet: Buffer): Promise<void> {
      await eventually(() => {
        world.reads();
        return world.asks(row, packet);
      });
    },
    reads(): void {
      // It is opened by the first question.
      if (asker === null) return;
      const watched = world.asker().watch(entries, 0);
      if (watched > 0 && calls.poll(entriesAt, watched, 0) > 0) world.asker().read(entries, 0, clock.nowMs());
    },
    /** Reads what has come until so many rows have ended. */
    async ends(count: number): Promise<void> {
      await eventually(() => {
        world.reads();
        return ended.length >= count;
      });
    },
  };
  return world;
}

describe('DirectAsker', { skip }, () => {
  test('asks an upstream over TCP, answers, remembers, and has the answer for the cache', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    const packet = query('a.test', 'A');
    await world.asksInTime(5, packet);
    world.clock.passMs(2);
    await world.ends(1);
    assert.deepEqual(world.ended, [[5, 'a.test 192.0.2.0']]);
    assert.deepEqual([...new Set(upstream.asked)], ['a.test']);
    assert.ok(world.asking.forCache().length > packet.length);
    assert.equal(world.remembers(query('A.Test', 'A')), 'A.Test 192.0.2.0');
    assert.equal(world.remembers(query('b.test', 'A')), null);
  });

  test('a question that was deferred is the main thread’s for a while, one that was given up too', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    const may = (name: string): boolean => {
      assert.equal(world.remembers(query(name, 'A')), null);
      return world.asking.mayAsk();
    };
    assert.equal(may('a.test'), true);
    world.asking.deferred(received(query('a.test', 'A'), world.clock.nowMs()));
    assert.deepEqual([may('a.test'), may('A.TEST'), may('b.test')], [false, false, true]);
    world.clock.passMs(deferredAgainMs);
    assert.equal(may('a.test'), true);
    await world.asksInTime(0, query('first.test', 'A'));
    await world.ends(1);
    upstream.isSilent = true;
    assert.equal(world.asks(1, query('c.test', 'A')), true);
    world.asker().giveUpAll();
    assert.equal(may('c.test'), false);
  });

  test('asks about plain questions alone: it judges the packet that was deferred last', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    for (const [packet, isPlain] of [
      [query('a.test', 'A', { dnssecOk: true }), false],
      [query('a.test', 'A'), true],
      [query('a.test', 'HINFO'), false],
    ] as const) {
      assert.equal(world.remembers(packet), null);
      assert.equal(world.asking.mayAsk(), isPlain);
    }
    assert.equal(upstream.sockets.length, 0);
  });

  test('queries share connections, and each gets its own answer', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    await world.asksInTime(0, query('n0.test', 'A'));
    await world.ends(1);
    // One of them tries the next connection: the main thread answers it.
    const rows = [1, 2, 3, 4, 5, 6, 7, 8].filter((row) => world.asks(row, query(`n${row}.test`, 'A')));
    assert.ok(rows.length >= 7, `${rows}`);
    await world.ends(1 + rows.length);
    assert.deepEqual(
      world.ended.map(([row, text]) => `${row} ${text}`).sort(),
      [0, ...rows].map((row) => `${row} n${row}.test 192.0.2.0`),
    );
    assert.ok(upstream.sockets.length <= 3, `${upstream.sockets.length}`);
  });

  test('asks once for equal questions that come before the answer, which is for all of them', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    await world.asksInTime(0, query('first.test', 'A'));
    await world.ends(1);
    upstream.asked.splice(0);
    for (const [row, name] of [
      [1, 'a.test'],
      [2, 'A.test'],
      [3, 'b.test'],
      [4, 'a.TEST'],
    ] as const) {
      assert.equal(world.asks(row, query(name, 'A')), true);
    }
    await world.ends(5);
    assert.deepEqual(world.ended.slice(1).sort(), [
      [1, 'a.test 192.0.2.0'],
      [2, 'A.test 192.0.2.0'],
      [3, 'b.test 192.0.2.0'],
      [4, 'a.TEST 192.0.2.0'],
    ]);
    assert.deepEqual(upstream.asked.sort(), ['a.test', 'b.test']);
    assert.equal(world.context.counters.total('coalesced'), 2);
    upstream.isSilent = true;
    for (const row of [5, 6]) assert.equal(world.asks(row, query('c.test', 'A')), true);
    world.asker().giveUpAll();
    assert.deepEqual(world.ended.slice(5).sort(), [
      [5, 'given up'],
      [6, 'given up'],
    ]);
  });

  test('asks each zone’s own upstream, and none that the main thread finds ill', async () => {
    const [one, other] = [await newUpstream(), await newUpstream()];
    const world = newWorld(block('a.test', one) + block('b.test', other));
    await world.asksInTime(0, query('x.a.test', 'A'));
    await world.asksInTime(1, query('x.b.test', 'A'));
    await world.ends(2);
    assert.deepEqual([...new Set(one.asked), ...new Set(other.asked)], ['x.a.test', 'x.b.test']);
    const { asks } = world.zone('a.test.');
    asks!.mayAsk[0] = 0;
    assert.equal(world.asks(2, query('y.a.test', 'A')), false);
    assert.equal(world.asks(3, query('y.b.test', 'A')), true);
    await world.ends(3);
    asks!.mayAsk[0] = 1;
    await world.asksInTime(4, query('y.a.test', 'A'));
    await world.ends(4);
  });

  test('follows other tables: gives up its queries, forgets its answers, and asks those in the new ones', async () => {
    const [one, other] = [await newUpstream(), await newUpstream()];
    const world = newWorld(block('a.test', one) + block('b.test', other));
    await world.asksInTime(0, query('x.a.test', 'A'));
    await world.ends(1);
    assert.notEqual(world.remembers(query('x.a.test', 'A')), null);
    one.isSilent = true;
    await world.asksInTime(1, query('y.a.test', 'A'));
    const { byBytes } = world.listener.table;
    const left = byBytes.map((zones) => zones.filter((zone) => zone !== world.zone('a.test.')));
    world.asker().follow([{ ...world.listener.table, byBytes: left }]);
    assert.deepEqual(world.ended.slice(1), [[1, 'given up']]);
    assert.equal(world.remembers(query('x.a.test', 'A')), null);
    assert.equal(world.asks(2, query('z.a.test', 'A')), false);
    await eventually(() => one.sockets.every(({ readableEnded }) => readableEnded));
    await world.asksInTime(3, query('x.b.test', 'A'));
    await world.ends(3);
    assert.deepEqual(world.ended.slice(2), [[3, 'x.b.test 192.0.2.0']]);
  });

  test('gives up what waits too long, and all before the end', async () => {
    const upstream = await newUpstream();
    const world = newWorld(block('.', upstream));
    const asker = world.asker.bind(world);
    await world.asksInTime(0, query('a.test', 'A'));
    await world.ends(1);
    upstream.isSilent = true;
    await world.asksInTime(1, query('b.test', 'A'));
    assert.ok(asker().sweepAtMs <= world.clock.nowMs() + 1_000);
    world.clock.passMs(10_000);
    asker().sweep(world.clock.nowMs());
    assert.deepEqual(world.ended.slice(1), [[1, 'given up']]);
    // Its connection was closed, and the next one has to be proven.
    world.clock.passMs(10_000);
    assert.equal(world.asks(2, query('c.test', 'A')), false);
    upstream.isSilent = false;
    await world.asksInTime(2, query('c.test', 'A'));
    await world.ends(3);
    upstream.isSilent = true;
    await world.asksInTime(3, query('d.test', 'A'));
    asker().giveUpAll();
    assert.deepEqual(world.ended.slice(3), [[3, 'given up']]);
    assert.equal(world.context.counters.total('directGivenUp'), 2);
  });
});
