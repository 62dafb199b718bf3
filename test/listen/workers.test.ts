import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { handedOverMax, handOverTurnMs, lentBatchesPerQuery } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import { Datagrams } from '../../src/listen/message-batch.js';
import { kindAnswer, kindQuestion, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { DeferredQueue, Workers } from '../../src/listen/workers.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { systemClock } from '../../src/os/clock.js';
import type { Endpoint } from '../../src/os/network.js';
import { socketsAt } from '../../src/os/proc.js';
import { steerTo } from '../../src/os/reuseport-groups.js';
import { linux } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { calls, eventually, newGroups, openClient, skip } from '../os/loopback-sockets.js';

/** Threads that answer by letters (letters.ts); what they hand over is answered `context: …`, or kept when it says so. */
async function newWorld(count = 1) {
  const counters = new Counters(countersMemory(1));
  const lines: string[] = [];
  const say = (message: string): void => void lines.push(message);
  const died: number[] = [];
  const groups = newGroups();
  const threads = new Workers<string, null>({
    ...{ calls, counters, threads: count, shared: null, groups, hashKey: hashKey() },
    clock: systemClock(),
    log: { debug: say, info: say, warn: say, error: say },
    program: new URL('../os/letters-thread.js', import.meta.url),
    threadDied: (index) => died.push(index),
  });
  const kept: Client[] = [];
  const refreshed: string[] = [];
  const cached: string[] = [];
  let table = 'one';
  const open = (address = '127.0.0.1') => {
    return threads.open({
      at: { address, port: 0 },
      table: () => table,
      serve(packet, client) {
        const text = Buffer.from(packet).toString();
        if (text.startsWith('hkeep')) kept.push(client);
        else client.reply(Buffer.from(`context: ${text}`));
      },
      refresh: (packet) => void refreshed.push(Buffer.from(packet).toString()),
      refuse: (packet, client) => client.reply(Buffer.from(`no room for ${Buffer.from(packet)}`)),
      keep: (entry) => void cached.push(Buffer.from(entry).toString()),
    });
  };
  return {
    ...{ threads, groups, counters, lines, died, kept, refreshed, cached, open, client: await openClient() },
    setTable(next: string): void {
      table = next;
      threads.update();
    },
  };
}

describe('Workers', { skip }, () => {
  test('answers on its threads, and what they hand over on the same socket', async () => {
    const { threads, open, client, refreshed, ...world } = await newWorld();
    const listener = await open();
    await client.send('ahello', listener.local.port);
    assert.equal(await client.receive(), 'hello by one');
    await client.send('hthis', listener.local.port);
    const { text, port } = await client.receiveFrom();
    assert.deepEqual([text, port], ['context: hthis', listener.local.port]);
    await client.send('rsoon', listener.local.port);
    assert.equal(await client.receive(), 'soon by one');
    await eventually(() => refreshed.length === 1);
    assert.deepEqual(refreshed, ['rsoon']);
    // A batch each; letters-thread.ts counts them.
    assert.ok(threads.pages.reduce((sum, page) => sum + page.total('coalesced'), 0) >= 3);
    assert.deepEqual(world.lines, []);
    await threads.end();
    client.close();
  });

  test('TCP connections are worth lending while queries on them are not too few beside the datagrams', async () => {
    const { threads, open, client } = await newWorld();
    const listener = await open();
    // Before that, datagrams wait and come in fewer batches.
    await threads.answering();
    const lending = listener.lending!;
    lending.pays(0);
    const batches = lentBatchesPerQuery * 2;
    for (let count = 0; count < batches; count++) {
      await client.send('ahello', listener.local.port);
      await client.receive();
    }
    assert.equal(lending.pays(1), false);
    for (let count = 0; count < batches; count++) {
      await client.send('ahello', listener.local.port);
      await client.receive();
    }
    assert.equal(lending.pays(2), true);
    assert.deepEqual([lending.pays(1), lending.pays(0)], [true, false], 'no datagrams since');
    const lent = { remote: client, fd: -1, returned: assert.fail } as never;
    await new Promise<void>((resolve) => listener.drain(resolve));
    assert.equal(lending.lend(lent, 0), null, 'the workers have left the endpoint');
    await threads.end();
    client.close();
  });

  test('says when its threads answer', async () => {
    const { threads, open, client } = await newWorld(2);
    const listener = await open();
    await threads.answering();
    await threads.answering();
    await client.send('ahello', listener.local.port);
    assert.equal(await client.receive(), 'hello by one');
    await threads.end();
    client.close();
  });

  test('says when its threads have followed, after which nothing is answered by what held before', async () => {
    const { threads, open, client, setTable } = await newWorld(2);
    const listener = await open();
    await threads.answering();
    for (let round = 0; round < 20; round++) {
      setTable(`table ${round}`);
      const haveFollowed = threads.following();
      await eventually(haveFollowed);
      setTable(`table ${round} again`);
      assert.ok(haveFollowed(), 'what comes later does not matter');
      await eventually(threads.following());
      await client.send('ahello', listener.local.port);
      assert.equal(await client.receive(), `hello by table ${round} again`);
    }
    await threads.end();
    client.close();
  });

  test('inherits copies of sockets: answers what is in them, and closes them', async () => {
    const { threads, groups, open, client, counters } = await newWorld(2);
    const listener = await open();
    // Another process's, which is dead: nobody reads it.
    const wish = { at: listener.local, ipv6Only: 'no', sharedWith: 'us' } as const;
    const dead = [openSocket(calls, wish), openSocket(calls, wish), openSocket(calls, wish)];
    const [group] = Object.keys(groups.layout());
    assert.equal(steerTo(calls, dead[0].fd, [3]), 0);
    await client.send('aleft', listener.local.port);
    groups.hold({ groups: [group, group, group, group], descriptors: [...dead.map(({ fd }) => fd), calls.eventFd()] });
    groups.steer('all');
    groups.inherit();
    assert.equal(await client.receive(), 'left by one');
    await eventually(() => socketsAt('udp', listener.local)!.length === 2);
    await client.send('anew', listener.local.port);
    assert.equal(await client.receive(), 'new by one');
    assert.equal(counters.total('panics'), 0);
    await threads.end();
    client.close();
  });

  test('copies that nobody has a listener for are closed, and so are those held before', async () => {
    const { threads, groups, open, client } = await newWorld();
    const listener = await open();
    const wish = { at: listener.local, ipv6Only: 'no', sharedWith: 'us' } as const;
    const [group] = Object.keys(groups.layout());
    const hold = (key: string): void => {
      groups.hold({ groups: [key], descriptors: [openSocket(calls, wish).fd] });
    };
    const there = (): number => socketsAt('udp', listener.local)!.length;
    hold('udp 192.0.2.99 53');
    assert.equal(there(), 1);
    hold(group);
    hold(group);
    assert.equal(there(), 2);
    groups.hold({ groups: [], descriptors: [] });
    assert.equal(there(), 1);
    await threads.end();
    client.close();
  });

  test('tells the client who asked, and when', async () => {
    const { threads, open, client, kept } = await newWorld();
    const listener = await open();
    await client.send('hkeep', listener.local.port);
    await eventually(() => kept.length === 1);
    assert.deepEqual(kept[0].remote, { address: '127.0.0.1', port: client.port });
    assert.deepEqual(kept[0].local, listener.local);
    assert.ok((kept[0].receivedAtMs as number) > 0);
    kept[0].reply(null);
    assert.throws(() => kept[0].reply(null), /answered once/);
    await threads.end();
    client.close();
  });

  test('answers from the address that was asked, on all addresses of both families', async () => {
    const { threads, open, client: unused } = await newWorld();
    unused.close();
    const listener = await open('::');
    for (const address of ['127.0.0.1', ...(listener.local.address === '::' ? ['::1'] : [])]) {
      const client = await openClient(address);
      for (const letter of ['a', 'h']) {
        await client.send(letter, listener.local.port);
        assert.equal((await client.receiveFrom()).address, address, `${letter} at ${address}`);
      }
      client.close();
    }
    const other = await openClient('127.0.0.2');
    await other.send('a', listener.local.port);
    assert.equal((await other.receiveFrom()).address, '127.0.0.2');
    other.close();
    await threads.end();
  });

  test('gives its threads the tables that are in force, and larger pages, and loses no number', async () => {
    const { threads, open, client, counters, setTable } = await newWorld();
    const listener = await open();
    const batches = (): number => [counters, ...threads.pages].reduce((sum, page) => sum + page.total('coalesced'), 0);
    await client.send('a', listener.local.port);
    assert.equal(await client.receive(), ' by one');
    const before = batches();
    counters.growTo(50);
    setTable('two');
    await client.send('a', listener.local.port);
    assert.equal(await client.receive(), ' by two');
    await eventually(() => threads.pages.length === 1);
    assert.ok(threads.pages[0].zones.length >= counters.zones.length);
    assert.equal(batches(), before + 1);
    await threads.end();
    client.close();
  });

  test('starts a thread again that has died; what was queued meanwhile is answered', async () => {
    const { threads, open, client, lines, died, counters } = await newWorld();
    const listener = await open();
    await client.send('a0', listener.local.port);
    assert.equal(await client.receive(), '0 by one');
    await client.send('x', listener.local.port);
    await eventually(() => died.length === 1);
    for (const index of [1, 2, 3]) await client.send(`a${index}`, listener.local.port);
    for (const index of [1, 2, 3]) assert.equal(await client.receive(), `${index} by one`);
    assert.deepEqual(lines, ['a worker exited; starting a new one']);
    assert.equal(counters.total('panics'), 1);
    await threads.end();
    client.close();
  });

  test('drains: answers what is queued and in flight, then closes; the port is free', async () => {
    const { threads, open, client, kept } = await newWorld(2);
    const listener = await open();
    const { port } = listener.local;
    for (const text of ['hkeep', 'a1', 'a2']) await client.send(text, port);
    await eventually(() => kept.length === 1);
    let isDrained = false;
    const startedMs = performance.now();
    const drained = new Promise<void>((resolve) => {
      listener.drain(() => {
        isDrained = true;
        resolve();
      });
    });
    assert.deepEqual([await client.receive(), await client.receive()], ['1 by one', '2 by one']);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(isDrained, false);
    kept[0].reply(Buffer.from('late'));
    assert.equal(await client.receive(), 'late');
    await drained;
    assert.ok(performance.now() - startedMs < 1_000);
    await threads.end();
    client.close();
  });

  test('closes at once without waiting for anybody, and may be ended without having served', async () => {
    const { threads, open, client, kept } = await newWorld();
    const listener = await open();
    await client.send('hkeep', listener.local.port);
    await eventually(() => kept.length === 1);
    listener.close();
    kept[0].reply(Buffer.from('too late'));
    await threads.end();
    client.close();
    const idle = await newWorld();
    await idle.threads.end();
    idle.client.close();
  });

  test('gives the cache what a thread has asked by itself', async () => {
    const { threads, open, client, cached, kept } = await newWorld();
    const listener = await open();
    await client.send('hq', listener.local.port);
    assert.equal(await client.receive(), 'yes to hq');
    await eventually(() => cached.length === 1);
    assert.deepEqual([cached, kept], [['-yes'], []]);
    await threads.end();
    client.close();
  });

  test('gives the cache nothing that came under older orders, or for a socket that is closed', async () => {
    for (const end of ['new orders', 'closed'] as const) {
      const { threads, open, client, cached, setTable } = await newWorld();
      const listener = await open();
      const other = await open();
      await threads.answering();
      const answered = (): number => threads.pages.reduce((sum, page) => sum + page.total('directAnswered'), 0);
      // Nothing is read here meanwhile: this thread does not return to its event loop.
      askAtOnce('hq', listener.local);
      while (answered() === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      if (end === 'closed') listener.close();
      else setTable('two');
      await eventually(threads.following());
      await client.send('hthis', other.local.port);
      assert.equal(await client.receive(), 'context: hthis');
      assert.deepEqual(cached, []);
      await client.send('hq', other.local.port);
      assert.equal(await client.receive(), 'yes to hq');
      await eventually(() => cached.length === 1);
      await threads.end();
      client.close();
    }
  });

  test('several threads share a port, and each of several listeners is served', async () => {
    const { threads, open, client: unused } = await newWorld(2);
    unused.close();
    const listeners = [await open(), await open(), await open()];
    for (let index = 0; index < 24; index++) {
      const client = await openClient();
      await client.send(`a${index}`, listeners[index % 3].local.port);
      assert.equal(await client.receive(), `${index} by one`);
      client.close();
    }
    await threads.end();
  });
});

/** Sends a packet whose answer nobody waits for, without a turn of the event loop. */
function askAtOnce(text: string, at: Endpoint): void {
  const fd = calls.socket(linux.familyIpv4, linux.datagrams);
  assert.equal(calls.connect(fd, encodeSocketAddress(at)), 0);
  const packet = new Uint8Array(Buffer.from(text));
  assert.equal(calls.write(fd, calls.addressOf(packet.buffer), text.length), text.length);
  calls.close(fd);
}

interface RingOptions {
  readonly serveMs: number;
  readonly cacheMs?: number;
  readonly ringBytes?: number;
}

/** A ring, and its end in the main thread, where serving one packet takes `serveMs`, and caching an answer `cacheMs`. */
function newRingWorld({ serveMs, cacheMs = 0, ringBytes }: RingOptions) {
  const memory = ringMemory(ringBytes);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  const datagrams = new Datagrams({ addressOf: () => 4096 }, 1024, 1);
  const served: string[] = [];
  const refused: string[] = [];
  const cached: string[] = [];
  let nowMs = 0;
  const deferred = new DeferredQueue<string>({
    hashKey: hashKey(),
    nowMs: () => nowMs,
    read({ kind, packet }) {
      const text = Buffer.from(packet).toString();
      if (kind !== kindAnswer) return packet[0] === 0 ? null : text;
      cached.push(text);
      nowMs += cacheMs;
      return null;
    },
    keep: (item) => `${item} kept`,
    serve(item) {
      served.push(item.split(' ')[0]);
      nowMs += serveMs;
    },
    refuse: (item) => void refused.push(item.split(' ')[0]),
  });
  return {
    ...{ served, refused, cached },
    nowMs: () => nowMs,
    reader,
    take: () => deferred.take([reader]),
    takeWith: (other: RingReader) => deferred.take([reader, other]),
    putAnswer: (text: string) => writer.putAnswer(1, 1, 0, Buffer.from(text)),
    put(address: string, text: string): boolean {
      const packet = Buffer.from(text);
      datagrams.slots[0].bytes.set(packet);
      datagrams.words[14] = packet.length;
      datagrams.bytes.set(encodeSocketAddress({ address, port: 53 }), datagrams.peerAt(0) * 4);
      return writer.put(kindQuestion, 1, 0, datagrams, 0);
    },
  };
}

test('what there is time for is served as it comes, in one turn', () => {
  const { served, put, take } = newRingWorld({ serveMs: handOverTurnMs / 1000 });
  for (let index = 0; index < 500; index++) put(`10.0.0.${index % 3}`, `q${index}`);
  assert.equal(take(), true);
  assert.deepEqual(
    served,
    Array.from({ length: 500 }, (_, index) => `q${index}`),
  );
  assert.equal(take(), true);
});

test('an entry for which nobody waits any more is passed over', () => {
  const { served, put, take } = newRingWorld({ serveMs: 0 });
  put('10.0.0.1', '\0gone');
  put('10.0.0.1', 'here');
  assert.equal(take(), true);
  assert.deepEqual(served, ['here']);
});

test('answers for the cache do not make a turn longer, and queries behind them are served in a later one', () => {
  const { served, cached, put, putAnswer, take, nowMs } = newRingWorld({ serveMs: 0, cacheMs: handOverTurnMs / 16 });
  for (let index = 0; index < 100; index++) assert.ok(putAnswer(`answer${index}`));
  assert.ok(put('10.0.0.1', 'query'));
  assert.ok(putAnswer('last'));
  const lengths: number[] = [];
  for (let isAll = false; !isAll; ) {
    const beganMs = nowMs();
    isAll = take();
    lengths.push(nowMs() - beganMs);
  }
  assert.ok(
    lengths.every((ms) => ms <= handOverTurnMs),
    `${lengths}`,
  );
  assert.equal(lengths.length, Math.ceil(101 / 16));
  assert.deepEqual(cached, [...Array.from({ length: 100 }, (_, index) => `answer${index}`), 'last']);
  assert.deepEqual(served, ['query']);
  assert.equal(take(), true);
});

test('a ring that always has answers does not keep the others from being read', () => {
  const times = { serveMs: handOverTurnMs / 16, cacheMs: handOverTurnMs / 16 };
  const { served, put, putAnswer, takeWith } = newRingWorld(times);
  const other = newRingWorld(times);
  other.put('10.0.0.1', 'query');
  for (let turns = 0; served.length === 0; turns++) {
    assert.ok(turns < 2, 'the second turn begins with the second ring');
    for (let index = 0; index < 32; index++) putAnswer('answer');
    assert.equal(takeWith(other.reader), false);
  }
  assert.deepEqual(served, ['query']);
  put('10.0.0.1', 'last');
  while (!takeWith(other.reader));
  assert.deepEqual(served, ['query', 'last']);
});

test('answers that fill every turn do not keep queries waiting that are in the queue', () => {
  const times = { serveMs: handOverTurnMs / 16, cacheMs: handOverTurnMs / 16 };
  const { served, put, putAnswer, take } = newRingWorld(times);
  for (let index = 0; index < 40; index++) put('10.0.0.1', `query${index}`);
  assert.equal(take(), false);
  assert.equal(served.length, 16);
  for (let turns = 0; turns < 3; turns++) {
    for (let index = 0; index < 32; index++) putAnswer('answer');
    assert.equal(take(), false);
  }
  assert.equal(served.length, 40);
});

test('answers and queries share a turn', () => {
  const times = { serveMs: handOverTurnMs / 16, cacheMs: handOverTurnMs / 16 };
  const { served, cached, put, putAnswer, take } = newRingWorld(times);
  for (let index = 0; index < 50; index++) {
    put('10.0.0.1', `query${index}`);
    putAnswer(`answer${index}`);
  }
  let turns = 0;
  for (let isAll = false; !isAll; turns++) {
    isAll = take();
    // Eight queries that wait are served in a turn that answers have filled.
    assert.ok(served.length + cached.length <= (16 + 8) * (turns + 1));
  }
  assert.ok(turns <= Math.ceil(100 / 16), `${turns}`);
  assert.deepEqual([served.length, cached.length], [50, 50]);
});

test('behind a flood another client is served in the next turn, and a turn ends when its time is over', () => {
  const { served, put, take } = newRingWorld({ serveMs: handOverTurnMs / 16 });
  for (let index = 0; index < 500; index++) put('10.0.0.1', `flood${index}`);
  put('10.0.0.2', 'other');
  assert.equal(take(), false);
  assert.equal(served.length, 16);
  assert.equal(take(), false);
  assert.equal(served.length, 32);
  // The first of the two clients' turns is the flood's.
  assert.equal(served.indexOf('other'), 17);
  let turns = 2;
  while (!take()) turns++;
  assert.equal(turns, Math.floor(501 / 16));
  assert.equal(served.length, 501);
});

test('and so it is with answers for the cache among the flood', () => {
  const times = { serveMs: handOverTurnMs / 64, cacheMs: handOverTurnMs / 512 };
  const { served, cached, put, putAnswer, take } = newRingWorld(times);
  for (let index = 0; index < 500; index++) {
    put('10.0.0.1', `flood${index}`);
    if (index % 4 === 0) putAnswer(`answer${index}`);
  }
  put('10.0.0.2', 'other');
  for (let turns = 0; turns < 3; turns++) assert.equal(take(), false);
  assert.ok(served.includes('other'), `${served.length}`);
  while (!take());
  assert.deepEqual([served.length, cached.length], [501, 125]);
});

test('more than may wait: the flood is refused, the other client is not', () => {
  const { served, refused, put, take } = newRingWorld({ serveMs: handOverTurnMs });
  let flooded = 0;
  let others = 0;
  while (refused.length < 1_000) {
    for (let index = 0; index < 1_000; index++) if (put('10.0.0.1', `flood${flooded}`)) flooded++;
    if (put('10.0.0.2', `other${others}`)) others++;
    take();
    assert.ok(flooded + others - served.length - refused.length <= handedOverMax + 1_001);
  }
  while (!take());
  assert.equal(refused.filter((text) => text.startsWith('other')).length, 0);
  assert.equal(served.filter((text) => text.startsWith('other')).length, others);
  assert.equal(served.length + refused.length, flooded + others);
});
