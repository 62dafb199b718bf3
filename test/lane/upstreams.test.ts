/**
 * Names in use behind an upstream that is slow, or that counts TTLs down as a cache does: what a pod gets while the process
 * is alive, and while it hangs.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { needs } from '../real/commands.js';
import { LaneNode, type LanePod, nodeNeeds, server } from './lane-node.js';
import type { SteadyReport } from './pod-client.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

const perSecond = 1_000;
const hangMs = 10_000;
/** What a pod notices; its own program may be stopped for some tens of milliseconds on a busy machine. */
const lateMs = 100;
const lines = 'cache 300';
const names = numberedQueries(50, 'u', { edns: 1232 });
const groups = 10;
const slowAddress = '10.96.0.11';

interface Asked {
  readonly alive: SteadyReport;
  readonly hanging: SteadyReport;
}

interface SlowUpstream {
  readonly delayMs: number;
  readonly seconds: number;
  readonly counting: 'whole' | 'counted';
}

async function askedOn(node: LaneNode, pod: LanePod, { delayMs, seconds, counting }: SlowUpstream): Promise<Asked> {
  await node.addUpstream(slowAddress, delayMs, seconds, counting);
  const zerohop = await node.start({ lines, upstream: slowAddress });
  // Their ends are spread, so some are near at any time.
  for (let first = 0; first < groups; first++) {
    await pod.client.ask(
      server,
      names.filter((_, index) => index % groups === first),
    );
    await pause((seconds * 1_000) / groups);
  }
  // Once around, so that it is known how long the upstream takes.
  await pod.client.begin(server, names, perSecond);
  await pause((seconds + 1) * 1_000);
  await pod.client.finish(5_000);
  await pod.client.begin(server, names, perSecond, lateMs);
  await pause(4 * seconds * 1_000);
  const alive = await pod.client.finish(5_000);
  await pod.client.begin(server, names, perSecond);
  for (let hang = 0; hang < 3; hang++) {
    await pause(2 * seconds * 1_000 - 200 - 300 * hang);
    zerohop.program.signal('SIGSTOP');
    await pause(hangMs);
    zerohop.program.signal('SIGCONT');
  }
  const hanging = await pod.client.finish(hangMs);
  return { alive, hanging };
}

// Two at a time, because most of it is waiting.
describe('names in use', { skip: laneIsMissing || needs(...nodeNeeds), concurrency: 2 }, () => {
  /** While the process is alive, and while it hangs three times. */
  async function asked(upstream: SlowUpstream): Promise<Asked> {
    const node = await LaneNode.make();
    try {
      return await askedOn(node, await node.addPod('pod0'), upstream);
    } finally {
      await node.remove();
    }
  }

  for (const [delayMs, seconds] of [
    [250, 3],
    [800, 3],
    [800, 5],
  ]) {
    test(`with ${seconds} s, of an upstream that takes ${delayMs} ms`, async (context) => {
      const { alive, hanging } = await asked({ delayMs, seconds, counting: 'whole' });
      context.diagnostic(`alive: ${alive.late} of ${alive.sent} late; hanging: ${hanging.late} of ${hanging.sent}`);
      assert.deepEqual([alive.lost, alive.late, alive.firstLate], [0, 0, []]);
      assert.deepEqual([hanging.lost, hanging.late, hanging.firstLate], [0, 0, []]);
    });
  }

  test('with 5 s, of an upstream that counts them down', async (context) => {
    const { alive, hanging } = await asked({ delayMs: 2, seconds: 5, counting: 'counted' });
    context.diagnostic(`alive: ${alive.late} of ${alive.sent} late; hanging: ${hanging.late} of ${hanging.sent}`);
    assert.deepEqual([alive.lost, alive.late, alive.firstLate], [0, 0, []]);
    // Those that end within the half second in which the hang goes unnoticed.
    assert.ok(hanging.lost === 0 && hanging.late < hanging.sent / 100);
  });
});
