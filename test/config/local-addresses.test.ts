import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Environment } from '../../src/config/flag-reader.js';
import { readLocalAddresses, refuseForeignAddresses, refuseUnexpanded } from '../../src/config/local-addresses.js';

/** The sentence with which these addresses are refused; null if they pass. */
function refusal(
  localip: string,
  environment: Environment,
  { addresses = [] as string[], setupInterface = true } = {},
): string | null {
  try {
    refuseForeignAddresses({ localAddresses: readLocalAddresses(localip), setupInterface }, { environment, addresses });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const k3s = { KUBERNETES_SERVICE_HOST: '10.43.0.1', KUBE_DNS_SERVICE_HOST: '10.43.0.10' };
const ipv6 = { KUBERNETES_SERVICE_HOST: 'fd01::1', KUBE_DNS_SERVICE_HOST: 'fd01::a' };
const globalIpv6 = { KUBE_DNS_SERVICE_HOST: '2001:db8:96::a' };

test('the address of another cluster is refused with what to write, and with the way out', () => {
  assert.equal(
    refusal('169.254.20.10,10.96.0.10', k3s),
    '-localip 10.96.0.10 is neither a link-local address, nor on another interface of this node, nor the address of the ' +
      'Service kube-dns, which is 10.43.0.10; write -localip=169.254.20.10,10.43.0.10, or, if 10.96.0.10 is meant, ' +
      'add it to another interface of the node first or write -setupinterface=false.',
  );
});

test('wherever the wrong one stands, the others stay as they are and in their order', () => {
  const written = (localip: string, environment: Environment = k3s): string | undefined =>
    /write -localip=(\S+),? or, if/.exec(refusal(localip, environment) ?? '')?.[1].replace(/,$/, '');
  assert.equal(written('10.96.0.10,169.254.25.10'), '169.254.25.10,10.43.0.10');
  assert.equal(written('10.96.0.10,169.254.25.10,10.43.0.10'), '169.254.25.10,10.43.0.10');
  assert.equal(written('10.96.0.10'), '169.254.20.10,10.43.0.10');
  assert.equal(written('fd00::10,10.96.0.10'), 'fd00::10,10.43.0.10');
  assert.equal(written('2001:db8::53', globalIpv6), '2001:db8:96::a');
  assert.match(refusal('10.96.0.10,10.0.0.10', k3s) ?? '', /^-localip 10\.96\.0\.10 and 10\.0\.0\.10 are neither/);
});

for (const [what, localip] of [
  ['the default', '169.254.20.10'],
  ['kubespray’s', '169.254.25.10'],
  ['the Service kube-dns beside the default', '169.254.20.10,10.43.0.10'],
  ['another Service of the namespace', '10.43.0.1'],
  ['IPv4 in IPv6 of the Service', '::ffff:10.43.0.10'],
  ['loopback', '127.0.0.1,::1'],
  ['all addresses, as for Cilium', '0.0.0.0'],
  ['all addresses, IPv6', '::'],
  ['IPv6 link-local', 'fe80::a%eth0'],
  ['IPv6 unique local', 'fd00::10'],
  ['any IPv6, as only the IPv4 address of the Service is known', '2001:db8::53'],
]) {
  test(`passes: ${what}`, () => assert.equal(refusal(localip, k3s), null));
}

test('IPv4 in IPv6 is looked at as IPv4', () => {
  assert.match(refusal('::ffff:10.96.0.10', k3s) ?? '', /^-localip ::ffff:10\.96\.0\.10 is neither/);
});

test('in a cluster of IPv6, IPv6 addresses are looked at and IPv4 ones are not', () => {
  assert.equal(refusal('fd00::10,fd01::a', ipv6), null);
  assert.equal(refusal('10.96.0.10', ipv6), null);
  assert.match(refusal('2001:db8::53', ipv6) ?? '', /which is fd01::a; write -localip=fd01::a, or/);
  assert.equal(refusal('2001:db8:96:0::a', globalIpv6), null, 'however it is written');
});

test('RKE2’s Service has another name: its address passes, and without kube-dns any does', () => {
  const rke2 = { RKE2_COREDNS_RKE2_COREDNS_SERVICE_HOST: '10.43.0.10' };
  assert.equal(refusal('169.254.20.10,10.96.0.10', rke2), null);
  assert.equal(refusal('169.254.20.10,10.43.0.10', { ...rke2, KUBE_DNS_SERVICE_HOST: '10.43.7.7' }), null);
});

test('an address that the node has is meant', () => {
  assert.equal(refusal('10.0.0.53', k3s, { addresses: ['127.0.0.1', '10.0.0.53'] }), null);
  assert.equal(refusal('2001:db8::53', globalIpv6, { addresses: ['2001:db8:0:0::53'] }), null);
});

test('nothing is refused where zerohop makes no interface, or outside of the namespace of kube-dns', () => {
  assert.equal(refusal('10.96.0.10', k3s, { setupInterface: false }), null);
  assert.equal(refusal('10.96.0.10', {}), null);
  assert.equal(refusal('10.96.0.10', { KUBERNETES_SERVICE_HOST: '10.43.0.1' }), null);
  assert.equal(refusal('10.96.0.10', { KUBE_DNS_SERVICE_HOST: 'None' }), null);
});

test('a variable that Kubernetes has left as it is: its own sentence', () => {
  const refused = (flag: string, value: string): string => {
    try {
      refuseUnexpanded(flag, value);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(
    refused('localip', '169.254.20.10,$(KUBE_DNS_SERVICE_HOST)'),
    '-localip has $(KUBE_DNS_SERVICE_HOST), which Kubernetes has not replaced: this container has no variable ' +
      'KUBE_DNS_SERVICE_HOST, because this namespace had no Service kube-dns when the pod started, or because of ' +
      'enableServiceLinks: false; write the address that "kubectl -n kube-system get service kube-dns" prints.',
  );
  assert.match(refused('localip', '$(MY_DNS_SERVICE_HOST)'), /no Service my-dns .*"kubectl get service -A" prints\.$/);
  assert.match(refused('upstreamsvc', '$(CLUSTER_DNS)'), /^-upstreamsvc has .* CLUSTER_DNS; add it to "env"/);
  assert.equal(refused('localip', '169.254.20.10'), '');
});
