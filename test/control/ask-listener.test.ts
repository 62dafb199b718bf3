import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askListener } from '../../src/control/ask-listener.js';
import { wireQuestion } from '../../src/control/serving.js';
import { listenerAnswerMs } from '../../src/limits.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { Upstream } from '../simulation/upstream.js';

const place = { address: '169.254.20.10', port: 53 };
const question = wireQuestion('a.test.', 16)!;

async function newServer() {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const network = new MemoryNetwork(clock, random);
  const server = new Upstream(clock, place);
  await clock.until(server.start(network));
  return { server, asks: () => clock.until(askListener({ network, clock, random }, place, question)) };
}

test('the listener is asked as a pod asks, and over TCP for what does not fit', async () => {
  const { server, asks } = await newServer();
  server.answers('a.test.', 'TXT', ['short']);
  const short = await asks();
  assert.ok(short.ok);
  assert.deepEqual(
    [short.server, short.transport, short.rcode, short.records],
    [
      '169.254.20.10:53',
      'udp',
      'NOERROR',
      [{ section: 'answer', name: 'a.test.', ttlSeconds: 30, type: 'TXT', data: '"short"' }],
    ],
  );
  const long = Array.from({ length: 200 }, (_, index) => `${index} ${'x'.repeat(250)}`);
  server.answers('a.test.', 'TXT', long);
  const whole = await asks();
  assert.ok(whole.ok);
  assert.deepEqual([whole.transport, whole.records.length], ['tcp', 100]);
  server.nxdomain('a.test.');
  const none = await asks();
  assert.deepEqual(none.ok && [none.rcode, none.records[0].section], ['NXDOMAIN', 'authority']);
});

test('a listener that is silent, or not there, is one sentence', async () => {
  const { server, asks } = await newServer();
  server.after(2 * listenerAnswerMs);
  server.answers('a.test.', 'TXT', ['late']);
  assert.deepEqual(await asks(), {
    ok: false,
    sentence: '169.254.20.10:53 gives no answer over UDP: nothing came within 5 s.',
  });
  server.stop();
  const gone = await asks();
  assert.ok(!gone.ok && /^169\.254\.20\.10:53 gives no answer over UDP: /.test(gone.sentence));
});
