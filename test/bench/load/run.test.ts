/** A match in which one server fails at first: real processes, a quarter of a second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, knot } from '../../../bench/load/peers.js';
import { runMatch } from '../../../bench/load/run.js';
import type { Server } from '../../../bench/load/servers.js';
import { atRate, workloads } from '../../../bench/load/workloads.js';
import { twoCores } from '../../../bench/machine.js';
import { findTools } from '../../../bench/tools.js';
import { needs } from '../../real/commands.js';

const cores = twoCores();

/** Does not start the first `failures` times. */
function unreliable(server: Server, failures: number): Server {
  let starts = 0;
  return { ...server, command: (wish) => (starts++ < failures ? ['false'] : server.command(wish)) };
}

function matchOf(server: Server, progress: string[]) {
  const found = findTools(['dnsperf', 'knotd']);
  assert.ok('paths' in found);
  return runMatch({
    servers: [server, echo()],
    workloads: [atRate(workloads[0], 'saturated'), workloads[1]],
    rounds: 1,
    seconds: 0.1,
    cores: cores!,
    programs: found.paths,
    memoryOf: [],
    workers: [],
    moves: null,
    progress: (line) => progress.push(line),
  });
}

const skip = needs('dnsperf', 'knotd', 'taskset') || (cores === null ? 'needs two cores' : false);

test('a measurement that fails is made once more, and who cannot do some work is left out of it', {
  skip,
}, async () => {
  const found = findTools(['knotd']);
  assert.ok('paths' in found);
  const progress: string[] = [];
  const figures = await matchOf(unreliable(knot(found.paths.knotd), 1), progress);
  const names = figures.workloads.map(({ name, servers }) => `${name}: ${servers.map((each) => each.name).join(', ')}`);
  assert.deepEqual(names, ['cached: knot (authoritative), echo (Node.js)', 'nxdomain: knot (authoritative)']);
  assert.ok(
    figures.workloads.every(({ servers }) => servers.every(({ answers, wrong }) => answers > 10 && wrong === 0)),
  );
  assert.equal(figures.repeated.length, 1);
  assert.match(figures.repeated[0], /^knot \(authoritative\), cached: the server ended with 1/);
  assert.ok(progress.some((line) => /1\/1 echo .*cached, saturated .*answers\/s/.test(line)));
});

test('one that fails twice ends the match', { skip }, async () => {
  const found = findTools(['knotd']);
  assert.ok('paths' in found);
  await assert.rejects(matchOf(unreliable(knot(found.paths.knotd), 2), []), /cached: the server ended with 1/);
});
