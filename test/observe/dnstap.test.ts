import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { frameStreamBytesMax, frameStreamFlushMs, frameStreamFramesMax, frameStreamRetryMs } from '../../src/limits.js';
import { dnstapMessage, FrameStream, newDnstap } from '../../src/observe/dnstap.js';
import { blockOf } from '../config/options.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork, pathPort } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { Collector, controlFrame, fieldsOf } from './collector.js';
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

const at = { address: '192.0.2.70', port: 6000 };
const contentType = 'protobuf:dnstap.Dnstap';

function newStreamWorld() {
  const clock = new ManualClock(0);
  const network = new MemoryNetwork(clock, seededRandom(1));
  const said: string[] = [];
  const say = (message: string, fields?: object) => void said.push(`${message} ${JSON.stringify(fields ?? {})}`);
  let dropped = 0;
  const open = () =>
    new FrameStream({
      ...{ name: 'tcp://c:6000', contentType, clock },
      log: { debug: say, info: say, warn: say, error: say },
      connect: (events) => network.connectStream(at, events),
      dropped: () => dropped++,
    });
  return { clock, network, said, open, dropped: () => dropped };
}

const payload = (text: string) => Buffer.from(text);
const texts = ({ frames }: Collector) => frames.map(String);

describe('a frame stream', () => {
  it('greets, sends what came before and after, and says goodbye', async () => {
    const { clock, network, open, said } = newStreamWorld();
    const collector = await new Collector().listen(network, at);
    const stream = open();
    stream.send(payload('one'));
    await clock.pass(10);
    assert.deepEqual(collector.controls, [`READY ${contentType}`, `START ${contentType}`]);
    assert.deepEqual(texts(collector), ['one']);
    stream.send(payload('two'));
    stream.send(payload('three'));
    assert.deepEqual(texts(collector), ['one'], 'gathered for one write');
    await clock.pass(frameStreamFlushMs + 5);
    assert.deepEqual(texts(collector), ['one', 'two', 'three']);
    stream.send(payload('last'));
    stream.stop();
    await clock.pass(10);
    assert.deepEqual(texts(collector).at(-1), 'last');
    assert.deepEqual([collector.controls.at(-1), collector.isClosed], ['STOP', true]);
    await clock.pass(60_000);
    assert.equal(collector.connections, 1);
    assert.deepEqual(said, ['dnstap: connected to tcp://c:6000 {"dropped":0}']);
  });

  it('sends nothing before it is greeted back, and tries again where it never is', async () => {
    const { clock, network, open, said } = newStreamWorld();
    const collector = await new Collector().listen(network, at);
    collector.greeting = null;
    const stream = open();
    stream.send(payload('one'));
    await clock.pass(frameStreamRetryMs - 100);
    assert.deepEqual([collector.controls, texts(collector)], [[`READY ${contentType}`], []]);
    collector.greeting = controlFrame(1, contentType);
    await clock.pass(2 * frameStreamRetryMs);
    assert.deepEqual([collector.connections, texts(collector)], [2, ['one']]);
    assert.match(said[0], /^dnstap: connection to tcp:\/\/c:6000 failed \(.+\); retrying/u);
    stream.stop();
  });

  it('comes back to a collector that was not there or has gone, and says each change once', async () => {
    const { clock, network, open, said } = newStreamWorld();
    const stream = open();
    await clock.pass(5 * frameStreamRetryMs);
    assert.equal(said.length, 1);
    const first = await new Collector().listen(network, at);
    await clock.pass(2 * frameStreamRetryMs);
    assert.equal(first.controls.length, 2);
    first.stop();
    await clock.pass(10);
    stream.send(payload('meanwhile'));
    const second = await new Collector().listen(network, at);
    await clock.pass(2 * frameStreamRetryMs);
    assert.deepEqual(texts(second), ['meanwhile']);
    assert.equal(said.length, 4);
    stream.stop();
  });

  it('drops and counts what has no room, and never waits', async () => {
    const { clock, network, open, said, dropped } = newStreamWorld();
    const stream = open();
    for (let index = 0; index < frameStreamFramesMax + 7; index++) stream.send(payload(`${index}`));
    assert.equal(dropped(), 7);
    const collector = await new Collector().listen(network, at);
    await clock.pass(3 * frameStreamRetryMs);
    assert.equal(collector.frames.length, frameStreamFramesMax);
    assert.match(said.at(-1) ?? '', /"dropped":7/u);
    stream.stop();
  });

  it('bounds the bytes that wait where the collector does not read', async () => {
    const { clock, network, open, dropped } = newStreamWorld();
    const collector = await new Collector().listen(network, at);
    const stream = open();
    await clock.pass(10);
    collector.stream?.pause();
    const large = () => Buffer.alloc(65_000);
    const count = 3 * Math.ceil(frameStreamBytesMax / 65_000);
    for (let index = 0; index < count; index++) {
      stream.send(large());
      await clock.pass(frameStreamFlushMs + 1);
    }
    assert.ok(dropped() > 0 && dropped() < count, `${dropped()} of ${count}`);
    collector.stream?.resume();
    await clock.pass(5_000);
    assert.equal(collector.frames.length, count - dropped());
    stream.stop();
  });

  it('leaves who answers with anything else', async () => {
    for (const greeting of [
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      controlFrame(5, null),
      Buffer.from('0000000000000000', 'hex'),
      Buffer.from('00000000ffffffff00000001', 'hex'),
    ]) {
      const { clock, network, open } = newStreamWorld();
      const collector = await new Collector().listen(network, at);
      collector.greeting = greeting;
      const stream = open();
      stream.send(payload('secret'));
      await clock.pass(frameStreamRetryMs - 100);
      assert.deepEqual([collector.isClosed, texts(collector)], [true, []], greeting.toString('hex'));
      stream.stop();
    }
  });

  it('takes a greeting that comes a byte at a time', async () => {
    const { clock, network, open } = newStreamWorld();
    const collector = await new Collector().listen(network, at);
    collector.greeting = null;
    const stream = open();
    stream.send(payload('one'));
    await clock.pass(10);
    for (const byte of controlFrame(1, contentType)) {
      collector.stream?.write(Buffer.from([byte]));
      await clock.pass(1);
    }
    await clock.pass(10);
    assert.deepEqual(texts(collector), ['one']);
    stream.stop();
  });

  it('stops without a word where nobody has greeted back', async () => {
    const { clock, network, open } = newStreamWorld();
    const collector = await new Collector().listen(network, at);
    collector.greeting = null;
    const stream = open();
    await clock.pass(10);
    stream.stop();
    await clock.pass(60_000);
    assert.deepEqual([collector.controls.length, collector.connections, collector.isClosed], [1, 1, true]);
  });
});
