import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Flush } from '../../src/scheduling/flush.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work waits for the end of the turn, after what promises still do, and runs in order', async () => {
  const flush = new Flush();
  const done: string[] = [];
  flush.add({ flush: () => done.push('first') });
  flush.add({ flush: () => done.push('second') });
  await Promise.resolve();
  assert.deepEqual(done, []);
  await nextTurn();
  assert.deepEqual(done, ['first', 'second']);
});

test('work added at the end of a turn has the next one', async () => {
  const flush = new Flush();
  const done: number[] = [];
  const again = { flush: (): void => void (done.push(done.length) < 3 && flush.add(again)) };
  flush.add(again);
  await nextTurn();
  assert.deepEqual(done, [0]);
  await nextTurn();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(done, [0, 1, 2]);
});

test('an exception of one keeps no other from its work, and is thrown when the turn is over', () => {
  const module = JSON.stringify(new URL('../../src/scheduling/flush.js', import.meta.url).href);
  const script = `
    import { Flush } from ${module};
    const turn = new Flush();
    const did = [];
    process.on('uncaughtException', ({ message }) => did.push(message));
    turn.add({ flush() { throw new Error('planted'); } });
    turn.add({ flush: () => did.push('second') });
    setImmediate(() => turn.add({ flush: () => console.log([...did, 'next turn'].join()) }));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(stdout, 'second,planted,next turn\n', stderr);
});
