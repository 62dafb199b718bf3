import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { newDnstap } from '../../src/observe/dnstap.js';
import { blockOf } from '../config/options.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork, pathPort } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { Collector, fieldsOf } from './collector.js';
import { queryFacts } from './facts.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function newWorld(...lines: string[]) {
  const clock = new ManualClock(0, 1_700_000_000_500);
  const network = new MemoryNetwork(clock, seededRandom(1));
  const counters = new Counters(countersMemory(0));
  const dnstap = newDnstap(blockOf('forward . 10.0.0.1', ...lines).dnstap, { network, clock, log: quiet, counters });
  return { clock, network, counters, dnstap };
}

const messageOf = (frame: Buffer) => fieldsOf(fieldsOf(frame)[14][0] as Buffer);

test('without the directive there is nothing to tell', () => assert.equal(newWorld().dnstap, null));

test('a query and its answer are two messages, at each collector, by its own settings', async () => {
  const { clock, network, dnstap } = newWorld(
    'dnstap /run/a.sock full',
    'dnstap tcp://192.0.2.70:6000 {',
    'identity other',
    'extra "{name} by {/forward/upstream}"',
    '}',
  );
  const path = await new Collector().listen(network, { address: '/run/a.sock', port: pathPort });
  const tcp = await new Collector().listen(network, { address: '192.0.2.70', port: 6000 });
  const query = Buffer.from('query');
  dnstap?.answered(queryFacts({ query, answer: Buffer.from('answer'), durationMs: 250, upstream: '10.0.0.1:53' }));
  await clock.pass(200);
  assert.deepEqual(
    path.frames.map((frame) => messageOf(frame)[1][0]),
    [5, 6],
  );
  const [asked, answered] = path.frames.map(messageOf);
  assert.deepEqual([asked[10], asked[14]], [[query], undefined]);
  assert.deepEqual([answered[10], answered[14]], [undefined, [Buffer.from('answer')]]);
  assert.deepEqual([asked[8], asked[9]], [[1_700_000_000], [250_000_000]]);
  assert.deepEqual([answered[12], answered[13]], [[1_700_000_000], [500_000_000]]);
  const [first] = tcp.frames;
  assert.deepEqual(fieldsOf(first)[1], [Buffer.from('other')]);
  assert.deepEqual(fieldsOf(first)[3], [Buffer.from('name.example. by 10.0.0.1:53')]);
  assert.deepEqual([messageOf(first)[10], tcp.frames.length], [undefined, 2]);
  dnstap?.stop();
  await clock.pass(10);
  assert.deepEqual([path.isClosed, tcp.isClosed], [true, true]);
});

test('messages that nobody takes are counted', async () => {
  const { clock, counters, dnstap } = newWorld('dnstap /run/nobody.sock');
  for (let index = 0; index < 6_000; index++) dnstap?.answered(queryFacts());
  await clock.pass(10);
  assert.equal(counters.total('dnstapDropped'), 2_000);
  dnstap?.stop();
});
