import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import {
  byCache,
  byForward,
  byNobody,
  type Counters,
  countedType,
  countedTypes,
  eventNames,
  observeBytes,
  observeDuration,
  overTcp,
  overUdp,
  rcodesCounted,
  zonePlaces,
} from '../../src/counters.js';
import { metricsAgeMs } from '../../src/limits.js';
import { eventMetrics } from '../../src/observe/event-metrics.js';
import { formerFamilies, newMetrics } from '../../src/observe/metrics.js';
import type { MetricsSource } from '../../src/observe/metrics-source.js';
import { families, familyNames } from '../../src/process/endpoints.js';
import { durationsOf, UpstreamStats } from '../../src/upstream/endpoint.js';
import { repositoryPath } from '../corpus/repository.js';
import { needs } from '../real/commands.js';
import { ManualClock } from '../simulation/clock.js';
import { everything, newPage, newSource, servedZone, server } from './source.js';

function scrape(parts: Partial<MetricsSource> = {}): Promise<string> {
  return newMetrics(newSource(parts), families, new ManualClock(), assert.ifError).text();
}

/** The lines of one family, without HELP and TYPE. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

function promtool(text: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
}

/** A source in which one family throws this error. */
function brokenSource(error: Error): MetricsSource {
  const upstreams = (): never => {
    throw error;
  };
  return newSource({ ...everything(), upstreams });
}

/** Hundreds of zones, and a clock that moves with each look, so that every look ends a slice. */
function newManyZones() {
  const zones = Array.from({ length: 500 }, (_, ordinal) => servedZone({ ordinal, zone: `z${ordinal}.` }));
  const page = newPage(zones.length);
  for (const { ordinal } of zones) countRequest(page, page.zoneBase(ordinal), overUdp, 0, 1);
  const clock = new ManualClock();
  let nowMs = 0;
  clock.nowMs = () => {
    nowMs += 2;
    return nowMs;
  };
  return { zones, source: newSource({ pages: () => [page], zones: () => zones }), clock };
}

function countRequest(page: Counters, base: number, transport: number, family: number, type: number): void {
  page.zones[base + zonePlaces.requests + (transport * 2 + family) * countedTypes.length + countedType(type)]++;
}

describe('metrics', () => {
  it('pass promtool, whatever has happened', { skip: needs('promtool') }, async () => {
    promtool(await scrape());
    promtool(await scrape(everything()));
    promtool(await newMetrics(brokenSource(new Error('planted')), families, new ManualClock(), () => {}).text());
    const { source, clock } = newManyZones();
    promtool(await newMetrics(source, families, clock, assert.ifError).text());
  });

  it('have help and a line for every name', async () => {
    const text = await scrape(everything());
    for (const name of familyNames) {
      assert.match(text, new RegExp(`^# HELP ${name} .+$`, 'm'));
      assert.match(text, new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`, 'm'), `${name} has a line`);
    }
  });

  it('write no series twice', async () => {
    const text = await scrape({
      ...everything(),
      zones: () => [servedZone(), servedZone({ ordinal: 1 })],
      plugins: () => [
        { server, zone: '.', name: 'cache' },
        { server, zone: '.', name: 'cache' },
      ],
    });
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const names = series.map((line) => line.slice(0, line.lastIndexOf(' ')));
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });

  it('count requests by listening address, of all blocks, and from the start', async () => {
    const page = newPage(4);
    countRequest(page, page.zoneBase(0), overUdp, 0, 1);
    countRequest(page, page.zoneBase(1), overTcp, 0, 28);
    countRequest(page, page.zoneBase(1), overTcp, 0, 1);
    countRequest(page, page.zoneBase(3), overUdp, 1, 1);
    const zones = [
      servedZone({ ordinal: 0 }),
      servedZone({ ordinal: 1, zone: 'dropped', prometheus: false }),
      servedZone({ ordinal: 2, address: 'fd00::a' }),
      servedZone({ ordinal: 3, address: '::' }),
    ];
    const text = await scrape({ pages: () => [page], zones: () => zones });
    const at = (address: string, proto: string, family: number, count: number): string =>
      `zerohop_requests_by_address_total{address="${address}",proto="${proto}",family="${family}"} ${count}`;
    assert.deepEqual(linesOf(text, 'zerohop_requests_by_address_total'), [
      at('169.254.20.10', 'udp', 1, 1),
      at('169.254.20.10', 'tcp', 1, 2),
      at('fd00::a', 'udp', 2, 0),
      at('fd00::a', 'tcp', 2, 0),
      at('::', 'udp', 1, 0),
      at('::', 'udp', 2, 1),
      at('::', 'tcp', 1, 0),
      at('::', 'tcp', 2, 0),
    ]);
  });

  it("have the kernel's table of connections, read once, or nothing of it", async () => {
    let reads = 0;
    const conntrack = { entries: 5, entriesMax: 10, insertFailed: 3, drop: null, earlyDrop: 0 };
    const text = await scrape({
      conntrack() {
        reads++;
        return conntrack;
      },
    });
    assert.equal(reads, 1);
    assert.deepEqual(linesOf(text, 'zerohop_conntrack_entries'), ['zerohop_conntrack_entries 5']);
    assert.deepEqual(linesOf(text, 'zerohop_conntrack_entries_max'), ['zerohop_conntrack_entries_max 10']);
    assert.deepEqual(linesOf(text, 'zerohop_conntrack_failures_total'), [
      'zerohop_conntrack_failures_total{kind="insert_failed"} 3',
      'zerohop_conntrack_failures_total{kind="early_drop"} 0',
    ]);
    const without = await scrape({ conntrack: () => null });
    assert.deepEqual(linesOf(without, 'zerohop_conntrack_entries'), []);
  });

  it('count requests by protocol, family and type, and under the former names by fewer labels', async () => {
    const page = newPage(1);
    countRequest(page, 0, overUdp, 0, 1);
    countRequest(page, 0, overUdp, 0, 1);
    countRequest(page, 0, overTcp, 1, 28);
    countRequest(page, 0, overTcp, 1, 64); // SVCB has no series of its own
    const text = await scrape({ pages: () => [page], zones: () => [servedZone()] });
    const at = `server="${server}",zone="cluster.local."`;
    assert.deepEqual(linesOf(text, 'coredns_dns_requests_total').sort(), [
      `coredns_dns_requests_total{${at},view="",proto="tcp",family="2",type="AAAA"} 1`,
      `coredns_dns_requests_total{${at},view="",proto="tcp",family="2",type="other"} 1`,
      `coredns_dns_requests_total{${at},view="",proto="udp",family="1",type="A"} 2`,
    ]);
    assert.deepEqual(linesOf(text, 'coredns_dns_request_count_total').sort(), [
      `coredns_dns_request_count_total{${at},proto="tcp",family="2"} 2`,
      `coredns_dns_request_count_total{${at},proto="udp",family="1"} 2`,
    ]);
    assert.deepEqual(linesOf(text, 'coredns_dns_request_type_count_total').sort(), [
      `coredns_dns_request_type_count_total{${at},type="A"} 2`,
      `coredns_dns_request_type_count_total{${at},type="AAAA"} 1`,
      `coredns_dns_request_type_count_total{${at},type="other"} 1`,
    ]);
  });

  it('count answers by rcode and by who wrote them', async () => {
    const page = newPage(1);
    const count = (by: number, rcode: number): void => {
      page.zones[zonePlaces.responses + by * rcodesCounted + rcode]++;
    };
    count(byCache, 0);
    count(byForward, 0);
    count(byForward, 3);
    count(byForward, 12);
    count(byNobody, rcodesCounted - 1);
    const text = await scrape({ pages: () => [page], zones: () => [servedZone()] });
    const at = `server="${server}",zone="cluster.local."`;
    assert.deepEqual(linesOf(text, 'coredns_dns_responses_total'), [
      `coredns_dns_responses_total{${at},view="",rcode="NOERROR",plugin="cache"} 1`,
      `coredns_dns_responses_total{${at},view="",rcode="NOERROR",plugin="forward"} 1`,
      `coredns_dns_responses_total{${at},view="",rcode="NXDOMAIN",plugin="forward"} 1`,
      `coredns_dns_responses_total{${at},view="",rcode="RCODE12",plugin="forward"} 1`,
      `coredns_dns_responses_total{${at},view="",rcode="other",plugin=""} 1`,
    ]);
    assert.deepEqual(
      linesOf(text, 'coredns_dns_response_rcode_count_total')[0],
      `coredns_dns_response_rcode_count_total{${at},rcode="NOERROR"} 2`,
    );
  });

  it('make the buckets of histograms cumulative', async () => {
    const page = newPage(1);
    for (const seconds of [0.0001, 0.00025, 0.0003, 100]) observeDuration(page.zones, zonePlaces.duration, seconds);
    observeBytes(page.zones, zonePlaces.requestBytes, overTcp, 40);
    observeBytes(page.zones, zonePlaces.requestBytes, overTcp, 70_000);
    const text = await scrape({ pages: () => [page], zones: () => [servedZone()] });
    const duration = linesOf(text, 'coredns_dns_request_duration_seconds_bucket').map((line) => line.split(' ')[1]);
    assert.deepEqual(duration, ['2', ...Array(15).fill('3'), '4']);
    const [first] = linesOf(text, 'coredns_dns_request_duration_seconds_bucket');
    assert.equal(
      first,
      `coredns_dns_request_duration_seconds_bucket{le="0.00025",server="${server}",zone="cluster.local.",view=""} 2`,
    );
    assert.match(text, /^coredns_dns_request_duration_seconds_count\{.*\} 4$/m);
    assert.match(text, /^coredns_dns_request_duration_seconds_sum\{.*\} 100\.00065/m);
    const les = linesOf(text, 'coredns_dns_request_size_bytes_bucket').map((line) => /le="([^"]+)"/.exec(line)?.[1]);
    assert.deepEqual(
      les,
      '0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000 +Inf'.split(' '),
      'only the transport that was used has lines',
    );
    assert.match(text, /^coredns_dns_request_size_bytes_bucket\{le="100",.*proto="tcp"\} 1$/m);
    assert.match(text, /^coredns_dns_request_size_bytes_count\{.*proto="tcp"\} 2$/m);
  });

  it('add up the pages of all threads, also one made before a zone was added', async () => {
    const old = newPage(1);
    const fresh = newPage(2);
    for (const page of [old, fresh]) {
      page.count('coalesced');
      page.zones[page.zoneBase(0) + zonePlaces.misses] = 2;
    }
    fresh.zones[fresh.zoneBase(1) + zonePlaces.misses] = 7;
    const text = await scrape({
      pages: () => [old, fresh],
      zones: () => [servedZone(), servedZone({ zone: '.', ordinal: 1, cacheZones: '.' })],
    });
    assert.match(text, /^zerohop_coalesced_queries_total 2$/m);
    assert.match(text, /^coredns_cache_misses_total\{server="[^"]+",zones="cluster\.local\.",view=""\} 4$/m);
    assert.match(text, /^coredns_cache_misses_total\{server="[^"]+",zones="\.",view=""\} 7$/m);
  });

  it('count cache events of all zones of a block as one cache, with and without prometheus', async () => {
    const page = newPage(2);
    page.zones[page.zoneBase(0) + zonePlaces.hitsDenial] = 1;
    page.zones[page.zoneBase(1) + zonePlaces.hitsDenial] = 2;
    const zones = 'in-addr.arpa.,ip6.arpa.';
    const text = await scrape({
      pages: () => [page],
      zones: () => [
        servedZone({ zone: 'in-addr.arpa.', ordinal: 0, cacheZones: zones, prometheus: false }),
        servedZone({ zone: 'ip6.arpa.', ordinal: 1, cacheZones: zones, prometheus: false }),
      ],
    });
    assert.deepEqual(linesOf(text, 'coredns_cache_hits_total'), [
      `coredns_cache_hits_total{server="${server}",type="success",zones="${zones}",view=""} 0`,
      `coredns_cache_hits_total{server="${server}",type="denial",zones="${zones}",view=""} 3`,
    ]);
    assert.deepEqual(linesOf(text, 'coredns_dns_do_requests_total'), [], 'a block without prometheus is not counted');
  });

  it('show what the stores hold, by cache and by the former name added up', async () => {
    const store = (zones: string) => ({
      server,
      zones,
      success: { entries: 10, evictions: 1 },
      denial: { entries: 20, evictions: 2 },
    });
    const text = await scrape({ stores: () => [store('.'), store('cluster.local.')] });
    assert.match(text, /^coredns_cache_entries\{server="[^"]+",type="denial",zones="\.",view=""\} 20$/m);
    assert.match(text, /^coredns_cache_evictions_total\{.*type="success",zones="cluster\.local\.",view=""\} 1$/m);
    assert.deepEqual(linesOf(text, 'coredns_cache_size'), [
      `coredns_cache_size{server="${server}",type="success"} 20`,
      `coredns_cache_size{server="${server}",type="denial"} 40`,
    ]);
  });

  it('show upstreams under the present and the former names, one series per address', async () => {
    const [one, two] = [new UpstreamStats('10.96.0.10:53'), new UpstreamStats('10.96.0.10:53')];
    observeDuration(durationsOf(one, 'NOERROR'), 0, 0.001);
    observeDuration(durationsOf(two, 'NOERROR'), 0, 0.3);
    observeDuration(durationsOf(two, 'SERVFAIL'), 0, 0.3);
    one.reused[1] = 4;
    two.opened[0] = 1;
    two.healthcheckFailures = 3;
    two.healthy = false;
    one.open = 2;
    two.open = 3;
    two.suspects = 1;
    const text = await scrape({ upstreams: () => [one, two] });
    const to = 'to="10.96.0.10:53"';
    assert.match(
      text,
      new RegExp(
        `^coredns_proxy_request_duration_seconds_bucket{le="0.001",proxy_name="forward",${to},rcode="NOERROR"} 1$`,
        'm',
      ),
    );
    assert.deepEqual(linesOf(text, 'coredns_forward_requests_total'), [`coredns_forward_requests_total{${to}} 3`]);
    assert.deepEqual(linesOf(text, 'coredns_forward_responses_total'), [
      `coredns_forward_responses_total{${to},rcode="NOERROR"} 2`,
      `coredns_forward_responses_total{${to},rcode="SERVFAIL"} 1`,
    ]);
    assert.match(text, new RegExp(`^coredns_forward_request_duration_seconds_count{${to},rcode="NOERROR"} 2$`, 'm'));
    assert.match(text, new RegExp(`^coredns_proxy_healthcheck_failures_total{proxy_name="forward",${to}} 3$`, 'm'));
    assert.match(text, new RegExp(`^coredns_forward_healthcheck_failures_total{${to}} 3$`, 'm'));
    assert.match(
      text,
      new RegExp(`^coredns_proxy_conn_cache_hits_total{proxy_name="forward",${to},proto="tcp"} 4$`, 'm'),
    );
    assert.match(
      text,
      new RegExp(`^coredns_proxy_conn_cache_misses_total{proxy_name="forward",${to},proto="udp"} 1$`, 'm'),
    );
    assert.match(text, new RegExp(`^zerohop_upstream_healthy{${to}} 0$`, 'm'));
    assert.match(text, new RegExp(`^zerohop_upstream_connections{${to}} 5$`, 'm'));
    assert.match(text, new RegExp(`^zerohop_upstream_suspect_connections{${to}} 1$`, 'm'));
  });

  it('name every event, each series once', () => {
    const series = eventNames.map((event) => eventMetrics[event].name + JSON.stringify(eventMetrics[event].labels));
    assert.equal(new Set(series).size, eventNames.length);
    for (const event of eventNames) assert.match(eventMetrics[event].name, /^(coredns|zerohop)_[a-z_]+_total$/);
  });

  it('show set-up errors from the start, all five kinds, and by the former name too', async () => {
    const text = await scrape();
    assert.deepEqual(linesOf(text, 'coredns_nodecache_setup_errors_total').sort(), [
      'coredns_nodecache_setup_errors_total{errortype="configmap"} 0',
      'coredns_nodecache_setup_errors_total{errortype="interface_add"} 0',
      'coredns_nodecache_setup_errors_total{errortype="interface_check"} 0',
      'coredns_nodecache_setup_errors_total{errortype="iptables"} 0',
      'coredns_nodecache_setup_errors_total{errortype="iptables_lock"} 0',
    ]);
    assert.equal(linesOf(text, 'coredns_nodecache_setup_errors').length, 5);
  });

  it('escape what operators write into templates', async () => {
    const text = await scrape(everything());
    assert.deepEqual(linesOf(text, 'coredns_template_rr_failures_total'), [
      `coredns_template_rr_failures_total{server="${server}",zone=".",view="",class="IN",type="ANY",` +
        'section="answer",template="{{ .Name \\"x\\" }}\\n"} 2',
    ]);
    assert.deepEqual(linesOf(text, 'coredns_template_matches_total'), [
      `coredns_template_matches_total{server="${server}",zone=".",view="",class="IN",type="ANY"} 1`,
    ]);
  });

  it('show as goroutines what would be some', async () => {
    assert.match(await scrape(), /^go_goroutines 1$/m);
    assert.match(await scrape(everything()), /^go_goroutines 20$/m, '1 + 7 threads + 4 waiting + 5 clients + 3 open');
  });

  it('say who serves, and how late the event loop is', async () => {
    const loopDelays = new Float64Array([5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.102]);
    const text = await scrape({ instance: () => ({ role: 'standing by', standBys: 2 }), loopDelays });
    assert.deepEqual(linesOf(text, 'zerohop_instance_role'), [
      'zerohop_instance_role{role="starting"} 0',
      'zerohop_instance_role{role="serving"} 0',
      'zerohop_instance_role{role="standing_by"} 1',
    ]);
    assert.match(text, /^zerohop_stand_by_instances 2$/m);
    assert.match(text, /^zerohop_event_loop_delay_seconds_bucket\{le="0\.05"\} 5$/m);
    assert.match(text, /^zerohop_event_loop_delay_seconds_bucket\{le="0\.1"\} 6$/m);
    assert.match(text, /^zerohop_event_loop_delay_seconds_sum 0\.102$/m);
    assert.match(text, /^zerohop_event_loop_busy_seconds_total \d/m);
  });

  it('read the numbers once for all who ask within a second', async () => {
    const page = newPage(0);
    const clock = new ManualClock();
    let readings = 0;
    const pages = (): Counters[] => {
      readings += 1;
      return [page];
    };
    const metrics = newMetrics(newSource({ pages }), families, clock, assert.ifError);
    page.count('panics');
    const texts = await Promise.all([metrics.text(), metrics.text()]);
    page.count('panics');
    await clock.pass(metricsAgeMs - 1);
    texts.push(await metrics.text());
    assert.match(texts[0], /^coredns_panics_total 1$/m);
    assert.deepEqual(texts, [texts[0], texts[0], texts[0]]);
    assert.equal(readings, 1);
    await clock.pass(1);
    assert.match(await metrics.text(), /^coredns_panics_total 2$/m);
    assert.equal(metrics.contentType, 'text/plain; version=0.0.4; charset=utf-8');
  });

  it('try again a second after a reading that failed', async () => {
    const clock = new ManualClock();
    let fails = true;
    const pages = (): Counters[] => (fails ? assert.fail('a bug') : [newPage(0)]);
    const metrics = newMetrics(newSource({ pages }), families, clock, assert.ifError);
    await assert.rejects(metrics.text(), /a bug/);
    fails = false;
    await clock.pass(metricsAgeMs);
    assert.match(await metrics.text(), /^coredns_panics_total 0$/m);
  });

  it('are rendered in slices: others have their turn in between, also within a family', async () => {
    const { zones, source, clock } = newManyZones();
    const metrics = newMetrics(source, families, clock, assert.ifError);
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const text = await metrics.text();
    isOver = true;
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
    assert.ok(samples > 10_000);
    assert.ok(turns > samples / 200, `${turns} turns for ${samples} samples`);
    assert.equal(text.match(/^# TYPE coredns_dns_requests_total /gm)?.length, 1);
    assert.equal(linesOf(text, 'coredns_dns_requests_total').length, zones.length);
  });

  it('know the process', async () => {
    const text = await scrape();
    const value = (name: string): number => Number(linesOf(text, name)[0]?.split(' ')[1]);
    assert(value('process_cpu_seconds_total') > 0);
    assert(value('process_resident_memory_bytes') > 1e6);
    assert(value('process_virtual_memory_bytes') >= value('process_resident_memory_bytes'));
    assert(value('process_open_fds') > 2);
    assert(value('process_max_fds') >= value('process_open_fds'));
    assert.equal(value('process_start_time_seconds'), 1_700_000_000);
    assert.match(text, /^coredns_build_info\{version="1\.2\.3",revision="abcdef0",goversion="v20\.19\.0"\} 1$/m);
  });
});

describe('a family that cannot be read', () => {
  it('is reported and without samples; the others are complete', async () => {
    const failures: unknown[] = [];
    const broken = new Error('planted');
    const text = await newMetrics(
      brokenSource(broken),
      families,
      new ManualClock(),
      (error) => void failures.push(error),
    ).text();
    assert.ok(failures.length > 0 && failures.every((error) => error === broken));
    assert.notDeepEqual(linesOf(text, 'coredns_cache_entries'), []);
    assert.deepEqual(linesOf(text, 'coredns_proxy_request_duration_seconds_count'), []);
  });
});

test('a family that had another name has the same series under it', async () => {
  const text = await newMetrics(newSource(everything()), families, new ManualClock(), assert.ifError).text();
  const series = (name: string): string[] =>
    text.split('\n').flatMap((line) => (/^\w+/.exec(line)?.[0] === name ? [line.slice(name.length)] : []));
  assert.ok(series('coredns_forward_responses_total').length > 0);
  assert.deepEqual(series('coredns_forward_response_rcode_count_total'), series('coredns_forward_responses_total'));
  assert.deepEqual(series('coredns_panic_count_total'), [' 1']);
});

test('what has no former name is left alone, and no name is taken twice', () => {
  const [former] = formerFamilies([
    { name: 'coredns_reload_failed_total', help: 'How often.', type: 'counter', samples: () => [] },
    { name: 'coredns_dns_requests_total', help: 'How many.', type: 'counter', samples: () => [] },
  ]);
  assert.deepEqual(
    [former.name, former.help],
    ['coredns_reload_failed_count_total', 'How often. Former name of coredns_reload_failed_total.'],
  );
  assert.equal(new Set(familyNames).size, familyNames.length);
});

test('the former names are those that operations lists and the decision gives Prometheus to drop', () => {
  const page = (...path: string[]) => readFileSync(repositoryPath('docs', ...path), 'utf8');
  const [, regex] = /^ {4}regex: (.*)$/m.exec(page('decisions', 'former-metric-names.md')) ?? [];
  const dropped = familyNames.filter((name) => new RegExp(`^(?:${regex})$`).test(name));
  const [, table] = /\| today \| also as \|\n\|---\|---\|\n([\s\S]*?)\n\n/.exec(page('OPERATIONS.md')) ?? [];
  const listed = table
    .split('\n')
    .flatMap((row) => [...row.split('|')[2].matchAll(/`(\w+)`/g)].map(([, name]) => name));
  assert.ok(listed.length > 15);
  assert.deepEqual(dropped.sort(), listed.sort());
  const former = families.flatMap(({ name, help, isFormer }) => {
    assert.equal(isFormer, / Former name of \w+\.$/.test(help) || undefined, name);
    return isFormer ? name : [];
  });
  assert.deepEqual(former.sort(), listed.sort());
});
