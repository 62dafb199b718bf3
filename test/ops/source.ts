/** A `MetricsSource` of empty parts for tests, each of which may be replaced. */
import { Counters, countersMemory } from '../../src/ops/counters.js';
import { healthPlaces, type MetricsSource, type ServedZone } from '../../src/ops/metrics-source.js';

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
    templates: () => [],
    hosts: () => [],
    acls: () => [],
    gauges: () => ({}),
    setupErrors: () => ({ configmap: 0, iptables: 0, iptables_lock: 0, interface_add: 0, interface_check: 0 }),
    logLinesLost: () => 0,
    corefileSha512: () => null,
    healthDurations: new Float64Array(healthPlaces),
    build: { version: '1.2.3', revision: 'abcdef0', nodeVersion: 'v20.19.0' },
    startedAtMs: 1_700_000_000_000,
    ...parts,
  };
}

export const server = 'dns://169.254.20.10:53';

export function servedZone(parts: Partial<ServedZone> = {}): ServedZone {
  return { server, zone: 'cluster.local.', ordinal: 0, cacheZones: 'cluster.local.', prometheus: true, ...parts };
}
