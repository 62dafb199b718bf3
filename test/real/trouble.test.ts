/**
 * The cluster DNS in trouble: one ClusterIP over two real Knots behind real DNAT rules, endpoints that fall silent in
 * mid-traffic and come back, at 2,000 misses a second. What clients see of it are the issue's own figures.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type ClusterDns, startClusterDns } from './cluster-dns.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, output } from './commands.js';
import { type MissesReport, misses } from './misses.js';
import { metric, startZerohop, type Zerohop } from './zerohop.js';

const skip = needs('root', 'ip', 'iptables', 'knotd', 'knotc', 'dig', 'dnsperf');
const perSecond = 2_000;
const headless = 'kube-dns-headless.kube-system.svc.cluster.local';

describe('the cluster DNS in trouble', { skip }, () => {
  let node: Node;
  let clusterDns: ClusterDns;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    clusterDns = await startClusterDns(node);
    zerohop = await startZerohop(node, corefile(''));
  });
  after(async () => {
    await zerohop?.stop();
    await clusterDns?.stop();
    node?.remove();
  });

  test('one of two endpoints falls silent in mid-traffic: no question fails', async (t) => {
    const running = misses(node, perSecond, 10);
    await pause(4_000);
    await clusterDns.silence(0);
    const report = await running;
    await clusterDns.silence();
    t.diagnostic(words(report));
    t.diagnostic(`asked again: ${await metric(node, 'zerohop_upstream_retries_total{cause="silence"}')}`);
    assertAllAnswered(report);
    assert(report.p99Ms < 500, `p99 ${report.p99Ms} ms`);
    assert(report.p50Ms < 3, `p50 ${report.p50Ms} ms`);
  });

  test('both silent: known names are answered stale, unknown ones SERVFAIL; both back: fresh', async (t) => {
    const known = Array.from({ length: 5 }, (_, index) => `k${index}.brief.default.svc.cluster.local.`);
    for (const name of known) await timed(name);
    await pause(1_100);
    await clusterDns.silence(0, 1);
    for (const name of known) {
      const { rcode, ttlSeconds, ms } = await timed(name);
      t.diagnostic(`known: ${rcode} TTL ${ttlSeconds} after ${Math.round(ms)} ms`);
      assert.deepEqual([rcode, ttlSeconds], ['NOERROR', 30]);
      assert(ms < 500, `${ms} ms`);
    }
    const unknown = await timed('u1.wild.default.svc.cluster.local.');
    t.diagnostic(`unknown: ${unknown.rcode} after ${Math.round(unknown.ms)} ms`);
    assert.equal(unknown.rcode, 'SERVFAIL');
    assert(unknown.ms < 2_000, `${unknown.ms} ms`);
    await clusterDns.silence();
    const backMs = performance.now();
    const fresh = await eventually('a fresh answer', async () => {
      const { ttlSeconds } = await timed(known[0]);
      return ttlSeconds <= 1 ? performance.now() - backMs : undefined;
    });
    t.diagnostic(`fresh ${Math.round(fresh)} ms after both are back`);
    assert(fresh < 1_000, `${fresh} ms`);
    const { rcode } = await timed('u2.wild.default.svc.cluster.local.');
    assert.equal(rcode, 'NOERROR');
  });

  test('every new connection pinned to a dead endpoint: with `endpoints` no question fails', async (t) => {
    await zerohop.stop();
    zerohop = await startZerohop(node, corefile(`endpoints ${headless} 5s`));
    await zerohop.logged(/^the addresses of kube-dns-headless.* are 10\.244\.1\.2, 10\.244\.1\.3$/);
    const running = misses(node, perSecond, 8);
    await pause(3_000);
    await clusterDns.pinTo(0);
    await clusterDns.silence(0);
    const report = await running;
    t.diagnostic(words(report));
    assertAllAnswered(report);
    assert(report.p99Ms < 500, `p99 ${report.p99Ms} ms`);
    assert(report.p50Ms < 3, `p50 ${report.p50Ms} ms`);
    const state = 'zerohop_upstream_state{to="10.244.1.2:53",state="down"}';
    await eventually('the dead endpoint counts as down', async () => (await metric(node, state)) === 1 || undefined);
    const later = await misses(node, perSecond, 3);
    t.diagnostic(`afterwards: ${words(later)}`);
    assertAllAnswered(later);
    assert(later.p99Ms < 500, `p99 ${later.p99Ms} ms`);
    await clusterDns.silence();
    await clusterDns.pinTo(null);
  });

  test('50,000 misses of one client beside 100 a second of another: the other loses nothing', async (t) => {
    const residentKb = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${zerohop.pid}/status`, 'utf8'))?.[1]);
    const earlierKb = residentKb();
    // As much as this machine can carry beside Knot and dnsperf: beyond that packets queue in the kernel, without regard to clients.
    const flood = misses(node, 5_000, 10, '127.0.0.2');
    const report = await misses(node, 100, 10, '127.0.0.3');
    const { sent, rcodes } = await flood;
    const grownMb = (residentKb() - earlierKb) / 1024;
    t.diagnostic(`flood of ${sent}: ${[...rcodes].join(' ')}; ${grownMb.toFixed(1)} MB more, 50,000 answers kept`);
    t.diagnostic(`the other: ${words(report)}`);
    assertAllAnswered(report);
    // 38 ms with two cores to itself, up to 300 beside other work: load, Knot and server share them here. The bound of
    // 100 ms is held to in test/upstream/fairness.test.ts, where time is the test's.
    assert(report.p99Ms < 500, `p99 ${report.p99Ms} ms`);
    assert(grownMb < 128, `${grownMb} MB`);
  });

  /** As dig sees it; its own start is not counted. */
  async function timed(name: string): Promise<{ rcode: string; ttlSeconds: number; ms: number }> {
    const text = await output(node.command('dig', `@${localAddress}`, '+tries=1', '+time=5', name, 'A'));
    return {
      rcode: /status: (\w+)/.exec(text)?.[1] ?? '',
      ttlSeconds: Number(/^\S+\s+(\d+)\s+IN\s+A\s/m.exec(text)?.[1] ?? -1),
      ms: Number(/Query time: (\d+) msec/.exec(text)?.[1]),
    };
  }
});

function assertAllAnswered({ sent, lost, rcodes }: MissesReport): void {
  assert.equal(lost, 0);
  assert.deepEqual([...rcodes], [['NOERROR', sent]]);
}

function words({ sent, p50Ms, p99Ms, maxMs, rcodes }: MissesReport): string {
  const codes = [...rcodes].map(([rcode, count]) => `${rcode} ${count}`).join(', ');
  const times = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1)).join(', ');
  return `${sent} asked, ${codes}; p50, p99, longest: ${times} ms`;
}

function corefile(options: string): string {
  return `cluster.local:53 {
    errors
    cache 30
    bind ${localAddress}
    forward . 10.96.0.10 {
        force_tcp
        ${options}
    }
    prometheus :9253
    health ${localAddress}:8080
    ready ${localAddress}:8181
}
`;
}
