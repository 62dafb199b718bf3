import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { directAnswersHeldMs } from '../../src/limits.js';
import { Lender } from '../../src/listen/lender.js';
import { kindAnswer, kindQuestion, kindRefresh, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { SampleReader, SampleWriter, samplesMemory } from '../../src/listen/samples.js';
import { TraceReader, TraceWriter, tracesMemory } from '../../src/listen/traces.js';
import { OrderNumbers, type Orders, type SocketOrder } from '../../src/listen/worker.js';
import { WorkerLoop, type WorkerLoopDeps } from '../../src/listen/worker-loop.js';
import { endpointOf } from '../../src/os/addresses.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { errors, linux } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { LetterAsker } from '../os/letter-asker.js';
import { letters } from '../os/letters.js';
import { calls, openClient, skip } from '../os/loopback-sockets.js';

const kinds = { [kindQuestion]: 'question', [kindRefresh]: 'refresh', [kindAnswer]: 'answer' } as const;

interface Options extends Partial<Pick<WorkerLoopDeps<string>, 'enter'>> {
  readonly ringBytes?: number;
  readonly asking?: LetterAsker | null;
}

/** A loop in this thread, whose turns the test makes. */
async function newWorld(sockets: number, { ringBytes = 1 << 16, asking = null, ...more }: Options = {}) {
  const opened = Array.from({ length: sockets }, () => {
    return openSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });
  });
  const orderFor = (table: string, indexes = [...opened.keys()]): SocketOrder<string>[] => {
    return indexes.map((index) => ({ id: index + 1, fd: opened[index].fd, hasPacketInfo: false, table }));
  };
  const counters = new Counters(countersMemory(0));
  const memory = ringMemory(ringBytes);
  const sampled = samplesMemory();
  const traced = tracesMemory();
  const numbers = new OrderNumbers();
  const lender = new Lender(calls);
  const posted: Orders<string>[] = [];
  const seen = { wakings: 0, failed: [] as string[], entered: 0, left: 0 };
  const time = { nowMs: 1234 };
  const order = (table: string, indexes?: number[], next: Orders<string>['next'] = 'serve'): Orders<string> => {
    return { number: numbers.issued + 1, sockets: orderFor(table, indexes), counters: counters.memory, next };
  };
  const first = order('one');
  numbers.issue(first.number);
  const loop = new WorkerLoop<string>(
    {
      ...{ calls, counters, numbers, asking, hashKey: hashKey() },
      decide: letters(() => assert.fail('nobody dies here')),
      ring: new RingWriter(memory, hashKey()),
      samples: new SampleWriter(sampled),
      traces: new TraceWriter(traced),
      loans: lender.table,
      loansEpoll: lender.epoll,
      unsent: (place, bytes) => lender.takeUnsent(place, bytes),
      nowMs: () => time.nowMs,
      enter: () => seen.entered++,
      leave: () => seen.left++,
      nextOrders: () => posted.shift(),
      wakeControlLane: () => seen.wakings++,
      failed: (error) => seen.failed.push((error as Error).message),
      ...more,
    },
    first,
  );
  const client = await openClient();
  const ring = new RingReader(memory);
  return {
    ...{ loop, lender, client, counters, numbers, seen, time, ring, samples: new SampleReader(sampled) },
    traces: new TraceReader(traced),
    port: (index: number) => opened[index].local.port,
    post(table: string, indexes?: number[], next?: Orders<string>['next']): void {
      const orders = order(table, indexes, next);
      posted.push(orders);
      numbers.issue(orders.number);
    },
    /** What is in the ring, as text. */
    inRing(): string[] {
      const all: string[] = [];
      while (ring.next()) all.push(`${kinds[ring.kind]} ${ring.socket} ${Buffer.from(ring.packet)}`);
      return all;
    },
    close(): void {
      asking?.close();
      client.close();
      for (const { fd } of opened) calls.close(fd);
      lender.close();
    },
  };
}

describe('WorkerLoop', { skip }, () => {
  test('answers, drops and hands over what one call received', async () => {
    const world = await newWorld(1);
    const { client, ring } = world;
    for (const text of ['afirst', 'd', 'hsecond', 'athird']) await client.send(text, world.port(0));
    world.loop.turn();
    assert.equal(await client.receive(), 'first by one');
    assert.equal(await client.receive(), 'third by one');
    assert.ok(ring.next());
    assert.deepEqual([ring.kind, ring.socket, ring.arrivedMs], [kindQuestion, 1, 1234]);
    assert.equal(Buffer.from(ring.packet).toString(), 'hsecond');
    assert.equal(ring.next(), false);
    assert.deepEqual([world.seen.entered, world.seen.left], [1, 1]);
    world.close();
  });

  test('counts what came with one call, and takes some of it as a sample', async () => {
    const world = await newWorld(1);
    for (const text of ['afirst', 'asecond', 'd']) await world.client.send(text, world.port(0));
    world.loop.turn();
    assert.deepEqual([...world.counters.batches], [0, 0, 1, 0, 0, 0, 0, 0, 3], 'three, which is up to four');
    const taken: string[] = [];
    world.samples.read(({ packet, peer }, packets) => {
      taken.push(`${Buffer.from(packet)} from ${endpointOf(peer).address} for ${packets}`);
    });
    assert.deepEqual(taken, ['afirst from 127.0.0.1 for 1', 'asecond from 127.0.0.1 for 1', 'd from 127.0.0.1 for 1']);
    world.close();
  });

  test('tells those who watch what it has answered, to whom, and over which socket; nobody else', async () => {
    const world = await newWorld(2);
    await world.client.send('aunseen', world.port(0));
    world.loop.turn();
    assert.equal(world.traces.next(), null);
    world.traces.want({ hitsOneIn: 1, others: 'told' });
    for (const text of ['afirst', 'd', 'hlater', 'oodd', 'rsecond']) await world.client.send(text, world.port(1));
    world.loop.turn();
    const told: string[] = [];
    for (let trace = world.traces.next(); trace !== null; trace = world.traces.next()) {
      const { answer, answerBytes, origin, socket, atMs, transport, durationMs } = trace;
      assert.deepEqual(
        [origin, atMs, transport, durationMs, endpointOf(trace.peer).address],
        ['hit', 1234, 0, 0, '127.0.0.1'],
      );
      told.push(`${Buffer.from(answer).toString('latin1', 0, answerBytes)} over ${socket}`);
    }
    assert.deepEqual(told, ['first by one over 2', 'second by one over 2']);
    assert.deepEqual(world.seen.failed, ['an odd letter'], 'whose client has its answer');
    world.close();
  });

  test('hands over what is due for a refresh, though it has its answer', async () => {
    const world = await newWorld(1);
    await world.client.send('rx', world.port(0));
    world.loop.turn();
    assert.equal(await world.client.receive(), 'x by one');
    assert.ok(world.ring.next());
    assert.equal(world.ring.kind, kindRefresh);
    world.close();
  });

  test('wakes the main thread once for all that it has not looked at', async () => {
    const world = await newWorld(1);
    // Taking the first orders is said too.
    world.loop.turn();
    const before = world.seen.wakings;
    for (let batch = 0; batch < 3; batch++) {
      for (const text of ['h1', 'h2']) await world.client.send(text, world.port(0));
      world.loop.turn();
    }
    assert.equal(world.seen.wakings, before + 1);
    world.close();
  });

  test('an exception costs its own packet only', async () => {
    const world = await newWorld(1);
    for (const text of ['a1', 't', 'a2']) await world.client.send(text, world.port(0));
    world.loop.turn();
    assert.equal(await world.client.receive(), '1 by one');
    assert.equal(await world.client.receive(), '2 by one');
    assert.deepEqual(world.seen.failed, ['a letter that throws']);
    assert.equal(world.counters.total('panics'), 1);
    world.close();
  });

  test('answers itself when the main thread does not keep up, and counts it', async () => {
    const world = await newWorld(1, { ringBytes: 256 });
    for (const text of ['h1', 'h2', 'h3']) await world.client.send(text, world.port(0));
    world.loop.turn();
    assert.equal(await world.client.receive(), 'no room for 2');
    assert.equal(await world.client.receive(), 'no room for 3');
    assert.equal(world.counters.total('overloadedHandOver'), 2);
    world.close();
  });

  test('answers by the newest orders, also what was received before it saw them', async () => {
    const world = await newWorld(1);
    world.loop.turn();
    await world.client.send('a', world.port(0));
    world.post('two');
    world.loop.turn();
    assert.equal(await world.client.receive(), ' by two');
    assert.equal(world.numbers.taken, 2);
    world.close();
  });

  test('serves several sockets, each by its table', async () => {
    const world = await newWorld(3);
    for (const index of [0, 2]) await world.client.send(`a${index}`, world.port(index));
    world.loop.turn();
    const got = [await world.client.receiveFrom(), await world.client.receiveFrom()];
    assert.deepEqual(
      got.map(({ text, port }) => `${text} ${port}`).sort(),
      [`0 by one ${world.port(0)}`, `2 by one ${world.port(2)}`].sort(),
    );
    world.close();
  });

  test('empties a socket that it is to leave before it says so, and ends when told', async () => {
    const world = await newWorld(2);
    for (let index = 0; index < 100; index++) await world.client.send(`a${index}`, world.port(1));
    world.post('two', [], 'end');
    world.loop.run();
    for (let index = 0; index < 100; index++) await world.client.receive();
    assert.equal(world.numbers.taken, 2);
    world.close();
  });

  /** What the kernel says to the first calls; `one` is that it takes one of those it is given. */
  const sendings: readonly {
    readonly what: string;
    readonly says: readonly (number | 'one')[];
    readonly lost: string[];
  }[] = [
    { what: 'takes fewer than it is given', says: ['one', 'one'], lost: [] },
    { what: 'is interrupted', says: [errors.interrupted, 'one', errors.interrupted], lost: [] },
    { what: 'has no memory for the first', says: [errors.noBuffers], lost: ['1'] },
    { what: 'refuses the second', says: ['one', errors.notPermitted], lost: ['2'] },
    { what: 'has no room, for as long as a thread waits', says: ['one', errors.tryAgain], lost: ['2'] },
    { what: 'has no room twice', says: [errors.tryAgain, 'one', errors.tryAgain], lost: ['1', '3'] },
    {
      what: 'has no room any more',
      says: Array.from({ length: 4 }, () => errors.tryAgain),
      lost: ['1', '2', '3', '4'],
    },
  ];
  for (const { what, says, lost } of sendings) {
    test(`when the kernel ${what}: ${lost.length} lost and counted, the others sent`, async () => {
      const world = await newWorld(1);
      const { send } = calls;
      const left = [...says];
      let hadNoRoom = false;
      calls.send = (fd, at, count, flags) => {
        assert.equal(flags, hadNoRoom ? linux.dontWait : 0, 'it waits for room once');
        const said = left.shift();
        if (said === errors.tryAgain) hadNoRoom = true;
        if (said === undefined) return send(fd, at, count, flags);
        return said === 'one' ? send(fd, at, 1, flags) : said;
      };
      try {
        for (const text of ['1', '2', '3', '4']) await world.client.send(`a${text}`, world.port(0));
        world.loop.turn();
      } finally {
        calls.send = send;
      }
      assert.deepEqual(left, []);
      for (const text of ['1', '2', '3', '4']) {
        if (!lost.includes(text)) assert.equal(await world.client.receive(), `${text} by one`);
      }
      assert.equal(world.counters.total('sendFailed'), lost.length);
      world.close();
    });
  }

  test('a receive that is interrupted, or finds nothing in its time, is made again', async () => {
    const world = await newWorld(1);
    const { receive } = calls;
    const left: number[] = [errors.interrupted, errors.tryAgain];
    calls.receive = (...given) => left.shift() ?? receive(...given);
    try {
      await world.client.send('a', world.port(0));
      for (let turns = 0; turns < 3; turns++) world.loop.turn();
    } finally {
      calls.receive = receive;
    }
    assert.equal(await world.client.receive(), ' by one');
    world.close();
  });
});

describe('WorkerLoop with queries of its own', { skip }, () => {
  /** With queries `hq0`, `hq1` … under way, one of each socket. */
  async function newAskingWorld(sockets: number, options: Options = {}) {
    const asker = new LetterAsker(calls);
    const world = await newWorld(sockets, { ...options, asking: asker });
    world.loop.turn();
    for (let index = 0; index < sockets; index++) await world.client.send(`hq${index}`, world.port(index));
    world.loop.turn();
    assert.deepEqual([asker.rows.size, world.ring.next()], [sockets, false]);
    const rows = [...asker.rows.keys()];
    return { ...world, asker, rows };
  }

  test('asks about what it can, in one go for a batch, and defers the rest', async () => {
    const asker = new LetterAsker(calls);
    const world = await newWorld(1, { asking: asker });
    for (const text of ['hq1', 'a2', 'h3', 'hq4']) await world.client.send(text, world.port(0));
    world.loop.turn();
    assert.equal(await world.client.receive(), '2 by one');
    assert.deepEqual([[...asker.rows.values()], asker.flushed], [['hq1', 'hq4'], [2]]);
    assert.deepEqual(world.inRing(), ['question 1 h3']);
    world.close();
  });

  test('polls its connections beside its sockets while queries are under way', async () => {
    for (const sockets of [1, 2]) {
      const world = await newAskingWorld(sockets);
      const { loop, asker, client, rows } = world;
      for (const row of rows) asker.comes(row, 'yes');
      loop.turn();
      const got = Array.from({ length: sockets }, () => client.receiveFrom());
      assert.deepEqual(
        (await Promise.all(got)).map(({ text, port }) => `${text} ${port}`).sort(),
        rows.map((_, index) => `yes to hq${index} ${world.port(index)}`).sort(),
      );
      await client.send('a', world.port(0));
      loop.turn();
      assert.equal(await client.receive(), ' by one');
      assert.deepEqual(
        world.inRing(),
        Array.from({ length: sockets }, (_, index) => `answer ${index + 1} -yes`),
      );
      world.close();
    }
  });

  test('serves its sockets while it waits for an upstream, and both in one turn', async () => {
    const world = await newAskingWorld(1);
    const { loop, asker, client, rows } = world;
    await client.send('a1', world.port(0));
    loop.turn();
    assert.equal(await client.receive(), '1 by one');
    await client.send('a2', world.port(0));
    asker.comes(rows[0], 'yes');
    loop.turn();
    assert.deepEqual([await client.receive(), await client.receive()], ['yes to hq0', '2 by one']);
    world.close();
  });

  test('a turn without packets gives up what has waited too long', async () => {
    const world = await newAskingWorld(1);
    const { loop, asker, rows, time } = world;
    asker.slow.push(...rows);
    asker.sweepAtMs = time.nowMs + 1;
    loop.turn();
    assert.equal(asker.rows.size, 1);
    time.nowMs++;
    loop.turn();
    assert.deepEqual(world.inRing(), ['question 1 hq0']);
    world.close();
  });

  test('held answers are told of in a turn without packets', async () => {
    for (const sockets of [1, 2]) {
      for (const hasConnections of [true, false]) {
        const world = await newAskingWorld(sockets);
        const { loop, asker, client, rows, time, seen, ring } = world;
        // The loop is not to be woken for what it has in hand.
        assert.equal(ring.next(), false);
        ring.awake();
        for (const row of rows) asker.comes(row, 'yes');
        loop.turn();
        for (let index = 0; index < sockets; index++) await client.receive();
        const before = seen.wakings;
        if (!hasConnections) asker.watch = () => 0;
        time.nowMs += directAnswersHeldMs - 1;
        loop.turn();
        assert.equal(seen.wakings, before);
        time.nowMs++;
        loop.turn();
        assert.equal(seen.wakings, before + 1, `${sockets} sockets, ${hasConnections}`);
        world.close();
      }
    }
  });

  test('new orders give up the queries under way before anything is answered by them', async () => {
    const world = await newAskingWorld(2);
    const { loop, asker, client, rows, numbers } = world;
    world.post('two');
    // It is read in the same turn, before the orders.
    asker.comes(rows[0], 'yes');
    await client.send('a', world.port(1));
    loop.turn();
    assert.deepEqual([await client.receive(), await client.receive()], ['yes to hq0', ' by two']);
    assert.deepEqual(world.inRing(), ['answer 1 -yes', 'question 2 hq1']);
    assert.deepEqual(
      [numbers.taken, asker.followed],
      [
        2,
        [
          ['one', 'one'],
          ['two', 'two'],
        ],
      ],
    );
    world.close();
  });

  test('leaves a socket only when its queries are the main thread’s, also those it finds there last', async () => {
    for (const [indexes, next] of [
      [[0], 'serve'],
      [[], 'serve'],
      [[], 'end'],
    ] as const) {
      const world = await newAskingWorld(2);
      const { loop, asker, client, numbers } = world;
      const inRingWhenTaken: string[][] = [];
      const { take } = numbers;
      numbers.take = (number) => {
        inRingWhenTaken.push(world.inRing());
        take.call(numbers, number);
      };
      for (let index = 0; index < 100; index++) await client.send(`a${index}`, world.port(1));
      await client.send('hqlast', world.port(1));
      world.post('two', [...indexes], next);
      loop.turn();
      for (let index = 0; index < 100; index++) await client.receive();
      const [inRing] = inRingWhenTaken;
      assert.deepEqual(inRing.sort(), ['question 1 hq0', 'question 2 hq1', 'question 2 hqlast']);
      assert.deepEqual([inRingWhenTaken.length, numbers.taken, asker.rows.size], [1, 2, 0]);
      world.close();
    }
  });

  test('an exception in the middle of a batch loses neither its packets nor the queries under way', async () => {
    let isBroken = false;
    const world = await newAskingWorld(1, {
      enter() {
        if (isBroken) throw new Error('planted');
      },
    });
    isBroken = true;
    for (const text of ['a1', 'hq2']) await world.client.send(text, world.port(0));
    assert.throws(() => world.loop.turn(), /planted/);
    assert.deepEqual(world.inRing(), ['question 1 a1', 'question 1 hq2', 'question 1 hq0']);
    world.close();
  });

  test('an exception while answers are read loses no query', async () => {
    const world = await newAskingWorld(2);
    const { asker, rows } = world;
    asker.broken = new Error('planted');
    asker.comes(rows[0], 'yes');
    assert.throws(() => world.loop.turn(), /planted/);
    assert.deepEqual(world.inRing(), ['question 1 hq0', 'question 2 hq1']);
    assert.ok(world.seen.wakings > 0);
    world.close();
  });
});
