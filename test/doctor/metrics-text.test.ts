/** Samples of a page in Prometheus' text format, and pages that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleSum, samplesOf } from '../../src/doctor/metrics-text.js';

const page = `# HELP coredns_dns_responses_total Counter of response status codes.
# TYPE coredns_dns_responses_total counter
coredns_dns_responses_total{plugin="",rcode="NOERROR",server="dns://:53",view="",zone="."} 1.5e+03
coredns_dns_responses_total{plugin="forward",rcode="SERVFAIL",server="dns://:53",view="",zone="."} 12
process_start_time_seconds 1.73281239123e+09
coredns_build_info{goversion="go1.22",revision="a\\"b\\\\c\\nd",version="1.11.3"} 1
up 1 1733000000000
`;

test('the wanted samples, with their labels', () => {
  const samples = samplesOf(page, [
    'coredns_dns_responses_total',
    'process_start_time_seconds',
    'up',
    'coredns_build_info',
  ]);
  assert.equal(samples.length, 5);
  assert.equal(sampleSum(samples, 'coredns_dns_responses_total'), 1_512);
  assert.equal(sampleSum(samples, 'coredns_dns_responses_total', { rcode: 'SERVFAIL' }), 12);
  assert.equal(sampleSum(samples, 'coredns_dns_responses_total', { rcode: 'REFUSED' }), null);
  assert.equal(sampleSum(samples, 'process_start_time_seconds'), 1_732_812_391.23);
  assert.equal(samples.find(({ name }) => name === 'coredns_build_info')?.labels['revision'], 'a"b\\c\nd');
  assert.equal(sampleSum(samples, 'up'), 1);
});

test('what is no sample is left out', () => {
  const rubbish = 'up\nup{ 1\nup{a="b} 1\nup NaN\nup +Inf\nup 1 2 3\n\0\n{"up": 1}\nup 1x\n';
  assert.deepEqual(samplesOf(rubbish, ['up']), []);
  assert.deepEqual(samplesOf('up{a=b} 2\n', ['up']), [{ name: 'up', labels: {}, value: 2 }]);
});
