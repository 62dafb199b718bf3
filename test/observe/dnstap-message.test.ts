import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnstapMessage } from '../../src/observe/dnstap-message.js';
import { fieldsOf } from './collector.js';
import { queryFacts } from './facts.js';

const times = { queryMs: 1_700_000_000_123.25, responseMs: 1_700_000_001_000 };
const settings = { identity: 'node-7', version: 'zerohop-1', full: true, extra: '' };
const query = Buffer.from('a query');
const answer = Buffer.from('an answer'.repeat(40));

test('a query says who asked whom, when and what', () => {
  const facts = queryFacts({ query, answer, transport: 'tcp' });
  const outer = fieldsOf(dnstapMessage('client query', facts, times, settings));
  assert.deepEqual(outer[1], [Buffer.from('node-7')]);
  assert.deepEqual(outer[2], [Buffer.from('zerohop-1')]);
  assert.deepEqual([outer[3], outer[15]], [undefined, [1]]);
  assert.deepEqual(
    { ...fieldsOf(outer[14][0] as Buffer) },
    {
      1: [5],
      2: [1],
      3: [2],
      4: [Buffer.from([127, 0, 0, 1])],
      5: [Buffer.from([169, 254, 20, 10])],
      6: [55_555],
      7: [53],
      8: [1_700_000_000],
      9: [123_250_000],
      10: [query],
    },
  );
});
test('an answer says when it went, too, and carries itself', () => {
  const facts = queryFacts({ query, answer });
  const message = fieldsOf(fieldsOf(dnstapMessage('client response', facts, times, settings))[14][0] as Buffer);
  assert.deepEqual([message[1], message[3]], [[6], [1]]);
  assert.deepEqual(
    [message[8], message[9], message[12], message[13]],
    [[1_700_000_000], [123_250_000], [1_700_000_001], [0]],
  );
  assert.deepEqual([message[10], message[14]], [undefined, [answer]]);
});
test('messages stay at home unless they are asked for, and extra goes along', () => {
  const facts = queryFacts({ query, answer });
  for (const type of ['client query', 'client response'] as const) {
    const outer = fieldsOf(dnstapMessage(type, facts, times, { ...settings, full: false, extra: 'by whom' }));
    const message = fieldsOf(outer[14][0] as Buffer);
    assert.deepEqual([message[10], message[14], outer[3]], [undefined, undefined, [Buffer.from('by whom')]]);
  }
});
test('IPv6, with a scope or without', () => {
  const facts = queryFacts({ remote: { address: 'fe80::1%eth0', port: 1 }, local: { address: 'fd00::10', port: 53 } });
  const message = fieldsOf(fieldsOf(dnstapMessage('client query', facts, times, settings))[14][0] as Buffer);
  assert.deepEqual(message[2], [2]);
  assert.deepEqual(message[4], [Buffer.from('fe800000000000000000000000000001', 'hex')]);
  assert.deepEqual(message[5], [Buffer.from('fd000000000000000000000000000010', 'hex')]);
});
