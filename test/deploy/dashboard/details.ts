/** The closed rows of the dashboard: details, for the engineer who looks for a cause. */
import { laneCauses } from '../../../src/lane/layout.js';
import { graph, heatmap, table } from './grafana.js';
import { count, increase, quantile, rate, series, sum, sumOrZero, topTen } from './queries.js';

const responses = 'coredns_dns_responses_total';
const durations = 'coredns_dns_request_duration_seconds';

const queriesAndAnswers = [
  graph({
    title: 'Queries by type',
    description: 'About half of the queries of pods are AAAA; the Corefile may have them answered by policy.',
    unit: 'reqps',
    stacked: true,
    queries: [{ expr: sum(rate('coredns_dns_requests_total'), 'type'), legend: '{{type}}' }],
  }),
  graph({
    title: 'Answers by rcode',
    description:
      'Most NXDOMAIN come from search paths of pods. SERVFAIL means failed lookups; REFUSED means a name that no block serves, a zone transfer, or max_concurrent.',
    runbook: 'zerohopservfail',
    unit: 'reqps',
    stacked: true,
    queries: [{ expr: sum(rate(responses), 'rcode'), legend: '{{rcode}}' }],
  }),
  graph({
    title: 'Answers by plugin',
    description: 'The plugin that wrote the answer; empty: refused before any plugin.',
    unit: 'reqps',
    stacked: true,
    queries: [{ expr: sum(rate(responses), 'plugin'), legend: '{{plugin}}' }],
  }),
  graph({
    title: 'Queries by zone and protocol',
    description:
      'By the server block that served them; "dropped": no block serves the name. Many queries over TCP come from clients that got TC over UDP, or use TCP by configuration.',
    unit: 'reqps',
    stacked: true,
    queries: [{ expr: sum(rate('coredns_dns_requests_total'), 'zone', 'proto'), legend: '{{zone}} {{proto}}' }],
  }),
  graph({
    title: 'Queries by address',
    description:
      'By the address of the node that clients asked: the link-local one for pods whose resolv.conf names it, the Service address for pods that do not know of the cache. Nothing at an address: no pod uses it.',
    unit: 'reqps',
    stacked: true,
    queries: [
      { expr: sum(rate('zerohop_requests_by_address_total'), 'address', 'proto'), legend: '{{address}} {{proto}}' },
    ],
  }),
  graph({
    title: 'Busiest instances',
    description: 'The ten nodes with most queries.',
    unit: 'reqps',
    queries: [
      {
        expr: topTen(sum(rate('coredns_dns_requests_total'), 'node', 'instance')),
        legend: '{{node}} {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Query and answer size',
    description: 'Mean sizes. Large answers are truncated over UDP, and clients retry over TCP.',
    unit: 'bytes',
    queries: ['request', 'response'].map((which) => {
      const [total, number] = ['sum', 'count'].map((part) => rate(`coredns_dns_${which}_size_bytes_${part}`));
      return { expr: `${sum(total, 'proto')} / ${sum(number, 'proto')}`, legend: `${which}, {{proto}}` };
    }),
  }),
];

const latency = [
  graph({
    title: 'Answer time',
    description:
      'Measured in the server, all zones. Cache hits count as 0 s, so p50 is 0.25 ms or less (the first bucket) while most answers are hits.',
    runbook: 'zerohopslowanswers',
    unit: 's',
    queries: [0.5, 0.9, 0.99, 0.999].map((of) => ({ expr: quantile(of, durations), legend: `p${of * 100}` })),
  }),
  heatmap({
    title: 'Distribution of answer times',
    description: 'Number of answers by duration. A band that comes and goes at one value is usually a timeout.',
    expr: sum(increase(`${durations}_bucket`), 'le'),
  }),
  graph({
    title: 'Health check',
    description:
      'The server queries each of its listeners over UDP every second. Duration of this check (p99), and failures.',
    runbook: 'zerohopunhealthy',
    unit: 's',
    queries: [
      { expr: quantile(0.99, 'coredns_health_request_duration_seconds'), legend: 'p99' },
      { expr: sum(rate('coredns_health_request_failures_total')), legend: 'failures a second' },
    ],
  }),
];

const cache = [
  graph({
    title: 'Hit ratio by zone',
    description: 'Hits divided by cache lookups.',
    runbook: 'zerohopfewhits',
    unit: 'percentunit',
    max: 1,
    queries: [
      {
        expr: `${sum(rate('coredns_cache_hits_total'), 'zones')} / ${sum(rate('coredns_cache_requests_total'), 'zones')}`,
        legend: '{{zones}}',
      },
    ],
  }),
  graph({
    title: 'Hits and misses',
    description: 'Denials are names that do not exist; search paths cause most of them.',
    unit: 'reqps',
    stacked: true,
    queries: [
      { expr: sum(rate('coredns_cache_hits_total'), 'type'), legend: 'hits, {{type}}' },
      { expr: sum(rate('coredns_cache_misses_total')), legend: 'misses' },
    ],
  }),
  graph({
    title: 'Stale answers',
    description:
      'failure: the upstream failed. patience: it took longer than 400 ms. immediate: the Corefile says serve_stale without verify.',
    runbook: 'zerohopstaleanswers',
    unit: 'reqps',
    queries: [{ expr: sum(rate('zerohop_stale_answers_total'), 'cause'), legend: '{{cause}}' }],
  }),
  graph({
    title: 'Entries',
    description: 'Cache entries by zones and type.',
    unit: 'short',
    stacked: true,
    queries: [{ expr: sum(series('coredns_cache_entries'), 'zones', 'type'), legend: '{{zones}} {{type}}' }],
  }),
  graph({
    title: 'Evictions',
    description:
      'capacity: limit of success or denial in the Corefile. memory: evicted to make room for another size class. not kept: not cached for lack of memory.',
    runbook: 'zerohopevictions',
    unit: 'ops',
    queries: [
      { expr: sum(rate('coredns_cache_evictions_total'), 'type'), legend: 'capacity, {{type}}' },
      { expr: sum(rate('zerohop_cache_memory_evictions_total')), legend: 'memory' },
      { expr: sum(rate('zerohop_cache_store_failures_total')), legend: 'not kept' },
      { expr: sum(rate('zerohop_cache_crowded_chains_total')), legend: 'not kept, index chain full' },
    ],
  }),
  graph({
    title: 'Cache memory',
    description: 'Cache memory in use by the fullest instance, and its limit.',
    unit: 'bytes',
    queries: [
      { expr: `max(${series('zerohop_cache_used_bytes')})`, legend: 'used' },
      { expr: `max(${series('zerohop_cache_limit_bytes')})`, legend: 'limit' },
    ],
  }),
  graph({
    title: 'Upstream queries of workers',
    description:
      'answered: misses that a worker asked upstream and answered by itself. given_up: left to the main thread after all.',
    unit: 'ops',
    queries: [{ expr: sum(rate('zerohop_direct_queries_total'), 'outcome'), legend: '{{outcome}}' }],
  }),
  graph({
    title: 'Coalescing and prefetch',
    description:
      'joined: queries that waited for an identical upstream query. refreshed: popular entries refreshed before they expire.',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_coalesced_queries_total')), legend: 'joined' },
      { expr: sum(rate('coredns_cache_prefetch_total')), legend: 'refreshed' },
    ],
  }),
  graph({
    title: 'Search paths',
    description:
      'cut: queries answered at once because a name above the queried one does not exist. walks: search paths that clients began, as far as the main thread saw them. new, in_use: upstream queries for names whose denial answers many; denied: not sent because of their budget. asked, used, in_vain: last queries of a walk sent ahead of the client.',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_nxdomain_cut_answers_total')), legend: 'cut' },
      { expr: sum(rate('zerohop_walks_total')), legend: 'walks' },
      { expr: sum(rate('zerohop_nxdomain_cut_queries_total'), 'reason'), legend: '{{reason}}' },
      { expr: sum(rate('zerohop_nxdomain_cut_queries_denied_total')), legend: 'denied' },
      { expr: sum(rate('zerohop_walks_ahead_total'), 'outcome'), legend: '{{outcome}}' },
    ],
  }),
  graph({
    title: 'Denials learned in advance',
    description: 'Names that zerohop asked about by itself and that do not exist now, so that no name below them does.',
    unit: 'short',
    queries: [{ expr: sum(series('zerohop_nxdomain_cuts')), legend: 'cuts' }],
  }),
];

const kernelLane = [
  graph({
    title: 'Instances with the kernel lane',
    description:
      'Instances whose kernel gives cached answers by itself, and those that were asked for it and cannot: the log and the label why say why. Empty of both if nobody asked for it.',
    runbook: 'zerohopkernellaneoff',
    unit: 'short',
    queries: [
      { expr: sumOrZero(series('zerohop_kernel_lane')), legend: 'on' },
      { expr: sumOrZero(`1 - ${series('zerohop_kernel_lane')}`), legend: 'off' },
    ],
  }),
  graph({
    title: 'Answers by the kernel',
    description:
      'Answers that no process was needed for; they are in all other numbers as well. stale: given after their time while no process was there.',
    unit: 'reqps',
    stacked: true,
    queries: [
      { expr: sumOrZero(rate('zerohop_kernel_answers_total', 'stale="false"')), legend: 'fresh' },
      { expr: sumOrZero(rate('zerohop_kernel_answers_total', 'stale="true"')), legend: 'stale' },
    ],
  }),
  graph({
    title: 'Queries left to the process',
    description:
      'missed: no such answer is in the kernel. expired: the process asks upstream. stranger: a client that no packet of the last ten seconds vouches for. shape: options, or not a plain query. large: the client takes less. failed: the kernel could not make the answer.',
    unit: 'reqps',
    queries: laneCauses.map((cause) => ({
      expr: sumOrZero(rate('zerohop_kernel_passed_total', `cause="${cause}"`)),
      legend: cause,
    })),
  }),
  graph({
    title: 'Answers refreshed',
    description:
      'Answers in use that were asked for anew shortly before their end, so that they outlast a process that hangs. denied: left to end, because too many before them were asked for in vain.',
    unit: 'reqps',
    queries: ['asked', 'denied'].map((result) => ({
      expr: sumOrZero(rate('zerohop_kernel_refreshes_total', `result="${result}"`)),
      legend: result,
    })),
  }),
  graph({
    title: 'Entries and interfaces',
    description:
      'Answers that the kernel can give, interfaces at which it gives them, and those at which it must not, mostly because programs of others see the packets there.',
    unit: 'short',
    queries: [
      { expr: sumOrZero(series('zerohop_kernel_entries')), legend: 'entries' },
      { expr: sumOrZero(series('zerohop_kernel_links', 'state="attached"')), legend: 'interfaces' },
      { expr: sumOrZero(series('zerohop_kernel_links', 'state="refused"')), legend: 'interfaces refused' },
    ],
  }),
];

const upstreams = [
  graph({
    title: 'State of upstreams',
    description:
      'Number of instances on which each upstream is up, down or looping. Down: more than max_fails failures in a row. Looping: no longer used.',
    runbook: 'zerohopupstreamdown',
    unit: 'short',
    queries: [{ expr: sum(series('zerohop_upstream_state'), 'to', 'state'), legend: '{{to}} {{state}}' }],
  }),
  graph({
    title: 'Answers by upstream and rcode',
    description: 'Upstream answers, without rejected ones.',
    unit: 'reqps',
    stacked: true,
    queries: [
      { expr: sum(rate('coredns_proxy_request_duration_seconds_count'), 'to', 'rcode'), legend: '{{to}} {{rcode}}' },
    ],
  }),
  graph({
    title: 'Upstream answer time',
    description: 'p50 and p99 answer time of each upstream.',
    runbook: 'zerohopupstreamslow',
    unit: 's',
    queries: [0.5, 0.99].map((of) => ({
      expr: quantile(of, 'coredns_proxy_request_duration_seconds', 'to'),
      legend: `{{to}} p${of * 100}`,
    })),
  }),
  graph({
    title: 'Upstream failures',
    description:
      'timeouts: no answer within 1.9 s. connect: connection failed. probes: health checks that failed. all down: queries while every upstream of a forward was down.',
    runbook: 'zerohopupstreamtimeouts',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_upstream_timeouts_total')), legend: 'timeouts' },
      { expr: sum(rate('zerohop_upstream_connect_failures_total')), legend: 'connect' },
      { expr: sum(rate('coredns_proxy_healthcheck_failures_total'), 'to'), legend: 'probes, {{to}}' },
      { expr: sum(rate('coredns_forward_healthcheck_broken_total')), legend: 'all down' },
    ],
  }),
  graph({
    title: 'Retries',
    description:
      'silence: an answer was overdue. error: a connection broke. truncated: over TCP after TC. edns: without EDNS. denied: not retried, because a tenth of the queries already had been. closed for silence: connections.',
    runbook: 'zerohophedgesdenied',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_upstream_retries_total'), 'cause'), legend: '{{cause}}' },
      { expr: sum(rate('zerohop_upstream_hedges_denied_total')), legend: 'denied' },
      { expr: sum(rate('zerohop_upstream_suspects_closed_total')), legend: 'closed for silence' },
      { expr: sum(rate('zerohop_upstream_scouts_total')), legend: 'probes of new connections' },
      { expr: sum(rate('zerohop_upstream_late_answers_total')), legend: 'late answers cached' },
    ],
  }),
  graph({
    title: 'Rejected upstream answers',
    description:
      'id: a late answer, or guessed ids. question: an answer to another question. malformed: an unreadable answer.',
    runbook: 'zerohopanswersrejected',
    unit: 'ops',
    queries: [{ expr: sum(rate('zerohop_upstream_answers_rejected_total'), 'cause'), legend: '{{cause}}' }],
  }),
  graph({
    title: 'Upstream connections',
    description:
      'Open upstream connections, those with overdue answers, and connections opened a second. Connections are replaced after max_age, so that load spreads over new replicas.',
    unit: 'short',
    queries: [
      { expr: sum(series('zerohop_upstream_connections'), 'to'), legend: '{{to}}' },
      { expr: sum(series('zerohop_upstream_suspect_connections'), 'to'), legend: '{{to}}, silent' },
      { expr: sum(rate('zerohop_upstream_connects_total')), legend: 'opened a second' },
    ],
  }),
  graph({
    title: 'Upstream capabilities',
    description:
      'one transport: upstreams that answer over UDP only or TCP only. cut: answers with TC passed on. endpoints: changes and failures of names in a forward.',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_upstream_one_transport_total')), legend: 'one transport' },
      { expr: sum(rate('zerohop_upstream_cut_answers_total')), legend: 'cut' },
      { expr: sum(rate('zerohop_upstream_endpoint_changes_total')), legend: 'endpoints changed' },
      { expr: sum(rate('zerohop_upstream_endpoint_failures_total')), legend: 'endpoint lookups failed' },
    ],
  }),
];

const limits = [
  graph({
    title: 'Limits reached',
    description: 'Queries that hit a limit; clients got a stale answer, SERVFAIL or REFUSED.',
    runbook: 'zerohopoverloaded',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_overloaded_total'), 'bound'), legend: '{{bound}}' },
      { expr: sum(rate('coredns_forward_max_concurrent_rejects_total')), legend: 'max_concurrent' },
      { expr: sum(rate('zerohop_tcp_clients_rejected_total')), legend: 'TCP clients' },
    ],
  }),
  graph({
    title: 'Truncated and lost answers',
    description: 'cut: truncated for the client, sent with TC. send failed: the kernel refused to send.',
    runbook: 'zerohopsendfailures',
    unit: 'ops',
    queries: [
      { expr: sum(rate('zerohop_truncated_answers_total')), legend: 'cut' },
      { expr: sum(rate('zerohop_send_failures_total')), legend: 'send failed' },
    ],
  }),
  graph({
    title: 'Connection tracking of the nodes',
    description:
      "Packets of all programs of the node that its table of connections has cost: insert_failed is the race that makes A and AAAA of one socket wait 5 s, drop a full table. No series where the kernel shows the node's table to the node alone.",
    unit: 'ops',
    queries: [
      { expr: sumOrZero(rate('zerohop_conntrack_failures_total', 'kind="insert_failed"')), legend: 'insert_failed' },
      { expr: sumOrZero(rate('zerohop_conntrack_failures_total', 'kind="drop"')), legend: 'drop' },
      { expr: sumOrZero(rate('zerohop_conntrack_failures_total', 'kind="early_drop"')), legend: 'early_drop' },
    ],
  }),
  graph({
    title: 'Tables of connections',
    description:
      'How full the fullest table of connections is. At 100 % the node drops packets of new connections, DNS included.',
    unit: 'percentunit',
    queries: [
      {
        expr: `(max(${series('zerohop_conntrack_entries')} / ${series('zerohop_conntrack_entries_max')}) or vector(0))`,
        legend: 'fullest',
      },
    ],
  }),
  graph({
    title: 'Refused and dropped',
    description:
      'formerr: a broken question. notimp: another opcode. badvers: an EDNS version. transfer: AXFR or IXFR. no_zone: no block serves the name. short, response: packets that get no answer.',
    unit: 'reqps',
    queries: [
      { expr: sum(rate('zerohop_refused_total'), 'cause'), legend: 'refused, {{cause}}' },
      { expr: sum(rate('zerohop_dropped_packets_total'), 'cause'), legend: 'dropped, {{cause}}' },
    ],
  }),
  graph({
    title: 'Waiting clients',
    description:
      'On the instance with most: clients waiting for an upstream, and the distinct questions they wait for.',
    runbook: 'zerohopoverloaded',
    unit: 'short',
    queries: [
      { expr: `max(${series('zerohop_waiting_clients')})`, legend: 'clients' },
      { expr: `max(${series('zerohop_pending_questions')})`, legend: 'questions' },
    ],
  }),
  graph({
    title: 'TCP clients',
    description:
      'Connected, accepted a second, and disconnected by the server: idle is normal, slow does not read its answers.',
    runbook: 'zerohoptcpclientsrejected',
    unit: 'short',
    queries: [
      { expr: sum(series('zerohop_tcp_clients')), legend: 'connected' },
      { expr: sum(rate('zerohop_tcp_clients_accepted_total')), legend: 'accepted a second' },
      { expr: sum(rate('zerohop_tcp_clients_closed_total'), 'cause'), legend: 'closed a second, {{cause}}' },
    ],
  }),
];

const policies = [
  graph({
    title: 'AAAA and templates',
    description:
      'AAAA queries answered without an upstream query (aaaa, or template ANY AAAA); queries that a template matched, by type; templates that failed to produce records.',
    unit: 'reqps',
    queries: [
      { expr: sum(rate('zerohop_aaaa_synthesized_total')), legend: 'AAAA by policy' },
      { expr: sum(rate('coredns_template_matches_total'), 'type'), legend: 'template, {{type}}' },
      {
        expr: ['template', 'rr'].map((what) => sumOrZero(rate(`coredns_template_${what}_failures_total`))).join(' + '),
        legend: 'template failures',
      },
    ],
  }),
  graph({
    title: 'acl',
    description: 'Queries by acl action. Empty if the Corefile has no acl.',
    unit: 'reqps',
    queries: ['allowed', 'blocked', 'filtered', 'dropped'].map((action) => ({
      expr: sum(rate(`coredns_acl_${action}_requests_total`)),
      legend: action,
    })),
  }),
  graph({
    title: 'hosts, localhost, autopath',
    description:
      "Entries of hosts files and inline, of the instance with most; queries a second for localhost and names below it, usually a client's mistake; queries a second whose search path autopath walked.",
    unit: 'short',
    queries: [
      { expr: `max(${sum(series('coredns_hosts_entries'), 'node', 'instance')})`, legend: 'entries' },
      { expr: sum(rate('coredns_local_localhost_requests_total')), legend: 'localhost a second' },
      { expr: sumOrZero(rate('coredns_autopath_success_total')), legend: 'autopath a second' },
    ],
  }),
];

/** A line for each of the ten instances with most. */
function largest(expr: string): { expr: string; legend: string } {
  return { expr: topTen(sum(expr, 'node', 'instance')), legend: '{{node}} {{instance}}' };
}

const processes = [
  graph({
    title: 'CPU',
    description: 'CPU cores used by the ten busiest instances.',
    unit: 'none',
    queries: [largest(rate('process_cpu_seconds_total'))],
  }),
  graph({
    title: 'Memory',
    description:
      'Resident memory of the ten largest instances, and the largest JavaScript heap. The manifest allows 512 MiB.',
    runbook: 'zerohopmemory',
    unit: 'bytes',
    queries: [
      largest(series('process_resident_memory_bytes')),
      { expr: `max(${series('nodejs_heap_size_used_bytes')})`, legend: 'largest heap' },
    ],
  }),
  graph({
    title: 'File descriptors',
    description:
      'File descriptors in use by the instance with most; one for each TCP client and each upstream connection.',
    runbook: 'zerohopfiledescriptors',
    unit: 'short',
    queries: [
      { expr: `max(${series('process_open_fds')})`, legend: 'open' },
      { expr: `min(${series('process_max_fds')})`, legend: 'limit' },
    ],
  }),
  graph({
    title: 'Event loop delay',
    description:
      'Delay of timers in the main thread, sampled once a second (p50, p99). Cache hits over UDP do not wait for it, misses do.',
    runbook: 'zerohopeventlooplate',
    unit: 's',
    queries: [0.5, 0.99].map((of) => ({
      expr: quantile(of, 'zerohop_event_loop_delay_seconds'),
      legend: `p${of * 100}`,
    })),
  }),
  graph({
    title: 'Event loop utilization',
    description:
      'Share of time in which the main thread was busy, ten busiest instances. Near 1, misses wait for each other.',
    runbook: 'zerohopeventlooplate',
    unit: 'percentunit',
    max: 1,
    queries: [largest(rate('zerohop_event_loop_busy_seconds_total'))],
  }),
  graph({
    title: 'Turns of the main thread',
    description:
      'Length of a pass of the event loop, without waiting (p50, p99). Misses and TCP clients wait for the turn that is under way.',
    runbook: 'zerohopeventlooplate',
    unit: 's',
    queries: [0.5, 0.99].map((of) => ({
      expr: quantile(of, 'zerohop_main_thread_turn_seconds'),
      legend: `p${of * 100}`,
    })),
  }),
  graph({
    title: 'Long turns of the main thread',
    description:
      'Turns longer than 2 ms a second, by the work that took most of them. Misses and TCP clients wait for them.',
    runbook: 'zerohopeventlooplate',
    unit: 'short',
    queries: [{ expr: sum(rate('zerohop_main_thread_long_turns_total'), 'work'), legend: '{{work}}' }],
  }),
  graph({
    title: 'Packets per receive call',
    description:
      'Packets that one receive call of a worker returns (p50, p99). Near 1 the workers keep up; often 64 means saturation: raise -workers.',
    runbook: 'zerohopsaturated',
    unit: 'short',
    queries: [0.5, 0.99].map((of) => ({ expr: quantile(of, 'zerohop_batch_packets'), legend: `p${of * 100}` })),
  }),
];

const operation = [
  table({
    title: 'Versions',
    description:
      'Versions and the number of instances that run each; goversion is the version of Node.js. More than one for longer than an update takes: the update has stopped.',
    runbook: 'zerohopversionsdiffer',
    columns: [{ name: 'instances', expr: count(series('coredns_build_info'), 'version', 'goversion') }],
  }),
  table({
    title: 'Corefiles in use',
    description:
      'SHA-512 of the active Corefile, and the number of instances that use it. More than one for longer than an update takes: some node did not get the new one.',
    runbook: 'zerohopcorefilesdiffer',
    columns: [{ name: 'instances', expr: count(series('coredns_reload_version_info'), 'value') }],
  }),
  table({
    title: 'Directives in use',
    description: 'Enabled plugins by zone, and the number of instances.',
    columns: [{ name: 'instances', expr: count(series('coredns_plugin_enabled'), 'name', 'zone') }],
  }),
  graph({
    title: 'Reloads and starts',
    description:
      'rejected: Corefiles that were not accepted. not in force: instances whose written Corefile is not the one they use. starts: new processes after updates, handovers and restarts.',
    runbook: 'zerohopreloadfailed',
    unit: 'short',
    queries: [
      { expr: sum(increase('coredns_reload_failed_total')), legend: 'rejected' },
      { expr: sum(`1 - ${series('zerohop_config_last_reload_successful')}`), legend: 'not in force' },
      { expr: sum(`changes(${series('process_start_time_seconds')}[$__rate_interval])`), legend: 'starts' },
    ],
  }),
  graph({
    title: 'Takeovers and roles',
    description:
      'Why an instance began to receive packets. start: it had just started, alone or beside a serving instance. left: the serving instance exited in order. gone, silent: the serving instance died or hung. handed over: to another instance. serving, starting, standing_by: role of the instances that answer the scrape. Other standby instances can serve at once.',
    runbook: 'zerohoptookover',
    unit: 'short',
    queries: [
      { expr: sum(increase('zerohop_takeovers_total'), 'cause'), legend: '{{cause}}' },
      { expr: sum(increase('zerohop_handovers_total')), legend: 'handed over' },
      { expr: sum(series('zerohop_instance_role'), 'role'), legend: '{{role}}' },
      { expr: sum(series('zerohop_stand_by_instances')), legend: 'other standbys' },
    ],
  }),
  graph({
    title: 'Cache handover',
    description:
      'Cache entries given to and taken from other instances or the file of -cachefile. A successor that takes none starts with an empty cache.',
    unit: 'ops',
    queries: [{ expr: sum(rate('zerohop_handover_entries_total'), 'direction'), legend: '{{direction}}' }],
  }),
  graph({
    title: 'Setup errors',
    description: 'Failures to set up the interface, the firewall rules or the configuration. Every try counts.',
    runbook: 'zerohopsetuperrors',
    unit: 'short',
    queries: [{ expr: sum(increase('coredns_nodecache_setup_errors_total'), 'errortype'), legend: '{{errortype}}' }],
  }),
  graph({
    title: 'What the doctor finds',
    description:
      'Number of nodes on which each check of the doctor fails, looked at once a minute. zerohop doctor in the pod of such a node says what was seen, what it means and what helps.',
    runbook: 'zerohopdoctor',
    unit: 'short',
    queries: [{ expr: sum(series('zerohop_doctor_failed'), 'check'), legend: '{{check}}' }],
  }),
  graph({
    title: 'Bugs and lost log lines',
    description:
      'panics: exceptions that were caught; the log has the stack. lines: log lines dropped because the reader was too slow, query-log lines above the limit. messages: dnstap messages that no collector accepted.',
    runbook: 'zerohoppanics',
    unit: 'short',
    queries: [
      { expr: sum(increase('coredns_panics_total')), legend: 'panics' },
      { expr: sum(rate('zerohop_log_lost_lines_total')), legend: 'log lines a second' },
      { expr: sum(rate('zerohop_query_log_dropped_lines_total')), legend: 'query-log lines a second' },
      { expr: sum(rate('zerohop_dnstap_dropped_messages_total')), legend: 'dnstap messages a second' },
    ],
  }),
];

/** In the order of the page. */
export const rows = [
  { title: 'Queries and answers', panels: queriesAndAnswers },
  { title: 'Answer times', panels: latency },
  { title: 'Cache', panels: cache },
  { title: 'Kernel lane', panels: kernelLane },
  { title: 'Upstreams', panels: upstreams },
  { title: 'Limits and losses', panels: limits },
  { title: 'AAAA, templates, acl and hosts', panels: policies },
  { title: 'Processes', panels: processes },
  { title: 'Updates, configuration and takeovers', panels: operation },
];
