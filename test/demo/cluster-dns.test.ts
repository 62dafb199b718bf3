import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { demoRecords, type Found, lookupIn, openStandIn, type StandIn } from '../../src/demo/cluster-dns.js';
import { typeNumber, wireToName } from '../../src/dns/names.js';
import { skipPlainName, u16, u32 } from '../../src/dns/wire.js';
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

const lookup = lookupIn(demoRecords);

function find(name: string, type: string): Found {
  return lookup(name, typeNumber(type) as number);
}

const owners = (records: readonly Uint8Array[]): string[] => records.map((record) => wireToName(record, 0));
const ttls = (records: readonly Uint8Array[]): number[] =>
  records.map((record) => u32(record, skipPlainName(record, 0, record.length) + 4));
const types = (records: readonly Uint8Array[]): number[] =>
  records.map((record) => u16(record, skipPlainName(record, 0, record.length)));

test('a Service has an address, an SRV record with the address beside it, and a name for the address', () => {
  const address = find('web.default.svc.cluster.local.', 'A');
  assert.equal(address.rcode, 0);
  assert.equal(address.authoritative, true);
  assert.deepEqual(ttls(address.answer), [5]);
  assert.deepEqual([...address.answer[0].subarray(-4)], [10, 96, 20, 80]);

  const srv = find('_http._tcp.web.default.svc.cluster.local.', 'SRV');
  assert.equal(srv.answer.length, 1);
  assert.deepEqual(owners(srv.additional), ['web.default.svc.cluster.local.']);

  const pointer = find('80.20.96.10.in-addr.arpa.', 'PTR');
  assert.equal(pointer.authoritative, true);
  assert.equal(
    wireToName(pointer.answer[0], skipPlainName(pointer.answer[0], 0, 99) + 10),
    'web.default.svc.cluster.local.',
  );
});

test('a headless Service has an address per pod, and its SRV records name the pods', () => {
  assert.equal(find('db.default.svc.cluster.local.', 'A').answer.length, 3);
  const srv = find('_pg._tcp.db.default.svc.cluster.local.', 'SRV');
  assert.equal(srv.answer.length, 3);
  assert.deepEqual(
    owners(srv.additional),
    [0, 1, 2].map((pod) => `db-${pod}.db.default.svc.cluster.local.`),
  );
  assert.equal(find('db-1.db.default.svc.cluster.local.', 'A').answer.length, 1);
});

test('names are found in any case', () => {
  assert.equal(find('WEB.Default.SVC.cluster.LOCAL.', 'a').answer.length, 1);
});

test('what does not exist is NXDOMAIN with the SOA of its zone', () => {
  const cases: Readonly<Record<string, string>> = {
    'nothing.default.svc.cluster.local.': 'cluster.local.',
    'www.example.com.default.svc.cluster.local.': 'cluster.local.',
    '1.0.0.10.in-addr.arpa.': 'in-addr.arpa.',
    'nothing.example.com.': 'example.com.',
    'nothing.test.': '.',
  };
  for (const [name, zone] of Object.entries(cases)) {
    const found = find(name, 'A');
    assert.equal(found.rcode, 3, name);
    assert.deepEqual(found.answer, []);
    assert.deepEqual(owners(found.authority), [zone]);
    assert.deepEqual(types(found.authority), [6]);
  }
});

test('a name without the type, or with names below it only, is NODATA with a SOA', () => {
  for (const [name, type] of [
    ['web.default.svc.cluster.local.', 'AAAA'],
    ['default.svc.cluster.local.', 'A'],
    ['_tcp.web.default.svc.cluster.local.', 'A'],
    ['svc.cluster.local.', 'A'],
  ]) {
    const found = find(name, type);
    assert.equal(found.rcode, 0, name);
    assert.deepEqual(found.answer, [], name);
    assert.deepEqual(owners(found.authority), ['cluster.local.']);
  }
});

test('outside the cluster aliases are followed, and the answer is nobody’s own', () => {
  const found = find('www.example.com.', 'A');
  assert.equal(found.authoritative, false);
  assert.deepEqual(owners(found.answer), ['www.example.com.', 'web.cdn.example.net.', 'web.cdn.example.net.']);
  assert.deepEqual(ttls(found.answer), [300, 60, 60]);
  assert.deepEqual(types(find('www.example.com.', 'CNAME').answer), [5], 'the alias itself when it is asked for');
});

test('an alias to a name without the type, or to no name, keeps the alias beside the denial', () => {
  const nodata = find('www.example.com.', 'AAAA');
  assert.equal(nodata.rcode, 0);
  assert.deepEqual(types(nodata.answer), [5]);
  assert.deepEqual(owners(nodata.authority), ['example.net.']);
  const dangling = lookupIn(['. 1 SOA a. b. 1 1 1 1 1', 'a. 1 CNAME b.'])('a.', 1);
  assert.equal(dangling.rcode, 3);
  assert.deepEqual(types(dangling.answer), [5]);
});

test('aliases in a circle end', () => {
  const found = lookupIn(['. 1 SOA a. b. 1 1 1 1 1', 'a. 1 CNAME b.', 'b. 1 CNAME a.'])('a.', 1);
  assert(found.answer.length > 0 && found.answer.length < 20);
});

test('ANY gives every record of the name', () => {
  assert.deepEqual(
    types(find('example.com.', 'ANY').answer).sort((a, b) => a - b),
    [1, 2, 6, 15, 28],
  );
});

test('a line that is no record is refused at once', () => {
  assert.throws(() => lookupIn(['a. 5 A 1.2.3']), Error);
});
