import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  connectionUnsentBytesMax,
  handoverFrameBytesMax,
  handoverPeersMax,
  introductionTimeoutMs,
} from '../../src/limits.js';
import type { LocalSockets, Stream } from '../../src/os/network.js';
import {
  entriesFrame,
  Hearing,
  type LinkEvents,
  MeetingPlace,
  type Message,
  messageFrame,
  PeerFrameReader,
  PeerLink,
  readMessage,
} from '../../src/takeover/protocol.js';
import { ManualClock } from '../simulation/clock.js';
import { memoryLocalSockets } from '../simulation/local-sockets.js';

const introduction = { version: '1.2.3', pid: 7, network: 'net:[1]', clockMs: 12.5, entriesFormat: 1 };
const all: Message[] = [
  { type: 'hello', as: 'successor', ...introduction },
  { type: 'hello', as: 'stand-by', ...introduction },
  { type: 'welcome', layout: { 'udp 192.0.2.1 53': [1, 0, 3] }, ...introduction },
  { type: 'sockets', groups: ['udp 192.0.2.1 53'] },
  { type: 'give' },
  { type: 'given' },
  { type: 'serving' },
  { type: 'serve', layout: {} },
  { type: 'leaving' },
  { type: 'go' },
  { type: 'left' },
];

describe('frames', () => {
  test('come out as they went in, however the stream cuts them', () => {
    const sent = [...all.map(messageFrame), entriesFrame(Buffer.from('chunk')), entriesFrame(Buffer.alloc(0))];
    const bytes = Buffer.concat(sent);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50, size: 'max' }), (cuts) => {
        const reader = new PeerFrameReader();
        const frames = [];
        for (let at = 0, next = 0; at < bytes.length; next++) {
          const end = at + cuts[next % cuts.length];
          frames.push(...(reader.read(bytes.subarray(at, end)) ?? assert.fail('it is our language')));
          at = end;
        }
        const messages = frames.flatMap((frame) => (frame.kind === 'message' ? [frame.message] : []));
        const chunks = frames.flatMap((frame) => (frame.kind === 'entries' ? [frame.chunk.toString()] : []));
        assert.deepEqual([messages, chunks], [all, ['chunk', '']]);
      }),
    );
  });

  test('one that is too long, of another kind, or not JSON is no frame', () => {
    const long = Buffer.alloc(5);
    long.writeUInt32LE(handoverFrameBytesMax + 1);
    long[4] = 2;
    const kind = Buffer.from([0, 0, 0, 0, 9]);
    const text = Buffer.from([3, 0, 0, 0, 1, 0x7b, 0x7b, 0x7b]);
    for (const bytes of [long, kind, text]) assert.equal(new PeerFrameReader().read(bytes), null);
  });

  test('random bytes never do more than end the conversation', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500, size: 'max' }), (bytes) => {
        new PeerFrameReader().read(bytes);
      }),
    );
  });
});

describe('readMessage', () => {
  const read = (value: unknown): Message | null => readMessage(JSON.stringify(value));

  test('passes over what a newer version may say, and what it adds', () => {
    assert.deepEqual(read({ type: 'sing' }), { type: 'unknown' });
    assert.deepEqual(read({ type: 'go', slowly: true }), { type: 'go' });
  });

  test('refuses what misses something or has it wrong', () => {
    const hello = { type: 'hello', as: 'successor', ...introduction };
    const wrong: unknown[] = [null, 1, [], {}, { type: 1 }, { ...hello, as: 'king' }, { ...hello, pid: 'x' }];
    wrong.push({ ...hello, version: 'v'.repeat(101) }, { ...hello, clockMs: null }, { ...hello, network: 5 });
    wrong.push(
      { type: 'welcome', ...introduction },
      { type: 'serve', layout: { a: 'b' } },
      { type: 'serve', layout: { a: [1.5] } },
    );
    wrong.push({ ...hello, entriesFormat: 0.5 }, { type: 'serve', layout: [] });
    for (const value of wrong) assert.equal(read(value), null, JSON.stringify(value));
  });
});

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
  let far!: PeerLink;
  sockets.listen(
    '/a',
    (stream) => {
      far = new PeerLink(clock, events(heardFar)).use(stream);
      return far.events;
    },
    noGreeting,
  );
  const near = new PeerLink(clock, events(heardNear));
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
    const link = new PeerLink(clock, { message() {}, entries() {}, closed() {} }).use(stream);
    const chunk = Buffer.alloc(100_000);
    let isOpen = true;
    const chunks = (function* () {
      try {
        for (let left = 100; left > 0; left--) yield chunk;
      } finally {
        isOpen = false;
      }
    })();
    link.sendEntries(chunks);
    clock.passMs(500);
    assert.ok(written > connectionUnsentBytesMax && written < connectionUnsentBytesMax + 2 * chunk.length);
    written = 0;
    link.events.drained?.();
    clock.passMs(5);
    assert.ok(written > chunk.length);
    assert.ok(isOpen);
    link.close();
    assert.ok(!isOpen, 'nothing goes on looking for the rest');
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

test('the first thing that was waited for, and nothing else', async () => {
  const clock = new ManualClock();
  const hearing = new Hearing(clock);
  hearing.heard('go');
  const first = hearing.first(['go', 'closed'], 100);
  hearing.heard('serving');
  hearing.heard('go');
  hearing.heard('closed');
  assert.equal(await first, 'go');
  assert.equal(clock.timersSet, 0);
});

test('nothing, after so long; answers that come are worth patience, but not for ever', async () => {
  const clock = new ManualClock();
  const hearing = new Hearing(clock);
  const silent = hearing.first(['given'], 100, 1_000);
  clock.passMs(100);
  assert.equal(await silent, 'nothing');
  const endless = hearing.first(['given'], 100, 1_000);
  let passedMs = 0;
  for (; clock.timersSet > 0; passedMs += 50) {
    clock.passMs(50);
    hearing.heard('entries');
  }
  assert.equal(await endless, 'nothing');
  assert.equal(passedMs, 1_000);
});

function newWorld(other: Partial<LocalSockets> = {}) {
  const clock = new ManualClock();
  const sockets = memoryLocalSockets(clock);
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const accepted: PeerLink[] = [];
  const newPlace = (): MeetingPlace =>
    new MeetingPlace(
      {
        ...{ clock, path: '/p', self: { version: '1', pid: 1, network: '', entriesFormat: 1 } },
        log: { debug: say, info: say, warn: say, error: say },
        sockets: { ...sockets, ...other },
        greeting: () => ({ bytes: new Uint8Array(0), descriptors: [] }),
      },
      { message() {}, entries() {}, closed() {} },
      (link) => void accepted.push(link),
    );
  return { clock, sockets, lines, accepted, newPlace };
}

describe('MeetingPlace', () => {
  test('is taken from the instance that had it', () => {
    const { newPlace } = newWorld();
    const [one, two] = [newPlace(), newPlace()];
    assert.equal(one.isOurs, false);
    one.take();
    assert.equal(one.isOurs, true);
    two.take();
    assert.deepEqual([one.isOurs, two.isOurs], [false, true]);
    one.leave();
    assert.equal(two.isOurs, true);
    two.leave();
    assert.equal(newPlace().connect('successor'), null);
  });

  test('who comes and does not say who he is has to go, and so has who is too many', async () => {
    const { clock, sockets, accepted, newPlace } = newWorld();
    newPlace().take();
    const closed: number[] = [];
    for (let index = 0; index <= handoverPeersMax; index++) {
      sockets.connect('/p', { data() {}, ended() {}, closed: () => void closed.push(index) });
    }
    await clock.pass(5);
    assert.deepEqual([accepted.length, closed], [handoverPeersMax, [handoverPeersMax]]);
    await clock.pass(introductionTimeoutMs + 5);
    assert.equal(closed.length, handoverPeersMax + 1);
    sockets.connect('/p', { data() {}, ended() {}, closed: () => assert.fail('there is room again') });
    await clock.pass(5);
    assert.equal(accepted.length, handoverPeersMax + 1);
  });

  test('a path that cannot be used is said once', () => {
    const why = 'EACCES';
    const { lines, newPlace } = newWorld({
      connect: () => ({ stream: null, why }),
      listen: () => ({ listener: null, why }),
    });
    const place = newPlace();
    assert.equal(place.connect('successor'), null);
    place.take();
    place.take();
    assert.deepEqual(lines, ['not using the handover socket /p: EACCES']);
  });

  test("somebody else's is left alone", () => {
    const { sockets, newPlace } = newWorld();
    sockets.listenDeaf('/p');
    const place = newPlace();
    place.isForeign = true;
    place.take();
    assert.equal(place.connect('successor'), null);
    assert.equal(place.isOurs, false);
  });
});
