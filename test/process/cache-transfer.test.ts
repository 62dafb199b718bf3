import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { Turns } from '../../src/observe/turns.js';
import { newCacheTransfer } from '../../src/process/cache-transfer.js';
import { Generation } from '../../src/process/generation.js';
import { answerFor } from '../cache/answers.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { readEntries } from '../takeover/read-entries.js';
import { newGenerationFixture } from './generation-fixture.js';

/** One instance's cache and what it serves: `a.test` and all else, each with a cache. */
function newInstance(templates = '', cache = '60') {
  const { clock, world } = newGenerationFixture();
  const text = ['a.test', '.']
    .map((zone) => `${zone} {\n bind 192.0.2.1\n cache ${cache}\n ${templates}\n}\n`)
    .join('');
  const read = (corefile: string) => parseConfig(corefile, 'Corefile', { ...loadOptions });
  let generation = new Generation(read(text), world);
  const warmth = newCacheTransfer({
    turns: new Turns(clock),
    cache: world.cache,
    clock,
    generation: () => generation,
    counters: world.counters,
  });
  const zoneIds = generation.listeners[0].zones.map(({ zoneId }) => zoneId);
  const keep = (name: string, zone: number): void => {
    const store = generation.store(zoneIds[zone])!;
    warmth.kept(world.cache.keep(store, answerFor(name, { zoneId: zoneIds[zone] }), clock.nowMs()));
  };
  const reload = (corefile: string): void => {
    generation = new Generation(read(corefile), world);
  };
  return { clock, cache: world.cache, counters: world.counters, warmth, keep, reload };
}

const all = (chunks: Iterator<Uint8Array>): Uint8Array[] => [...{ [Symbol.iterator]: () => chunks }];
const names = (chunks: readonly Uint8Array[]): number => {
  let count = 0;
  for (const chunk of chunks) readEntries(chunk, () => count++);
  return count;
};

describe('newCacheTransfer', () => {
  test('what one has cached another takes, zone by zone', () => {
    const [one, other] = [newInstance(), newInstance()];
    one.keep('x.a.test', 0);
    one.keep('x.b.test', 1);
    for (const chunk of all(one.warmth.everything())) assert.ok(other.warmth.take(chunk));
    assert.equal([...other.cache.refs()].flat().length, 2);
    const zones = (instance: typeof one) =>
      [...instance.cache.refs()].flat().map((ref) => instance.cache.blocks.zoneId(ref));
    assert.deepEqual(zones(other), zones(one));
  });

  test('counts what is given and what is taken and kept', () => {
    const [one, other] = [newInstance(), newInstance()];
    one.keep('x.a.test', 0);
    one.keep('x.b.test', 1);
    for (const chunk of all(one.warmth.everything())) for (let times = 0; times < 2; times++) other.warmth.take(chunk);
    assert.equal(one.counters.total('entriesGiven'), 2);
    assert.equal(other.counters.total('entriesTaken'), 2, 'a second time they are known');
  });

  test('a smaller cache keeps those that the larger one would keep longest', () => {
    const one = newInstance('', '60 {\n success 2000\n }');
    const other = newInstance('', '60 {\n success 1024\n }');
    for (let index = 0; index < 1_500; index++) one.keep(`n${index}.a.test`, 0);
    const refs = [...one.cache.refs()].flat();
    for (const chunk of all(one.warmth.everything())) assert.ok(other.warmth.take(chunk));
    const messages = (instance: typeof one, some: number[]) =>
      some.map((ref) => Buffer.from(instance.cache.blocks.message(ref)).toString('hex'));
    const taken = [...other.cache.refs()].flat();
    assert.deepEqual(messages(other, taken), messages(one, refs.slice(-1_024)));
  });

  test('time that passes on the way counts: an answer that has expired is stale, and later not taken', () => {
    const [one, other] = [newInstance(), newInstance()];
    one.keep('x.a.test', 0);
    const [chunk] = all(one.warmth.everything());
    other.clock.passMs(31_000);
    assert.ok(other.warmth.take(chunk));
    const [ref] = [...other.cache.refs()].flat();
    assert.ok(other.cache.blocks.expiresAtMs(ref) < other.clock.nowMs());
    const late = newInstance();
    late.clock.passMs(30_000 + 3_600_000);
    assert.ok(late.warmth.take(chunk));
    assert.deepEqual([...late.cache.refs()], []);
  });

  test('a damaged chunk gives what is before the damage, and a link that gave it is left', () => {
    const [one, other] = [newInstance(), newInstance()];
    for (let index = 0; index < 20; index++) one.keep(`n${index}.a.test`, 0);
    const [chunk] = all(one.warmth.everything());
    assert.equal(other.warmth.take(chunk.subarray(0, chunk.length - 1)), false);
    assert.equal([...other.cache.refs()].flat().length, 19);
    assert.ok(other.warmth.take(chunk));
    assert.equal([...other.cache.refs()].flat().length, 20, 'those that it has are not taken twice');
  });

  test('answers of a zone whose templates differ stay where they are', () => {
    const [one, other] = [newInstance(), newInstance('template IN TXT {\n rcode NXDOMAIN\n }')];
    one.keep('x.a.test', 0);
    for (const chunk of all(one.warmth.everything())) assert.ok(other.warmth.take(chunk));
    assert.equal([...other.cache.refs()].flat().length, 0);
  });

  test('news is what was kept since they were asked for, as often as anybody wants to read it', () => {
    const { warmth, keep } = newInstance();
    keep('one.a.test', 0);
    const news = warmth.news();
    keep('two.a.test', 0);
    keep('three.a.test', 0);
    assert.deepEqual([names(all(news())), names(all(news()))], [1, 1]);
    assert.equal(names(all(warmth.news()())), 2);
    assert.equal(names(all(warmth.news()())), 0);
  });

  test('what has ended with one ends with others, but what came later stays', () => {
    const [one, other] = [newInstance(), newInstance()];
    const tell = (): void => {
      for (const chunk of all(one.warmth.news()())) assert.ok(other.warmth.take(chunk));
    };
    for (const name of ['x.a.test', 'y.a.test', 'z.a.test']) one.keep(name, 0);
    tell();
    assert.equal([...other.cache.refs()].flat().length, 3);
    one.clock.passMs(1_000);
    other.clock.passMs(1_000);
    const [x, y] = [...one.cache.refs()].flat();
    for (const ref of [x, y]) {
      one.warmth.ended(ref);
      one.cache.end(ref);
    }
    one.clock.passMs(1_000);
    other.clock.passMs(1_000);
    one.keep('y.a.test', 0);
    tell();
    assert.deepEqual([[...one.cache.refs()].flat().length, [...other.cache.refs()].flat().length], [2, 2]);
    assert.equal(other.counters.total('entriesTaken'), 4);
  });

  test('after a reload zones that are served no more are neither given nor taken', () => {
    const [one, other] = [newInstance(), newInstance()];
    one.keep('x.a.test', 0);
    const chunks = all(one.warmth.everything());
    const onlyB = 'b.test {\n bind 192.0.2.1\n cache 60\n}\n';
    one.reload(onlyB);
    other.reload(onlyB);
    assert.deepEqual(all(one.warmth.everything()), []);
    for (const chunk of chunks) assert.ok(other.warmth.take(chunk));
    assert.equal([...other.cache.refs()].flat().length, 0);
    assert.equal(other.warmth.take(Buffer.from('nonsense')), false);
  });
});
