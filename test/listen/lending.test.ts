/** TCP clients of real workers, on loopback: workers answer `… by TABLE`, the main thread `context: …`. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { openTcpListener } from '../../src/listen/tcp.js';
import { TcpPlaces } from '../../src/listen/tcp-places.js';
import { Workers } from '../../src/listen/workers.js';
import { systemClock } from '../../src/os/clock.js';
import { nodeNetwork } from '../../src/os/node-network.js';
import { systemRandom } from '../../src/os/random.js';
import { sharedNode } from '../../src/process/shared-sockets.js';
import { hashKey } from '../dns/hash-key.js';
import { calls, descriptors, eventually, newGroups, openClient, skip } from '../os/loopback-sockets.js';
import { freePort } from '../real/packets.js';
import { TcpClient } from '../simulation/client.js';
import { timeouts } from './tcp-world.js';

let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 3_600_000);
});
after(() => clearInterval(alive));

async function newWorld(count = 1) {
  const counters = new Counters(countersMemory(1));
  const lines: string[] = [];
  const say = (message: string): void => void lines.push(message);
  const log = { debug: say, info: say, warn: say, error: say };
  const clock = systemClock();
  const threads = new Workers<string, null>({
    ...{ calls, counters, clock, log, threads: count, shared: null, groups: newGroups(), hashKey: hashKey() },
    program: new URL('../os/letters-thread.js', import.meta.url),
    threadDied() {},
  });
  let table = 'one';
  const udp = await threads.open({
    // One that is free for both transports.
    at: { address: '127.0.0.1', port: await freePort() },
    table: () => table,
    serve: (packet, client) => client.reply(Buffer.from(`context: ${Buffer.from(packet)}`)),
    refresh: assert.fail,
    refuse: assert.fail,
    keep() {},
  });
  const node = sharedNode({ calls }, { random: systemRandom(), log, path: null, version: '1' });
  const network = nodeNetwork({ sendFailed: assert.fail, acceptFailed: assert.fail }, node as never);
  const tcpPlaces = new TcpPlaces();
  const tcp = await openTcpListener(
    { network, clock, counters, tcpPlaces, lending: udp.lending },
    udp.local,
    () => timeouts,
    (packet, client) => client.reply(Buffer.from(`context: ${Buffer.from(packet)}`)),
  );
  const clients: TcpClient[] = [];
  const world = {
    ...{ threads, udp, tcp, tcpPlaces, counters, lines },
    setTable(next: string): void {
      table = next;
      threads.update();
    },
    connects(): TcpClient {
      const client = new TcpClient(network, tcp.local);
      clients.push(client);
      return client;
    },
    async ends(): Promise<void> {
      for (const client of clients) client.destroy();
      await new Promise<void>((resolve) => tcp.drain(resolve));
      await new Promise<void>((resolve) => udp.drain(resolve));
      await threads.end();
    },
  };
  return world;
}

async function asks(client: TcpClient, text: string): Promise<string> {
  client.sends(Buffer.from(text.padEnd(12, '.')));
  return (await client.next()).toString();
}

/** Asks until a worker answers; a connection on which queries follow each other is lent within a sweep or two. */
async function lent(client: TcpClient, letter = 'a'): Promise<void> {
  for (let tries = 0; !(await asks(client, `${letter}busy`)).includes(' by '); tries++) {
    assert.ok(tries < 400, 'no worker has taken it');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('TCP clients of workers', { skip, timeout: 60_000 }, () => {
  test('busy connections are answered by a worker, from the table in force; what must wait, by the main thread', async () => {
    const world = await newWorld();
    const client = world.connects();
    assert.equal(await asks(client, 'afirst'), 'context: afirst......');
    await lent(client);
    world.setTable('two');
    await eventually(world.threads.following());
    assert.equal(await asks(client, 'aagain'), 'again...... by two');
    client.sends(...['aone', 'htwo', 'athree'].map((text) => Buffer.from(text.padEnd(12, '.'))));
    const all = [await client.next(), await client.next(), await client.next()].map(String);
    assert.deepEqual(all, ['one........ by two', 'context: htwo........', 'context: athree......']);
    await lent(client);
    assert.deepEqual([world.tcp.clients, world.lines], [1, []]);
    await world.ends();
  });

  test('datagrams are answered beside them, also when no connection is busy any more', async () => {
    const world = await newWorld();
    const datagrams = await openClient();
    const client = world.connects();
    await lent(client);
    for (let round = 0; round < 5; round++) {
      await datagrams.send('adatagram', world.udp.local.port);
      assert.equal(await datagrams.receive(), 'datagram by one');
      await asks(client, 'astream');
    }
    // Quiet for two sweeps: it is the main thread's again.
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(await asks(client, 'aquiet'), 'context: aquiet......');
    await datagrams.send('adatagram', world.udp.local.port);
    assert.equal(await datagrams.receive(), 'datagram by one');
    datagrams.close();
    await world.ends();
  });

  test('a worker that dies takes the connection with it that it was using; the others go on', async () => {
    for (const count of [1, 2]) {
      const world = await newWorld(count);
      const [victim, ...others] = [world.connects(), world.connects(), world.connects()];
      await Promise.all([victim, ...others].map((client) => lent(client)));
      victim.sends(Buffer.from('x'.padEnd(12, '.')));
      await assert.rejects(victim.next(), /closed/);
      for (const client of others) assert.match(await asks(client, 'aothers'), /aothers|others/);
      for (const client of others) await lent(client);
      assert.equal(world.tcp.clients, 2);
      assert.deepEqual(world.lines, ['a worker exited; starting a new one']);
      await world.ends();
    }
  });

  test('many clients on several workers: each gets its own answers, in order', async () => {
    const world = await newWorld(2);
    const clients = Array.from({ length: 40 }, () => world.connects());
    let byWorkers = 0;
    await Promise.all(
      clients.map(async (client, index) => {
        for (let round = 0; round < 150; round++) {
          const texts = ['a', round % 10 === 0 ? 'h' : 'a', 'a'].map(
            (letter, at) => `${letter}${index}-${round}-${at}`,
          );
          client.sends(...texts.map((text) => Buffer.from(text.padEnd(12, '.'))));
          for (const text of texts) {
            const answer = String(await client.next());
            assert.ok(answer.includes(text.slice(1)), `${answer} to ${text}`);
            if (answer.includes(' by ')) byWorkers++;
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }),
    );
    assert.ok(byWorkers > 1_000, `${byWorkers} by workers`);
    assert.equal(world.tcpPlaces.taken, 40);
    await world.ends();
    assert.equal(world.tcpPlaces.taken, 0);
  });

  test('an ordered end closes what is lent and leaves no descriptor', async () => {
    const world = await newWorld();
    // A worker opens files while it starts.
    const first = world.connects();
    await lent(first);
    first.destroy();
    await eventually(() => world.tcp.clients === 0);
    const before = descriptors();
    const clients = [world.connects(), world.connects()];
    for (const client of clients) await lent(client);
    await new Promise<void>((resolve) => world.tcp.drain(resolve));
    assert.equal(world.tcp.clients, 0);
    await eventually(() => clients.every(({ log }) => log.includes('ended')));
    for (const client of clients) client.destroy();
    await eventually(() => descriptors() <= before);
    await world.ends();
  });

  test('a client that resets its connection, or ends it, leaves its place', async () => {
    const world = await newWorld();
    const [ends, resets] = [world.connects(), world.connects()];
    await lent(ends);
    await lent(resets);
    ends.sends(Buffer.from('alast.......'));
    ends.end();
    assert.match(String(await ends.next()), /last/);
    resets.sends(Buffer.from('alast.......'));
    resets.destroy();
    await eventually(() => world.tcpPlaces.taken === 0);
    assert.equal(ends.isClosed, true);
    await world.ends();
  });
});
