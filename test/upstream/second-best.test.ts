import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { bestOf, leftOf, putAside } from '../../src/upstream/second-best.js';
import { reader, type Try } from '../../src/upstream/try.js';
import { answerTo, question, request } from './scripted.js';

/** A try of an upstream that notes by what it was heard. */
function tryOver(transport: 'udp' | 'tcp') {
  const heard: unknown[] = [];
  const upstream = { to: '10.0.0.1:53', heardBy: (...facts: unknown[]) => void heard.push(facts) };
  return { attempt: { upstream, transport } as unknown as Try, upstream, heard };
}

const asked = request('a');
const reply = (settings: Parameters<typeof answerTo>[1]): Buffer =>
  answerTo({ id: 7, question: question('a') } as Parameters<typeof answerTo>[0], settings);

test('an answer with another rcode is a copy of itself, and nothing is concluded from it', () => {
  const { attempt, heard } = tryOver('tcp');
  const counters = new Counters(countersMemory(0));
  const message = reply({ rcode: 5 });
  const kept = new Uint8Array(message);
  reader.read(message, asked);
  const aside = putAside(attempt, message, 10);
  message.fill(0);
  assert.deepEqual(bestOf(aside, [attempt], counters, 10), { ok: true, message: kept, from: '10.0.0.1:53' });
  assert.deepEqual([heard, counters.total('upstreamCutAnswers')], [[], 0]);
});

test('one that was cut is given as it is and counted, and the ways that failed are told to its upstream', () => {
  const { attempt, upstream, heard } = tryOver('udp');
  const overTcp = { upstream, transport: 'tcp' } as unknown as Try;
  const counters = new Counters(countersMemory(0));
  const message = reply({ truncated: true });
  reader.read(message, asked);
  const outcome = bestOf(putAside(attempt, message, 10), [attempt, overTcp], counters, 10);
  assert.deepEqual(outcome, { ok: true, message: new Uint8Array(message), from: '10.0.0.1:53' });
  assert.deepEqual(heard, [['udp', ['udp', 'tcp'], 10]]);
  assert.equal(counters.total('upstreamCutAnswers'), 1);
});

test('one that ends within a record has no records', () => {
  const { attempt } = tryOver('udp');
  const message = reply({ truncated: true });
  for (let end = message.length - 1; end >= 12 + asked.question.length; end--) {
    const cut = message.subarray(0, end);
    reader.read(cut, asked);
    const aside = putAside(attempt, cut, 10);
    assert.equal(aside.message.length, 12 + asked.question.length);
    assert.deepEqual([...aside.message.subarray(4, 12)], [0, 1, 0, 0, 0, 0, 0, 0]);
    assert.equal(aside.kind, 'truncated');
  }
});

test('while it was put aside its records have grown older, and none falls below 0', () => {
  const { attempt } = tryOver('tcp');
  const counters = new Counters(countersMemory(0));
  const message = reply({ addresses: ['10.0.0.1', '10.0.0.2'], opt: true });
  const ttlsAfter = (ms: number): number[] => {
    reader.read(message, asked);
    const outcome = bestOf(putAside(attempt, message, 1_000), [attempt], counters, 1_000 + ms);
    assert(outcome.ok);
    const bytes = Buffer.from(outcome.message);
    assert.equal(bytes.length, message.length);
    assert.deepEqual(bytes.subarray(-11), message.subarray(-11), 'the OPT has no TTL');
    const first = 12 + asked.question.length + 6;
    return [bytes.readUInt32BE(first), bytes.readUInt32BE(first + 16)];
  };
  assert.deepEqual([0, 1, 1_000, 1_001, 29_500, 60_000].map(ttlsAfter), [
    [30, 30],
    [29, 29],
    [29, 29],
    [28, 28],
    [0, 0],
    [0, 0],
  ]);
});

test('what was cut without TC has one for the client; it is worth nothing once TCP brings the same', () => {
  const overUdp = tryOver('udp').attempt;
  const message = reply({ addresses: ['10.1.2.3', '10.1.2.4'] }).subarray(0, -1);
  reader.read(message, asked);
  const aside = putAside(overUdp, message, 10);
  assert.equal(aside.kind, 'cut');
  assert.deepEqual([...aside.message.subarray(2, 12)], [0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
  assert.equal(aside.message.length, 12 + asked.question.length);
  const sameOverTcp = { ...overUdp, transport: 'tcp' } as Try;
  assert.equal(leftOf(aside, sameOverTcp), null);
  assert.equal(leftOf(aside, tryOver('tcp').attempt), aside, 'another upstream');
  assert.equal(leftOf(aside, overUdp), aside);
  reader.read(reply({ truncated: true }), asked);
  const truncated = putAside(overUdp, reply({ truncated: true }), 10);
  assert.equal(leftOf(truncated, sameOverTcp), truncated);
  assert.equal(leftOf(null, sameOverTcp), null);
});
