/**
 * A pod asks as fast as it can for names that user space publishes and takes out as fast as it can: whatever the kernel
 * reads meanwhile, no answer has the address of another name.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, needs, type Running, start } from '../real/commands.js';
import { LaneNode, type LanePod, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

/** Answers in all; the long run has a million. */
const answers = Number(process.env['ZEROHOP_LANE_STORM'] ?? 200_000);
const program = fileURLToPath(new URL('storm-program.js', import.meta.url));

describe('a storm of changes', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  let changes: Running | null = null;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
  });
  after(async () => {
    await changes?.stop();
    await node?.remove();
  });

  for (const count of [2, 300]) {
    test(`of ${count} names`, async (context) => {
      changes = start(node.command(process.execPath, program, pod.link, pod.address, String(count)));
      const published = (): number => Number(/(\d+)\n[^\n]*$/.exec(changes!.stdout())?.[1] ?? 0);
      await eventually('it changes', () => published() > 0 || undefined);
      const report = await pod.client.storm({
        server,
        names: numberedQueries(count, 't').map((query, index) => ({
          query: query.toString('hex'),
          address: Buffer.of(10, 2, index >> 8, index & 255).toString('hex'),
        })),
        answers: answers / 2,
      });
      const changed = published();
      await changes.stop();
      context.diagnostic(`${report.answers} answers to ${report.sent} questions, ${changed} published meanwhile`);
      assert.deepEqual({ count: report.wrongCount, first: report.wrong }, { count: 0, first: [] });
      assert.ok(changed > 1_000);
    });
  }
});
