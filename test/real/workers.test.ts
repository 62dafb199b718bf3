/**
 * One, two and four workers before pods that ask as fast as they can: every answer is right, none is lost,
 * and what one thread has fetched all of them have, so that the cluster DNS is asked as often whatever their number.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { metricsAgeMs } from '../../src/limits.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { needs, output } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { askChecking, type CheckingReport, makePods } from './pods.js';
import { httpText, ioPath, nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const names = { names: 250, absentNames: 10 };
const podCount = 3;
const questions = 6_000;
/** Denials are asked for again every five seconds, and on a slow machine the questions take many of these. */
const missesShareMax = 0.02;

describe('workers before pods', { skip: needs('root', 'ip', 'ss', 'knotd', 'knotc', 'curl') }, () => {
  let node: Node;
  let knot: Knot;
  let made: Awaited<ReturnType<typeof makePods>>;
  let zerohop: Zerohop | undefined;
  const hitRatios: number[] = [];

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    made = await makePods(node, podCount);
  });
  after(async () => {
    await knot?.stop();
    await made?.remove();
    node?.remove();
  });
  afterEach(async () => {
    await zerohop?.stop();
    zerohop = undefined;
  });

  for (const workers of ioPath === 'threads' ? [1, 2, 4] : [1]) {
    test(`-workers ${workers}: every answer is right, and what one thread has all have`, async (t) => {
      zerohop = await startZerohop(node, nodeLocalCorefile({}), ['-workers', String(workers)]);
      assert.equal(await socketsOfPort53(), workers);
      const asked = await upstreamAsked();
      const extra = async (): Promise<number> => {
        const families = [
          'upstream_retries_total{',
          'nxdomain_cut_queries_total{',
          'direct_queries_total{outcome="given_up"',
        ];
        const numbers = await Promise.all(families.map((family) => sumOf(`zerohop_${family}`)));
        return numbers.reduce((sum, number) => sum + number);
      };
      const extraBefore = await extra();
      const begunMs = performance.now();
      assertAllRight(await fromAllPods(localAddress, questions / 4));
      const [requests, misses] = await requestsAndMisses();
      const startedMs = performance.now();
      assertAllRight(await fromAllPods(localAddress, questions));
      const seconds = (performance.now() - startedMs) / 1000;
      const [requestsAfter, missesAfter] = await requestsAndMisses();
      const hitRatio = 1 - (missesAfter - misses) / (requestsAfter - requests);
      hitRatios.push(hitRatio);
      t.diagnostic(`${Math.round((podCount * questions) / seconds)} a second, hit ratio ${hitRatio.toFixed(4)}`);
      // Each name once, and again when its 30 seconds are over, or its five if it does not exist; a few once more, which
      // took longer than usual; and names above denied ones, to learn cuts.
      const times = (await upstreamAsked()) - asked;
      const again = (await extra()) - extraBefore;
      const lastedSeconds = (performance.now() - begunMs) / 1000;
      const askedFor = (count: number, ttlSeconds: number): number =>
        count * (1 + Math.floor(lastedSeconds / ttlSeconds));
      // A worker and the main thread may both ask about a name that many clients begin to ask for at once.
      const most = 1.1 * (askedFor(names.names, 30) + askedFor(names.absentNames, 5)) + again;
      assert.ok(times > names.names && times <= most, `${times} times, ${again} of them extra, in ${lastedSeconds} s`);
    });
  }

  test('the share of hits does not depend on the number of threads', () => {
    assert.ok(Math.min(...hitRatios) > 1 - missesShareMax, hitRatios.join(', '));
  });

  test('on all addresses, pods are answered from the address that they asked', async () => {
    // On a port of its own, as Knot has 53 of one of the addresses.
    const forward = `forward . ${clusterAddress} {\n        force_tcp\n    }`;
    const everywhere = `.:5300 {\n    cache 30\n    ${forward}\n    ready ${localAddress}:8181\n}\n`;
    zerohop = await startZerohop(node, everywhere, ['-workers', '2']);
    // Portable I/O cannot say from where to answer; the kernel takes the address of the link.
    const servers = ioPath === 'threads' ? [null, localAddress] : [null];
    for (const server of servers) assertAllRight(await fromAllPods(server, 500, 5300));
  });

  /** At this address, or each at its gateway's. */
  function fromAllPods(server: string | null, count: number, port = 53): Promise<CheckingReport[]> {
    const wish = { port, questions: count, sockets: 8, ...names };
    return Promise.all(made.pods.map((pod) => askChecking(pod, { ...wish, server: server ?? pod.gateway })));
  }

  function assertAllRight(reports: readonly CheckingReport[]): void {
    for (const { right, lost, wrong } of reports) assert.deepEqual([wrong, lost, right > 0], [[], 0, true]);
  }

  async function upstreamAsked(): Promise<number> {
    return (await knot.counted()).types.get('A') ?? 0;
  }

  /** How many UDP sockets have the port: one a thread. */
  async function socketsOfPort53(): Promise<number> {
    const lines = await output(node.command('ss', '-lunH', 'src', `${localAddress}:53`));
    return lines.trim().split('\n').length;
  }

  /** Of the cache, so far. */
  async function requestsAndMisses(): Promise<[number, number]> {
    return [await sumOf('coredns_cache_requests_total{'), await sumOf('coredns_cache_misses_total{')];
  }

  /** Of all series that begin so, so far. */
  async function sumOf(series: string): Promise<number> {
    await pause(metricsAgeMs);
    const page = await httpText(node, `http://${localAddress}:9253/metrics`);
    const lines = page.split('\n').filter((line) => line.startsWith(series));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
});
