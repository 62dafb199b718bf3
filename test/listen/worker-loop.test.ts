import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { kindQuestion, kindRefresh, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { SampleReader, SampleWriter, samplesMemory } from '../../src/listen/samples.js';
import { OrderNumbers, type Orders, type SocketOrder } from '../../src/listen/worker.js';
import { WorkerLoop } from '../../src/listen/worker-loop.js';
import { endpointOf } from '../../src/os/addresses.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { errors, linux } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { letters } from '../os/letters.js';
import { calls, openClient, skip } from '../os/loopback-sockets.js';

/** An loop in this thread, whose turns the test makes. */
async function newWorld(sockets: number, ringBytes = 1 << 16) {
  const opened = Array.from({ length: sockets }, () => {
    return openSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });
  });
  const orderFor = (table: string, indexes = [...opened.keys()]): SocketOrder<string>[] => {
    return indexes.map((index) => ({ id: index + 1, fd: opened[index].fd, hasPacketInfo: false, table }));
  };
  const counters = new Counters(countersMemory(0));
  const memory = ringMemory(ringBytes);
  const sampled = samplesMemory();
  const numbers = new OrderNumbers();
  const posted: Orders<string>[] = [];
  const seen = { wakings: 0, failed: [] as string[], entered: 0, left: 0 };
  const order = (table: string, indexes?: number[], next: Orders<string>['next'] = 'serve'): Orders<string> => {
    return { number: numbers.issued + 1, sockets: orderFor(table, indexes), counters: counters.memory, next };
  };
  const first = order('one');
  numbers.issue(first.number);
  const loop = new WorkerLoop<string>(
    {
      ...{ calls, counters, numbers },
      decide: letters(() => assert.fail('nobody dies here')),
      ring: new RingWriter(memory, hashKey()),
      samples: new SampleWriter(sampled),
      nowMs: () => 1234,
      enter: () => seen.entered++,
      leave: () => seen.left++,
      nextOrders: () => posted.shift(),
      wakeControlLane: () => seen.wakings++,
      failed: (error) => seen.failed.push((error as Error).message),
    },
    first,
  );
  const client = await openClient();
  return {
    ...{ loop, client, counters, numbers, seen, ring: new RingReader(memory), samples: new SampleReader(sampled) },
    port: (index: number) => opened[index].local.port,
    post(table: string, indexes?: number[], next?: Orders<string>['next']): void {
      const orders = order(table, indexes, next);
      posted.push(orders);
      numbers.issue(orders.number);
    },
    close(): void {
      client.close();
      for (const { fd } of opened) calls.close(fd);
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
    assert.deepEqual(taken, ['afirst from 127.0.0.1 for 3']);
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
    const world = await newWorld(1, 256);
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
