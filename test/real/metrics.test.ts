/** The metrics page as Prometheus's own promtool reads it, and the numbers that dashboards are built on. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from './clients.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { needs, run } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { httpText, metric, nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const server = `server="dns://${localAddress}:53",zone="cluster.local.",view=""`;

describe('metrics', { skip: needs('root', 'ip', 'knotd', 'knotc', 'dig', 'curl', 'promtool') }, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    zerohop = await startZerohop(node, nodeLocalCorefile({}));
    for (const name of ['web', 'web', 'web', 'nobody', 'nobody']) {
      await ask(node, 'dig', { name: `${name}.default.svc.cluster.local.`, type: 'A', over: 'udp' });
    }
    await ask(node, 'dig', { name: 'web.default.svc.cluster.local.', type: 'A', over: 'tcp' });
    await ask(node, 'dig', { name: 'www.outside.test.', type: 'A', over: 'udp' });
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  test('promtool finds nothing wrong', async () => {
    const page = join(node.folder, 'metrics');
    writeFileSync(page, await httpText(node, `http://${localAddress}:9253/metrics`));
    const { status, stdout, stderr } = await run(['sh', '-c', 'promtool check metrics <"$1"', 'sh', page]);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  test('requests, cache hits, misses and upstream requests are counted as CoreDNS counts them', async () => {
    const seen = {
      udp: await metric(node, `coredns_dns_requests_total{${server},proto="udp",family="1",type="A"}`),
      tcp: await metric(node, `coredns_dns_requests_total{${server},proto="tcp",family="1",type="A"}`),
    };
    assert.deepEqual(seen, { udp: 5, tcp: 1 });
    const page = await httpText(node, `http://${localAddress}:9253/metrics`);
    const sum = (series: RegExp): number =>
      page
        .split('\n')
        .filter((line) => series.test(line))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    assert.equal(sum(/^coredns_cache_hits_total\{.*type="success".*zones="cluster\.local\."/), 3);
    assert.equal(sum(/^coredns_cache_hits_total\{.*type="denial".*zones="cluster\.local\."/), 1);
    assert.equal(sum(/^coredns_cache_misses_total\{.*zones="cluster\.local\."/), 2);
    assert.equal(sum(/^coredns_dns_responses_total\{.*zone="cluster\.local\.".*rcode="NXDOMAIN"/), 2);
    assert.equal(sum(/^coredns_dns_request_duration_seconds_count\{.*zone="cluster\.local\."/), 6);
    assert(sum(/^coredns_proxy_request_duration_seconds_count\{.*to="10\.96\.0\.10:53"/) >= 3);
  });

  test('every family has a HELP and a TYPE, and no series appears twice', async () => {
    const lines = (await httpText(node, `http://${localAddress}:9253/metrics`)).split('\n').filter(Boolean);
    const samples = lines.filter((line) => !line.startsWith('#'));
    const series = samples.map((line) => line.slice(0, line.lastIndexOf(' ')));
    assert.equal(new Set(series).size, series.length);
    const typed = new Set(lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []));
    const helped = new Set(lines.flatMap((line) => /^# HELP (\S+)/.exec(line)?.[1] ?? []));
    for (const line of series) {
      const family = line.replace(/\{.*/, '');
      const base = family.replace(/_(?:bucket|sum|count)$/, '');
      assert(typed.has(family) || typed.has(base), family);
      assert(helped.has(family) || helped.has(base), family);
    }
  });
});
