/** The TCP listener as its clients see it, over the in-memory network and at last over loopback. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { queryBytesMax, tcpClientInflightMax, tcpClientsMax, tcpLingerMs, tcpSweepPeriodMs } from '../../src/limits.js';
import { openTcpListener } from '../../src/listen/tcp.js';
import { TcpClient as TcpClientStream } from '../../src/listen/tcp-client.js';
import { TcpPlaces } from '../../src/listen/tcp-places.js';
import { systemClock } from '../../src/os/clock.js';
import { nodeNetwork } from '../../src/os/node-network.js';
import { TcpClient } from '../simulation/client.js';
import { at, idleMs, message, readMs, tcpWorld, timeouts, writeMs } from './tcp-world.js';

test('pipelined queries are answered in the order in which the answers are ready', async () => {
  const { clock, connects, asked, listener } = await tcpWorld();
  const client = await connects();
  client.sends(message(1), message(2), message(3));
  await clock.pass(0);
  assert.deepEqual(
    asked.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.deepEqual([asked[0].client.transport, asked[0].client.remote.address], [1, '10.244.0.7']);
  assert.deepEqual([asked[0].client.local, listener.local], [at, at]);
  asked[2].reply();
  await clock.pass(0);
  asked[0].reply();
  await clock.pass(0);
  asked[1].reply();
  await clock.pass(0);
  assert.deepEqual(client.ids, [3, 1, 2]);
  assert.deepEqual(client.received[0], message(3));
});

test('the answers of one turn go out in one write', async () => {
  const { clock, network, connects, asked } = await tcpWorld();
  const client = await connects();
  client.sends(...Array.from({ length: 20 }, (_, id) => message(id)));
  await clock.pass(0);
  for (const query of asked) query.reply();
  await clock.pass(0);
  assert.equal(client.ids.length, 20);
  assert.equal(network.traffic('tcp', at).packetsToClients, 1);
});

test('queries cut anywhere are found, whatever the chunks', async () => {
  for (const chunks of [1, 2, 5, 'random'] as const) {
    const { clock, network, connects, asked } = await tcpWorld({ answering: 'at once' });
    network.faults.chunks = chunks;
    const client = await connects();
    const ids = Array.from({ length: 50 }, (_, id) => id);
    client.sends(...ids.map((id) => message(id, 12 + id * 7)));
    await clock.pass(0);
    assert.deepEqual(
      asked.map(({ bytes }) => bytes.length),
      ids.map((id) => 12 + id * 7),
    );
    assert.deepEqual(client.ids, ids);
  }
});

test('the largest query and the largest answer pass whole', async () => {
  const { clock, connects, asked } = await tcpWorld();
  const client = await connects();
  client.sends(message(1, queryBytesMax));
  await clock.pass(0);
  assert.equal(asked[0].bytes.length, queryBytesMax);
  asked[0].client.reply(message(1, 65_535));
  await clock.pass(0);
  assert.equal(client.received[0].length, 65_535);
});

test('zero-length and short frames are passed on, settled without an answer, and the connection lives on', async () => {
  const { clock, connects, asked } = await tcpWorld();
  const client = await connects();
  client.sends(new Uint8Array(0), Uint8Array.of(1, 2, 3), message(7));
  await clock.pass(0);
  assert.deepEqual(
    asked.map(({ bytes }) => bytes.length),
    [0, 3, 12],
  );
  asked[0].client.reply(null);
  asked[1].client.reply(null);
  asked[2].reply();
  await clock.pass(0);
  assert.deepEqual(client.ids, [7]);
  assert.equal(client.isClosed, false);
});

test('a half-close: everything received is answered, then the connection is closed', async () => {
  const { clock, connects, asked, listener } = await tcpWorld();
  const client = await connects();
  client.sends(message(1), message(2));
  client.end();
  await clock.pass(0);
  asked[0].reply();
  await clock.pass(0);
  assert.deepEqual([client.ids, client.isClosed], [[1], false]);
  asked[1].reply();
  await clock.pass(0);
  assert.deepEqual(client.ids, [1, 2]);
  assert.deepEqual(client.log, ['opened', 'ended', 'closed']);
  assert.equal(listener.clients, 0);
});

test('a half-close with nothing to answer, or in the middle of a frame, closes at once', async () => {
  for (const bytes of [[], [0], [0, 12, 1, 2]]) {
    const { clock, connects, asked, listener } = await tcpWorld();
    const client = await connects();
    client.sendsRaw(Uint8Array.from(bytes));
    client.end();
    await clock.pass(0);
    assert.deepEqual([client.log.at(-1), asked.length, listener.clients], ['closed', 0, 0]);
  }
});

test('a client that has gone gets nothing, and nothing breaks', async () => {
  const { clock, connects, asked, listener, counters } = await tcpWorld();
  const client = await connects();
  client.sends(message(1), message(2));
  await clock.pass(0);
  asked[0].reply();
  client.destroy();
  await clock.pass(0);
  asked[1].reply();
  await clock.pass(60_000);
  assert.equal(listener.clients, 0);
  assert.equal(counters.total('tcpClosedIdle'), 0);
});

test('a reset in the middle of everything leaves nothing behind', async () => {
  const { clock, network, connects, asked, listener } = await tcpWorld();
  const client = await connects();
  client.sends(message(1));
  client.sendsRaw(Uint8Array.of(0));
  await clock.pass(0);
  network.resetConnections(at);
  await clock.pass(0);
  asked[0].reply();
  await clock.pass(0);
  assert.equal(client.log.at(-1), 'closed ECONNRESET');
  assert.equal(listener.clients, 0);
  assert.equal(clock.timersSet, 0);
});

test('answering one query twice is a mistake', async () => {
  const { clock, connects, asked } = await tcpWorld();
  (await connects()).sends(message(1));
  await clock.pass(0);
  asked[0].reply();
  assert.throws(() => asked[0].reply(), /once/);
});

test('before its first query a client has readMs, afterwards idleMs from its last query or answer', async () => {
  const { clock, connects, asked, counters } = await tcpWorld();
  const silent = await connects();
  const client = await connects();
  await clock.pass(readMs - 1_000);
  client.sends(message(1));
  await clock.pass(1_000 + tcpSweepPeriodMs);
  assert.deepEqual([silent.isClosed || silent.log.includes('ended'), client.log], [true, ['opened']]);
  assert.equal(counters.total('tcpClosedIdle'), 1);
  // As long as an answer is owed, the client is not idle.
  await clock.pass(2 * idleMs);
  asked[0].reply();
  await clock.pass(idleMs - tcpSweepPeriodMs);
  assert.deepEqual([client.ids, client.log], [[1], ['opened']]);
  await clock.pass(2 * tcpSweepPeriodMs);
  assert.deepEqual(client.log, ['opened', 'ended']);
  assert.equal(counters.total('tcpClosedIdle'), 2);
});

test('half a frame, or a byte now and then, does not keep a connection open', async () => {
  const { clock, connects, counters } = await tcpWorld({ answering: 'at once' });
  const fresh = await connects();
  const used = await connects();
  used.sends(message(1));
  fresh.sendsRaw(Uint8Array.of(0, 30));
  await clock.pass(0);
  for (let secondsPassed = 0; secondsPassed < 11; secondsPassed++) {
    if (!fresh.log.includes('ended')) fresh.sendsRaw(Uint8Array.of(1));
    used.sendsRaw(Uint8Array.of(1));
    await clock.pass(1_000);
    assert.equal(fresh.log.includes('ended'), (secondsPassed + 1) * 1_000 >= readMs);
  }
  assert.equal(used.log.includes('ended'), true);
  assert.equal(counters.total('tcpClosedIdle'), 2);
});

test('there is one timer for all connections, and none when there are none', async () => {
  const { clock, connects } = await tcpWorld();
  assert.equal(clock.timersSet, 0);
  const clients = [await connects(), await connects(), await connects()];
  assert.equal(clock.timersSet, 1);
  for (const client of clients) client.destroy();
  await clock.pass(0);
  for (const client of clients) assert.equal(client.isClosed, true);
  assert.equal(clock.timersSet, 0);
  await connects();
  assert.equal(clock.timersSet, 1);
});

test('beyond the bound a client is turned away when no place is idle, and there is room again when one goes', async () => {
  const { clock, connects, counters, listener, asked } = await tcpWorld();
  const clients: TcpClient[] = [];
  for (let n = 0; n < tcpClientsMax; n++) {
    clients.push(await connects(`10.1.${n >> 8}.${n & 255}`));
    clients[n].sends(message(1));
  }
  await clock.pass(0);
  const surplus = await connects();
  assert.equal(surplus.log.includes('ended'), true);
  assert.deepEqual(
    [listener.clients, counters.total('tcpAccepted'), counters.total('tcpRejected')],
    [tcpClientsMax, tcpClientsMax, 1],
  );
  asked[0].reply();
  clients[1].destroy();
  await clock.pass(0);
  assert.deepEqual(clients[0].ids, [1]);
  const next = await connects();
  assert.deepEqual([next.log, counters.total('tcpRejected')], [['opened'], 1]);
});

test('listeners that share the places count together', async () => {
  const tcpPlaces = new TcpPlaces();
  const one = await tcpWorld({ tcpPlaces });
  const other = await tcpWorld({ tcpPlaces });
  const first = await one.connects();
  await other.connects();
  assert.equal(tcpPlaces.taken, 2);
  first.destroy();
  await one.clock.pass(0);
  assert.equal(tcpPlaces.taken, 1);
});

test('reading stops at the bound of queries in flight, and goes on as they are answered', async () => {
  const { clock, connects, asked } = await tcpWorld();
  const client = await connects();
  const total = 3 * tcpClientInflightMax;
  for (let id = 0; id < total; id += 8) {
    client.sends(...Array.from({ length: 8 }, (_, n) => message(id + n, 20)));
  }
  client.end();
  await clock.pass(0);
  assert.equal(asked.length, tcpClientInflightMax);
  asked[0].reply();
  await clock.pass(0);
  assert.equal(asked.length, tcpClientInflightMax + 1);
  for (let answered = 1; answered < total; answered++) {
    asked[answered].reply();
    await clock.pass(0);
    assert(asked.length - answered - 1 <= tcpClientInflightMax);
  }
  assert.deepEqual(
    client.ids,
    Array.from({ length: total }, (_, id) => id),
  );
  assert.equal(client.log.at(-1), 'closed');
});

test('one read full of queries for a busy connection waits its turn without being lost', async () => {
  const { clock, connects, asked } = await tcpWorld();
  const client = await connects();
  client.sends(...Array.from({ length: 1_000 }, (_, id) => message(id)));
  await clock.pass(0);
  assert.equal(asked.length, tcpClientInflightMax);
  for (let answered = 0; answered < 1_000; answered++) {
    asked[answered].reply();
    if (answered % 100 === 99) await clock.pass(0);
  }
  assert.deepEqual(
    client.ids,
    Array.from({ length: 1_000 }, (_, id) => id),
  );
});

test('answers at once to thousands of queries in one read are written as the client takes them', async () => {
  const { clock, network, connects, counters } = await tcpWorld({ answering: 'at once', answerBytes: 500 });
  network.faults.windowBytes = 10_000;
  const client = await connects();
  const ids = Array.from({ length: 4_000 }, (_, id) => id);
  client.sends(...ids.map((id) => message(id)));
  await clock.pass(0);
  assert.deepEqual(client.ids, ids);
  assert.equal(counters.total('tcpClosedSlow'), 0);
});

test('a client that does not read is not read from, and loses the connection after writeMs', async () => {
  const { clock, connects, asked, counters } = await tcpWorld({ answering: 'at once', answerBytes: 1_000 });
  const client = await connects();
  client.pause();
  for (let id = 0; id < 1_000; id++) client.sends(message(id));
  await clock.pass(0);
  const served = asked.length;
  assert(served < 400, `${served} served`);
  await clock.pass(writeMs - tcpSweepPeriodMs);
  assert.deepEqual([asked.length, counters.total('tcpClosedSlow')], [served, 0]);
  await clock.pass(3 * tcpSweepPeriodMs);
  assert.equal(counters.total('tcpClosedSlow'), 1);
  assert.equal(counters.total('tcpClosedIdle'), 0);
});

test('a client that reads slowly but reads keeps its connection', async () => {
  const { clock, network, connects, counters } = await tcpWorld({ answering: 'at once', answerBytes: 1_000 });
  network.faults.windowBytes = 20_000;
  const client = await connects();
  client.pause();
  for (let id = 0; id < 200; id++) client.sends(message(id));
  for (let n = 0; n < 30; n++) {
    await clock.pass(writeMs - 500);
    client.resume();
    network.faults.windowBytes = 1_000;
    clock.passMs(0);
    client.pause();
  }
  client.resume();
  await clock.pass(0);
  assert.deepEqual([client.ids.length, counters.total('tcpClosedSlow')], [200, 0]);
});

test('beyond the bound of unsent bytes the connection is dropped', async () => {
  const { clock, connects, asked, counters, listener } = await tcpWorld();
  const client = await connects();
  client.sends(...Array.from({ length: 20 }, (_, id) => message(id)));
  await clock.pass(0);
  client.pause();
  for (const query of asked) query.client.reply(message(query.id, 60_000));
  await clock.pass(0);
  assert.equal(counters.total('tcpClosedSlow'), 1);
  assert.equal(listener.clients, 0);
  client.resume();
  await clock.pass(0);
  assert.equal(client.log.at(-1), 'closed ECONNRESET');
});

test('after tcpQueriesMax queries the rest is not read, and the connection is closed behind the last answer', async () => {
  const { clock, connects, asked } = await tcpWorld({ timeouts: { ...timeouts, tcpQueriesMax: 3 } });
  const client = await connects();
  client.sends(message(1), message(2), message(3), message(4));
  await clock.pass(0);
  assert.equal(asked.length, 3);
  client.sends(message(5));
  for (const query of asked) query.reply();
  await clock.pass(0);
  assert.deepEqual([asked.length, client.ids, client.log], [3, [1, 2, 3], ['opened', 'ended']]);
});

test('other timeouts, after a reload, hold for clients that are there already', async () => {
  const { clock, connects, asked, setTimeouts, counters } = await tcpWorld();
  const [client, other] = [await connects(), await connects()];
  for (const each of [client, other]) each.sends(message(1), message(2));
  await clock.pass(0);
  for (const query of asked) query.reply();
  await clock.pass(0);
  setTimeouts({ ...timeouts, idleMs: 2 * tcpSweepPeriodMs, tcpQueriesMax: 1 });
  client.sends(message(3), message(4));
  await clock.pass(0);
  assert.equal(asked.length, 5, 'one more is taken by who has had more than one');
  asked[4].reply();
  await clock.pass(4 * tcpSweepPeriodMs);
  assert.deepEqual(
    [client.ids, client.log],
    [
      [1, 2, 3],
      ['opened', 'ended'],
    ],
  );
  assert.deepEqual([other.log.at(-1), counters.total('tcpClosedIdle')], ['ended', 1]);
});

test('tcpQueriesMax holds also for queries that wait in line', async () => {
  const total = tcpClientInflightMax + 10;
  const { clock, connects, asked } = await tcpWorld({ timeouts: { ...timeouts, tcpQueriesMax: total } });
  const client = await connects();
  client.sends(...Array.from({ length: 2 * total }, (_, id) => message(id)));
  await clock.pass(0);
  for (let answered = 0; answered < total; answered++) {
    asked[answered].reply();
    await clock.pass(0);
  }
  assert.deepEqual([asked.length, client.ids.length, client.log], [total, total, ['opened', 'ended']]);
});

test('a connection that we ended is dropped when the client does not end it too', async () => {
  const { clock, connects, asked, listener, counters } = await tcpWorld({
    timeouts: { ...timeouts, tcpQueriesMax: 1 },
  });
  const client = await connects();
  client.sends(message(1));
  await clock.pass(0);
  asked[0].reply();
  await clock.pass(tcpLingerMs - tcpSweepPeriodMs);
  assert.equal(listener.clients, 1);
  await clock.pass(2 * tcpSweepPeriodMs);
  assert.deepEqual([listener.clients, client.ids], [0, [1]]);
  assert.equal(counters.total('tcpClosedIdle'), 0);
});

test('drain refuses new clients, drops idle ones, answers what is in flight, and then is done', async () => {
  const { clock, network, connects, asked, listener } = await tcpWorld();
  const idle = await connects();
  const busy = await connects();
  busy.sends(message(1), message(2));
  await clock.pass(0);
  let drained = 0;
  listener.drain(() => drained++);
  busy.sends(message(3));
  await clock.pass(0);
  assert.deepEqual([idle.log, busy.log, asked.length], [['opened', 'ended'], ['opened'], 2]);
  const late = new TcpClient(network, at);
  await clock.pass(0);
  assert.deepEqual(late.log, ['closed ECONNREFUSED']);
  for (const query of asked) query.reply();
  await clock.pass(0);
  assert.deepEqual([busy.ids, drained], [[1, 2], 0]);
  busy.end();
  await clock.pass(0);
  assert.deepEqual([drained, listener.clients], [1, 0]);
  assert.equal(clock.timersSet, 0);
});

test('drain answers also what waits in line behind the bound', async () => {
  const { clock, connects, asked, listener } = await tcpWorld();
  const client = await connects();
  const total = tcpClientInflightMax + 50;
  client.sends(...Array.from({ length: total }, (_, id) => message(id)));
  await clock.pass(0);
  listener.drain(() => {});
  for (let answered = 0; answered < total; answered++) {
    asked[answered].reply();
    await clock.pass(0);
  }
  assert.equal(client.ids.length, total);
  assert.deepEqual(client.log, ['opened', 'ended']);
  // Reading goes on, or the client's FIN would not be seen.
  client.sends(message(1));
  client.end();
  await clock.pass(0);
  assert.deepEqual([client.log.at(-1), listener.clients], ['closed', 0]);
});

test('drain does not wait for ever for clients that do not read or do not close', async () => {
  const { clock, connects, asked, listener } = await tcpWorld();
  const deaf = await connects();
  const lingering = await connects();
  for (const client of [deaf, lingering]) client.sends(message(1), message(2));
  await clock.pass(0);
  deaf.pause();
  for (const query of asked) query.client.reply(message(query.id, 50_000));
  let drained = 0;
  listener.drain(() => drained++);
  await clock.pass(writeMs + 2 * tcpSweepPeriodMs);
  assert.deepEqual([drained, listener.clients, lingering.ids], [1, 0, [1, 2]]);
});

test('drain with no client is done, but never before it returns; close drops everyone', async () => {
  const empty = await tcpWorld();
  let drained = 0;
  empty.listener.drain(() => drained++);
  assert.equal(drained, 0);
  await empty.clock.pass(0);
  assert.equal(drained, 1);
  const { clock, connects, asked, listener } = await tcpWorld();
  const client = await connects();
  client.sends(message(1));
  await clock.pass(0);
  listener.close();
  asked[0].reply();
  await clock.pass(0);
  assert.deepEqual([listener.clients, client.ids, client.log], [0, [], ['opened', 'ended']]);
});

test('an exception for one query does not keep the others from their answers', async (context) => {
  const { clock, connects, asked, onNextQuery } = await tcpWorld();
  const first = await connects();
  const second = await connects();
  for (const client of [first, second]) client.sends(...Array.from({ length: 200 }, (_, id) => message(id)));
  await clock.pass(0);
  // The clients' turns are run by hand, so that what is thrown there can be seen.
  const turns: (() => void)[] = [];
  const immediates = context.mock.method(globalThis, 'setImmediate', ((turn: () => void) => turns.push(turn)) as never);
  for (const query of [...asked]) query.reply();
  await null;
  assert.equal(turns.length, 1);
  onNextQuery(() => {
    throw new Error('a bug');
  });
  assert.throws(() => turns[0](), /a bug/);
  for (let next = 1; next < turns.length; next++) turns[next]();
  immediates.mock.restore();
  await clock.pass(0);
  assert.equal(asked.length, 399);
  assert.deepEqual([first.ids.length, second.ids.length], [tcpClientInflightMax, tcpClientInflightMax]);
});

test('an address in use is an error', async () => {
  const { network, clock, counters } = await tcpWorld();
  await assert.rejects(
    openTcpListener(
      { network, clock, counters },
      at,
      () => timeouts,
      () => {},
    ),
    { code: 'EADDRINUSE' },
  );
});

test('on loopback: pipelining, half-close, drain', async () => {
  const network = nodeNetwork({ sendFailed: assert.fail, acceptFailed: assert.fail });
  const counters = new Counters(countersMemory(0));
  const world = { network, clock: systemClock(), counters };
  const listener = await openTcpListener(
    world,
    { address: '127.0.0.1', port: 0 },
    () => timeouts,
    (packet, client) => {
      const answer = Buffer.from(packet);
      setImmediate(() => client.reply(answer));
    },
  );
  const client = new TcpClient(network, listener.local);
  client.sends(...Array.from({ length: 500 }, (_, id) => message(id, 12 + id)));
  client.end();
  for (let id = 0; id < 500; id++) assert.deepEqual(await client.next(), message(id, 12 + id));
  await assert.rejects(client.next(), /closed/);
  assert.equal(client.log.at(-1), 'closed');
  const idle = new TcpClient(network, listener.local);
  idle.sends(message(1));
  await idle.next();
  await new Promise<void>((resolve) => listener.drain(resolve));
  assert.equal(listener.clients, 0);
  assert.equal(counters.total('tcpAccepted'), 2);
  idle.destroy();
});

test('an exception at the end of one client keeps no other from its timeouts, nor from being dropped', async () => {
  const { clock, connects, listener } = await tcpWorld();
  const clients = [await connects(), await connects(), await connects()];
  await clock.pass(1);
  const destroy = TcpClientStream.prototype.destroy;
  let times = 0;
  TcpClientStream.prototype.destroy = function broken() {
    destroy.call(this);
    if (times++ === 0) throw new Error('planted');
  };
  try {
    await assert.rejects(clock.pass(readMs + tcpSweepPeriodMs), /planted/u);
  } finally {
    TcpClientStream.prototype.destroy = destroy;
  }
  await clock.pass(1);
  assert.deepEqual([times, listener.clients, clients.length], [3, 0, 3]);
});
