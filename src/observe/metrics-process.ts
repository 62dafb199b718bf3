/**
 * Families about the process rather than its packets: build, configuration, set-up of the node, self-check, what is
 * in use just now, and process_* under the names that every Prometheus client library gives them.
 */
import { batchBuckets } from '../counters.js';
import { setupErrors } from '../host/tools.js';
import { type Family, groupByLabels, histogramSamples, type Sample, sample } from './exposition.js';
import { type GaugeName, gaugeNames, healthBucketsSeconds, roles, type Scrape } from './metrics-source.js';
import { loopDelayBucketsSeconds, type ProcessNumbers } from './process-numbers.js';

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
};

export const processFamilies: readonly Family<Scrape>[] = [
  {
    name: 'coredns_build_info',
    help: "A metric with a constant '1' value labeled by version, revision, and the version of Node.js as goversion.",
    type: 'gauge',
    samples: ({ source: { build } }) => [
      sample({ version: build.version, revision: build.revision, goversion: build.nodeVersion }, 1),
    ],
  },
  {
    name: 'coredns_plugin_enabled',
    help: 'A metric that indicates whether a plugin is enabled on per server and zone basis.',
    type: 'gauge',
    samples: ({ source }) =>
      groupByLabels(source.plugins(), ({ server, zone, name }) => ({ server, zone, view: '', name })).map(
        ({ labels }) => sample(labels, 1),
      ),
  },
  {
    name: 'coredns_reload_version_info',
    help: 'A metric with a constant value of 1 labeled by hash, and value which type of hash generated.',
    type: 'gauge',
    samples: ({ source }) => {
      const value = source.corefileSha512();
      return value === null ? [] : [sample({ hash: 'sha512', value }, 1)];
    },
  },
  {
    name: 'coredns_health_request_duration_seconds',
    help: 'Histogram of the time (in seconds) each self check took.',
    type: 'histogram',
    samples: ({ source }) =>
      histogramSamples(
        'coredns_health_request_duration_seconds',
        {},
        { numbers: source.healthDurations, bounds: healthBucketsSeconds },
      ),
  },
  {
    name: 'coredns_nodecache_setup_errors_total',
    help: 'The number of errors during periodic network setup for node-cache.',
    type: 'counter',
    samples: setupErrorSamples,
  },
  {
    // A counter must end in _total for promtool; without a type the old name passes, and rate() reads it as well.
    name: 'coredns_nodecache_setup_errors',
    help: 'Former name of coredns_nodecache_setup_errors_total.',
    type: 'untyped',
    samples: setupErrorSamples,
  },
  {
    name: 'zerohop_log_lost_lines_total',
    help: 'Log lines dropped because the reader of stdout was too slow or gone.',
    type: 'counter',
    samples: ({ source }) => [sample({}, source.logLinesLost())],
  },
  ...gaugeNames.map(
    (gauge): Family<Scrape> => ({
      ...gaugeMetrics[gauge],
      type: 'gauge',
      samples: ({ source }) => present(source.gauges()[gauge]),
    }),
  ),
  {
    name: 'go_goroutines',
    help: 'Compatibility metric: threads + waiting queries + TCP clients + upstream connections.',
    type: 'gauge',
    samples: ({ source }) => {
      const { answeringThreads = 0, waitingClients = 0, tcpClients = 0 } = source.gauges();
      const connections = source.upstreams().reduce((sum, { open }) => sum + open, 0);
      return [sample({}, 1 + answeringThreads + waitingClients + tcpClients + connections)];
    },
  },
  {
    name: 'nodejs_eventloop_lag_seconds',
    help: 'Event loop delay of the control lane at the scrape.',
    type: 'gauge',
    samples: ({ loopLagMs }) => [sample({}, loopLagMs / 1000)],
  },
  {
    name: 'zerohop_batch_packets',
    help: 'Datagrams received per system call of an answering thread.',
    type: 'histogram',
    samples: ({ batches }) => histogramSamples('zerohop_batch_packets', {}, { numbers: batches, bounds: batchBuckets }),
  },
  {
    name: 'zerohop_event_loop_delay_seconds',
    help: 'Event loop delay of the control lane, sampled once a second.',
    type: 'histogram',
    samples: ({ source }) =>
      histogramSamples(
        'zerohop_event_loop_delay_seconds',
        {},
        { numbers: source.loopDelays, bounds: loopDelayBucketsSeconds },
      ),
  },
  processFamily(
    'zerohop_event_loop_busy_seconds_total',
    'counter',
    'Time in which the event loop of the control lane was busy.',
    'loopBusySeconds',
  ),
  {
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    type: 'gauge',
    samples: ({ source }) => [sample({}, source.startedAtMs / 1000)],
  },
  processFamily(
    'process_cpu_seconds_total',
    'counter',
    'Total user and system CPU time spent in seconds.',
    'cpuSeconds',
  ),
  processFamily('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', 'residentBytes'),
  processFamily('process_virtual_memory_bytes', 'gauge', 'Virtual memory size in bytes.', 'virtualBytes'),
  processFamily('process_open_fds', 'gauge', 'Number of open file descriptors.', 'openFiles'),
  processFamily('process_max_fds', 'gauge', 'Maximum number of open file descriptors.', 'openFilesMax'),
  processFamily('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript heap in use by the main thread.', 'heapUsedBytes'),
  processFamily(
    'nodejs_external_memory_bytes',
    'gauge',
    'Memory of JavaScript objects outside the heap.',
    'externalBytes',
  ),
];

function setupErrorSamples({ source }: Scrape): Sample[] {
  const counts = source.setupErrors();
  return setupErrors.map((errortype) => sample({ errortype }, counts[errortype]));
}

function processFamily(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  which: keyof ProcessNumbers,
): Family<Scrape> {
  return { name, help, type, samples: ({ process }) => present(process[which]) };
}

function present(value: number | null | undefined): Sample[] {
  return value === null || value === undefined ? [] : [sample({}, value)];
}

export const handoverFamilies: readonly Family<Scrape>[] = [
  {
    name: 'zerohop_instance_role',
    help: 'Role of this instance: 1 for one of starting, serving, standing_by. Without -handover always serving.',
    type: 'gauge',
    samples: ({ source }) => {
      const now = source.instance().role;
      return roles.map((role) => sample({ role: role.replace(' ', '_') }, role === now ? 1 : 0));
    },
  },
  {
    name: 'zerohop_stand_by_instances',
    help: 'Other instances that are standby or starting while this one serves.',
    type: 'gauge',
    samples: ({ source }) => [sample({}, source.instance().standBys)],
  },
];
