import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frameStreamBytesMax, frameStreamFlushMs, frameStreamFramesMax, frameStreamRetryMs } from '../../src/limits.js';
import { FrameStream } from '../../src/observe/frame-stream.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { Collector, controlFrame } from './collector.js';

const at = { address: '192.0.2.70', port: 6000 };
const contentType = 'protobuf:dnstap.Dnstap';

function newWorld() {
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
    const { clock, network, open, said } = newWorld();
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
    const { clock, network, open, said } = newWorld();
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
    const { clock, network, open, said } = newWorld();
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
    const { clock, network, open, said, dropped } = newWorld();
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
    const { clock, network, open, dropped } = newWorld();
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
      const { clock, network, open } = newWorld();
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
    const { clock, network, open } = newWorld();
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
    const { clock, network, open } = newWorld();
    const collector = await new Collector().listen(network, at);
    collector.greeting = null;
    const stream = open();
    await clock.pass(10);
    stream.stop();
    await clock.pass(60_000);
    assert.deepEqual([collector.controls.length, collector.connections, collector.isClosed], [1, 1, true]);
  });
});
