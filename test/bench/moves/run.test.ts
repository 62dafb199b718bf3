/** A reload and a takeover with a small cache: real processes, a dozen seconds. A snapshot would take half a minute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whileSet } from '../../../bench/load/run.js';
import { twoCores } from '../../../bench/machine.js';
import { measureMoves } from '../../../bench/moves/run.js';
import { findTools } from '../../../bench/tools.js';
import { builtEntry } from '../../corpus/repository.js';
import { needs } from '../../real/commands.js';

const cores = twoCores();

test('each move has its time, and the hits beside it and before', {
  skip: needs('dnsperf', 'knotd', 'taskset') || (cores === null ? 'needs two cores' : false),
}, async () => {
  const found = findTools(['dnsperf', 'knotd']);
  assert.ok('paths' in found);
  const wish = { entries: 2000, moves: ['reload', 'takeover'], times: 1 } as const;
  const { samples, sent, lost } = await whileSet({ programs: found.paths, cores: cores!, seconds: 1 }, (setting) =>
    measureMoves(builtEntry, setting, wish),
  );
  assert.deepEqual(
    samples.map(({ name }) => name),
    ['reload', 'takeover'],
  );
  assert.ok(sent > 20_000, `${sent} sent`);
  assert.equal(lost, 0);
  for (const { tookMs, cpuMs, quietMs, movingMs } of samples) {
    assert.ok(tookMs > 1 && cpuMs > 0 && quietMs.p50 > 0 && movingMs.p50 > 0 && movingMs.max >= movingMs.p99);
  }
});
