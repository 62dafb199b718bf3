/** An answered query, and a reading of `zerohop top`, for tests, each part of which may be replaced. */
import type { TopItem } from '../../src/control/top-serving.js';
import type { WatchedQuery } from '../../src/observe/query-watch.js';

export function watchedQuery(parts: Partial<WatchedQuery> = {}): WatchedQuery {
  return {
    atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    client: '10.244.0.7',
    listener: '169.254.20.10:53',
    transport: 'udp',
    name: 'web.default.svc.cluster.local.',
    type: 'A',
    rcode: 'NOERROR',
    origin: 'hit',
    bytes: 80,
    durationMs: 0,
    ...parts,
  };
}

const counts = { tooManyAtMost: 0, plusMinus: 0 };

export function reading(parts: Partial<TopItem> = {}): TopItem {
  return {
    version: '0.9.0',
    time: '2026-01-02T03:04:05.000Z',
    upSeconds: 93_784,
    traffic: {
      ...{ seconds: 1, perSecond: 12_345.6, hitRatio: 0.9731, stalePerSecond: 0, kernelPerSecond: 0 },
      ...{ p50Ms: 0.25, p99Ms: 3.12 },
      rcodes: [
        { rcode: 'NOERROR', perSecond: 12_000 },
        { rcode: 'NXDOMAIN', perSecond: 345.6 },
      ],
      addresses: [
        { address: '169.254.20.10', perSecond: 12_345.6 },
        { address: '10.96.0.10', perSecond: 0 },
      ],
      zones: [
        { zone: 'cluster.local.', perSecond: 12_000, hitRatio: 0.99, p50Ms: 0.25, p99Ms: 2.5 },
        { zone: '.', perSecond: 345.6, hitRatio: null, p50Ms: null, p99Ms: null },
      ],
      upstreams: [
        {
          ...{ address: '10.96.0.10:53', state: 'up', perSecond: 33, p50Ms: 0.8, p99Ms: 4.2 },
          ...{ connections: 8, suspects: 0, healthcheckFailures: 0 },
        },
        {
          ...{ address: '192.0.2.1:53', state: 'down', perSecond: 0, p50Ms: null, p99Ms: null },
          ...{ connections: 0, suspects: 0, healthcheckFailures: 3 },
        },
      ],
    },
    talkers: {
      ...{ since: '2026-01-02T03:00:05.000Z', seconds: 240, packets: 9_999, samples: 600, perSample: 16, counted: 0 },
      names: [
        { name: 'web.default.svc.cluster.local.', type: 'A', count: 8_000, ...counts },
        { name: 'db.default.svc.cluster.local.', type: 'AAAA', count: 90, ...counts },
      ],
      clients: [{ client: '10.244.0.7', count: 9_000, ...counts }],
    },
    slow: [watchedQuery({ origin: 'miss', rcode: 'SERVFAIL', durationMs: 1_912, name: `${'x'.repeat(63)}.example.` })],
    isSlowShown: true,
    ...parts,
  };
}
