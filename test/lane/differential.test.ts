/**
 * Thousands of random queries from pods to one zerohop: one pod behind a veth and one whose veth is a port of a bridge are
 * answered by the kernel where it can be, another one never, because a program of somebody else is at its link. All get
 * the same, byte for byte, with UDP checksums made by the pod (tx off) and left to the kernel (tx on).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needs, output } from '../real/commands.js';
import { seededRandom } from '../simulation/random.js';
import { randomQuery } from './corpus.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server, server6 } from './lane-node.js';
import type { Answers } from './pod-client.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries, ttlsOf, withoutTtls } from './zones.js';

/** Over each family; the long run has 25,000. */
const count = Number(process.env['ZEROHOP_LANE_QUERIES'] ?? 2_000);
const seed = Number(process.env['ZEROHOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const atOnce = 500;
/** In both pods the same query has its turn at about the same time. */
const ttlsApartSeconds = 3;
const tries = 4;

const kept = [
  ...['web', 'mixed-case', 'alias', 'dual', 'several', 'many', 'nobody', 'x.wild', 'y.wild'].map((label) => [
    label,
    'A',
  ]),
  ...['dual', 'six', 'web', 'nobody'].map((label) => [label, 'AAAA']),
  ...['text', 'web'].map((label) => [label, 'TXT']),
  ['_http._tcp.web', 'SRV'],
  ['mail', 'MX'],
  ['secure', 'UNKNOWN_65'],
].map(([label, type]) => ({ name: `${label}.lane.test`, type }));

const kinds = ['veth', 'bridge port'] as const;

describe('random queries', { skip: laneIsMissing || needs(...nodeNeeds, 'ethtool') }, () => {
  let node: LaneNode;
  let zerohop: LaneZerohop;
  let pods: Readonly<Record<(typeof kinds)[number], LanePod>>;
  let sockets: LanePod;
  before(async () => {
    node = await LaneNode.make();
    pods = { veth: await node.addPod('kernel0'), 'bridge port': await node.addPod('port0', 'cni0') };
    sockets = await node.addPod('socket0');
    await node.addForeign(sockets.link, 'behind', 'pass');
    zerohop = await node.start({ lines: 'aaaa forward\n    cache 3600' });
  });
  after(() => node?.remove());

  const cases = kinds.flatMap((kind) =>
    [server, server6].flatMap((at) => ['on', 'off'].map((tx) => ({ kind, at, tx }))),
  );
  for (const { kind, at, tx } of cases) {
    test(`behind a ${kind}, tx ${tx}, the kernel answers as the process does, to ${at} (seed ${seed})`, async (context) => {
      const pod = pods[kind];
      await output(pod.command('ethtool', '-K', 'eth0', 'tx', tx));
      const random = seededRandom(seed);
      const queries = Array.from({ length: count }, () => randomQuery(random, kept).query).filter(
        (query) => query.length > 0,
      );
      const warming = queries.slice(0, atOnce);
      for (let times = 0; times < 3; times++) await pod.client.ask(at, warming, { timeoutMs: 300 });
      await node.fromKernel(pod.client, at, numberedQueries(20));
      const before = node.given();
      for (let first = 0; first < queries.length; first += atOnce)
        await sameFor(pod, at, queries.slice(first, first + atOnce));
      const share = (node.given() - before) / queries.length;
      context.diagnostic(`${Math.round(share * 100)} % of ${queries.length} were answered by the kernel`);
      assert.ok(share > 0.4, `${share}`);
    });
  }

  test('the pod beside it was never answered by the kernel', async () => {
    assert.equal(await zerohop.metric('zerohop_kernel_links{state="refused"}'), 1);
    assert.deepEqual(zerohop.lines(`not at ${sockets.link}: programs of others see its packets`).length, 1);
  });

  /** What is lost, or expires just between the two, is asked for again. */
  async function sameFor(pod: LanePod, at: string, queries: readonly Buffer[], left = tries): Promise<void> {
    const timeoutMs = 300 * (tries - left + 1);
    const [byKernel, bySocket] = await Promise.all(
      [pod, sockets].map(({ client }) => client.ask(at, queries, { window: 64, timeoutMs })),
    );
    const different = queries.filter((_, index) => !isSame(byKernel[index], bySocket[index]));
    if (different.length === 0) return;
    if (left > 1) return sameFor(pod, at, different, left - 1);
    assert.deepEqual(shown(queries, byKernel), shown(queries, bySocket));
  }
});

function isSame(one: Buffer | null, other: Buffer | null): boolean {
  if (one === null || other === null) return one === other;
  if (one.readUInt16BE(0) !== other.readUInt16BE(0) || !withoutTtls(one).equals(withoutTtls(other))) return false;
  const ttls = ttlsOf(other);
  return ttlsOf(one).every(({ seconds }, index) => Math.abs(seconds - ttls[index].seconds) <= ttlsApartSeconds);
}

function shown(queries: readonly Buffer[], answers: Answers): readonly string[] {
  return queries.map((query, index) => `${query.toString('hex')}: ${answers[index]?.toString('hex') ?? 'nothing'}`);
}
