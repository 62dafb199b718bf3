/**
 * Instances that follow each other while a pod asks for names in use: none of its questions is lost when one takes over,
 * when one that serves is killed, or when one dies while it takes over; and the kernel goes on answering.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { layoutVersion } from '../../src/lane/layout.js';
import { eventually, needs } from '../real/commands.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server, withAnotherLayout } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

const perSecond = 2_000;
const takeovers = Number(process.env['ZEROHOP_LANE_TAKEOVERS'] ?? 3);
const known = numberedQueries(150);
const wish = { lines: 'cache 300', handsOver: true } as const;

describe('instances that follow each other', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  let serving: LaneZerohop;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
    serving = await node.start(wish);
    await node.fromKernel(pod.client, server, known);
  });
  afterEach(() => node.fromKernel(pod.client, server, known));
  after(() => node?.remove());

  /** Nothing is lost meanwhile; how many were asked. */
  async function meanwhile(change: () => Promise<void>): Promise<number> {
    await pod.client.begin(server, known, perSecond);
    await change();
    const { sent, lost, firstLost, wrong, rcodes } = await pod.client.finish(5_000);
    assert.deepEqual({ lost, firstLost, wrong, rcodes }, { lost: 0, firstLost: [], wrong: [], rcodes: { 0: sent } });
    return sent;
  }

  test(`${takeovers} upgrades`, async (context) => {
    let given = 0;
    const sent = await meanwhile(async () => {
      for (let times = 0; times < takeovers; times++) {
        const next = await node.start(wish);
        assert.ok(next.said('kernel lane: on'));
        await serving.stop();
        serving = next;
        const [entries, answers] = await serving.metrics('zerohop_kernel_entries', 'zerohop_kernel_answers_total');
        assert.ok(entries >= known.length, `${entries} entries`);
        given += answers;
      }
    });
    context.diagnostic(`${sent} sent, of which the new ones saw ${given} answered by the kernel`);
    // Each was looked at some time before its end.
    assert.ok(given > sent / 4, `${given} of ${sent}`);
  });

  test('the one that serves is killed, and the one that stands by has the kernel answer again', async () => {
    await meanwhile(async () => {
      const next = await node.start(wish);
      await serving.hears('this instance is standby');
      await next.kill();
      await serving.hears('the serving instance is gone');
      await serving.hears('kernel lane: on', 2);
      await eventually(
        'it has published them',
        async () => (await serving.metric('zerohop_kernel_entries')) >= known.length || undefined,
      );
    });
  });

  test('one that is killed while it starts, takes over or has just taken over', async () => {
    const startedMs = performance.now();
    const whole = await node.start(wish);
    const tookMs = performance.now() - startedMs;
    await whole.kill();
    await meanwhile(async () => {
      for (const part of [0.5, 0.7, 0.8, 0.9, 1, 1.1]) {
        const next = await node.start({ ...wish, isLeftAlone: true });
        await pause(tookMs * part);
        await next.kill();
      }
    });
    assert.equal(await serving.metric('zerohop_kernel_lane{why=""}'), 1);
  });

  test('one with another layout of the maps takes over, and is followed', async () => {
    const other = { ...wish, program: withAnotherLayout(join(node.folder, 'another')) };
    await meanwhile(async () => {
      for (const wished of [other, wish]) {
        const next = await node.start(wished);
        assert.ok(next.said('kernel lane: on'));
        await serving.stop();
        serving = next;
        await eventually(
          'it has published what was in use',
          async () => (await serving.metric('zerohop_kernel_entries')) >= known.length || undefined,
        );
      }
    });
    const layouts = new Set(node.pinned().map((path) => path.split('/')[1]));
    assert.deepEqual([...layouts].sort(), [layoutVersion, 'links']);
  });
});
