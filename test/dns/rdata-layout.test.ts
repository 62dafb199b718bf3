import assert from 'node:assert/strict';
import { test } from 'node:test';
import { typeNumber } from '../../src/dns/names.js';
import { firstNameAt, namesIn } from '../../src/dns/rdata-layout.js';
import { parseRecord } from '../../src/dns/records.js';
import { ownerEnd } from '../../src/dns/sections.js';

const written: Readonly<Record<string, string>> = {
  NS: 'a.test.',
  CNAME: 'a.test.',
  SOA: 'a.test. b.test. 1 2 3 4 5',
  PTR: 'a.test.',
  MX: '10 a.test.',
  RP: 'a.test. b.test.',
  AFSDB: '1 a.test.',
  SRV: '0 0 80 a.test.',
  NAPTR: '1 2 "S" "SIP+D2U" "" a.test.',
  KX: '1 a.test.',
  DNAME: 'a.test.',
};

for (const [type, data] of Object.entries(written)) {
  test(`the first name in the data of ${type} is where the table says`, () => {
    const record = parseRecord(`x.test. 1 ${type} ${data}`);
    const at = firstNameAt(record, ownerEnd(record) + 10, record.length, namesIn(typeNumber(type)!)!);
    assert.deepEqual([...record.subarray(at, at + 8)], [1, 0x61, 4, 0x74, 0x65, 0x73, 0x74, 0]);
  });
}

test('data that end before their name have none', () => {
  const record = parseRecord('x.test. 1 NAPTR 1 2 "S" "SIP+D2U" "" a.test.');
  const dataAt = ownerEnd(record) + 10;
  for (let end = dataAt; end < record.length - 8; end++) {
    assert.equal(firstNameAt(record, dataAt, end, namesIn(35)!), -1);
  }
});

test('other types hold none', () => {
  for (const type of ['A', 'TXT', 'AAAA', 'HTTPS', 'ANY', 'TYPE65535']) assert.equal(namesIn(typeNumber(type)!), null);
});
