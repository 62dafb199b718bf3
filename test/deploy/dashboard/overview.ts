/** The top of the dashboard: eight numbers and the ten worst nodes, for the engineer on call. */
import { type Column, type Steps, stat, table } from './grafana.js';
import { count, quantile, rate, series, sum, sumOrZero, topTen } from './queries.js';

const responses = 'coredns_dns_responses_total';
const durations = 'coredns_dns_request_duration_seconds';
const requests = sum(rate('coredns_dns_requests_total'));
const servfail = 'rcode="SERVFAIL"';
/** Stale by need; `immediate` is what the Corefile asks for. */
const inNeed = 'cause=~"failure|patience"';

/** The bounds of ZerohopErrorBudgetBurnSlow and ZerohopErrorBudgetBurnFast. */
const budget: Steps = [
  [null, 'green'],
  [0.006, 'orange'],
  [0.0144, 'red'],
];
const few: Steps = [
  [null, 'green'],
  [0.01, 'orange'],
  [0.05, 'red'],
];
const seconds: Steps = [
  [null, 'green'],
  [0.5, 'orange'],
  [1, 'red'],
];
const enough: Steps = [
  [null, 'orange'],
  [0.5, 'green'],
];
const none: Steps = [
  [null, 'green'],
  [1, 'orange'],
];

export const stats = [
  stat({
    title: 'Nodes with a cache',
    description:
      'Share of the instances that Prometheus expects and that answer it, and their number. Red: more than a tenth is down. Pods on a node without a cache may have no DNS.',
    runbook: 'zerohopmanydown',
    unit: 'percentunit',
    steps: [
      [null, 'red'],
      [0.9, 'orange'],
      [1, 'green'],
    ],
    queries: [
      { expr: `avg(${series('up')})`, legend: 'up' },
      { expr: count(series('up')), legend: 'expected' },
    ],
    units: { expected: 'none' },
    details: 'Ten worst nodes',
  }),
  stat({
    title: 'Queries',
    description: 'Queries a second, over UDP and TCP. Red: nobody asks.',
    runbook: 'zerohopallunused',
    unit: 'reqps',
    steps: [
      [null, 'red'],
      [0.001, 'green'],
    ],
    queries: [{ expr: requests, legend: 'queries' }],
    details: 'Queries by type',
  }),
  stat({
    title: 'Hit ratio',
    description:
      'Share of cache lookups that hit. Answers by policy (AAAA, templates, hosts) bypass the cache and do not count.',
    runbook: 'zerohopfewhits',
    unit: 'percentunit',
    steps: enough,
    queries: [
      {
        expr: `${sum(rate('coredns_cache_hits_total'))} / ${sum(rate('coredns_cache_requests_total'))}`,
        legend: 'hits',
      },
    ],
    details: 'Hit ratio by zone',
  }),
  stat({
    title: 'p99 answer time',
    description: '99 of 100 answers take less. Cache hits count as 0 s.',
    runbook: 'zerohopslowanswers',
    unit: 's',
    steps: seconds,
    queries: [{ expr: quantile(0.99, durations), legend: 'p99' }],
    details: 'Answer time',
  }),
  stat({
    title: 'SERVFAIL',
    description:
      'Share of answers that are SERVFAIL: an upstream failed, and there was no stale entry. Red: the error budget of 30 days lasts two days.',
    runbook: 'zerohoperrorbudgetburnfast',
    unit: 'percentunit',
    steps: budget,
    queries: [{ expr: `${sumOrZero(rate(responses, servfail))} / ${sum(rate(responses))}`, legend: 'SERVFAIL' }],
    details: 'Answers by rcode',
  }),
  stat({
    title: 'Stale',
    description:
      'Share of answers served after their TTL because an upstream failed or was slow. Names still resolve; check the upstream.',
    runbook: 'zerohopstaleanswers',
    unit: 'percentunit',
    steps: few,
    queries: [{ expr: `${sum(rate('zerohop_stale_answers_total', inNeed))} / ${requests}`, legend: 'stale' }],
    details: 'Stale answers',
  }),
  stat({
    title: 'Upstreams down',
    description:
      'Upstreams that are down, or unused because they forward queries back to this server, summed over instances.',
    runbook: 'zerohopupstreamdown',
    unit: 'none',
    steps: none,
    queries: [{ expr: sum(series('zerohop_upstream_state', 'state!="up"')), legend: 'not up' }],
    details: 'State of upstreams',
  }),
  stat({
    title: 'Lost or shed',
    description:
      'Queries a second that were given up because a limit was reached, refused TCP clients, and answers that the kernel did not send.',
    runbook: 'zerohopoverloaded',
    unit: 'ops',
    steps: [
      [null, 'green'],
      [0.001, 'orange'],
      [1, 'red'],
    ],
    queries: [
      {
        expr: [
          'zerohop_overloaded_total',
          'coredns_forward_max_concurrent_rejects_total',
          'zerohop_tcp_clients_rejected_total',
          'zerohop_send_failures_total',
        ]
          .map((metric) => sum(rate(metric)))
          .join(' + '),
        legend: 'lost',
      },
    ],
    details: 'Limits reached',
  }),
];

/** One node: where a label is absent, the others tell nodes apart. */
const node = ['cluster', 'node', 'instance'];
const up = `max by (${node.join(', ')}) (${series('up')})`;
const answers = sum(rate(`${durations}_count`), ...node);
/** A node that has never failed has no such series. */
const failed = `(${sum(rate(responses, servfail), ...node)} or 0 * ${up})`;
const stale = sum(rate('zerohop_stale_answers_total', inNeed), ...node);
const slow = `(${answers} - ${sum(rate(`${durations}_bucket`, 'le="1.024"'), ...node)})`;
/** A share of a node's answers, 0 where there are none. */
const shareOf = (part: string): string => `(${part} / (${answers} > 0) or 0 * ${up})`;
const badness = `10 * (1 - ${up}) + ${shareOf(`(${failed} + ${stale} + ${slow})`)}`;

const columns: readonly Column[] = [
  { name: 'badness', expr: badness, sorts: true },
  {
    name: 'state',
    expr: up,
    words: { 0: 'down', 1: 'up' },
    steps: [
      [null, 'red'],
      [1, 'green'],
    ],
  },
  { name: 'queries', expr: sum(rate('coredns_dns_requests_total'), ...node), unit: 'reqps', decimals: 1 },
  {
    name: 'hit ratio',
    expr: `${sum(rate('coredns_cache_hits_total'), ...node)} / (${sum(rate('coredns_cache_requests_total'), ...node)} > 0)`,
    unit: 'percentunit',
    decimals: 0,
    steps: enough,
  },
  { name: 'SERVFAIL', expr: shareOf(failed), unit: 'percentunit', decimals: 2, steps: budget },
  { name: 'stale', expr: shareOf(stale), unit: 'percentunit', decimals: 2, steps: few },
  { name: 'later than 1 s', expr: shareOf(slow), unit: 'percentunit', decimals: 2, steps: budget },
  { name: 'p99 answer time', expr: quantile(0.99, durations, ...node), unit: 's', decimals: 3, steps: seconds },
  {
    name: 'upstreams down',
    expr: sum(series('zerohop_upstream_state', 'state!="up"'), ...node),
    unit: 'none',
    steps: none,
  },
];

/** A column of the ten nodes with most badness. */
function ofWorst(column: Column): Column {
  return { ...column, expr: `${column.expr} and on (${node.join(', ')}) ${topTen(badness)}` };
}

export const worst = table({
  title: 'Ten worst nodes',
  description:
    'Nodes whose cache is down, then those with the largest share of answers that are SERVFAIL, stale or later than 1 s. The link of an instance shows this dashboard for it alone.',
  runbook: 'alerts',
  link: { label: 'instance', title: 'Only this instance' },
  columns: columns.map(ofWorst),
});
