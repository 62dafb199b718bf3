import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Epochs } from '../../src/cache/epochs.js';
import { workersMax } from '../../src/limits.js';

test('an epoch has passed when no reader is in a batch', () => {
  const epochs = new Epochs();
  assert.ok(epochs.passed(epochs.advance()));
});

test('a reader that began before holds an epoch up until its batch ends', () => {
  const epochs = new Epochs();
  const reader = new Epochs(epochs.memory);
  reader.enter(5);
  const epoch = epochs.advance();
  assert.equal(epochs.passed(epoch), false);
  reader.leave(5);
  assert.ok(epochs.passed(epoch));
});

test('a reader that began afterwards does not', () => {
  const epochs = new Epochs();
  const epoch = epochs.advance();
  epochs.enter(0);
  assert.ok(epochs.passed(epoch));
  assert.equal(epochs.passed(epochs.advance()), false);
});

test('the numbers may run over', () => {
  const epochs = new Epochs();
  const words = new Int32Array(epochs.memory);
  const epochWord = words.indexOf(1);
  for (const epoch of [2 ** 31 - 1, -(2 ** 31), -2, -1]) {
    words[epochWord] = epoch;
    epochs.enter(1);
    assert.equal(epochs.passed(epochs.advance()), false, String(epoch));
    epochs.enter(1);
    assert.ok(epochs.passed(epoch), String(epoch));
    assert.notEqual(words[epochWord], 0);
  }
});

test('waiting for a reader ends when it leaves, and is given up when it does not', async () => {
  const epochs = new Epochs();
  epochs.enter(0);
  assert.equal(epochs.awaitPassed(epochs.advance()), false);
  const code = `
    const { workerData } = require('node:worker_threads');
    const words = new Int32Array(workerData);
    while (Atomics.load(words, 1) === 0);
    Atomics.store(words, 16, 0);
  `;
  const thread = new Worker(code, { eval: true, workerData: epochs.memory });
  await new Promise((resolve) => thread.once('online', resolve));
  const words = new Int32Array(epochs.memory);
  Atomics.store(words, 1, 1);
  assert.ok(epochs.awaitPassed(epochs.advance()) || epochs.awaitPassed(epochs.advance()));
  await thread.terminate();
});

test('each reader has a cache line of its own, and none is at an end of the memory', () => {
  const epochs = new Epochs();
  const words = new Int32Array(epochs.memory);
  const changed = (run: () => void) => {
    const before = words.slice();
    run();
    return [...words.keys()].filter((word) => words[word] !== before[word]);
  };
  const places = [
    ...changed(() => epochs.advance()),
    ...Array.from({ length: workersMax }, (_, reader) => changed(() => epochs.enter(reader))).flat(),
  ];
  assert.equal(places.length, workersMax + 1);
  assert.deepEqual(new Set(places.slice(1).map((word, index) => word - places[index])), new Set([16]));
  assert.ok(places[0] >= 16 && words.length - places[workersMax] > 16);
});
