import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { watchFiles } from '../../src/config/watch.js';
import { ManualClock } from '../simulation/clock.js';

/** Files in memory whose looks are counted. */
function world(paths: string[], initial: Readonly<Record<string, string>>, periodMs = 100) {
  const clock = new ManualClock();
  const files = new Map(Object.entries(initial).map(([name, content]) => [name, { content, version: 0 }]));
  const counts = { changed: 0, digests: 0 };
  const look = {
    stat: (name: string) => files.get(name)?.version.toString(),
    digest(name: string) {
      counts.digests++;
      return files.get(name)?.content;
    },
  };
  const timer = watchFiles(
    clock,
    () => paths,
    periodMs,
    () => counts.changed++,
    look,
  );
  return {
    counts,
    timer,
    write: (name: string, content: string) =>
      files.set(name, { content, version: (files.get(name)?.version ?? 0) + 1 }),
    remove: (name: string) => files.delete(name),
    looks: (number: number) => clock.passMs(number * periodMs),
  };
}

test('nothing happens while nothing changes, and nothing is read again', () => {
  const { counts, looks } = world(['a', 'b'], { a: '1', b: '1' });
  looks(100);
  assert.deepEqual(counts, { changed: 0, digests: 2 });
});
test('a change counts once, when two looks agree on it', () => {
  const { counts, looks, write } = world(['a'], { a: '1' });
  looks(3);
  write('a', '2');
  looks(1);
  assert.equal(counts.changed, 0);
  looks(1);
  assert.equal(counts.changed, 1);
  looks(10);
  assert.deepEqual(counts, { changed: 1, digests: 2 });
});
test('a file that keeps changing is left alone until it rests', () => {
  const { counts, looks, write } = world(['a'], { a: '0' });
  for (let turn = 1; turn <= 5; turn++) {
    write('a', String(turn));
    looks(1);
  }
  assert.equal(counts.changed, 0);
  looks(1);
  assert.equal(counts.changed, 1);
});
test('a touched file is no change, nor is one that changes there and back', () => {
  const { counts, looks, write } = world(['a'], { a: '1' });
  write('a', '1');
  looks(3);
  write('a', '2');
  looks(1);
  write('a', '1');
  looks(3);
  assert.equal(counts.changed, 0);
  write('a', '2');
  looks(1);
  assert.equal(counts.changed, 0, 'what an earlier look found does not count as the first of two');
  looks(1);
  assert.equal(counts.changed, 1);
});
test('a change that is there at the first look counts at the second', () => {
  const { counts, looks, write } = world(['a'], { a: '1' });
  write('a', '2');
  looks(2);
  assert.equal(counts.changed, 1);
});
test('a file that goes and comes is two changes', () => {
  const { counts, looks, write, remove } = world(['a'], { a: '1' });
  remove('a');
  looks(2);
  assert.equal(counts.changed, 1);
  write('a', '1');
  looks(2);
  assert.equal(counts.changed, 2);
});
test('a path that joins is taken as it is; one that leaves is forgotten', () => {
  const paths = ['a'];
  const { counts, looks, write } = world(paths, { a: '1', b: '1' });
  paths.push('b');
  looks(3);
  assert.equal(counts.changed, 0);
  write('b', '2');
  looks(2);
  assert.equal(counts.changed, 1);
  paths.pop();
  write('b', '3');
  looks(3);
  assert.equal(counts.changed, 1);
});
test('with a long period the second look comes early', () => {
  const { counts, looks, write } = world(['a'], { a: '1' }, 30_000);
  write('a', '2');
  looks(1);
  assert.equal(counts.changed, 0);
  looks(0.02);
  assert.equal(counts.changed, 1);
  looks(10);
  assert.deepEqual(counts, { changed: 1, digests: 2 });
});
test('an early look that finds another difference is followed by one more', () => {
  const { counts, looks, write } = world(['a'], { a: '1' }, 30_000);
  write('a', '2');
  looks(1);
  write('a', '3');
  looks(0.02);
  assert.equal(counts.changed, 0);
  looks(0.02);
  assert.equal(counts.changed, 1);
});
test('stopped between two looks is stopped', () => {
  const { counts, looks, write, timer } = world(['a'], { a: '1' }, 30_000);
  write('a', '2');
  looks(1);
  timer.stop();
  looks(5);
  assert.equal(counts.changed, 0);
});
test('stopped is stopped', () => {
  const { counts, looks, write, timer } = world(['a'], { a: '1' });
  timer.stop();
  write('a', '2');
  looks(5);
  assert.equal(counts.changed, 0);
});

const root = mkdtempSync(path.join(tmpdir(), 'zerohop-watch-'));
after(() => rmSync(root, { recursive: true }));

test("Kubernetes' swap of a mounted ConfigMap is noticed on real files", () => {
  const version = (name: string, content: string) => {
    mkdirSync(path.join(root, name));
    writeFileSync(path.join(root, name, 'Corefile'), content);
  };
  const publish = (name: string) => {
    symlinkSync(name, path.join(root, '..data_tmp'));
    renameSync(path.join(root, '..data_tmp'), path.join(root, '..data'));
  };
  version('..v1', 'one');
  publish('..v1');
  symlinkSync(path.join('..data', 'Corefile'), path.join(root, 'Corefile'));
  const clock = new ManualClock();
  let changed = 0;
  watchFiles(
    clock,
    () => [path.join(root, 'Corefile')],
    1_000,
    () => changed++,
  );
  clock.passMs(2_000);
  version('..v2', 'two');
  publish('..v2');
  clock.passMs(2_000);
  assert.equal(changed, 1);
  version('..v3', 'two');
  publish('..v3');
  clock.passMs(5_000);
  assert.equal(changed, 1, 'the same content in another file is no change');
});
test('a folder changes when a file comes or goes, not when one is touched', () => {
  const folder = path.join(root, 'custom');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'a.conf'), '1');
  const clock = new ManualClock();
  let changed = 0;
  watchFiles(
    clock,
    () => [folder, path.join(root, 'none')],
    1_000,
    () => changed++,
  );
  utimesSync(path.join(folder, 'a.conf'), 1, 1);
  clock.passMs(3_000);
  assert.equal(changed, 0);
  writeFileSync(path.join(folder, 'b.conf'), '1');
  clock.passMs(3_000);
  assert.equal(changed, 1);
});
