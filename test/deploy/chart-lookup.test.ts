/** What the chart finds in a cluster: the mode of kube-proxy, and the address of the cluster DNS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helmInCluster, type ObjectsOfCluster } from './api-server.js';
import { cannotRender, chartImage } from './kubernetes.js';

const skip = cannotRender;
const image = `image.repository=${chartImage.repository}`;
/** Every namespace has it, and thereby helm knows that there is a cluster. */
const certificate = { 'configmaps/kube-root-ca.crt': { data: {} } };
const clusterDns = { 'services/kube-dns': { spec: { clusterIP: '10.3.0.10', clusterIPs: ['10.3.0.10', 'fd00::a'] } } };
const kubeProxy = (mode: string) => ({ data: { 'config.conf': `kind: KubeProxyConfiguration\nmode: ${mode}\n` } });
const cilium = (replaces: string, redirects: string) => ({
  data: { 'kube-proxy-replacement': replaces, 'enable-local-redirect-policy': redirects },
});

/** What the cluster has, and the argument that shows the mode. */
const found: readonly { has: ObjectsOfCluster; mode: string; localip: string }[] = [
  { has: { 'configmaps/kube-proxy': kubeProxy('""') }, mode: 'iptables', localip: '169.254.20.10,10.3.0.10,fd00::a' },
  {
    has: { 'configmaps/kube-proxy': kubeProxy('iptables') },
    mode: 'iptables',
    localip: '169.254.20.10,10.3.0.10,fd00::a',
  },
  { has: { 'configmaps/kube-proxy': kubeProxy('ipvs') }, mode: 'ipvs', localip: '169.254.20.10' },
  { has: { 'configmaps/kube-proxy': kubeProxy('nftables') }, mode: 'nftables', localip: '169.254.20.10' },
  {
    has: { 'configmaps/kube-proxy-config': { data: { config: 'mode: ipvs\n' } } },
    mode: 'ipvs',
    localip: '169.254.20.10',
  },
  {
    has: { 'configmaps/cilium-config': cilium('true', 'true'), 'configmaps/kube-proxy': kubeProxy('iptables') },
    mode: 'cilium',
    localip: '0.0.0.0',
  },
  {
    has: { 'configmaps/cilium-config': cilium('false', 'false'), 'configmaps/kube-proxy': kubeProxy('ipvs') },
    mode: 'ipvs',
    localip: '169.254.20.10',
  },
];

for (const { has, mode, localip } of found) {
  test(`${JSON.stringify(has)} is mode ${mode}`, { skip }, async () => {
    const printed = await helmInCluster({ ...certificate, ...clusterDns, ...has }, [image]);
    assert.match(
      printed,
      new RegExp(`^zerohop .* for kube-proxy mode ${mode}, which helm found in the cluster\\.$`, 'm'),
    );
    assert(printed.includes(`- -localip=${localip}\n`), printed);
    assert.equal(printed.includes('- -firewall=nftables\n'), mode === 'nftables');
  });
}

test('a cluster that tells no mode is refused: nothing to read, Cilium without redirection, Windows', {
  skip,
}, async () => {
  const untold: readonly ObjectsOfCluster[] = [
    {},
    { 'configmaps/kube-proxy': { data: { 'kubeconfig.conf': '' } } },
    { 'configmaps/kube-proxy': kubeProxy('kernelspace') },
    { 'configmaps/cilium-config': cilium('true', 'false'), 'configmaps/kube-proxy': kubeProxy('iptables') },
  ];
  for (const has of untold) {
    await assert.rejects(helmInCluster({ ...certificate, ...clusterDns, ...has }, [image]), /mode is empty/);
  }
});

test('a value goes before what is found', { skip }, async () => {
  const has = { ...certificate, ...clusterDns, 'configmaps/kube-proxy': kubeProxy('ipvs') };
  const printed = await helmInCluster(has, [image, 'mode=iptables', 'clusterDnsAddress=10.9.0.10']);
  assert(printed.includes('- -localip=169.254.20.10,10.9.0.10\n'));
  assert.doesNotMatch(printed, /which helm found/);
});

test('a cluster DNS that is not there, or has no address, is refused with the values that name it', {
  skip,
}, async () => {
  const headless = { 'services/kube-dns': { spec: { clusterIP: 'None', clusterIPs: ['None'] } } };
  for (const has of [{}, headless]) {
    await assert.rejects(
      helmInCluster({ ...certificate, ...has }, [image, 'mode=iptables']),
      /no Service kube-dns with an address.*clusterDnsService=NAME .*clusterDnsAddress=ADDRESS/,
    );
  }
  const rke2 = { 'services/rke2-coredns-rke2-coredns': { spec: { clusterIPs: ['10.43.0.10'] } } };
  const values = [image, 'mode=iptables', 'clusterDnsService=rke2-coredns-rke2-coredns'];
  const printed = await helmInCluster({ ...certificate, ...rke2 }, values);
  assert(printed.includes('- -localip=169.254.20.10,10.43.0.10\n'));
});
