/**
 * Thousands of random queries, of which the kernel answers what it can: to a pod behind a veth, to one whose veth is a port
 * of a bridge, to the node itself, and where zerohop is in a pod of its own. Another pod is never answered so, because a
 * program of somebody else is at its link. All get the same, byte for byte, with UDP checksums made by the pod (tx off) and
 * left to the kernel (tx on).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needs, output } from '../real/commands.js';
import { seededRandom } from '../simulation/random.js';
import { randomQuery } from './corpus.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, type Place, server, server6 } from './lane-node.js';
import type { Answers, PodClient } from './pod-client.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries, ttlsOf, withoutTtls } from './zones.js';

/** Over each family with each kind of checksum; the long run has 25,000. */
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

/** Whom the kernel answers, and where the same questions go their usual way. */
interface Pair {
  readonly asker: Place & { readonly client: PodClient };
  /** Over IPv4 and IPv6. */
  readonly at: readonly [string, string];
  readonly other: PodClient;
  readonly otherAt: readonly [string, string];
  /** Of the asker's interface; none, where that cannot be set. */
  readonly tx: readonly ('on' | 'off')[];
}

const kinds = [
  'behind a veth',
  'behind a bridge port',
  'on the node itself',
  'of zerohop in a pod of its own',
] as const;
type Kind = (typeof kinds)[number];

describe('random queries', { skip: laneIsMissing || needs(...nodeNeeds, 'ethtool') }, () => {
  const lines = 'aaaa forward\n    cache 3600';
  let node: LaneNode;
  let zerohop: LaneZerohop;
  let sockets: LanePod;
  before(async () => {
    node = await LaneNode.make();
    sockets = await node.addPod('socket0');
    await node.addForeign(sockets.link, 'behind', 'pass');
    zerohop = await node.start({ lines });
  });
  after(() => node?.remove());

  async function pairOf(kind: Kind): Promise<Pair> {
    const both = { at: [server, server6], otherAt: [server, server6], other: sockets.client } as const;
    const tx = ['on', 'off'] as const;
    if (kind === 'behind a veth') return { ...both, tx, asker: await node.addPod('kernel0') };
    if (kind === 'behind a bridge port') return { ...both, tx, asker: await node.addPod('port0', 'cni0') };
    if (kind === 'on the node itself') {
      const asker = { command: node.command.bind(node), client: await node.addClient(node) };
      return { ...both, tx: [], asker };
    }
    // All that reaches it comes over the interface with the program, so another one without gives the same beside it.
    const places = [await node.addNamespace('own0'), await node.addNamespace('plain0')];
    const [own, plain] = places.map(({ address, address6 }) => [address, address6] as const);
    await node.start({ lines, place: places[0], addresses: own });
    const without = await node.start({
      lines,
      place: places[1],
      addresses: plain,
      flags: ['-kernellane=off'],
      isLeftAlone: true,
    });
    await without.hears(' serves on ');
    return { tx, asker: await node.addPod('asker0'), at: own, other: sockets.client, otherAt: plain };
  }

  for (const kind of kinds) {
    test(`${kind} the kernel answers as the process does (seed ${seed})`, async (context) => {
      const pair = await pairOf(kind);
      for (const [family, at] of pair.at.entries()) {
        for (const tx of pair.tx.length === 0 ? [null] : pair.tx) {
          if (tx !== null) await output(pair.asker.command('ethtool', '-K', 'eth0', 'tx', tx));
          const { asked, share } = await sameAnswers(pair, family, at);
          context.diagnostic(`${at}, tx ${tx}: ${Math.round(share * 100)} % of ${asked} were answered by the kernel`);
          assert.ok(share > 0.4, `${share}`);
        }
      }
    });
  }

  async function sameAnswers(pair: Pair, family: number, at: string): Promise<{ asked: number; share: number }> {
    const { client } = pair.asker;
    const random = seededRandom(seed);
    const queries = Array.from({ length: count }, () => randomQuery(random, kept).query).filter(
      (query) => query.length > 0,
    );
    const warming = queries.slice(0, atOnce);
    for (let times = 0; times < 3; times++) {
      const both = [
        client.ask(at, warming, { timeoutMs: 300 }),
        pair.other.ask(pair.otherAt[family], warming, { timeoutMs: 300 }),
      ];
      await Promise.all(both);
    }
    await node.fromKernel(client, at, numberedQueries(20));
    const before = node.given();
    for (let first = 0; first < queries.length; first += atOnce)
      await sameFor(pair, family, queries.slice(first, first + atOnce));
    return { asked: queries.length, share: (node.given() - before) / queries.length };
  }

  test('the pod beside it was never answered by the kernel', async () => {
    assert.equal(await zerohop.metric('zerohop_kernel_links{state="refused"}'), 1);
    assert.deepEqual(zerohop.lines(`not at ${sockets.link}: programs of others see its packets`).length, 1);
  });

  /** What is lost, or expires just between the two, is asked for again. */
  async function sameFor(pair: Pair, family: number, queries: readonly Buffer[], left = tries): Promise<void> {
    const wish = { window: 64, timeoutMs: 300 * (tries - left + 1) };
    const { asker, at, other, otherAt } = pair;
    const [byKernel, bySocket] = await Promise.all([
      asker.client.ask(at[family], queries, wish),
      other.ask(otherAt[family], queries, wish),
    ]);
    const different = queries.filter((_, index) => !isSame(byKernel[index], bySocket[index]));
    if (different.length === 0) return;
    if (left > 1) return sameFor(pair, family, different, left - 1);
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
