import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { openStandIn, type StandIn } from '../../src/demo/cluster-dns.js';
import { demoRecords, lookupIn } from '../../src/demo/zones.js';
import { Client, encodeQuery } from '../simulation/client.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

let clock: ManualClock;
let network: MemoryNetwork;
let standIn: StandIn;
let client: Client;
let asked: string[];

beforeEach(async () => {
  clock = new ManualClock();
  const random = seededRandom(1);
  network = new MemoryNetwork(clock, random);
  asked = [];
  const parts = {
    network,
    lookup: lookupIn(demoRecords),
    asked: (name: string, type: number) => asked.push(`${name} ${type}`),
  };
  standIn = await openStandIn(parts, '127.0.0.1');
  client = new Client({ network, clock, random }, standIn.at);
});

afterEach(async () => {
  standIn.close();
  await clock.pass(100);
  assert.deepEqual(network.open, { datagramSockets: 0, connections: 0 }, 'nothing is left open');
});

test('it answers over TCP and over UDP on one port', async () => {
  for (const transport of ['tcp', 'udp'] as const) {
    const answer = await clock.until(client.asks('web.default.svc.cluster.local', 'A', { transport, id: 4711 }));
    assert.equal(answer.rcode, 'NOERROR');
    assert.equal(answer.message.id, 4711);
    assert.deepEqual(answer.data, ['10.96.20.80']);
    assert.deepEqual(answer.ttls, [5]);
    assert.equal(answer.message.flag_aa, true);
    assert.equal(answer.message.flag_rd, true);
    assert.equal(answer.message.flag_ra, true);
    assert.equal(answer.opt, undefined);
  }
  assert.deepEqual(asked, ['web.default.svc.cluster.local. 1', 'web.default.svc.cluster.local. 1']);
});

test('the question is echoed in its own case, and told as it was asked', async () => {
  const answer = await clock.until(client.asks('WeB.default.svc.cluster.local', 'A', { transport: 'tcp' }));
  assert.equal(answer.message.questions?.[0].name, 'WeB.default.svc.cluster.local');
  assert.deepEqual(asked, ['WeB.default.svc.cluster.local. 1']);
});

test('denials carry the SOA', async () => {
  const missing = await clock.until(client.asks('x.cluster.local', 'A', { transport: 'tcp' }));
  assert.equal(missing.rcode, 'NXDOMAIN');
  assert.deepEqual(
    missing.message.authorities?.map(({ type }) => type),
    ['SOA'],
  );
  const empty = await clock.until(client.asks('web.default.svc.cluster.local', 'TXT', { transport: 'tcp' }));
  assert.equal(empty.rcode, 'NOERROR');
  assert.deepEqual(empty.data, []);
  assert.deepEqual(
    empty.message.authorities?.map(({ type }) => type),
    ['SOA'],
  );
});

test('who sends an OPT gets one, with DO as it was', async () => {
  for (const dnssecOk of [false, true]) {
    const answer = await clock.until(client.asks('example.com', 'A', { transport: 'tcp', edns: { dnssecOk } }));
    assert.equal(answer.opt?.udpPayloadSize, 1232);
    assert.equal(answer.opt?.flag_do, dnssecOk);
  }
});

test('queries that come in one chunk, or one in many, are all answered', async () => {
  const connection = client.connects();
  const ids = [1, 2, 3, 4];
  for (const id of ids) connection.sends(encodeQuery(`db-${id % 3}.db.default.svc.cluster.local`, 'A', id));
  for (const id of ids) {
    const answer = await clock.until(connection.next());
    assert.equal(answer.readUInt16BE(0), id);
    assert.equal(answer[3] & 15, 0);
  }
  connection.end();
  network.faults.chunks = 1;
  const split = await clock.until(client.asks('example.com', 'A', { transport: 'tcp' }));
  assert.deepEqual(split.data, ['192.0.2.10']);
});

test('what is no question is refused with its rcode, or ignored', async () => {
  const broken = encodeQuery('example.com', 'A', 7).subarray(0, 20);
  const refusal = await clock.until(client.sends(broken));
  assert.equal(refusal.rcode, 'FORMERR');
  assert.equal(refusal.message.id, 7);
  const status = encodeQuery('example.com', 'A', 8);
  status[2] = 2 << 3;
  assert.equal((await clock.until(client.sends(status, { transport: 'tcp' }))).rcode, 'NOTIMP');
  assert.equal((await clock.until(client.asks('example.com', 'AXFR', { transport: 'tcp' }))).rcode, 'REFUSED');
  const response = encodeQuery('example.com', 'A', 9);
  response[2] |= 0x80;
  await assert.rejects(clock.until(client.sends(response)), /no answer within/);
  await assert.rejects(clock.until(client.sends(Buffer.alloc(5))), /no answer within/);
  assert.deepEqual(asked, []);
});
