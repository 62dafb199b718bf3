/**
 * coredns_proxy_*, and the same numbers as coredns_forward_*, which CoreDNS no longer exports: the alerts of the widely
 * used mixin read those, and never fire without them.
 */
import { durationBucketsSeconds, histogramPlaces } from '../counters.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import {
  addNumbers,
  counter,
  countOf,
  type Family,
  former,
  type Group,
  gauge,
  histogram,
  joinLabels,
  type Labels,
  labelText,
  type Sample,
  sample,
  sum,
} from './exposition.js';
import type { Scrape } from './metrics-source.js';

const protoLabels = ['udp', 'tcp'].map((proto) => labelText({ proto }));
const states = ['up', 'down', 'looping'] as const;
const proxy = labelText({ proxy_name: 'forward' });
const legacy: Labels = '';

export const upstreamFamilies: readonly Family<Scrape>[] = [
  durations('coredns_proxy_request_duration_seconds', 'Histogram of the time each request took.', proxy),
  former(
    'coredns_proxy_request_duration_seconds',
    durations('coredns_forward_request_duration_seconds', 'Histogram of the time each request took.', legacy),
  ),
  former(
    'coredns_proxy_request_duration_seconds_count',
    counter(
      'coredns_forward_requests_total',
      'Counter of requests answered per upstream.',
      perUpstream(({ labels, members }) => [sample(labels, sum(byRcode(members), answersOf))]),
    ),
  ),
  former(
    'coredns_proxy_request_duration_seconds_count',
    counter(
      'coredns_forward_responses_total',
      'Counter of responses per upstream and rcode.',
      perUpstream(({ labels, members }) =>
        byRcode(members).map((one) => sample(joinLabels(labels, one.rcode), answersOf(one))),
      ),
    ),
  ),
  healthcheckFailures('coredns_proxy_healthcheck_failures_total', proxy),
  former(
    'coredns_proxy_healthcheck_failures_total',
    healthcheckFailures('coredns_forward_healthcheck_failures_total', legacy),
  ),
  connections('coredns_proxy_conn_cache_hits_total', 'Requests that used an open connection.', proxy, 'reused'),
  connections('coredns_proxy_conn_cache_misses_total', 'Requests that opened a connection.', proxy, 'opened'),
  former(
    'coredns_proxy_conn_cache_hits_total',
    connections('coredns_forward_conn_cache_hits_total', 'Requests that used an open connection.', legacy, 'reused'),
  ),
  former(
    'coredns_proxy_conn_cache_misses_total',
    connections('coredns_forward_conn_cache_misses_total', 'Requests that opened a connection.', legacy, 'opened'),
  ),
  gauge(
    'zerohop_upstream_healthy',
    'Whether the upstream is up (1) or down (0).',
    perUpstream(({ labels, members }) => [sample(labels, members.every(({ healthy }) => healthy) ? 1 : 0)]),
  ),
  gauge(
    'zerohop_upstream_state',
    'State of the upstream: 1 for one of up, down, looping (unused, because it sends queries back).',
    perUpstream(({ labels, members }) => {
      const now = stateOf(members);
      return states.map((state) => sample(`${labels},state="${state}"`, state === now ? 1 : 0));
    }),
  ),
  gauge(
    'zerohop_upstream_connections',
    'Open connections and UDP sockets to the upstream, including those being opened.',
    perUpstream(({ labels, members }) => [
      sample(
        labels,
        sum(members, ({ open }) => open),
      ),
    ]),
  ),
  gauge(
    'zerohop_upstream_suspect_connections',
    'Connections to the upstream with overdue answers.',
    perUpstream(({ labels, members }) => [
      sample(
        labels,
        sum(members, ({ suspects }) => suspects),
      ),
    ]),
  ),
];

/** Several forwards may name one address: they are one series, and its state is the worst of theirs. */
export function stateOf(members: readonly UpstreamStats[]): (typeof states)[number] {
  if (members.some(({ looping }) => looping)) return 'looping';
  return members.every(({ healthy }) => healthy) ? 'up' : 'down';
}

function perUpstream<Part>(read: (upstream: Group<UpstreamStats>) => Part[]): (scrape: Scrape) => Part[] {
  return ({ upstreams }) => upstreams.flatMap(read);
}

interface ByRcode {
  /** As a label. */
  readonly rcode: Labels;
  readonly numbers: Float64Array;
}

function byRcode(members: readonly UpstreamStats[]): ByRcode[] {
  const sums = new Map<string, Float64Array>();
  for (const { durations } of members) {
    for (const [rcode, numbers] of durations) {
      const total = sums.get(rcode) ?? new Float64Array(histogramPlaces.duration);
      addNumbers(total, numbers);
      sums.set(rcode, total);
    }
  }
  return [...sums].map(([rcode, numbers]) => ({ rcode: labelText({ rcode }), numbers }));
}

function answersOf({ numbers }: ByRcode): number {
  return countOf({ numbers, bounds: durationBucketsSeconds });
}

function durations(name: string, help: string, first: Labels): Family<Scrape> {
  const read = perUpstream(({ labels, members }) =>
    byRcode(members).map(({ rcode, numbers }) => ({ labels: joinLabels(first, joinLabels(labels, rcode)), numbers })),
  );
  return histogram(name, help, durationBucketsSeconds, read);
}

function healthcheckFailures(name: string, first: Labels): Family<Scrape> {
  return counter(
    name,
    'Counter of the number of failed healthchecks.',
    perUpstream(({ labels, members }) => [
      sample(
        joinLabels(first, labels),
        sum(members, (stats) => stats.healthcheckFailures),
      ),
    ]),
  );
}

function connections(name: string, help: string, first: Labels, which: 'reused' | 'opened'): Family<Scrape> {
  const perProto = ({ labels, members }: Group<UpstreamStats>): Sample[] =>
    protoLabels.map((proto, transport) =>
      sample(
        joinLabels(first, joinLabels(labels, proto)),
        sum(members, (stats) => stats[which][transport]),
      ),
    );
  return counter(name, help, perUpstream(perProto));
}
