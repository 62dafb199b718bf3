import assert from 'node:assert/strict';
import { it } from 'node:test';
import packets from 'dns-packet';
import { byForward } from '../../src/counters.js';
import { closestZone } from '../../src/dns/names.js';
import { fallsThrough, madeAnswer } from '../../src/plugins/plugin.js';
import { query } from '../resolve/context-fixture.js';

it('fallsThrough: never, for all names, or for those of its zones', () => {
  assert.equal(fallsThrough(null, 'a.test.'), false);
  assert.equal(fallsThrough([], 'a.test.'), true);
  assert.deepEqual(
    ['a.test.', 'test.', 'atest.'].map((name) => fallsThrough(['b.', 'test.'], name)),
    [true, true, false],
  );
});

it('closestZone: the longest zone that holds the name', () => {
  assert.equal(closestZone(['test.', 'a.test.', 'b.test.', '.'], 'x.a.test.'), 'a.test.');
  assert.equal(closestZone(['b.test.'], 'test.'), undefined);
});

it('madeAnswer: NOERROR with these records, for the query', () => {
  const asked = { id: 7, flags: 0x0100, question: query('a.test', 'A').subarray(12), remote: '' };
  const records = { answer: ['a.test. 5 IN A 192.0.2.1'], additional: ['b.test. 5 IN A 192.0.2.2'] };
  const { message, by } = madeAnswer(asked, byForward, { authoritative: true, ...records });
  const { id, flag_aa, answers, additionals } = packets.decode(Buffer.from(message));
  assert.deepEqual([id, flag_aa, answers?.length, additionals?.length, by], [7, true, 1, 1, byForward]);
  assert.throws(() => madeAnswer(asked, byForward, { answer: ['no record'] }));
});
