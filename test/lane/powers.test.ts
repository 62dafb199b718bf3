/** zerohop with the kernel lane under fewer capabilities, and with a folder that keeps no pins: it serves in any case. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { needs, output, run } from '../real/commands.js';
import { entry } from '../real/zerohop.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

const known = numberedQueries(20);
/** What its command line begins with where it shall not have these. */
const without = (...powers: string[]): string[] => [
  'capsh',
  `--drop=${powers.map((power) => `cap_${power}`).join(',')}`,
  '--',
  '-c',
  'exec "$@"',
  'sh',
];
const noPerfmon = without('perfmon', 'sys_admin', 'sys_resource');
const noBpf = without('bpf', 'perfmon', 'sys_admin');

describe('with fewer powers', { skip: laneIsMissing || needs(...nodeNeeds, 'capsh') }, () => {
  let node: LaneNode;
  let pod: LanePod;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
  });
  afterEach(() => node.stopAll());
  after(() => node?.remove());

  /** It says why in one line and in a metric, and serves. */
  async function worksWithoutLane(zerohop: LaneZerohop, why: RegExp): Promise<void> {
    const warnings = zerohop.lines('kernel lane: ');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], why);
    assert.equal(await zerohop.metric('zerohop_kernel_lane{why=""}'), 0);
    const page = await output(node.command('curl', '-s', '-f', `http://${server}:9253/metrics`));
    assert.match(page, new RegExp(`^zerohop_kernel_lane\\{why=".*${why.source}.*"\\} 0$`, 'm'));
    for (let times = 0; times < 3; times++) {
      const answers = await pod.client.ask(server, known);
      assert.equal(answers.filter((answer) => answer !== null).length, known.length);
    }
    await zerohop.stop();
  }

  test('BPF and NET_ADMIN are enough', async () => {
    const tried = await output(node.command(...noPerfmon, ...entry, '-kernellane=try'));
    assert.match(tried, /^The kernel lane is possible here: /);
    const zerohop = await node.start({ prefix: noPerfmon });
    assert.ok(zerohop.said('kernel lane: on'));
    await node.fromKernel(pod.client, server, known);
    await zerohop.kill();
    const next = await node.start({ prefix: noPerfmon });
    assert.ok((await next.metric('zerohop_kernel_entries')) >= known.length);
    await node.fromKernel(pod.client, server, known);
    await next.stop();
  });

  test('without BPF', async () => {
    const { stdout, status } = await run(node.command(...noBpf, ...entry, '-kernellane=try'));
    assert.match(
      stdout,
      /^The kernel lane is not possible here: bpf\(2\) is refused \(EPERM\); it takes the capability BPF/,
    );
    assert.equal(status, 1);
    await worksWithoutLane(
      await node.start({ prefix: noBpf }),
      /bpf\(2\) is refused \(EPERM\); it takes the capability BPF/,
    );
  });

  test('a folder that is on no bpf file system', async () => {
    const zerohop = await node.start({ flags: [`-kernellanefolder=${node.folder}/plain`] });
    await worksWithoutLane(zerohop, /a map cannot be pinned \(-\d+\); the folder must be on the bpf file system/);
  });

  test('a folder that cannot be made', async () => {
    const zerohop = await node.start({ flags: ['-kernellanefolder=/proc/nowhere'] });
    await worksWithoutLane(zerohop, /no folder for what outlives the process \(\w+\); mount the bpf file system there/);
  });
});
