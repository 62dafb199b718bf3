import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToWire } from '../../src/dns/names.js';
import { topCountersMax, topShownMax, topWindowMs } from '../../src/limits.js';
import { SpaceSaving, Top } from '../../src/observe/top.js';
import { ManualClock } from '../simulation/clock.js';

const nobody = { method: 'GET', host: '', remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

/** Name and type as they are on the wire, a character a byte. */
const question = (name: string, type: 'A' | 'AAAA' = 'A'): string =>
  `${Buffer.from(nameToWire(name)).toString('latin1')}\0${type === 'A' ? '\x01' : '\x1c'}`;

const asked = { query: new URLSearchParams(), isLocal: true, ...nobody };

function newFixture() {
  const clock = new ManualClock();
  const top = new Top(clock);
  const page = () => {
    const { status, body, contentType } = top.answer(asked);
    assert.deepEqual([status, contentType], [200, 'application/json']);
    return JSON.parse(body);
  };
  const names = (): string[] => page().names.map(({ name, type }: Record<string, string>) => `${name} ${type}`);
  return { clock, top, page, names };
}

describe('Top', () => {
  it('takes what the kernel has counted for what it is, and says that nobody knows whose it was', () => {
    const { top, page } = newFixture();
    top.seen(question('web.example.'), '10.244.0.7', 16);
    top.counted(question('web.example.'), 1_000);
    const { about, names, clients } = page();
    assert.match(about, /One packet in 16\.0 was sampled.* The kernel has answered 1000, which are in names only\.$/);
    assert.deepEqual([names[0].count, clients[0].count], [1_016, 16]);
  });

  it('lists names with their types, and clients, the most frequent first, with what may be wrong with a count', async () => {
    const { clock, top, page } = newFixture();
    for (let times = 0; times < 100; times++) top.seen(question('web.example.'), '10.244.0.7', 16);
    for (let times = 0; times < 25; times++) top.seen(question('web.example.', 'AAAA'), '10.244.0.8', 16);
    await clock.pass(10_000);
    const { about, since, ...rest } = page();
    assert.match(about, /One packet in 16\.0 was sampled/);
    assert.equal(Date.parse(since), clock.wallMs() - 10_000);
    assert.deepEqual(rest, {
      seconds: 10,
      packets: 2_000,
      samples: 125,
      names: [
        { name: 'web.example.', type: 'A', count: 1_600, tooManyAtMost: 0, plusMinus: 304 },
        { name: 'web.example.', type: 'AAAA', count: 400, tooManyAtMost: 0, plusMinus: 152 },
      ],
      clients: [
        { client: '10.244.0.7', count: 1_600, tooManyAtMost: 0, plusMinus: 304 },
        { client: '10.244.0.8', count: 400, tooManyAtMost: 0, plusMinus: 152 },
      ],
    });
  });

  it('shows the present: what is older than a window is gone, what is younger than half of one is there', async () => {
    const { clock, top, page, names } = newFixture();
    const secondsMax = topWindowMs / 1000;
    for (let second = 0; second < 4 * secondsMax; second++) {
      top.seen(question(`in-second-${second}.`), '10.0.0.1', 1);
      const { seconds } = page();
      assert.ok(seconds <= secondsMax && (second < secondsMax / 2 || seconds >= secondsMax / 2), `${seconds} s`);
      await clock.pass(1_000);
    }
    assert.equal(page().packets, Math.round(page().seconds));
    await clock.pass(10 * topWindowMs);
    assert.deepEqual(names(), []);
  });

  it('finds the frequent ones in a flood of names, and stays small', () => {
    const { top, page } = newFixture();
    for (let index = 0; index < 20 * topCountersMax; index++) {
      top.seen(question(`x${index}.flood.example.`), '10.0.0.66', 1);
      if (index % 10 === 0) top.seen(question('web.example.'), '10.0.0.7', 1);
    }
    const { names, clients, packets } = page();
    assert.equal(names.length, topShownMax);
    assert.deepEqual([names[0].name, clients[0].client], ['web.example.', '10.0.0.66']);
    assert.ok(names[0].tooManyAtMost <= packets / topCountersMax);
  });

  it('is for programs of the node alone', () => {
    const { top } = newFixture();
    top.seen(question('secret.example.'), '10.0.0.1', 1);
    const { status, body } = top.answer({ ...asked, isLocal: false });
    assert.equal(status, 403);
    assert.doesNotMatch(body, /secret/);
  });
});

/** Streams in which some keys are frequent, with weights as samples have them. */
const streams = fc.array(
  fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 200 })).map(String),
    fc.integer({ min: 1, max: 64 }),
  ),
  { size: 'max', maxLength: 2_000 },
);

function counted(stream: readonly (readonly [string, number])[], countersMax: number) {
  const sketch = new SpaceSaving(countersMax);
  const truth = new Map<string, number>();
  for (const [key, weight] of stream) {
    sketch.add(key, weight);
    truth.set(key, (truth.get(key) ?? 0) + weight);
  }
  return { sketch, truth, all: sketch.top(Number.POSITIVE_INFINITY) };
}

describe('SpaceSaving', () => {
  it('counts exactly while there is a counter for each', () => {
    fc.assert(
      fc.property(streams, (stream) => {
        const { truth, all } = counted(stream, 1_000);
        assert.deepEqual(new Map(all.map(({ key, count }) => [key, count])), truth);
        assert.ok(all.every(({ over }) => over === 0));
      }),
    );
  });

  it('never counts too little, nor too much by more than it says, which is a share of all', () => {
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 32 }), (stream, countersMax) => {
        const { sketch, truth, all } = counted(stream, countersMax);
        for (const { key, count, over } of all) {
          const exact = truth.get(key)!;
          assert.ok(count >= exact && count - over <= exact, `${key}: ${count} - ${over}, is ${exact}`);
          assert.ok(over <= sketch.total / countersMax);
        }
      }),
    );
  });

  it('has every key with more than its share, in bounded memory, and loses no weight', () => {
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 32 }), (stream, countersMax) => {
        const { sketch, truth, all } = counted(stream, countersMax);
        const keys = new Set(all.map(({ key }) => key));
        for (const [key, exact] of truth) if (exact > sketch.total / countersMax) assert.ok(keys.has(key), key);
        assert.ok(all.length <= countersMax && keys.size === all.length);
        assert.equal(
          all.reduce((sum, { count }) => sum + count, 0),
          sketch.total,
        );
      }),
    );
  });

  it('gives the most frequent first, and no more than are asked for', () => {
    fc.assert(
      fc.property(streams, (stream) => {
        const { sketch, all } = counted(stream, 16);
        const counts = all.map(({ count }) => count);
        assert.deepEqual(
          counts,
          [...counts].sort((one, other) => other - one),
        );
        assert.deepEqual(sketch.top(3), all.slice(0, 3));
      }),
    );
  });
});
