/** What the checks share: sentences, bounds, and one look for all checks of a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fineFinding,
  howMany,
  isOfEveryHost,
  oncePerRun,
  otherNetwork,
  pause,
  percent,
  readTextOf,
  runProgramFor,
  skippedFinding,
  someOf,
} from '../../src/doctor/found.js';
import { lookingAt } from './outsides.js';

test('lists, numbers and shares in sentences', () => {
  assert.equal(someOf(['a', 'b'], 2), 'a, b');
  assert.equal(someOf(['a', 'b', 'c', 'd'], 2), 'a, b and 2 more');
  assert.deepEqual(
    [howMany(1, 'packet'), howMany(12_000, 'packet'), howMany(2, 'query', 'queries')],
    ['1 packet', '12,000 packets', '2 queries'],
  );
  assert.deepEqual([percent(1, 3), percent(0, 0)], ['33 %', '0 %']);
  assert.equal(fineFinding('x', 'y').verdict, 'ok');
  assert.equal(skippedFinding('x', 'y').verdict, 'skipped');
});

test('a program that fails says why in one clause', async () => {
  const failing = { 'ip x': { ran: true, status: 2, stdout: '', stderr: 'Object unknown\nmore' } as const };
  assert.deepEqual(await runProgramFor(lookingAt({ programs: failing }), 'ip', ['x']), {
    ok: false,
    why: 'ip exited with 2: Object unknown',
  });
  assert.deepEqual(await runProgramFor(lookingAt(), 'nft', []), {
    ok: false,
    why: 'nft is not installed',
  });
});

test('a file is read up to its bound', async () => {
  const outsides = lookingAt({ files: { '/a': 'x'.repeat(100) } });
  assert.equal((await readTextOf(outsides, '/a', 10))?.length, 10);
  assert.equal(await readTextOf(outsides, '/b', 10), undefined);
});

test('a look is shared within a run and taken again in the next one', async () => {
  let looks = 0;
  const look = oncePerRun(async () => ++looks);
  const [one, other] = [lookingAt(), lookingAt()];
  assert.deepEqual([await look(one), await look(one), await look(other)], [1, 1, 2]);
});

test('another network namespace is told, an unknown one is not', () => {
  assert.equal(otherNetwork(lookingAt()), null);
  assert.match(otherNetwork(lookingAt({ networkNamespace: 'net:[9]' })) ?? '', /another network namespace/);
  assert.equal(otherNetwork(lookingAt({ facts: null })), null);
});

test('a pause is as long as the clock says', async () => {
  const { clock } = lookingAt();
  const startedMs = clock.nowMs();
  await clock.until(pause(clock, 40));
  assert.equal(clock.nowMs() - startedMs, 40);
});

test('addresses of every host', () => {
  assert.deepEqual(['127.0.0.1', '0.0.0.0', '::', '::1', 'fe80::1%eth0', '10.0.0.1', 'fd00::1'].map(isOfEveryHost), [
    true,
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
});
