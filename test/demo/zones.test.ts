import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoRecords, type Found, lookupIn } from '../../src/demo/zones.js';
import { typeNumber, wireToName } from '../../src/dns/names.js';
import { skipPlainName, u16, u32 } from '../../src/dns/wire.js';

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
  const srv = find('_postgres._tcp.db.default.svc.cluster.local.', 'SRV');
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
