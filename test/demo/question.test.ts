import assert from 'node:assert/strict';
import { test } from 'node:test';
import dnsPacket, { type DecodedPacket, type Answer as WireAnswer } from 'dns-packet';
import { askOnce, type DemoAnswer, type Question } from '../../src/demo/question.js';
import type { Network } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

const server = { address: '127.0.0.1', port: 1053 };
const question: Question = { name: 'a.example.', type: 'A' };

interface World {
  readonly clock: ManualClock;
  readonly network: Network;
  readonly queries: DecodedPacket[];
  ask(asked?: Question): Promise<DemoAnswer | null>;
}

/** A server that sends these packets for every query. */
async function worldWith(packetsFor: (query: DecodedPacket) => Uint8Array[]): Promise<World> {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, seededRandom(1));
  network.faults.latencyMs = 2;
  const queries: DecodedPacket[] = [];
  const socket = await network.openDatagrams(server, {
    datagram(bytes, from) {
      const query = dnsPacket.decode(Buffer.from(bytes));
      queries.push(query);
      for (const packet of packetsFor(query)) socket.send(packet, from);
    },
    error() {},
  });
  const ask = (asked = question): Promise<DemoAnswer | null> =>
    clock.until(askOnce({ network, clock }, server, asked, { id: 42, timeoutMs: 1_000 }));
  return { clock, network, queries, ask };
}

function response(query: DecodedPacket, answers: WireAnswer[], rcode = 0): Buffer {
  const { id, questions } = query;
  return dnsPacket.encode({ type: 'response', id, flags: rcode, questions, answers } as dnsPacket.Packet);
}

test('it asks once with RD and gives rcode, data and time', async () => {
  const world = await worldWith((query) => [
    response(query, [{ name: 'a.example', type: 'A', ttl: 5, data: '192.0.2.1' }]),
  ]);
  assert.deepEqual(await world.ask(), { rcode: 'NOERROR', data: ['192.0.2.1'], afterMs: 4 });
  assert.equal(world.queries.length, 1);
  assert.equal(world.queries[0].id, 42);
  assert.equal(world.queries[0].flag_rd, true);
  assert.deepEqual(world.queries[0].questions, [{ name: 'a.example', type: 'A', class: 'IN' }]);
  assert.equal(world.clock.timersSet, 0);
});

test('data is written as people write it', async () => {
  const world = await worldWith((query) => [
    response(query, [
      { name: 'a.example', type: 'CNAME', ttl: 5, data: 'b.example' },
      { name: 'b.example', type: 'AAAA', ttl: 5, data: '2001:db8::1' },
      { name: 'b.example', type: 'SRV', ttl: 5, data: { priority: 1, weight: 2, port: 443, target: 'a.example' } },
      { name: 'b.example', type: 'PTR', ttl: 5, data: 'c.a.example' },
      { name: 'b.example', type: 'TXT', ttl: 5, data: 'x' },
    ]),
  ]);
  const answer = await world.ask();
  assert.deepEqual(answer?.data, ['b.example.', '2001:db8::1', '443 a.example.', 'c.a.example.', '"x"']);
});

test('a denial has an rcode and no data', async () => {
  const world = await worldWith((query) => [response(query, [], 3)]);
  assert.deepEqual(await world.ask(), { rcode: 'NXDOMAIN', data: [], afterMs: 4 });
});

test('packets that answer something else are passed over', async () => {
  const world = await worldWith((query) => {
    const other = response({ ...query, questions: [{ name: 'b.example', type: 'A' }] }, []);
    const otherType = response({ ...query, questions: [{ name: 'a.example', type: 'AAAA' }] }, []);
    const otherId = response({ ...query, id: 43 }, []);
    const echo = dnsPacket.encode({ type: 'query', id: query.id, questions: query.questions } as dnsPacket.Packet);
    return [Buffer.alloc(3), other, otherType, otherId, echo, response(query, [], 2)];
  });
  assert.equal((await world.ask())?.rcode, 'SERVFAIL');
});

test('an answer cut short gives the records that are whole', async () => {
  const world = await worldWith((query) => {
    const whole = response(query, [
      { name: 'a.example', type: 'A', ttl: 5, data: '192.0.2.1' },
      { name: 'a.example', type: 'A', ttl: 5, data: '192.0.2.2' },
    ]);
    return [whole.subarray(0, -1)];
  });
  assert.deepEqual((await world.ask())?.data, ['192.0.2.1']);
});

test('silence and a closed port end in null, and leave nothing set', async () => {
  const silent = await worldWith(() => []);
  assert.equal(await silent.ask(), null);
  assert.equal(silent.clock.timersSet, 0);
  const nobody = askOnce(silent, { address: '127.0.0.1', port: 9 }, question, { id: 1, timeoutMs: 1_000 });
  assert.equal(await silent.clock.until(nobody), null);
});
