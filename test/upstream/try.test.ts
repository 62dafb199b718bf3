import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reader, Try } from '../../src/upstream/try.js';
import { Upstream, type UpstreamTransport } from '../../src/upstream/upstream.js';
import { answerTo, type Query, question, request, server, TestWorld } from './scripted.js';

const query = { id: 7, question: question('a.example') } as Query;

function setUp({ transport = 'udp' as UpstreamTransport, dnssecOk = false, allowsOpt = true } = {}) {
  const world = new TestWorld();
  const health = { failsMax: 1, intervalMs: 500, request: request('') };
  const upstream = new Upstream(
    world.place(server(1)),
    { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
    world.log,
  );
  const heard: string[] = [];
  const asker = {
    request: request('a.example', { dnssecOk }),
    answered: (_: Try, message: Uint8Array, nowMs: number) => heard.push(`answered ${message.length} at ${nowMs}`),
    lost: (_: Try, { text }: { text: string }, nowMs: number) => heard.push(`lost ${text} at ${nowMs}`),
  };
  return { world, heard, attempt: new Try(asker, upstream, { transport, allowsOpt, testsOpt: false }, false) };
}

test('an OPT goes along over UDP always, over TCP for DO, and never when it is not allowed', () => {
  const carries = (settings: Parameters<typeof setUp>[0]): boolean => setUp(settings).attempt.carriesOpt;
  assert.equal(carries({ transport: 'udp' }), true);
  assert.equal(carries({ transport: 'tcp' }), false);
  assert.equal(carries({ transport: 'tcp', dnssecOk: true }), true);
  assert.equal(carries({ transport: 'udp', dnssecOk: true, allowsOpt: false }), false);
});

test('what answers the question is accepted, the rest is counted', () => {
  const { attempt, world } = setUp();
  assert.equal(attempt.accepts(answerTo(query, { rcode: 3 })), true);
  assert.deepEqual([reader.verdict, reader.rcode], ['answer', 3]);
  assert.equal(attempt.accepts(answerTo(query).subarray(0, -1)), true);
  assert.equal(reader.verdict, 'cut');
  assert.equal(attempt.accepts(answerTo(query, { question: question('b.example') })), false);
  assert.equal(attempt.accepts(Buffer.alloc(5)), false);
  assert.equal(world.counters.total('answersRejectedQuestion'), 1);
  assert.equal(world.counters.total('answersRejectedMalformed'), 1);
});

test('the question is told, with its try', () => {
  const { attempt, heard } = setUp();
  attempt.answered(new Uint8Array(3), 10);
  attempt.lost({ why: 'unreachable', text: 'EOF', blame: true }, 11);
  assert.deepEqual(heard, ['answered 3 at 10', 'lost EOF at 11']);
});

test('given up, its carrier lets it go; a timeout says what it waited for', () => {
  const { attempt } = setUp({ transport: 'tcp' });
  attempt.abandon(0);
  assert.equal(attempt.timeoutText(), 'read tcp 10.0.0.1:53: i/o timeout');
  const released: number[] = [];
  attempt.carrier = { waitsFor: 'connect', lastHeardMs: 0, abandon: (_, nowMs) => released.push(nowMs) };
  assert.equal(attempt.timeoutText(), 'dial tcp 10.0.0.1:53: i/o timeout');
  attempt.abandon(5);
  assert.deepEqual(released, [5]);
  assert.equal(attempt.malformed().why, 'malformed');
});
