/**
 * Families about the process rather than its packets: build, configuration, role among the instances of the node, set-up
 * of the node, self-check, present usage, and process_* under the names that every Prometheus client library uses.
 */
import { batchBuckets } from '../counters.js';
import { setupErrors } from '../host/tools.js';
import {
  counter,
  type Family,
  former,
  gauge,
  groupByLabels,
  histogram,
  labelText,
  remembered,
  type Sample,
  sample,
  sum,
} from './exposition.js';
import {
  type GaugeName,
  gaugeNames,
  healthBucketsSeconds,
  type MetricsSource,
  roles,
  type Scrape,
} from './metrics-source.js';
import { loopDelayBucketsSeconds, type ProcessNumbers } from './process-numbers.js';
import { turnBucketsSeconds, turnWork } from './turns.js';

const gaugeMetrics: Readonly<Record<GaugeName, { name: string; help: string }>> = {
  cacheUsedBytes: { name: 'zerohop_cache_used_bytes', help: 'Memory in use by cached answers.' },
  cacheBytesMax: { name: 'zerohop_cache_limit_bytes', help: 'Memory limit of cached answers.' },
  pendingQuestions: { name: 'zerohop_pending_questions', help: 'Distinct questions in progress upstream.' },
  waitingClients: { name: 'zerohop_waiting_clients', help: 'Queries waiting for an upstream.' },
  tcpClients: { name: 'zerohop_tcp_clients', help: 'TCP clients connected.' },
  answeringThreads: { name: 'zerohop_answering_threads', help: 'Threads that answer UDP queries from the cache.' },
  lastReloadSuccessful: {
    name: 'zerohop_config_last_reload_successful',
    help: 'Whether the last read configuration was accepted (1) or rejected (0).',
  },
  nxdomainCuts: {
    name: 'zerohop_nxdomain_cuts',
    help: 'Names asked about in advance that do not exist now, so that no name below them does.',
  },
};

const enabledPlugins = remembered((plugins: ReturnType<MetricsSource['plugins']>) =>
  groupByLabels(plugins, ({ server, zone, name }) => labelText({ server, zone, view: '', name })).map(({ labels }) =>
    sample(labels, 1),
  ),
);

const setupErrorsHelp = 'The number of errors during periodic network setup for node-cache.';

export const handoverFamilies: readonly Family<Scrape>[] = [
  gauge(
    'zerohop_instance_role',
    'Role of this instance: 1 for one of starting, serving, standing_by. Without -handover always serving.',
    ({ source }) => {
      const now = source.instance().role;
      return roles.map((role) => sample(labelText({ role: role.replace(' ', '_') }), role === now ? 1 : 0));
    },
  ),
  gauge(
    'zerohop_stand_by_instances',
    'Other instances that are standby or starting while this one serves.',
    ({ source }) => [sample('', source.instance().standBys)],
  ),
];

export const doctorFamilies: readonly Family<Scrape>[] = [
  gauge(
    'zerohop_doctor_failed',
    'Whether a check of the node fails (1) or not (0), looked at once a minute.',
    ({ source }) =>
      [...(source.doctorFailed?.() ?? [])].map(([check, fails]) => sample(labelText({ check }), fails ? 1 : 0)),
  ),
];

export const processFamilies: readonly Family<Scrape>[] = [
  gauge(
    'coredns_build_info',
    "A metric with a constant '1' value labeled by version, revision, and the version of Node.js as goversion.",
    ({ source: { build } }) => [
      sample(labelText({ version: build.version, revision: build.revision, goversion: build.nodeVersion }), 1),
    ],
  ),
  gauge(
    'zerohop_build_info',
    "A metric with a constant '1' value labeled by the versions of zerohop and Node.js; CoreDNS has none of this name.",
    ({ source: { build } }) => [sample(labelText({ version: build.version, node: build.nodeVersion }), 1)],
  ),
  gauge(
    'coredns_plugin_enabled',
    'A metric that indicates whether a plugin is enabled on per server and zone basis.',
    ({ source }) => enabledPlugins(source.plugins()),
  ),
  gauge(
    'coredns_reload_version_info',
    'A metric with a constant value of 1 labeled by hash, and value which type of hash generated.',
    ({ source }) => {
      const value = source.corefileSha512();
      return value === null ? [] : [sample(labelText({ hash: 'sha512', value }), 1)];
    },
  ),
  histogram(
    'coredns_health_request_duration_seconds',
    'Histogram of the time (in seconds) each self check took.',
    healthBucketsSeconds,
    ({ source }) => [{ labels: '', numbers: source.healthDurations }],
  ),
  counter('coredns_nodecache_setup_errors_total', setupErrorsHelp, setupErrorSamples),
  former('coredns_nodecache_setup_errors_total', {
    // A counter must end in _total for promtool; without a type the old name passes, and rate() reads it as well.
    name: 'coredns_nodecache_setup_errors',
    help: setupErrorsHelp,
    type: 'untyped',
    samples: setupErrorSamples,
  }),
  counter(
    'zerohop_log_lost_lines_total',
    'Log lines dropped because the reader of stdout was too slow or gone.',
    ({ source }) => [sample('', source.logLinesLost())],
  ),
  ...gaugeNames.map((which): Family<Scrape> => {
    const { name, help } = gaugeMetrics[which];
    return gauge(name, help, ({ gauges }) => present(gauges[which]));
  }),
  gauge(
    'go_goroutines',
    'Compatibility metric: threads + waiting queries + TCP clients + upstream connections.',
    ({ source, gauges }) => {
      const { answeringThreads = 0, waitingClients = 0, tcpClients = 0 } = gauges;
      const connections = sum(source.upstreams(), ({ open }) => open);
      return [sample('', 1 + answeringThreads + waitingClients + tcpClients + connections)];
    },
  ),
  gauge('nodejs_eventloop_lag_seconds', 'Event loop delay of the main thread at the scrape.', ({ loopLagMs }) => [
    sample('', loopLagMs / 1000),
  ]),
  histogram('zerohop_batch_packets', 'Datagrams received per system call of a worker.', batchBuckets, ({ batches }) => [
    { labels: '', numbers: batches },
  ]),
  histogram(
    'zerohop_event_loop_delay_seconds',
    'Event loop delay of the main thread, sampled once a second.',
    loopDelayBucketsSeconds,
    ({ source }) => [{ labels: '', numbers: source.loopDelays }],
  ),
  counter(
    'zerohop_event_loop_busy_seconds_total',
    'Time in which the event loop of the main thread was busy.',
    gaugeOf('loopBusySeconds'),
  ),
  histogram(
    'zerohop_main_thread_turn_seconds',
    'Length of the turns of the main thread: one pass of its event loop each, without waiting.',
    turnBucketsSeconds,
    ({ source }) => [{ labels: '', numbers: source.turns.lengths }],
  ),
  counter(
    'zerohop_main_thread_long_turns_total',
    'Turns of the main thread longer than 2 ms, by the work that took most of the turn.',
    ({ source }) => turnWork.map((work, index) => sample(labelText({ work }), source.turns.long[index])),
  ),
  gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', ({ source }) => [
    sample('', source.startedAtMs / 1000),
  ]),
  counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', gaugeOf('cpuSeconds')),
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', gaugeOf('residentBytes')),
  gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', gaugeOf('virtualBytes')),
  gauge('process_open_fds', 'Number of open file descriptors.', gaugeOf('openFiles')),
  gauge('process_max_fds', 'Maximum number of open file descriptors.', gaugeOf('openFilesMax')),
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use by the main thread.', gaugeOf('heapUsedBytes')),
  gauge('nodejs_external_memory_bytes', 'Memory of JavaScript objects outside the heap.', gaugeOf('externalBytes')),
];

function setupErrorSamples({ source }: Scrape): Sample[] {
  const counts = source.setupErrors();
  return setupErrors.map((errortype) => sample(labelText({ errortype }), counts[errortype]));
}

function gaugeOf(which: keyof ProcessNumbers): (scrape: Scrape) => Sample[] {
  return ({ process }) => present(process[which]());
}

function present(value: number | null | undefined): Sample[] {
  return value === null || value === undefined ? [] : [sample('', value)];
}
