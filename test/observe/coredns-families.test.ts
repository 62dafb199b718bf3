/**
 * Every family of node-cache and CoreDNS that dashboards and alerts know, present and former, with its type, exactly
 * its labels and its buckets, held against what the page says when everything has happened.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newMetrics } from '../../src/observe/metrics.js';
import { families as allOurs } from '../../src/process/endpoints.js';
import { ManualClock } from '../simulation/clock.js';
import { everything, newSource } from './source.js';

const times = Array.from({ length: 16 }, (_, power) => String(0.00025 * 2 ** power));
const sizes = '0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000'.split(' ');
const health = '0.00025 0.0025 0.025 0.25 2.5'.split(' ');

/** Name, type, labels as one text; `histogram` has its buckets with it. */
const families: readonly (readonly [string, string, string, (readonly string[])?])[] = [
  ['coredns_build_info', 'gauge', 'goversion revision version'],
  ['coredns_panics_total', 'counter', ''],
  ['coredns_plugin_enabled', 'gauge', 'name server view zone'],
  ['coredns_dns_requests_total', 'counter', 'family proto server type view zone'],
  ['coredns_dns_responses_total', 'counter', 'plugin rcode server view zone'],
  ['coredns_dns_request_duration_seconds', 'histogram', 'server view zone', times],
  ['coredns_dns_request_size_bytes', 'histogram', 'proto server view zone', sizes],
  ['coredns_dns_response_size_bytes', 'histogram', 'proto server view zone', sizes],
  ['coredns_dns_do_requests_total', 'counter', 'server view zone'],
  ['coredns_cache_entries', 'gauge', 'server type view zones'],
  ['coredns_cache_hits_total', 'counter', 'server type view zones'],
  ['coredns_cache_misses_total', 'counter', 'server view zones'],
  ['coredns_cache_requests_total', 'counter', 'server view zones'],
  ['coredns_cache_prefetch_total', 'counter', 'server view zones'],
  ['coredns_cache_drops_total', 'counter', 'server view zones'],
  ['coredns_cache_served_stale_total', 'counter', 'server view zones'],
  ['coredns_cache_evictions_total', 'counter', 'server type view zones'],
  ['coredns_proxy_request_duration_seconds', 'histogram', 'proxy_name rcode to', times],
  ['coredns_proxy_healthcheck_failures_total', 'counter', 'proxy_name to'],
  ['coredns_proxy_conn_cache_hits_total', 'counter', 'proto proxy_name to'],
  ['coredns_proxy_conn_cache_misses_total', 'counter', 'proto proxy_name to'],
  ['coredns_forward_healthcheck_broken_total', 'counter', ''],
  ['coredns_forward_max_concurrent_rejects_total', 'counter', ''],
  ['coredns_health_request_duration_seconds', 'histogram', '', health],
  ['coredns_health_request_failures_total', 'counter', ''],
  ['coredns_reload_failed_total', 'counter', ''],
  ['coredns_reload_version_info', 'gauge', 'hash value'],
  ['coredns_hosts_entries', 'gauge', 'hostsfile'],
  ['coredns_hosts_reload_timestamp_seconds', 'gauge', ''],
  ['coredns_template_matches_total', 'counter', 'class server type view zone'],
  ['coredns_template_template_failures_total', 'counter', 'class section server template type view zone'],
  ['coredns_template_rr_failures_total', 'counter', 'class section server template type view zone'],
  ['coredns_acl_blocked_requests_total', 'counter', 'server view zone'],
  ['coredns_acl_filtered_requests_total', 'counter', 'server view zone'],
  ['coredns_acl_dropped_requests_total', 'counter', 'server view zone'],
  ['coredns_acl_allowed_requests_total', 'counter', 'server view'],
  ['coredns_autopath_success_total', 'counter', 'server'],
  ['coredns_local_localhost_requests_total', 'counter', ''],
  ['coredns_nodecache_setup_errors_total', 'counter', 'errortype'],
  ['process_cpu_seconds_total', 'counter', ''],
  ['process_resident_memory_bytes', 'gauge', ''],
  ['process_virtual_memory_bytes', 'gauge', ''],
  ['process_open_fds', 'gauge', ''],
  ['process_max_fds', 'gauge', ''],
  ['process_start_time_seconds', 'gauge', ''],
  ['go_goroutines', 'gauge', ''],
  // Given up by CoreDNS with 1.10 …
  ['coredns_forward_requests_total', 'counter', 'to'],
  ['coredns_forward_responses_total', 'counter', 'rcode to'],
  ['coredns_forward_request_duration_seconds', 'histogram', 'rcode to', times],
  ['coredns_forward_healthcheck_failures_total', 'counter', 'to'],
  ['coredns_forward_conn_cache_hits_total', 'counter', 'proto to'],
  ['coredns_forward_conn_cache_misses_total', 'counter', 'proto to'],
  // … and with 1.7 …
  ['coredns_dns_request_count_total', 'counter', 'family proto server zone'],
  ['coredns_dns_request_type_count_total', 'counter', 'server type zone'],
  ['coredns_dns_request_do_count_total', 'counter', 'server zone'],
  ['coredns_dns_response_rcode_count_total', 'counter', 'rcode server zone'],
  ['coredns_cache_size', 'gauge', 'server type'],
  ['coredns_panic_count_total', 'counter', ''],
  ['coredns_autopath_success_count_total', 'counter', 'server'],
  ['coredns_reload_failed_count_total', 'counter', ''],
  ['coredns_forward_request_count_total', 'counter', 'to'],
  ['coredns_forward_response_rcode_count_total', 'counter', 'rcode to'],
  ['coredns_forward_healthcheck_failure_count_total', 'counter', 'to'],
  ['coredns_forward_healthcheck_broken_count_total', 'counter', ''],
  ['coredns_forward_max_concurrent_reject_count_total', 'counter', ''],
  // … and by node-cache; promtool wants `_total` of a counter.
  ['coredns_nodecache_setup_errors', 'untyped', 'errortype'],
];

const text = await newMetrics(newSource(everything()), allOurs, new ManualClock(), assert.ifError).text();
const lines = text.split('\n');

for (const [name, type, labels, buckets] of families) {
  test(`${name}{${labels}} is a ${type}`, () => {
    assert.ok(lines.includes(`# TYPE ${name} ${type}`));
    const suffix = buckets === undefined ? '' : '_count';
    const series = lines.filter((line) => line.startsWith(`${name}${suffix}{`) || line.startsWith(`${name}${suffix} `));
    assert.ok(series.length > 0);
    for (const line of series) assert.equal(labelNames(line), labels);
    if (buckets === undefined) return;
    const [first] = series;
    const own = first.slice(`${name}_count`.length, first.lastIndexOf(' ')).replace(/^\{|\}$/g, '');
    const bounds = lines
      .filter((line) => line.startsWith(`${name}_bucket{`) && line.includes(own))
      .map((line) => /le="([^"]*)"/.exec(line)?.[1]);
    assert.deepEqual(bounds, [...buckets, '+Inf']);
  });
}

function labelNames(line: string): string {
  const names = [...line.matchAll(/[{,](\w+)="(?:[^"\\]|\\.)*"/g)].map(([, name]) => name);
  return names.sort().join(' ');
}
