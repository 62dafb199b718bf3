import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectionUnsentBytesMax } from '../../src/limits.js';
import type { Stream } from '../../src/os/network.js';
import { Link, type LinkEvents } from '../../src/takeover/link.js';
import { ManualClock } from '../simulation/clock.js';
import { memoryLocalSockets } from '../simulation/local-sockets.js';

const noGreeting = () => ({ bytes: new Uint8Array(0), descriptors: [] });

function newPair() {
  const clock = new ManualClock();
  const sockets = memoryLocalSockets(clock);
  const events = (log: string[]): LinkEvents => ({
    message: ({ type }) => void log.push(type),
    entries: (chunk) => void log.push(Buffer.from(chunk).toString()),
    closed: () => void log.push('closed'),
  });
  const [heardNear, heardFar]: [string[], string[]] = [[], []];
  let far!: Link;
  sockets.listen(
    '/a',
    (stream) => {
      far = new Link(clock, events(heardFar)).use(stream);
      return far.events;
    },
    noGreeting,
  );
  const near = new Link(clock, events(heardNear));
  near.use(sockets.connect('/a', near.events).stream!);
  return { clock, near, far, heardNear, heardFar };
}

describe('Link', () => {
  test('says messages and sends answers, and tells when all of those are sent', async () => {
    const { clock, near, heardFar } = newPair();
    near.say({ type: 'give' });
    near.sendEntries([Buffer.from('a'), Buffer.from('b')][Symbol.iterator](), () => near.say({ type: 'given' }));
    near.sendEntries([Buffer.from('c')][Symbol.iterator](), () => assert.fail('one at a time'));
    await clock.pass(5);
    assert.deepEqual(heardFar, ['give', 'a', 'b', 'given']);
  });

  test('finishing lets the other end hear what was said before', async () => {
    const { clock, near, heardNear, heardFar } = newPair();
    near.say({ type: 'left' });
    near.finish();
    near.say({ type: 'go' });
    await clock.pass(5);
    assert.deepEqual([heardNear, heardFar], [['closed'], ['left', 'closed']]);
  });

  test('a peer that says nonsense is left, and heard no more', async () => {
    const { clock, near, far, heardFar } = newPair();
    near.sendEntries([Buffer.alloc(300_000)][Symbol.iterator]());
    await clock.pass(5);
    assert.ok(far.isClosed);
    assert.deepEqual(heardFar, ['closed']);
  });

  test('a peer that does not take its answers gets no more until it has', () => {
    const clock = new ManualClock();
    let written = 0;
    const stream = {
      remote: { address: '', port: 0 },
      get unsentBytes() {
        return written;
      },
      write: (bytes: Uint8Array) => {
        written += bytes.length;
      },
      ...{ pause() {}, resume() {}, end() {}, destroy() {} },
    } satisfies Stream;
    const link = new Link(clock, { message() {}, entries() {}, closed() {} }).use(stream);
    const chunk = Buffer.alloc(100_000);
    link.sendEntries(Array.from({ length: 100 }, () => chunk)[Symbol.iterator]());
    clock.passMs(500);
    assert.ok(written > connectionUnsentBytesMax && written < connectionUnsentBytesMax + 2 * chunk.length);
    written = 0;
    link.events.drained?.();
    clock.passMs(5);
    assert.ok(written > chunk.length);
    link.close();
    const before = written;
    clock.passMs(500);
    assert.equal(written, before);
  });
});

test('answers that cannot be made end the conversation: the other one comes again and gets all', async () => {
  const { clock, near, heardFar } = newPair();
  const planted = function* (): Generator<Uint8Array> {
    yield Buffer.from('a');
    throw new Error('planted');
  };
  near.sendEntries(planted());
  await assert.rejects(clock.pass(5), /planted/u);
  await clock.pass(5);
  assert.deepEqual([near.isClosed, heardFar], [true, ['a', 'closed']]);
});
