/** What CoreDNS pods publish about themselves, read twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ageText,
  busyCheck,
  notReadyCheck,
  rbacCheck,
  restartedCheck,
  servfailCheck,
  stubForwardCheck,
} from '../../src/doctor/check-coredns.js';
import { coreDnsMetrics, findingOf, findingsOf, pods } from './cluster.js';

const checks = [restartedCheck, notReadyCheck, servfailCheck, rbacCheck, busyCheck, stubForwardCheck];
const metricsUrl = `http://${pods[0]}:9153/metrics`;
const readyUrl = `http://${pods[0]}:8181/ready`;
/** The first endpoint's metrics at the first and at each later read. */
const grows = (first: Readonly<Record<string, number>>, later: Readonly<Record<string, number>>) => {
  let reads = 0;
  return { [metricsUrl]: () => coreDnsMetrics(reads++ === 0 ? first : later) };
};

test('healthy pods', async () => {
  for (const check of checks) {
    const findings = await findingsOf(check);
    assert.deepEqual(
      findings.map(({ verdict }) => verdict),
      ['ok'],
      JSON.stringify(findings),
    );
  }
});

test('a cluster DNS that publishes nothing, and rubbish', async () => {
  const none = { [metricsUrl]: null, [readyUrl]: null };
  const second = { [`http://${pods[1]}:9153/metrics`]: '\0{{{', [`http://${pods[1]}:8181/ready`]: null };
  for (const check of checks) {
    const findings = await findingsOf(check, { pages: { ...none, ...second } });
    assert.deepEqual(
      findings.map(({ verdict }) => verdict),
      ['skipped'],
      check.about,
    );
  }
});

test('a pod that has restarted, beside an old one', async () => {
  const started = { process_start_time_seconds: Date.UTC(2024, 0, 1) / 1_000 - 240 };
  const finding = await findingOf(restartedCheck, 'coredns-restarted', { pages: grows(started, started) });
  assert.deepEqual([finding.verdict, finding.seen], ['warn', '10.244.0.7 started 4 min ago, the oldest 37 days ago']);
  const all = Object.fromEntries(pods.map((pod) => [`http://${pod}:9153/metrics`, coreDnsMetrics(started)]));
  assert.equal((await findingOf(restartedCheck, 'coredns-restarted', { pages: all })).verdict, 'ok', 'a new cluster');
});

test('a pod that is not ready', async () => {
  const pages = { [readyUrl]: { status: 503, body: 'kubernetes\n' } };
  const { verdict, seen } = await findingOf(notReadyCheck, 'coredns-not-ready', { pages });
  assert.deepEqual(
    [verdict, seen],
    ['warn', '10.244.0.7 is not ready; it waits for: kubernetes, and is still in the Service'],
  );
});

test('SERVFAIL now, with the upstream that fails; one of long ago does not count', async () => {
  const servfail = 'coredns_dns_responses_total{rcode="SERVFAIL",server="dns://:53"}';
  const failures = 'coredns_proxy_healthcheck_failures_total{proxy_name="forward",to="8.8.8.8:53"}';
  const later = {
    [servfail]: 112,
    [failures]: 9,
    'coredns_dns_responses_total{rcode="NOERROR",server="dns://:53"}': 1_088,
  };
  const finding = await findingOf(servfailCheck, 'coredns-servfail', {
    pages: grows({ [servfail]: 100, [failures]: 1 }, later),
  });
  assert.deepEqual(
    [finding.verdict, finding.seen],
    ['warn', '10.244.0.7 answers 12 % SERVFAIL; its forwards to 8.8.8.8:53 fail'],
  );
  const old = { [servfail]: 100_000 };
  assert.equal((await findingOf(servfailCheck, 'coredns-servfail', { pages: grows(old, old) })).verdict, 'ok');
  const panicked = { coredns_panics_total: 2 };
  assert.match(
    (await findingOf(servfailCheck, 'coredns-servfail', { pages: grows({ coredns_panics_total: 0 }, panicked) })).seen,
    /2 panics/,
  );
  const restarted = { [servfail]: 3 };
  assert.equal((await findingOf(servfailCheck, 'coredns-servfail', { pages: grows(old, restarted) })).verdict, 'ok');
});

test('refusals of the API server', async () => {
  const refused = 'coredns_kubernetes_rest_client_requests_total{code="403",host="10.96.0.1:443",method="GET"}';
  const rising = await findingOf(rbacCheck, 'coredns-rbac', { pages: grows({ [refused]: 4 }, { [refused]: 6 }) });
  assert.deepEqual([rising.verdict, rising.command], ['fail', 'kubectl describe clusterrole system:coredns']);
  const over = { [refused]: 4 };
  assert.equal((await findingOf(rbacCheck, 'coredns-rbac', { pages: grows(over, over) })).verdict, 'ok');
  const waiting = { ...grows(over, over), [readyUrl]: { status: 503, body: 'kubernetes' } };
  assert.equal((await findingOf(rbacCheck, 'coredns-rbac', { pages: waiting })).verdict, 'fail');
});

test('a pod at its limit', async () => {
  const later = { process_cpu_seconds_total: 14.9, 'coredns_dns_requests_total{type="A",server="dns://:53"}': 156_000 };
  const { verdict, seen } = await findingOf(busyCheck, 'coredns-busy', { pages: grows({}, later) });
  assert.equal(verdict, 'warn');
  assert.equal(seen, '10.244.0.7 uses 0.98 cores at 31,000 q/s');
});

test('a forward to a stub of its own, by the metrics of several versions; a companion at another port is none', async () => {
  for (const name of ['coredns_proxy_request_duration_seconds_count', 'coredns_forward_requests_total']) {
    const stub = { [`${name}{proxy_name="forward",to="127.0.0.53:53"}`]: 7 };
    const finding = await findingOf(stubForwardCheck, 'coredns-forwards-to-stub', { pages: grows(stub, stub) });
    assert.deepEqual(
      [finding.verdict, finding.seen],
      ['fail', 'CoreDNS at 10.244.0.7 forwards to 127.0.0.53:53, which inside its pod is itself'],
    );
  }
  const companion = { 'coredns_forward_requests_total{to="127.0.0.1:5353"}': 7 };
  const fine = await findingOf(stubForwardCheck, 'coredns-forwards-to-stub', { pages: grows(companion, companion) });
  assert.equal(fine.verdict, 'ok');
});

test('ages in words', () => {
  assert.deepEqual([40, 240, 10_800, 86_400 * 37].map(ageText), ['40 s', '4 min', '3 h', '37 days']);
});
