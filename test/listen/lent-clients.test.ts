/**
 * Connections that are lent, on loopback, and what becomes of them: the main thread's side and the worker's in one thread,
 * whose turns the test makes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { lentOutputBytes, lentQueriesMax, lentReadyMax, queryBytesMax } from '../../src/limits.js';
import { type HowReturned, Lender, type Loan } from '../../src/listen/lender.js';
import { LentClients } from '../../src/listen/lent-clients.js';
import { kindRefresh, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { SampleReader, SampleWriter, samplesMemory } from '../../src/listen/samples.js';
import { TraceReader, TraceWriter, tracesMemory } from '../../src/listen/traces.js';
import { endpointOf } from '../../src/os/addresses.js';
import { boundPort, openStreamSocket } from '../../src/os/bound-socket.js';
import type { Stream, StreamEvents } from '../../src/os/network.js';
import { streamSockets } from '../../src/os/stream-sockets.js';
import { errors, type SystemCalls } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { letters } from '../os/letters.js';
import { calls, descriptors, eventually, skip } from '../os/loopback-sockets.js';
import { framed, Unframer } from '../simulation/framing.js';

/** A letter and something, at least as long as a header. */
const query = (text: string): Buffer => framed(Buffer.from(text.padEnd(12, '.')));
const answerTo = (text: string): string => `${text.slice(1).padEnd(11, '.')} by one`;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 3_600_000);
});
after(() => clearInterval(alive));

class Near implements StreamEvents {
  stream!: Stream;
  loan: Loan | null = null;
  readonly lines: string[] = [];
  bytes = Buffer.alloc(0);
  readonly returns: (readonly [how: HowReturned, unsent: string | null])[] = [];

  data(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  ended(): void {
    this.lines.push('ended');
  }

  closed(error?: NodeJS.ErrnoException): void {
    this.lines.push(error === undefined ? 'closed' : `closed ${error.code}`);
  }

  get remote() {
    return this.stream.remote;
  }

  get fd(): number {
    return this.stream.fd!;
  }

  returned(how: HowReturned, unsent: Uint8Array | null): void {
    this.loan = null;
    this.returns.push([how, unsent === null ? null : Buffer.from(unsent).toString('latin1')]);
    this.stream.resume();
  }
}

function newWorld(broken: Partial<SystemCalls> = {}) {
  const used = { ...calls, ...broken };
  const lender = new Lender(calls);
  const counters = new Counters(countersMemory(0));
  const memory = ringMemory();
  const sampled = samplesMemory();
  const traced = tracesMemory();
  const seen = { wakings: 0, failed: [] as string[], entered: 0, left: 0 };
  const order = { id: 1, fd: -1, hasPacketInfo: false, table: 'one' };
  const lent = new LentClients<string>({
    ...{ calls: used, counters, loans: lender.table, loansEpoll: lender.epoll },
    decide: letters(() => assert.fail('nobody dies here')),
    ring: new RingWriter(memory, hashKey()),
    samples: new SampleWriter(sampled),
    traces: new TraceWriter(traced),
    unsent: (place, bytes) => lender.takeUnsent(place, bytes),
    wake: () => seen.wakings++,
    enter: () => seen.entered++,
    leave: () => seen.left++,
    failed: (error) => seen.failed.push((error as Error).message),
  });
  const fd = openStreamSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });
  const port = boundPort(calls, fd);
  calls.listen(fd, 64);
  const came: ((near: Near) => void)[] = [];
  const accept = (stream: Stream): Near => {
    const near = new Near();
    near.stream = stream;
    came.shift()!(near);
    return near;
  };
  const accepting = streamSockets(calls).acceptStreams(fd, accept, assert.fail);
  const nears: Near[] = [];
  const fars: Socket[] = [];
  closing.push(() => {
    for (const near of nears) near.loan?.recall();
    for (const near of nears) near.stream.destroy();
    for (const far of fars) far.destroy();
    accepting.stop();
    lender.close();
  });
  lender.table.wantPolling();
  lender.table.polls();
  const world = {
    ...{ lender, lent, counters, seen, order, ring: new RingReader(memory), samples: new SampleReader(sampled) },
    traces: new TraceReader(traced),
    time: { nowMs: 100 },
    async connects(): Promise<{ near: Near; far: Socket; answers: string[] }> {
      const accepted = new Promise<Near>((resolve) => came.push(resolve));
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      far.on('error', () => {});
      fars.push(far);
      const near = await accepted;
      nears.push(near);
      const answers: string[] = [];
      const unframer = new Unframer();
      far.on('data', (bytes) => answers.push(...unframer.push(bytes).map((one) => Buffer.from(one).toString())));
      return { near, far, answers };
    },
    lend(near: Near): void {
      near.loan = lender.lend(near, 1, world.time.nowMs);
      assert.notEqual(near.loan, null);
      near.stream.pause();
    },
    turn(sockets = [order]): void {
      lent.serve(sockets, world.time.nowMs);
      lender.take();
    },
    /** Makes turns until it holds. */
    until: (holds: () => boolean) =>
      eventually(() => {
        world.turn();
        return holds();
      }),
  };
  return world;
}

async function lentOne(broken: Partial<SystemCalls> = {}) {
  const world = newWorld(broken);
  const one = await world.connects();
  world.lend(one.near);
  return { world, ...one };
}

describe('LentClients', { skip, timeout: 60_000 }, () => {
  test('answers, counts, and keeps the connection', async () => {
    const { world, near, far, answers } = await lentOne();
    world.time.nowMs = 123.5;
    far.write(query('ahello'));
    await world.until(() => answers.length === 1);
    far.write(query('aagain'));
    await world.until(() => answers.length === 2);
    assert.deepEqual(answers, [answerTo('ahello'), answerTo('aagain')]);
    assert.deepEqual([near.loan?.answered, near.loan?.activeAtMs, near.returns], [2, 123.5, []]);
    assert.equal(world.seen.entered, world.seen.left);
    assert.deepEqual([...world.counters.batches], [0, 0, 0, 0, 0, 0, 0, 0, 0], 'nothing of it is a datagram');
    assert.equal(near.bytes.length, 0);
  });

  test('answers pipelined queries in order, in one write', async () => {
    let writes = 0;
    const { world, far, answers } = await lentOne({
      write(...to) {
        writes++;
        return calls.write(...to);
      },
    });
    const texts = Array.from({ length: lentQueriesMax }, (_, index) => `a${index}`);
    far.write(Buffer.concat(texts.map(query)));
    await world.until(() => answers.length === texts.length);
    assert.deepEqual(answers, texts.map(answerTo));
    assert.equal(writes, 1);
  });

  test('drops what gets no answer, and what an exception stops, and goes on', async () => {
    const { world, near, far, answers } = await lentOne();
    far.write(Buffer.concat([query('d'), query('t'), query('anext')]));
    await world.until(() => answers.length === 1);
    assert.deepEqual([answers, near.returns], [[answerTo('anext')], []]);
    assert.deepEqual([world.counters.total('panics'), world.seen.failed], [1, ['a letter that throws']]);
    assert.equal(near.loan?.answered, 3);
  });

  test('gives back a connection with a query that has to wait, with all that is behind it', async () => {
    const { world, near, far, answers } = await lentOne();
    far.write(Buffer.concat([query('afirst'), query('hthis'), query('athat')]));
    await world.until(() => near.returns.length > 0);
    assert.deepEqual(near.returns, [['usable', null]]);
    assert.ok(world.seen.wakings > 0);
    await eventually(() => near.bytes.length === 28 && answers.length === 1);
    assert.deepEqual(near.bytes, Buffer.concat([query('hthis'), query('athat')]));
  });

  test('gives back a part of a message, and what no worker reads', async () => {
    const long = framed(Buffer.alloc(queryBytesMax + 1, 'a'));
    const parts = [query('acut').subarray(0, 1), query('acut').subarray(0, 9), framed(Buffer.from('ashort')), long];
    for (const part of parts) {
      const { world, near, far, answers } = await lentOne();
      far.write(Buffer.concat([query('afirst'), part]));
      await world.until(() => near.returns.length > 0);
      await eventually(() => near.bytes.length === part.length);
      assert.deepEqual([near.bytes, near.returns], [part, [['usable', null]]]);
      await eventually(() => answers.length === 1);
    }
  });

  test('answers a query of the longest kind', async () => {
    const { world, near, far, answers } = await lentOne();
    far.write(framed(Buffer.alloc(queryBytesMax, 'a')));
    await world.until(() => answers.length === 1);
    assert.deepEqual([answers[0].length, near.returns], [queryBytesMax - 1 + ' by one'.length, []]);
  });

  test('gives back a connection with more queries than one turn serves', async () => {
    const { world, near, far, answers } = await lentOne();
    const texts = Array.from({ length: lentQueriesMax + 3 }, (_, index) => `a${index}`);
    far.write(Buffer.concat(texts.map(query)));
    await world.until(() => near.returns.length > 0);
    await eventually(() => answers.length === lentQueriesMax && near.bytes.length === 3 * 14);
    assert.deepEqual(near.bytes, Buffer.concat(texts.slice(lentQueriesMax).map(query)));
  });

  test('gives back all of a crowd, so that clients take turns', async () => {
    const world = newWorld();
    const all: Awaited<ReturnType<typeof world.connects>>[] = [];
    for (let count = 0; count <= lentReadyMax; count++) all.push(await world.connects());
    for (const { near, far } of all) {
      world.lend(near);
      far.write(query('ahello'));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    world.turn();
    const returned = all.filter(({ near }) => near.returns.length > 0);
    assert.equal(returned.length, lentReadyMax);
    for (const { near } of returned) assert.deepEqual(near.returns, [['crowded', null]]);
    await world.until(() => all.every(({ answers }) => answers.length === 1));
    assert.equal(world.lender.lent, 1);
  });

  test('gives back what the client ends or breaks', async () => {
    const { world, near, far, answers } = await lentOne();
    far.end(query('alast'));
    await world.until(() => near.returns.length > 0);
    await eventually(() => near.lines.includes('ended') && answers.length === 1);
    const broken = await world.connects();
    world.lend(broken.near);
    broken.far.resetAndDestroy();
    await world.until(() => broken.near.returns.length > 0);
    await eventually(() => broken.near.lines.length > 0);
  });

  test('gives back a connection of an endpoint that it no longer serves', async () => {
    const { world, near, far } = await lentOne();
    far.write(query('ahello'));
    await eventually(() => {
      world.turn([]);
      return near.returns.length > 0;
    });
    await eventually(() => near.bytes.length === 14);
  });

  test('what a client that never reads is owed is the main thread’s to send, whole and in order', async () => {
    const { world, near, far } = await lentOne();
    far.pause();
    far.removeAllListeners('data');
    const text = `a${'x'.repeat(queryBytesMax - 1)}`;
    let sent = 0;
    const send = setInterval(() => {
      for (let more = 3; more > 0 && sent < 4_000; more--, sent++) far.write(query(text));
    }, 1);
    await world.until(() => near.returns.length > 0);
    clearInterval(send);
    const [how, unsent] = near.returns[0];
    assert.equal(how, 'usable');
    assert.ok(unsent !== null && unsent.length > 0 && unsent.length <= lentOutputBytes, `${unsent?.length} unsent`);
    near.stream.pause();
    near.stream.write(Buffer.from(unsent, 'latin1'));
    near.stream.end();
    const received: Buffer[] = [];
    far.on('data', (bytes) => received.push(bytes)).resume();
    await once(far, 'end');
    const answer = framed(Buffer.from(`${text.slice(1)} by one`));
    const all = Buffer.concat(received);
    assert.equal(all.length % answer.length, 0, 'no answer is cut');
    for (let at = 0; at < all.length; at += answer.length) {
      assert.ok(all.subarray(at, at + answer.length).equals(answer), `at ${at}`);
    }
  });

  test('a write that fails altogether loses nothing that could be sent', async () => {
    const { world, near, far } = await lentOne({ write: () => errors.tryAgain });
    far.write(Buffer.concat([query('afirst'), query('anext')]));
    await world.until(() => near.returns.length > 0);
    const both = Buffer.concat(['afirst', 'anext'].map((text) => framed(Buffer.from(answerTo(text)))));
    assert.deepEqual(near.returns, [['usable', both.toString('latin1')]]);
  });

  test('has refreshes made, and samples what it answers', async () => {
    const { world, far, answers } = await lentOne();
    far.write(query('rsoon'));
    await world.until(() => answers.length === 1);
    assert.ok(world.ring.next());
    assert.deepEqual([world.ring.kind, world.ring.socket, world.ring.arrivedMs], [kindRefresh, 1, 100]);
    assert.equal(Buffer.from(world.ring.packet).toString(), 'rsoon.......');
    const peer = new Int32Array(world.ring.peerWords.buffer, world.ring.peerAt * 4, 8);
    assert.deepEqual(endpointOf(peer), { address: '127.0.0.1', port: far.localPort });
    assert.ok(world.seen.wakings > 0);
    const taken: string[] = [];
    world.samples.read(({ packet, peer }) => taken.push(`${Buffer.from(packet)} ${endpointOf(peer).address}`));
    assert.deepEqual(taken, ['rsoon....... 127.0.0.1']);
  });

  test('tells those who watch what it has answered', async () => {
    const { world, far, answers } = await lentOne();
    world.traces.want({ hitsOneIn: 1, others: 'told' });
    far.write(query('aseen'));
    await world.until(() => answers.length === 1);
    const { answer, answerBytes, peer, transport, socket, origin, atMs } = world.traces.next()!;
    assert.equal(Buffer.from(answer.subarray(0, answerBytes)).toString('latin1'), answerTo('aseen'));
    assert.deepEqual([transport, socket, origin, atMs, endpointOf(peer).port], [1, 1, 'hit', 100, far.localPort]);
    assert.equal(world.traces.next(), null);
  });
});

describe('Lender', { skip, timeout: 60_000 }, () => {
  test('lends nothing before the worker polls, nor what epoll does not take', async () => {
    const lender = new Lender(calls);
    const remote = { address: '127.0.0.1', port: 1 };
    const client = { remote, fd: -1, returned: assert.fail };
    assert.equal(lender.lend(client, 1, 0), null);
    assert.ok(lender.table.polls());
    assert.equal(lender.lend(client, 1, 0), null, 'no such descriptor');
    assert.equal(lender.lent, 0);
    lender.close();
    const refused = new Lender({ ...calls, epoll: () => -24 });
    refused.table.wantPolling();
    refused.table.polls();
    assert.equal(refused.lend(client, 1, 0), null);
    refused.close();
  });

  test('has one back at once when the worker does not use it, and then the worker hears nothing of it', async () => {
    const { world, near, far, answers } = await lentOne();
    near.loan?.recall();
    assert.deepEqual([near.returns, world.lender.lent], [[['usable', null]], 0]);
    far.write(query('ahello'));
    await eventually(() => near.bytes.length === 14);
    world.turn();
    assert.deepEqual(answers, []);
    assert.equal(world.lender.table.polls(), false, 'it was the last');
  });

  test('has one back later that is in use', async () => {
    const { world, near, far, answers } = await lentOne();
    const { table } = world.lender;
    const use = table.use.bind(table);
    table.use = (place) => {
      const isOurs = use(place);
      near.loan?.recall();
      return isOurs;
    };
    assert.deepEqual(near.returns, []);
    far.write(query('ahello'));
    await world.until(() => near.returns.length > 0);
    await eventually(() => answers.length === 1);
    assert.deepEqual(near.returns, [['usable', null]]);
  });

  test('an event of a connection that is recalled and closed meanwhile concerns no other', async () => {
    let whenReady = (): void => {};
    const world = newWorld({
      epollReady(...to) {
        const count = calls.epollReady(...to);
        if (count > 0) whenReady();
        return count;
      },
    });
    const [first, second] = [await world.connects(), await world.connects()];
    world.lend(first.near);
    whenReady = () => {
      whenReady = () => {};
      first.near.loan?.recall();
      first.near.stream.destroy();
      // In the same place, with nothing to read.
      world.lend(second.near);
    };
    first.far.write(query('ahello'));
    await eventually(() => {
      world.turn();
      return second.near.loan !== null;
    });
    assert.deepEqual([second.near.returns, first.near.returns.length], [[], 1]);
    second.far.write(query('aother'));
    await world.until(() => second.answers.length === 1);
    assert.deepEqual([first.answers, second.answers, second.near.loan?.answered], [[], [answerTo('aother')], 1]);
  });

  test('when the worker dies it has all back: broken where the worker was in the middle', async () => {
    const world = newWorld();
    const [idle, busy, left] = [await world.connects(), await world.connects(), await world.connects()];
    for (const { near } of [idle, busy, left]) world.lend(near);
    const { table } = world.lender;
    assert.ok(table.use(1));
    assert.ok(table.use(2));
    table.giveBack(2);
    world.lender.takeAll();
    assert.deepEqual(
      [idle, busy, left].map(({ near }) => near.returns),
      [[['usable', null]], [['broken', null]], [['usable', null]]],
    );
    assert.deepEqual([world.lender.lent, table.polls()], [0, false]);
    idle.far.write(query('ahello'));
    await eventually(() => idle.near.bytes.length === 14);
  });

  test('one whose owner throws keeps no other', async () => {
    const world = newWorld();
    const all = [await world.connects(), await world.connects()];
    for (const { near } of all) world.lend(near);
    all[0].near.returned = () => {
      throw new Error('planted');
    };
    assert.throws(() => world.lender.takeAll(), /planted/);
    assert.deepEqual([all[1].near.returns.length, world.lender.lent], [1, 0]);
    all[0].near.loan = null;
  });

  test('leaves no descriptor behind', async () => {
    const before = descriptors();
    const lender = new Lender(calls);
    assert.equal(descriptors(), before + 1);
    lender.close();
    assert.equal(descriptors(), before);
  });
});
