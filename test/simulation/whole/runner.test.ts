/** What a run that fails, never ends or comes to nothing is turned into: a sentence with the seed and the last lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chronicle } from './chronicle.js';
import { SeedRunner } from './runner.js';

/** A runner whose thread does this with each `seed`. */
function runnerThat(does: string): SeedRunner {
  const program = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { Chronicle } from '${new URL('./chronicle.js', import.meta.url)}';
    const lines = new Chronicle(workerData.chronicle);
    parentPort.on('message', (seed) => { ${does} });`;
  return new SeedRunner(new URL(`data:text/javascript,${encodeURIComponent(program)}`), { isAloud: false });
}

test('a run that ends well says nothing; one that fails says what it said, and what went before', async () => {
  const runner = runnerThat(`
    for (let line = 1; line <= seed; line++) lines.note('line ' + line);
    parentPort.postMessage({ failure: seed === 3 ? 'it went wrong' : null });`);
  assert.equal(await runner.run(1, 10_000), null);
  const failure = 'seed 3 (repeat with SEED=3): it went wrong\nbefore that:\n  line 1\n  line 2\n  line 3';
  assert.equal(await runner.run(3, 10_000), failure);
  assert.equal(await runner.run(2, 10_000), null);
  await runner.end();
});

test('a loop without an end is ended, its last lines are told, and the next seed is run', async () => {
  const runner = runnerThat(`
    lines.note('the step of seed ' + seed);
    while (seed === 5);
    parentPort.postMessage({ failure: null });`);
  // A thread that is still starting would say nothing within the time.
  assert.equal(await runner.run(4, 10_000), null);
  const failure = 'seed 5 (repeat with SEED=5): it has not come to its end within 300 ms';
  assert.equal(await runner.run(5, 300), `${failure}\nbefore that:\n  the step of seed 5`);
  assert.equal(await runner.run(6, 10_000), null);
  await runner.end();
});

test('a thread that ends is a failure, whether by an exception or because nothing is left to do', async () => {
  const throwing = runnerThat("lines.note('last'); throw new Error('out of memory');");
  const thrown = await throwing.run(7, 10_000);
  assert.equal(thrown, 'seed 7 (repeat with SEED=7): its thread is gone: Error: out of memory\nbefore that:\n  last');
  const leaving = runnerThat('process.exit(0);');
  assert.equal(await leaving.run(8, 10_000), 'seed 8 (repeat with SEED=8): its thread is gone: 0\nbefore that:');
});

test('a chronicle keeps the last forty lines, each cut to its place', () => {
  const chronicle = new Chronicle();
  for (let line = 1; line <= 45; line++) chronicle.note(`${line} ${'x'.repeat(line === 45 ? 500 : 3)}`);
  const lines = new Chronicle(chronicle.memory).last();
  assert.deepEqual([lines.length, lines[0], lines[38], lines[39].length], [40, '6 xxx', '44 xxx', 240]);
  chronicle.clear();
  assert.deepEqual(chronicle.last(), []);
});
