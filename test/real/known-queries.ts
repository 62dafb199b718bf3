/**
 * What dashboards and rules in use for node-cache and CoreDNS query, as facts: the metric, and the labels that their
 * expressions select or group by, `label=value` where the value is written there. Labels that Prometheus itself puts
 * on (job, instance, pod, node, cluster) are left away. A new one is added here, and either found or left out with a
 * reason that docs/MONITORING.md repeats.
 */
export interface Known {
  readonly whose: string;
  /** `metric label label=value`. */
  readonly queries: readonly string[];
  /** Metrics that they query and we do not export. */
  readonly leftOut?: readonly string[];
}

const mixinDashboard = [
  'coredns_build_info',
  'coredns_panics_total',
  'coredns_plugin_enabled name',
  'coredns_dns_requests_total type zone',
  'coredns_dns_responses_total rcode',
  'coredns_dns_request_duration_seconds_bucket server zone le',
  'coredns_dns_request_size_bytes_bucket server zone proto le',
  'coredns_dns_response_size_bytes_bucket server zone proto le',
  'coredns_cache_entries type',
  'coredns_cache_hits_total type',
  'coredns_cache_misses_total',
  'coredns_forward_requests_total to',
  'coredns_forward_responses_total rcode',
  'coredns_forward_request_duration_seconds_bucket to le',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'go_goroutines',
];

const mixinAlerts = [
  'coredns_dns_request_duration_seconds_bucket server zone le',
  'coredns_dns_responses_total rcode=SERVFAIL',
  'coredns_forward_request_duration_seconds_bucket to le',
  'coredns_forward_responses_total rcode=SERVFAIL',
  'coredns_forward_healthcheck_failures_total to',
  'coredns_forward_healthcheck_broken_total',
];

const programming = 'coredns_kubernetes_dns_programming_duration_seconds';

export const known: readonly Known[] = [
  {
    whose: 'dotdc k8s-system-coredns',
    queries: [
      'coredns_build_info',
      'coredns_dns_requests_total proto=udp type',
      'coredns_dns_requests_total proto=tcp type',
      'coredns_dns_request_size_bytes_sum proto',
      'coredns_dns_request_size_bytes_count proto',
      'coredns_dns_responses_total rcode',
      'coredns_forward_requests_total',
      'coredns_forward_responses_total rcode=SERVFAIL',
      'coredns_proxy_request_duration_seconds_count proxy_name=forward rcode',
      'coredns_cache_hits_total type',
      'coredns_cache_misses_total',
      'coredns_cache_entries type',
      'coredns_dns_request_duration_seconds_bucket le',
      'coredns_dns_request_size_bytes_bucket le',
      'coredns_dns_response_size_bytes_bucket le',
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
    ],
    leftOut: ['kube_node_info'],
  },
  {
    whose: 'deliveryhero node-local-dns',
    queries: [
      'coredns_dns_request_count_total proto zone',
      'coredns_dns_requests_total proto type zone',
      'coredns_dns_request_type_count_total type',
      'coredns_dns_request_do_count_total',
      'coredns_dns_do_requests_total',
      'coredns_dns_request_size_bytes_bucket le proto=udp',
      'coredns_dns_request_size_bytes_bucket le proto=tcp',
      'coredns_dns_response_size_bytes_bucket le proto=udp',
      'coredns_dns_response_size_bytes_bucket le proto=tcp',
      'coredns_dns_response_rcode_count_total rcode',
      'coredns_dns_responses_total rcode',
      'coredns_dns_request_duration_seconds_bucket le',
      'coredns_cache_size type',
      'coredns_cache_entries type',
      'coredns_cache_hits_total type',
      'coredns_cache_misses_total',
    ],
  },
  { whose: 'povilasv coredns-mixin, dashboard', queries: mixinDashboard, leftOut: [programming] },
  { whose: 'povilasv coredns-mixin, alerts', queries: mixinAlerts },
  {
    whose: 'nodelocaldns mixin and the rules that blogs derived from it',
    queries: [
      ...mixinAlerts,
      'coredns_nodecache_setup_errors errortype',
      'coredns_nodecache_setup_errors_total errortype',
    ],
  },
  {
    whose: 'pytorch OSDC',
    queries: ['coredns_nodecache_setup_errors_total', 'coredns_dns_requests_total'],
    leftOut: ['kube_pod_container_status_restarts_total', 'kube_daemonset_status_number_unavailable'],
  },
  {
    whose: 'deckhouse node-local-dns',
    queries: [
      'coredns_cache_evictions_total type=success',
      'coredns_cache_evictions_total type=denial',
      'coredns_forward_healthcheck_broken_total',
      'coredns_forward_max_concurrent_rejects_total',
      'coredns_forward_healthcheck_failures_total',
      'coredns_forward_requests_total to',
      'coredns_forward_responses_total rcode',
      'coredns_cache_hits_total',
      'coredns_cache_misses_total',
      'coredns_cache_entries',
      'coredns_dns_requests_total proto=udp type',
      'coredns_dns_requests_total proto=tcp type',
      'coredns_dns_responses_total rcode=SERVFAIL',
    ],
    leftOut: ['coredns_kubeforward_request_duration_seconds', 'coredns_kubeforward_slow_requests_total'],
  },
  {
    whose: 'Gardener',
    queries: [
      'coredns_build_info',
      'coredns_cache_entries',
      'coredns_cache_hits_total',
      'coredns_cache_misses_total',
      'coredns_dns_request_duration_seconds_count',
      'coredns_dns_request_duration_seconds_bucket',
      'coredns_dns_requests_total',
      'coredns_dns_responses_total',
      'coredns_forward_requests_total',
      'coredns_forward_responses_total',
      'coredns_nodecache_setup_errors_total errortype=iptables',
      'coredns_nodecache_setup_errors_total errortype=iptables_lock',
      'coredns_nodecache_setup_errors_total errortype=interface_add',
      'coredns_nodecache_setup_errors_total errortype=interface_check',
      'coredns_nodecache_setup_errors_total errortype=configmap',
      'process_max_fds',
      'process_open_fds',
    ],
    leftOut: [programming],
  },
];
