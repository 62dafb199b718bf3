import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirstHits } from '../../src/cache/first-hits.js';
import { parseConfig } from '../../src/config/load.js';
import { systemClock } from '../../src/os/clock.js';
import { systemRandom } from '../../src/os/random.js';
import { kernelLane, noKernelLane, type OpenKernelLane } from '../../src/process/kernel-lane.js';
import { laneTables } from '../../src/process/lane-tables.js';
import { Numbering, planZones } from '../../src/resolve/zone-plan.js';
import { calls, skip } from '../os/loopback-sockets.js';
import { fixture, loadOptions } from '../resolve/context-fixture.js';

/** With a kernel that refuses everything. */
const refusing = (): OpenKernelLane =>
  kernelLane({
    calls: { ...calls, bpf: () => -1, bpfLater: async () => -1 },
    random: systemRandom(),
    readFile: () => undefined,
    folder: '/proc/zerohop',
    namespace: '1',
    isBesideOthers: false,
    lingerMs: 0,
  });

/** What the lane says when it begins under this configuration. */
async function begun(corefile: string, open = refusing()): Promise<string> {
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const { cache, context } = fixture(corefile);
  const lane = open({
    clock: systemClock(),
    log: { debug: say, info: say, warn: say, error: say },
    cache,
    firstHits: new FirstHits(),
    counters: context.counters,
    given() {},
    ask: () => false,
    eachSocket() {},
  });
  const config = parseConfig(corefile, 'Corefile', loadOptions);
  lane.follow(laneTables(config, planZones(config, { cache: new Numbering(), counters: new Numbering() }), '1'));
  await lane.begin();
  lane.kept(0);
  lane.left(0);
  lane.release();
  lane.end();
  assert.equal(lane.totals.isOn, false);
  return lines.join('\n');
}

test('only listeners with an address of their own can be recognised in the kernel', { skip }, async () => {
  const forward = 'cache\n forward . 192.0.2.1';
  assert.match(await begun(`. {\n ${forward}\n}`), /no server block is bound to an address of its own/);
  assert.match(await begun(`. {\n bind fe80::1%lo\n ${forward}\n}`), /no server block is bound/);
  assert.match(await begun(`. {\n bind 169.254.20.10\n ${forward}\n}`), /no folder for what outlives the process/);
});

test('a lane that is wanted where there can be none says why', async () => {
  const said = await begun(
    '. {\n bind 169.254.20.10\n cache\n forward . 192.0.2.1\n}',
    noKernelLane('no system calls'),
  );
  assert.equal(said, 'kernel lane: off: no system calls');
});
