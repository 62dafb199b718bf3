/**
 * What pods get while no process answers: killed, stopped, ended in order. Names in use are answered by the kernel,
 * expired ones too, until the lingering is over or somebody takes all of it out.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, needs, output } from '../real/commands.js';
import { entry } from '../real/zerohop.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server, server6 } from './lane-node.js';
import type { PodClient, SteadyReport } from './pod-client.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries, query, said, soonOld, soonOldCount, ttlsOf } from './zones.js';

const perSecond = 2_000;
/** Longer than any of them is in force. */
const lines = 'cache 300';
const known = numberedQueries(150);
const old = numberedQueries(soonOldCount, 's', { edns: 1232 });

/** A node whose pod is answered by the kernel. */
class Scene {
  readonly node: LaneNode;
  readonly #pod: LanePod;

  private constructor(node: LaneNode, pod: LanePod) {
    this.node = node;
    this.#pod = pod;
  }

  static async make(): Promise<Scene> {
    const node = await LaneNode.make();
    return new Scene(node, await node.addPod('pod0'));
  }

  get client(): PodClient {
    return this.#pod.client;
  }

  get link(): string {
    return this.#pod.link;
  }

  /** One that answers all of these in the kernel. */
  async serving(flags: readonly string[] = []): Promise<LaneZerohop> {
    const zerohop = await this.node.start({ lines, flags });
    await this.node.fromKernel(this.client, server, known);
    await this.node.fromKernel(this.client, server, old);
    return zerohop;
  }

  /** Expired ones, of which the answer says so. */
  async givesStale(): Promise<void> {
    await eventually('expired answers are given', async () => {
      const answers = await this.client.ask(server, old);
      return answers.every((answer) => answer?.includes(staleAnswer)) || undefined;
    });
    const [withOpt] = await this.client.ask(server, [query('s0', { edns: 1232 })]);
    const [without] = await this.client.ask(server, [query('s0')]);
    for (const answer of [withOpt, without]) {
      assert.match(said(answer), /^NOERROR 10\.1\.6\.0\b/);
      assert.deepEqual(
        ttlsOf(answer!).map(({ seconds }) => seconds),
        [30],
      );
    }
  }

  async isSilent(): Promise<void> {
    await eventually(
      'nothing is answered',
      async () => (await this.client.answered(server, known)) === 0 || undefined,
      20_000,
    );
    assert.equal(await this.client.answered(server6, known), 0);
  }

  async hasNothing(): Promise<void> {
    assert.deepEqual(this.node.pinned(), []);
    assert.equal(await this.node.programsAt(this.link), 0);
    await this.isSilent();
  }
}

/** So many requests, no more and no less, when the kernel's are counted too. */
async function counts(zerohop: LaneZerohop, requests: number): Promise<void> {
  let counted = -1;
  const isAll = async (): Promise<true | undefined> => {
    counted = await zerohop.metric('coredns_dns_requests_total{');
    return counted >= requests || undefined;
  };
  await eventually('all is counted', isAll).catch(() => {});
  assert.equal(counted, requests);
}

function assertNothingLost({ lost, firstLost, wrong, sent, rcodes }: SteadyReport): void {
  assert.deepEqual({ lost, firstLost, wrong }, { lost: 0, firstLost: [], wrong: [] });
  assert.deepEqual(rcodes, { 0: sent });
}

const hangMs = 10_000;
const groups = 10;

/** Extended error 3 (RFC 8914 4.4) without a text. */
const staleAnswer = Buffer.from('000f00020003', 'hex');

describe('while no process answers', { skip: laneIsMissing || needs(...nodeNeeds), concurrency: true }, () => {
  describe('because it was killed or stopped', { concurrency: 1 }, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.make();
    });
    afterEach(() => scene.node.stopAll());
    after(() => scene?.node.remove());

    test('killed and started again: nothing is lost', async () => {
      const { node, client } = scene;
      const first = await scene.serving();
      await client.begin(server, known, perSecond);
      await first.kill();
      await scene.givesStale();
      const second = await node.start({ lines });
      assert.ok((await second.metric('zerohop_kernel_entries')) >= known.length);
      assertNothingLost(await client.finish(5_000));
    });

    test('what was answered while no process was there is counted by the next one', async () => {
      const { node, client } = scene;
      const before = client.asked;
      const first = await scene.serving();
      await counts(first, client.asked - before);
      await first.kill();
      const asked = client.asked;
      await client.begin(server, known, perSecond);
      await scene.givesStale();
      const second = await node.start({ lines });
      const { sent } = await client.count();
      await eventually('some more', async () => (await client.count()).sent > sent + perSecond || undefined);
      assertNothingLost(await client.finish(5_000));
      await counts(second, client.asked - asked);
      const [responses, stale] = await second.metrics(
        'coredns_dns_responses_total{',
        'zerohop_kernel_answers_total{stale="true"}',
      );
      assert.equal(responses, client.asked - asked);
      assert.ok(stale >= old.length, `${stale} stale`);
    });

    test('stopped for ten seconds, three times: no name in use waits for it, however soon it is old', async (context) => {
      const { node, client } = scene;
      const zerohop = await node.start({ lines });
      const queries = Object.keys(soonOld).flatMap((letter) => numberedQueries(soonOldCount, letter, { edns: 1232 }));
      // Their ends are spread, so some are near at any time.
      for (let first = 0; first < groups; first++) {
        await client.ask(
          server,
          queries.filter((_, index) => index % groups === first),
        );
        await pause((soonOld.s * 1_000) / groups);
      }
      await client.begin(server, queries, 1_000);
      for (let hang = 0; hang < 3; hang++) {
        // The second time an answer of three seconds would end.
        await pause(2 * soonOld.s * 1_000 - 200);
        zerohop.program.signal('SIGSTOP');
        await pause(hangMs);
        zerohop.program.signal('SIGCONT');
      }
      const report = await client.finish(hangMs);
      context.diagnostic(`${report.sent} asked, ${report.stale} stale, ${report.late} late`);
      assertNothingLost(report);
      assert.ok(report.stale > 0);
      assert.equal(report.late, 0);
      assert.equal(await zerohop.metric('zerohop_kernel_lane{why=""}'), 1);
      assert.ok((await zerohop.metric('zerohop_kernel_refreshes_total{result="asked"}')) > 0);
    });
  });

  describe('because it has ended in order', { concurrency: 1 }, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.make();
    });
    afterEach(() => scene.node.stopAll());
    after(() => scene?.node.remove());

    test('names in use are answered, and so are expired ones', async () => {
      const zerohop = await scene.serving();
      await scene.client.begin(server, known, perSecond);
      await zerohop.stop();
      assert.equal(zerohop.lines('names in use are answered for 120 s').length, 1);
      await scene.givesStale();
      assertNothingLost(await scene.client.finish(5_000));
      assert.equal(await scene.client.answered(server, [query('never-asked')]), 0);
    });

    test('what is in use and ends after three and five seconds is given, stale, until the lingering is over', async (context) => {
      const { node, client } = scene;
      const soon = ['s', 'f'].flatMap((letter) => numberedQueries(soonOldCount, letter, { edns: 1232 }));
      for (const restMs of [0, 700, 1_400]) {
        const zerohop = await node.start({ lines, flags: ['-kernellanelinger=9s'] });
        await node.fromKernel(client, server, soon);
        await client.begin(server, soon, 1_000);
        await pause(soonOld.s * 1_000 + restMs);
        await zerohop.stop();
        await pause(8_000);
        const report = await client.finish(1_000);
        context.diagnostic(`${report.sent} asked, ${report.stale} stale, ${report.late} late`);
        assertNothingLost(report);
        assert.equal(report.late, 0);
        assert.ok(report.stale > report.sent / 4, `${report.stale} of ${report.sent}`);
        await scene.isSilent();
      }
    });

    test('after the lingering nothing is answered, and the next one begins afresh', async () => {
      const { node, client } = scene;
      const own = await node.addNamespace('own0');
      const place = { place: own, addresses: [own.address] };
      const elsewhere = await node.start({ ...place, flags: ['-kernellanelinger=1s'] });
      const first = await scene.serving(['-kernellanelinger=3s']);
      await elsewhere.stop();
      await first.stop();
      await scene.isSilent();
      const folders = (): number => new Set(node.pinned().map((path) => path.split('/')[0])).size;
      assert.equal(folders(), 2);
      const next = await node.start({ lines });
      assert.equal(await next.metric('zerohop_kernel_entries'), 0);
      assert.equal(folders(), 1);
      await node.fromKernel(client, server, known);
    });

    test('without lingering nothing is answered, pinned or attached', async () => {
      const zerohop = await scene.serving(['-kernellanelinger=0']);
      assert.equal(await scene.node.programsAt(scene.link), 1);
      await zerohop.stop();
      await scene.hasNothing();
    });

    test('taken out by hand', async () => {
      const { node } = scene;
      const zerohop = await scene.serving();
      await zerohop.kill();
      const remove = node.command(...entry, '-kernellane=remove', `-kernellanefolder=${node.pinsFolder}`);
      assert.match(await output(remove), /^Removed \d+ pins from .*; the kernel answers nothing more\.\n$/);
      await scene.hasNothing();
      assert.match(await output(remove), /^Nothing of the kernel lane is left in /);
    });
  });
});
