/**
 * A soak of ten seconds with the real servers: whether the main thread is blocked when it is to be, and nothing is lost
 * that nobody has counted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zerohop } from '../../../bench/load/servers.js';
import { twoCores } from '../../../bench/machine.js';
import { soak } from '../../../bench/soak/run.js';
import { verdictOf } from '../../../bench/soak/verdict.js';
import { findTools } from '../../../bench/tools.js';
import { builtEntry } from '../../corpus/repository.js';
import { needs } from '../../real/commands.js';

const cores = twoCores();

test('everything is asked, and a blocked main thread is seen to be blocked', {
  skip: needs('dnsperf', 'knotd', 'taskset', 'mkfifo') || (cores === null ? 'needs two cores' : false),
}, async () => {
  const found = findTools(['dnsperf', 'knotd']);
  assert.ok('paths' in found);
  const said: string[] = [];
  const result = await soak({
    server: (slowFile) => zerohop('zerohop', builtEntry, { imports: slowFile, entries: 1000 }),
    seconds: 10,
    cores: cores!,
    programs: found.paths,
    say: (line) => said.push(line),
  });
  const { stretches, traffic, scrapes, reloads } = result;
  assert.ok(stretches.length >= 3, `${stretches.length} stretches`);
  for (const [index, { control }] of stretches.entries()) assert.equal(control, index % 2 === 0 ? 'free' : 'blocked');
  assert.ok(
    stretches.filter(({ control }) => control === 'blocked').every(({ controlWorstMs }) => controlWorstMs > 150),
  );
  assert.ok(reloads >= 1 && scrapes >= 1 && said.length === stretches.length);
  for (const [name, { sent, completed, lost, failed }] of Object.entries(traffic)) {
    assert.ok(sent > 100 && completed + lost === sent && failed === 0, `${name}: ${JSON.stringify(traffic)}`);
  }
  const { uncounted, grownBytes } = verdictOf(result);
  assert.equal(uncounted, 0, JSON.stringify(result.losses));
  assert.ok(grownBytes < 30e6, `${grownBytes} bytes more`);
  assert.ok(stretches.every(({ hitsMs, anonymousBytes }) => hitsMs !== null && anonymousBytes > 5e6));
});
