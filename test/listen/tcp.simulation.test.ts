/**
 * TCP clients at random: they come, pipeline, stop reading, half-close and break off; chunks are cut anywhere, some
 * connections are reset, answers are ready in any order. What must hold whatever happens is checked at every step.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpClientInflightMax } from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import type { TcpClient } from '../simulation/client.js';
import { chance, simulationSeeds, withSeed } from '../simulation/random.js';
import { type AskedQuery, at, idleMs, message, type TcpTestWorld, tcpWorld } from './tcp-world.js';

interface SimulatedClient {
  readonly client: TcpClient;
  /** Ids of the queries sent; no id is used twice in a run. */
  readonly sent: number[];
  /** Half-closed and left alone: everything it sent must be answered. */
  isPatient: boolean;
  isGone: boolean;
}

for (const seed of simulationSeeds(6)) {
  test(`every query of a client that waits is answered once: seed ${seed}`, () => withSeed(seed, simulate));
}

async function simulate(random: Random): Promise<void> {
  const world = await tcpWorld({ random });
  const { clock, network, asked, listener } = world;
  network.faults.chunks = 'random';
  network.faults.latencyMs = 1;
  network.faults.jitterMs = 2;
  network.faults.windowBytes = 500 + random.below(20_000);
  const clients: SimulatedClient[] = [];
  const owed = new Map<string, AskedQuery[]>();
  let nextId = 0;
  let seen = 0;
  for (let step = 0; step < 300; step++) {
    if (chance(random, 0.1)) clients.push(await connect(world));
    for (const one of clients) if (!one.isGone && !one.isPatient) act(one);
    await clock.pass(random.below(5));
    while (seen < asked.length) collect(asked[seen++]);
    answerSome(0.3);
    checkAnswers();
  }
  // Those that are left hear the rest of what they asked.
  for (const one of clients) if (!one.isGone && !one.isPatient) halfClose(one);
  for (let round = 0; round < 1_000 && listener.clients > 0; round++) {
    await clock.pass(20);
    while (seen < asked.length) collect(asked[seen++]);
    answerSome(1);
    if (round % 10 === 0) checkAnswers();
  }
  // What we sent last is still on its way.
  await clock.pass(100);
  checkAnswers();
  for (const { client, sent, isPatient } of clients) {
    if (!isPatient) continue;
    assert.deepEqual(
      client.ids.toSorted((a, b) => a - b),
      sent,
      'a client that waited has all its answers',
    );
    assert.equal(client.log.at(-1), 'closed');
  }
  await clock.pass(2 * idleMs);
  assert.deepEqual([listener.clients, network.open.connections, clock.timersSet], [0, 0, 0], 'nothing is left at rest');

  function act(one: SimulatedClient): void {
    const { client, sent } = one;
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2: {
        const ids = Array.from({ length: 1 + random.below(60) }, () => nextId++);
        client.sends(...ids.map((id) => message(id, 12 + random.below(100))));
        sent.push(...ids);
        break;
      }
      case 3:
        client.pause();
        break;
      case 4:
        client.resume();
        break;
      case 5:
        if (chance(random, 0.2)) halfClose(one);
        break;
      case 6:
        if (chance(random, 0.1)) {
          one.isGone = true;
          client.destroy();
        }
        break;
      case 7:
        if (chance(random, 0.02)) {
          network.resetConnections(at);
          for (const each of clients) {
            each.isGone = true;
            each.isPatient = false;
          }
        }
        break;
    }
  }

  function halfClose(one: SimulatedClient): void {
    one.isPatient = true;
    one.client.resume();
    one.client.end();
  }

  function collect(query: AskedQuery): void {
    const key = `${query.client.remote.address}#${query.client.remote.port}`;
    const queries = owed.get(key) ?? [];
    queries.push(query);
    owed.set(key, queries);
    assert(queries.length <= tcpClientInflightMax, 'no more in flight than the bound');
  }

  function answerSome(share: number): void {
    for (const queries of owed.values()) {
      for (let index = queries.length - 1; index >= 0; index--) {
        if (!chance(random, share)) continue;
        const [query] = queries.splice(index, 1);
        query.reply(12 + random.below(300));
      }
    }
  }

  function checkAnswers(): void {
    for (const { client, sent } of clients) {
      const { ids } = client;
      assert.equal(new Set(ids).size, ids.length, 'no answer comes twice');
      const own = new Set(sent);
      for (const id of ids) assert(own.has(id), 'nobody gets an answer to what another asked');
    }
  }
}

async function connect(world: TcpTestWorld): Promise<SimulatedClient> {
  return { client: await world.connects(), sent: [], isPatient: false, isGone: false };
}
