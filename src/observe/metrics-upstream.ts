/**
 * coredns_proxy_*, and the same numbers as coredns_forward_*, which CoreDNS no longer exports: the alerts of the
 * widely used mixin read those, and are silently dead without them.
 */

import { durationBucketsSeconds, histogramPlaces } from '../counters.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import {
  addNumbers,
  countOf,
  type Family,
  type Group,
  groupByLabels,
  histogramSamples,
  type Labels,
  type Sample,
  sample,
} from './exposition.js';
import type { Scrape } from './metrics-source.js';

const transports = ['udp', 'tcp'] as const;
const states = ['up', 'down', 'looping'] as const;
const proxy: Labels = { proxy_name: 'forward' };
const legacy: Labels = {};

export const upstreamFamilies: readonly Family<Scrape>[] = [
  durations('coredns_proxy_request_duration_seconds', 'Histogram of the time each request took.', proxy),
  durations(
    'coredns_forward_request_duration_seconds',
    'Histogram of the time each request took. Former name of coredns_proxy_request_duration_seconds.',
    legacy,
  ),
  {
    name: 'coredns_forward_requests_total',
    help: 'Counter of requests answered per upstream. Derive it from coredns_proxy_request_duration_seconds_count.',
    type: 'counter',
    samples: (scrape) =>
      perUpstream(scrape).map(({ labels, members }) =>
        sample(
          labels,
          byRcode(members).reduce((sum, { numbers }) => sum + countOf({ numbers, bounds: durationBucketsSeconds }), 0),
        ),
      ),
  },
  {
    name: 'coredns_forward_responses_total',
    help: 'Counter of responses per upstream and rcode. Derive it from coredns_proxy_request_duration_seconds_count.',
    type: 'counter',
    samples: (scrape) =>
      perUpstream(scrape).flatMap(({ labels, members }) =>
        byRcode(members).map(({ rcode, numbers }) =>
          sample({ ...labels, rcode }, countOf({ numbers, bounds: durationBucketsSeconds })),
        ),
      ),
  },
  healthcheckFailures('coredns_proxy_healthcheck_failures_total', proxy),
  healthcheckFailures('coredns_forward_healthcheck_failures_total', legacy),
  connections('coredns_proxy_conn_cache_hits_total', 'Requests that used an open connection.', proxy, 'reused'),
  connections('coredns_proxy_conn_cache_misses_total', 'Requests that opened a connection.', proxy, 'opened'),
  connections('coredns_forward_conn_cache_hits_total', 'Requests that used an open connection.', legacy, 'reused'),
  connections('coredns_forward_conn_cache_misses_total', 'Requests that opened a connection.', legacy, 'opened'),
  {
    name: 'zerohop_upstream_healthy',
    help: 'Whether the upstream is up (1) or down (0).',
    type: 'gauge',
    samples: (scrape) =>
      perUpstream(scrape).map(({ labels, members }) => sample(labels, members.every(({ healthy }) => healthy) ? 1 : 0)),
  },
  {
    name: 'zerohop_upstream_state',
    help: 'State of the upstream: 1 for one of up, down, looping (unused, because it sends queries back).',
    type: 'gauge',
    samples: (scrape) =>
      perUpstream(scrape).flatMap(({ labels, members }) => {
        const now = stateOf(members);
        return states.map((state) => sample({ ...labels, state }, state === now ? 1 : 0));
      }),
  },
  sumPerUpstream(
    'zerohop_upstream_connections',
    'Open connections and UDP sockets to the upstream, including those being opened.',
    ({ open }) => open,
  ),
  sumPerUpstream(
    'zerohop_upstream_suspect_connections',
    'Connections to the upstream with overdue answers.',
    ({ suspects }) => suspects,
  ),
];

function sumPerUpstream(name: string, help: string, read: (stats: UpstreamStats) => number): Family<Scrape> {
  return {
    name,
    help,
    type: 'gauge',
    samples: (scrape) =>
      perUpstream(scrape).map(({ labels, members }) =>
        sample(
          labels,
          members.reduce((sum, stats) => sum + read(stats), 0),
        ),
      ),
  };
}

/** The worst of it, where several forwards name one address. */
function stateOf(members: readonly UpstreamStats[]): (typeof states)[number] {
  if (members.some(({ looping }) => looping)) return 'looping';
  return members.every(({ healthy }) => healthy) ? 'up' : 'down';
}

/** Several forwards may name one address. */
function perUpstream(scrape: Scrape): Group<UpstreamStats>[] {
  return groupByLabels(scrape.source.upstreams(), ({ to }) => ({ to }));
}

function byRcode(members: readonly UpstreamStats[]): { rcode: string; numbers: Float64Array }[] {
  const sums = new Map<string, Float64Array>();
  for (const { durations } of members) {
    for (const [rcode, numbers] of durations) {
      const sum = sums.get(rcode) ?? new Float64Array(histogramPlaces.duration);
      addNumbers(sum, numbers);
      sums.set(rcode, sum);
    }
  }
  return [...sums].map(([rcode, numbers]) => ({ rcode, numbers }));
}

function durations(name: string, help: string, first: Labels): Family<Scrape> {
  return {
    name,
    help,
    type: 'histogram',
    samples: (scrape) =>
      perUpstream(scrape).flatMap(({ labels, members }) =>
        byRcode(members).flatMap(({ rcode, numbers }) =>
          histogramSamples(name, { ...first, ...labels, rcode }, { numbers, bounds: durationBucketsSeconds }),
        ),
      ),
  };
}

function healthcheckFailures(name: string, first: Labels): Family<Scrape> {
  return {
    name,
    help: 'Counter of the number of failed healthchecks.',
    type: 'counter',
    samples: (scrape) =>
      perUpstream(scrape).map(({ labels, members }) =>
        sample(
          { ...first, ...labels },
          members.reduce((sum, stats) => sum + stats.healthcheckFailures, 0),
        ),
      ),
  };
}

function connections(name: string, help: string, first: Labels, which: 'reused' | 'opened'): Family<Scrape> {
  const perProto = ({ labels, members }: Group<UpstreamStats>): Sample[] =>
    transports.map((proto, transport) =>
      sample(
        { ...first, ...labels, proto },
        members.reduce((sum, stats) => sum + stats[which][transport], 0),
      ),
    );
  return { name, help, type: 'counter', samples: (scrape) => perUpstream(scrape).flatMap(perProto) };
}
