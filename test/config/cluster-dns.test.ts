import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findClusterDns } from '../../src/config/cluster-dns.js';

test('an address is taken as it is written', () => {
  const found = (text: string): unknown => findClusterDns(text, {}).endpoint;
  assert.deepEqual(found('10.96.0.10'), { address: '10.96.0.10', port: 53 });
  assert.deepEqual(found('10.96.0.10:5353'), { address: '10.96.0.10', port: 5353 });
  assert.deepEqual(found('fd00:0::10'), { address: 'fd00::10', port: 53 });
  assert.deepEqual(found('[fd00::10]'), { address: 'fd00::10', port: 53 });
  assert.deepEqual(found('[fd00::10]:54'), { address: 'fd00::10', port: 54 });
});

test('a Service is found by the variables that Kubernetes gives a pod', () => {
  const environment = {
    KUBE_DNS_SERVICE_HOST: '10.96.0.10',
    KUBE_DNS_UPSTREAM_SERVICE_HOST: 'fd00::11',
    KUBE_DNS_UPSTREAM_SERVICE_PORT: '9153',
    KUBE_DNS_UPSTREAM_SERVICE_PORT_DNS: '5353',
  };
  assert.deepEqual(findClusterDns('kube-dns', environment), {
    endpoint: { address: '10.96.0.10', port: 53 },
    missing: null,
  });
  assert.deepEqual(findClusterDns('kube-dns-upstream', environment).endpoint, { address: 'fd00::11', port: 5353 });
});

test('what is missing is said, with what to do', () => {
  const { endpoint, missing } = findClusterDns('kube-dns-upstream', {});
  assert.equal(endpoint, null);
  assert.match(
    missing ?? '',
    /^KUBE_DNS_UPSTREAM_SERVICE_HOST is not set.*"kube-dns-upstream".*-upstreamsvc an address\.$/,
  );
  assert.match(findClusterDns('a', { A_SERVICE_HOST: '' }).missing ?? '', /is not set/);
  assert.match(
    findClusterDns('a', { A_SERVICE_HOST: 'None' }).missing ?? '',
    /A_SERVICE_HOST is "None", which is not an IP/,
  );
  for (const port of ['0', '65536', 'tcp://10.0.0.1:53']) {
    const environment = { A_SERVICE_HOST: '10.0.0.1', A_SERVICE_PORT_DNS: port };
    assert.match(
      findClusterDns('a', environment).missing ?? '',
      /A_SERVICE_PORT_DNS is ".*", which is not a port/,
      port,
    );
  }
});

test('what can be neither is refused', () => {
  for (const text of [
    '',
    ' ',
    'kube-dns:53',
    'kube_dns',
    '-dns',
    'dns-',
    'a.b',
    '10.96.0',
    '10.96.0.256',
    '10.96.0.10:0',
    '10.96.0.10:',
    '10',
    'kube-dns,other',
    'tls://1.1.1.1',
    '[fd00::1',
    '$(SERVICE)',
  ]) {
    assert.throws(() => findClusterDns(text, {}), /neither a Service name nor an address; write for example/, text);
  }
});
