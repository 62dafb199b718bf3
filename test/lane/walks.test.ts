/**
 * A pod that walks its search path again and again: the steps are denied by NXDOMAIN cuts, and the kernel gives what it
 * asks for more than once, also while the process hangs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { needs } from '../real/commands.js';
import { LaneNode, type LanePod, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { queryFor } from './zones.js';

const perSecond = 500;
const hangMs = 10_000;
const domains = ['.default.svc.cluster.local', '.svc.cluster.local', '.cluster.local', ''];
const walks = Array.from({ length: 20 }, (_, index) =>
  domains.map((domain) => queryFor(`www${index}.shop${index % 7}.com${domain}`)),
).flat();

describe('a pod that walks its search path', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
  });
  after(() => node?.remove());

  test('loses none of its questions while the process hangs', async (context) => {
    const zerohop = await node.start({ lines: 'cache 300', zones: 'cluster.local:53 .:53' });
    // From the first walk zerohop learns the cuts by which the others are answered.
    await pod.client.ask(server, walks.slice(0, domains.length));
    await pause(500);
    await pod.client.begin(server, walks, perSecond);
    await pause(12_000);
    for (let hang = 0; hang < 2; hang++) {
      zerohop.program.signal('SIGSTOP');
      await pause(hangMs);
      zerohop.program.signal('SIGCONT');
      await pause(4_000);
    }
    const report = await pod.client.finish(hangMs);
    const cuts = await zerohop.metric('zerohop_nxdomain_cut_answers_total');
    const { types } = await node.knot.counted();
    context.diagnostic(`${report.late} of ${report.sent} late; ${cuts} answers from cuts; asked ${types.get('A')}`);
    assert.ok(cuts > 0);
    assert.deepEqual([report.lost, report.late, report.firstLate, report.wrong], [0, 0, [], []]);
  });
});
