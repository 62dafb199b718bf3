/** A `MetricsSource` of empty parts for tests, each of which may be replaced. */
import { Counters, countersMemory, eventNames, observeDuration } from '../../src/counters.js';
import { emptyHistogram } from '../../src/observe/exposition.js';
import {
  healthBucketsSeconds,
  type KernelLaneNumbers,
  type MetricsSource,
  type ZoneSource,
} from '../../src/observe/metrics-source.js';
import { loopDelayBucketsSeconds } from '../../src/observe/process-numbers.js';
import { Turns } from '../../src/observe/turns.js';
import type { PluginAtWork } from '../../src/resolve/route.js';
import { durationsOf, UpstreamStats } from '../../src/upstream/endpoint.js';
import { ManualClock } from '../simulation/clock.js';

export function newPage(zones: number): Counters {
  return new Counters(countersMemory(zones));
}

export function newSource(parts: Partial<MetricsSource> = {}): MetricsSource {
  return {
    pages: () => [],
    zones: () => [],
    stores: () => [],
    upstreams: () => [],
    plugins: () => [],
    atWork: () => [],
    serverOf: () => server,
    gauges: () => ({}),
    setupErrors: () => ({ configmap: 0, iptables: 0, iptables_lock: 0, interface_add: 0, interface_check: 0 }),
    logLinesLost: () => 0,
    corefileSha512: () => null,
    instance: () => ({ role: 'serving', standBys: 0 }),
    healthDurations: emptyHistogram(healthBucketsSeconds),
    loopDelays: new Float64Array(loopDelayBucketsSeconds.length + 2),
    turns: new Turns(new ManualClock()),
    build: { version: '1.2.3', revision: 'abcdef0', nodeVersion: 'v20.19.0' },
    startedAtMs: 1_700_000_000_000,
    ...parts,
  };
}

/** Of a lane that is on. */
export const kernelLane: KernelLaneNumbers = {
  isOn: true,
  why: '',
  answers: 12,
  stale: 2,
  denied: 3,
  passed: { shape: 1, missed: 2, expired: 3, stranger: 5, large: 6, failed: 7 },
  refreshes: 8,
  refreshesDenied: 9,
  entries: 8,
  links: 9,
  linksRefused: 1,
};

export const server = 'dns://169.254.20.10:53';

export function servedZone(parts: Partial<ZoneSource> = {}): ZoneSource {
  const place = { server, address: '169.254.20.10', zone: 'cluster.local.', ordinal: 0 };
  return { ...place, cacheZones: 'cluster.local.', prometheus: true, ...parts };
}

/** Every family with at least one line. */
export function everything(): Partial<MetricsSource> {
  const page = newPage(2);
  for (const name of eventNames) page.count(name);
  page.zones.fill(1);
  const upstream = new UpstreamStats('10.96.0.10:53');
  observeDuration(durationsOf(upstream, 'NOERROR'), 0, 0.001);
  upstream.reused[1] = 5;
  upstream.open = 3;
  const series = { zone: '.', class: 'IN', type: 'ANY', section: 'answer', template: '{{ .Name "x" }}\n', count: 1 };
  const all = (...counts: object[]) => new Map(counts.map((count, index) => [String(index), count]));
  const atWork = new Map(
    Object.entries({
      template: {
        templates: { matches: all(series), templateFailures: all(series), recordFailures: all(series, series) },
      },
      acl: {
        counts: all(
          ...['allow', 'block', 'filter', 'drop'].map((action) => ({ ordinal: 0, zone: '.', action, count: 1 })),
        ),
      },
      autopath: { found: new Map([[0, 1]]) },
      hosts: { file: { file: '/etc/hosts', content: { table: { entries: 2 }, readAtMs: 1_700_000_001_500 } } },
    }).map(([name, one]) => [name, [{ atWork: one as PluginAtWork, servers: [server] }]]),
  );
  return {
    pages: () => [page],
    zones: () => [servedZone(), servedZone({ zone: 'dropped', ordinal: 1, cacheZones: null })],
    stores: () => [{ server, zones: '.', success: { entries: 1, evictions: 2 }, denial: { entries: 3, evictions: 4 } }],
    upstreams: () => [upstream],
    plugins: () => [{ server, zone: '.', name: 'cache' }],
    atWork: (plugin) => atWork.get(plugin) ?? [],
    kernelLane: () => kernelLane,
    conntrack: () => ({ entries: 12, entriesMax: 262_144, insertFailed: 3, drop: 2, earlyDrop: 1 }),
    doctorFailed: () => new Map([['link-down', true]]),
    gauges: () => ({
      cacheUsedBytes: 1,
      cacheBytesMax: 2,
      pendingQuestions: 3,
      waitingClients: 4,
      tcpClients: 5,
      answeringThreads: 7,
      lastReloadSuccessful: 1,
      nxdomainCuts: 6,
    }),
    corefileSha512: () => 'ab'.repeat(64),
  };
}
