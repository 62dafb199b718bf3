import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forgetting } from '../../src/process/forgetting.js';
import { answerFor } from '../cache/answers.js';
import { newGenerationFixture } from './generation-fixture.js';

function newWorld() {
  const { world, clock } = newGenerationFixture();
  const { cache } = world;
  const store = cache.newStore({ successEntriesMax: 10_000, denialEntriesMax: 10 });
  for (let index = 0; index < 3_000; index++) cache.keep(store, answerFor(`n${index}.${index % 2}.test`), 0);
  return { store, forgetting: new Forgetting(cache, clock), clock };
}
const isOdd = (name: string) => name.endsWith('.1.test.');

test('names are forgotten some at a time', async () => {
  const { store, forgetting, clock } = newWorld();
  forgetting.names(store, isOdd);
  assert.ok(store.success.size > 2_000, `${store.success.size}`);
  let isSome = false;
  const after = clock.after.bind(clock);
  clock.after = (ms, run) => {
    isSome ||= store.success.size > 1_500 && store.success.size < 3_000;
    return after(ms, run);
  };
  await clock.pass(10);
  assert.ok(isSome);
  assert.equal(store.success.size, 1_500);
});

test('what is left to be forgotten can be forgotten at once', () => {
  const { store, forgetting } = newWorld();
  forgetting.names(store, isOdd);
  forgetting.names(store, (name) => name.startsWith('n1'));
  forgetting.finish();
  assert.equal(store.success.size, 1_500 - 555);
});
