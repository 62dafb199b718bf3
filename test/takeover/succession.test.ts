import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { handoverSilenceMs, keeperPeriodMs, silentPeriodsMax } from '../../src/limits.js';
import type { Clock } from '../../src/os/clock.js';
import type { Layout, Message } from '../../src/takeover/protocol.js';
import { entriesFrame, messageFrame, PeerFrameReader } from '../../src/takeover/protocol.js';
import { Succession } from '../../src/takeover/succession.js';
import { ManualClock } from '../simulation/clock.js';
import { type MemoryLocalSockets, memoryLocalSockets } from '../simulation/local-sockets.js';

const path = '/run/zerohop/handover.sock';
const self = { version: '1', pid: 1, network: 'net:[1]', entriesFormat: 1 };

interface InstanceWish {
  readonly cached?: string[];
  readonly pid?: number;
  readonly network?: string;
  readonly areShared?: boolean;
  /** How long a look at the sockets takes. */
  readonly lookMs?: number;
}

/** One instance: what it did to its sockets, and what it has cached, which is texts here. */
class Instance {
  readonly did: string[] = [];
  readonly lines: string[] = [];
  readonly owns: string[] = [];
  readonly inherited: number[] = [];
  looks = 0;
  learned: Layout = {};
  cached: string[];
  fresh: string[] = [];
  readonly succession: Succession;

  constructor(
    readonly clock: ManualClock,
    sockets: MemoryLocalSockets,
    { cached = [], pid = 1, network = self.network, areShared = true, lookMs = 0 }: InstanceWish = {},
  ) {
    this.cached = cached;
    const say = (line: string): void => void this.lines.push(line);
    const chunks = (texts: readonly string[]) => texts.map((text) => Buffer.from(text))[Symbol.iterator]();
    const lateClock = { ...clockOf(clock), nowMs: () => clock.nowMs() + this.looks * lookMs };
    this.succession = new Succession({
      ...{ clock: lateClock, sockets, path, self: { ...self, pid, network } },
      log: { debug: say, info: say, warn: say, error: say },
      seats: {
        share: () => {},
        learn: (layout) => {
          this.learned = layout;
        },
        layout: () => ({ 'udp 192.0.2.1 53': [pid] }),
        areShared,
        steer: (how) => void this.did.push(how),
        look: () => void this.looks++,
        offer: () => ({ groups: [], descriptors: [] }),
        hold: () => {},
        isHolding: true,
        inherit: () => void this.inherited.push(this.clock.nowMs()),
      },
      warmth: {
        everything: () => chunks(this.cached),
        news: () => {
          const texts = this.fresh;
          this.fresh = [];
          return () => chunks(texts);
        },
        take: (chunk) => {
          const text = Buffer.from(chunk).toString();
          if (text === 'broken') return false;
          this.cached.push(text);
          return true;
        },
      },
      owns: (whose) => void this.owns.push(whose),
    });
  }

  async starts(): Promise<boolean> {
    const joins = await this.settled(this.succession.begin());
    await this.settled(this.succession.takeOver());
    return joins;
  }

  async settled<Value>(promise: Promise<Value>): Promise<Value> {
    let isOver = false;
    const watched = promise.finally(() => {
      isOver = true;
    });
    while (!isOver) await this.clock.pass(1);
    return watched;
  }

  get role(): string {
    return this.succession.role;
  }
}

function clockOf(clock: ManualClock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    rest: () => clock.rest(),
    after: (ms, run) => clock.after(ms, run),
    every: (ms, run) => clock.every(ms, run),
  };
}

function newWorld() {
  const clock = new ManualClock();
  const sockets = memoryLocalSockets(clock);
  const instance = (options?: ConstructorParameters<typeof Instance>[2]) => new Instance(clock, sockets, options);
  return { clock, sockets, instance };
}

/** Speaks the language by hand, at the path or as who comes there. */
function byHand(answers: (message: Message, say: (message: Message) => void) => void) {
  const reader = new PeerFrameReader();
  return (bytes: Uint8Array, stream: { write(bytes: Uint8Array): void }): void => {
    for (const frame of reader.read(bytes) ?? []) {
      if (frame.kind === 'message') answers(frame.message, (message) => stream.write(messageFrame(message)));
    }
  };
}

describe('who shares the ports', () => {
  for (const { lookMs, looksAMinute } of [
    { lookMs: 0, looksAMinute: 60 },
    { lookMs: 15, looksAMinute: 60 },
    { lookMs: 100, looksAMinute: 12 },
    { lookMs: 2_300, looksAMinute: 1 },
  ]) {
    test(`is looked at ${looksAMinute} times a minute where a look takes ${lookMs} ms`, async () => {
      const { clock, instance } = newWorld();
      const one = instance({ lookMs });
      await one.starts();
      await clock.pass(60 * keeperPeriodMs);
      const before = one.looks;
      await clock.pass(600 * keeperPeriodMs);
      const looks = (one.looks - before) / 10;
      assert.ok(Math.abs(looks - looksAMinute) <= Math.max(0.5, looksAMinute * 0.1), `${looks}`);
    });
  }
});

describe('a start', () => {
  test('where nobody is: at once, and everything is ours', async () => {
    const { clock, instance } = newWorld();
    const one = instance();
    const startedMs = clock.nowMs();
    assert.equal(await one.starts(), false);
    assert.ok(clock.nowMs() - startedMs <= 4);
    assert.deepEqual([one.role, one.did, one.owns], ['serving', ['all'], ['start']]);
  });

  test('where one serves: its sockets, its cache, then the packets; the old one stands by', async () => {
    const { clock, instance } = newWorld();
    const old = instance({ cached: ['a', 'b'], pid: 10 });
    await old.starts();
    const next = instance({ pid: 11 });
    assert.equal(await next.starts(), true);
    await clock.pass(5);
    assert.deepEqual(next.learned, { 'udp 192.0.2.1 53': [10] });
    assert.deepEqual(next.cached, ['a', 'b']);
    assert.deepEqual([next.role, next.did, next.owns], ['serving', ['all'], ['start']]);
    assert.deepEqual([old.role, old.did, old.owns], ['standing by', ['all', 'away'], ['start', 'another']]);
    assert.match(old.lines.join(), /this instance is standby/);
  });

  test('where one does not answer: it is joined all the same, in half a second', async () => {
    const { clock, sockets, instance } = newWorld();
    sockets.listenDeaf(path);
    const startedMs = clock.nowMs();
    const one = instance();
    assert.equal(await one.starts(), true);
    assert.ok(clock.nowMs() - startedMs < 600);
    assert.equal(one.role, 'serving');
    assert.match(one.lines.join(), /does not answer/);
  });

  test('where one speaks nonsense: it is joined without its cache', async () => {
    const { sockets, instance } = newWorld();
    sockets.listenByHand(path, (_, stream) => stream.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const one = instance();
    assert.equal(await one.starts(), true);
    assert.equal(one.role, 'serving');
  });

  const welcome: Message = { type: 'welcome', layout: {}, clockMs: 1_000_000, ...self };
  for (const [what, then] of [
    ['falls silent in the middle of its cache', () => {}],
    [
      'sends a broken chunk',
      (stream: { write(bytes: Uint8Array): void }) => stream.write(entriesFrame(Buffer.from('broken'))),
    ],
    ['breaks off', (stream: { destroy(): void }) => stream.destroy()],
  ] as const) {
    test(`where one ${what}: what came is kept, and this one serves`, async () => {
      const { clock, sockets, instance } = newWorld();
      const reader = new PeerFrameReader();
      sockets.listenByHand(path, (bytes, stream) => {
        for (const frame of reader.read(bytes) ?? []) {
          const type = frame.kind === 'message' ? frame.message.type : '';
          if (type === 'hello') stream.write(messageFrame(welcome));
          if (type !== 'give') continue;
          stream.write(entriesFrame(Buffer.from('a')));
          clock.after(2, () => then(stream));
        }
      });
      const startedMs = clock.nowMs();
      const one = instance();
      await one.starts();
      assert.ok(clock.nowMs() - startedMs <= handoverSilenceMs + 20);
      assert.deepEqual([one.role, one.cached], ['serving', ['a']]);
      assert.match(one.lines.join(), /cache handover incomplete/);
    });
  }

  test('where one keeps its cache in another form, or reads another clock: nothing of it is taken', async () => {
    for (const other of [{ entriesFormat: 2 }, { clockMs: 1 }]) {
      const { sockets, instance } = newWorld();
      let asked = false;
      const hears = byHand((message, say) => {
        if (message.type === 'hello') say({ ...welcome, ...other });
        asked ||= message.type === 'give';
      });
      sockets.listenByHand(path, hears);
      const one = instance();
      await one.starts();
      assert.deepEqual([one.role, asked], ['serving', false]);
    }
  });

  test('where one of another network namespace has the path: nothing is joined, and the path is left alone', async () => {
    const { instance, sockets } = newWorld();
    const other = instance({ network: 'net:[2]' });
    await other.starts();
    const one = instance();
    assert.equal(await one.starts(), false);
    assert.match(one.lines.join(), /another network namespace/);
    assert.equal(one.role, 'serving');
    assert.equal(other.role, 'serving');
    assert.equal(sockets.streams, 0);
  });
});

test('an instance on other addresses is no predecessor: both serve', async () => {
  const { clock, instance } = newWorld();
  const [one, other] = [instance({ cached: ['a'] }), instance({ areShared: false })];
  await one.starts();
  await other.starts();
  await clock.pass(keeperPeriodMs * 3);
  assert.deepEqual([one.role, other.role, other.cached], ['serving', 'serving', []]);
  assert.deepEqual([one.owns, other.owns], [['start'], ['start']]);
  assert.match(other.lines.join(), /on other addresses; give this one another -handover/);
});

describe('leaving', () => {
  test('alone: nobody is asked', async () => {
    const { instance } = newWorld();
    const one = instance();
    await one.starts();
    assert.equal(await one.settled(one.succession.leave()), 'alone');
    one.succession.left();
  });

  test('after a successor: packets go to one socket of its until ours are closed', async () => {
    const { clock, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    assert.equal(await old.settled(old.succession.leave()), 'succeeded');
    assert.deepEqual(next.did, ['all', 'one']);
    old.succession.left();
    await clock.pass(5);
    assert.deepEqual(next.did, ['all', 'one', 'all']);
  });

  test('of the one that serves: the one that stands by has the packets first', async () => {
    const { clock, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    assert.equal(await next.settled(next.succession.leave()), 'succeeded');
    assert.deepEqual([old.role, next.role], ['serving', 'standing by']);
    assert.deepEqual(old.learned, { 'udp 192.0.2.1 53': [11] });
    assert.deepEqual(old.did.slice(-2), ['all', 'one']);
    assert.deepEqual(old.owns, ['start', 'another', 'left']);
    next.succession.left();
    await clock.pass(5);
    assert.equal(old.did.at(-1), 'all');
    assert.equal(await instance({ pid: 12 }).starts(), true, 'the path is the one that serves now');
  });

  test('two at once: one after the other', async () => {
    const { clock, instance } = newWorld();
    const [one, two, three] = [instance({ pid: 1 }), instance({ pid: 2 }), instance({ pid: 3 })];
    for (const each of [one, two, three]) await each.starts();
    await clock.pass(keeperPeriodMs * 2);
    assert.deepEqual(
      [one, two, three].map(({ role }) => role),
      ['standing by', 'standing by', 'serving'],
    );
    const left = [one.succession.leave(), two.succession.leave()];
    await clock.pass(5);
    assert.deepEqual(three.did.slice(-1), ['one']);
    one.succession.left();
    await clock.pass(5);
    two.succession.left();
    await clock.pass(5);
    assert.deepEqual(await Promise.all(left), ['succeeded', 'succeeded']);
    assert.deepEqual(three.did.filter((how) => how === 'one').length, 2);
    assert.equal(three.did.at(-1), 'all');
  });

  test('when nobody lets us go: a second later we go', async () => {
    const { clock, sockets, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    sockets.mute();
    const startedMs = clock.nowMs();
    assert.equal(await old.settled(old.succession.leave()), 'succeeded');
    assert.ok(clock.nowMs() - startedMs <= handoverSilenceMs + 2);
  });

  test('while a successor starts: it is waited for', async () => {
    const { clock, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.settled(next.succession.begin());
    const leaving = old.succession.leave();
    await clock.pass(300);
    await next.settled(next.succession.takeOver());
    assert.equal(await old.settled(leaving), 'succeeded');
  });
});

describe('standing by', () => {
  test('hears what is new', async () => {
    const { clock, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    next.fresh.push('new');
    await clock.pass(keeperPeriodMs + 5);
    assert.deepEqual(old.cached, ['new']);
  });

  test('serves at once when the one that serves dies', async () => {
    const { clock, sockets, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    await clock.pass(5);
    next.succession.left();
    sockets.breakAll();
    await clock.pass(5);
    assert.deepEqual([old.role, old.did.at(-1), old.owns.at(-1)], ['serving', 'all', 'gone']);
    assert.equal(old.inherited.length, 2, 'as it began to serve, and now');
    assert.equal(await instance({ pid: 12 }).starts(), true);
  });

  test('serves when the one that serves has said nothing for some seconds', async () => {
    const { clock, sockets, instance } = newWorld();
    const [old, next] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await old.starts();
    await next.starts();
    await clock.pass(keeperPeriodMs * 3);
    assert.equal(old.role, 'standing by');
    sockets.mute();
    await clock.pass(keeperPeriodMs * (silentPeriodsMax + 2));
    assert.equal(old.role, 'serving');
    assert.match(old.lines.join(), /is silent/);
    assert.deepEqual(old.owns, ['start', 'another', 'silent']);
  });

  test('of two that find themselves serving, the one without the path stands by', async () => {
    const { clock, instance } = newWorld();
    const [one, two] = [instance({ pid: 10 }), instance({ pid: 11 })];
    await one.settled(one.succession.begin());
    await two.settled(two.succession.begin());
    await one.settled(one.succession.takeOver());
    await two.settled(two.succession.takeOver());
    await clock.pass(keeperPeriodMs * 2);
    assert.deepEqual([one.role, two.role], ['standing by', 'serving']);
  });
});
