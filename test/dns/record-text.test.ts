import assert from 'node:assert/strict';
import { test } from 'node:test';
import { questionFor } from '../../src/dns/query.js';
import { recordTexts } from '../../src/dns/record-text.js';
import { encodeAnswerTo, parseRecord } from '../../src/dns/records.js';

function messageWith(...answer: readonly string[]): Uint8Array {
  const parts = { authoritative: false, rcode: 0, authority: [], additional: [] };
  return encodeAnswerTo(
    { id: 1, flags: 0x0100, question: questionFor('a.test.', 1) },
    { ...parts, answer: answer.map(parseRecord) },
  );
}

test('records are written as in zone files', () => {
  const records = [
    ['a.test. 30 IN A 192.0.2.1', 'A', '192.0.2.1'],
    ['a.test. 30 IN AAAA 2001:db8::1', 'AAAA', '2001:db8::1'],
    ['a.test. 30 IN AAAA ::', 'AAAA', '::'],
    ['a.test. 30 IN AAAA 2001:db8:0:1:0:0:0:1', 'AAAA', '2001:db8:0:1::1'],
    ['a.test. 30 IN CNAME b.test.', 'CNAME', 'b.test.'],
    ['a.test. 30 IN NS ns.test.', 'NS', 'ns.test.'],
    ['a.test. 30 IN PTR b.test.', 'PTR', 'b.test.'],
    ['a.test. 30 IN MX 10 mx.test.', 'MX', '10 mx.test.'],
    ['_a._tcp.test. 30 IN SRV 0 5 443 b.test.', 'SRV', '0 5 443 b.test.'],
    ['test. 30 IN SOA ns.test. me.test. 1 2 3 4 5', 'SOA', 'ns.test. me.test. 1 2 3 4 5'],
    ['a.test. 30 IN TXT "one two" "say \\"hi\\""', 'TXT', '"one two" "say \\"hi\\""'],
    ['a.test. 30 IN TYPE4711 \\# 3 000100', 'TYPE4711', '\\# 3 000100'],
  ] as const;
  const read = recordTexts(messageWith(...records.map(([text]) => text)), 100);
  assert.deepEqual(
    read.map(({ type, data }) => [type, data]),
    records.map(([, type, data]) => [type, data]),
  );
  assert.deepEqual(read[0], { section: 'answer', name: 'a.test.', ttlSeconds: 30, type: 'A', data: '192.0.2.1' });
});

test('bytes that would steer a terminal are numbers', () => {
  const [record] = recordTexts(messageWith('a.test. 30 IN TYPE16 \\# 6 05 1b5b33316d'), 1);
  assert.equal(record.data, '"\\027[31m"');
});

test('there are no more than wanted, and none behind what is malformed', () => {
  const message = messageWith('a.test. 30 IN A 192.0.2.1', 'a.test. 30 IN A 192.0.2.2', 'a.test. 30 IN A 192.0.2.3');
  assert.equal(recordTexts(message, 2).length, 2);
  for (let length = 0; length < message.length; length++) {
    assert.ok(recordTexts(message.subarray(0, length), 10).length < 3, `${length} bytes`);
  }
});
