/** Settings and versions of the kernel, and the version of Kubernetes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ipvsCheck,
  kernelCheck,
  kubernetesCheck,
  kubernetesVersionIn,
  receiveBufferCheck,
} from '../../src/doctor/check-kernel.js';
import { found, verdicts } from './outsides.js';

const release = (version: string) => ({ '/proc/sys/kernel/osrelease': `${version}\n` });
const mode = (name: string) => ({ 'http://127.0.0.1:10249/proxyMode': name });

function sysctls(reuse: number, tracked = 1, expire = 1) {
  const at = '/proc/sys/net/ipv4/vs/';
  return {
    [`${at}conn_reuse_mode`]: `${reuse}\n`,
    [`${at}conntrack`]: `${tracked}\n`,
    [`${at}expire_nodest_conn`]: `${expire}\n`,
  };
}

test('the version of the kernel', async () => {
  assert.deepEqual(await verdicts(kernelCheck, { files: release('6.1.0-18-amd64') }), { kernel: 'ok' });
  assert.deepEqual(await verdicts(kernelCheck, { files: release('4.14.0') }), { kernel: 'info' });
  assert.deepEqual(await verdicts(kernelCheck), { kernel: 'skipped' });
});

test('conn_reuse_mode by the version of the kernel', async () => {
  const ofReuse = async (version: string, value: number) =>
    (await verdicts(ipvsCheck, { pages: mode('ipvs'), files: { ...release(version), ...sysctls(value) } }))[
      'ipvs-reuse'
    ];
  assert.deepEqual(
    [
      await ofReuse('6.1.0', 1),
      await ofReuse('6.1.0', 0),
      await ofReuse('5.10.1', 0),
      await ofReuse('5.8.0', 0),
      await ofReuse('5.8.0', 1),
    ],
    ['ok', 'warn', 'warn', 'ok', 'warn'],
  );
});

test('what kube-proxy sets in IPVS mode', async () => {
  const files = { ...release('6.1.0'), ...sysctls(1, 0, 0) };
  const settings = await found(ipvsCheck, { pages: mode('ipvs'), files });
  assert.deepEqual(
    [settings['ipvs-conntrack'].command, settings['ipvs-expire'].command],
    ['sysctl net.ipv4.vs.conntrack=1', 'sysctl net.ipv4.vs.expire_nodest_conn=1'],
  );
  const fine = { 'ipvs-reuse': 'ok', 'ipvs-conntrack': 'ok', 'ipvs-expire': 'ok' };
  assert.deepEqual(await verdicts(ipvsCheck, { pages: mode('iptables'), files }), fine, 'only in IPVS mode');
  const skipped = { 'ipvs-reuse': 'skipped', 'ipvs-conntrack': 'skipped', 'ipvs-expire': 'skipped' };
  assert.deepEqual(await verdicts(ipvsCheck, { files }), skipped);
  assert.deepEqual(await verdicts(ipvsCheck, { pages: mode('ipvs') }), skipped);
});

test('rmem_max binds only a process without NET_ADMIN', async () => {
  const files = (capabilities: string) => ({
    '/proc/sys/net/core/rmem_max': '212992\n',
    '/proc/self/status': `Name:\tnode\nCapEff:\t${capabilities}\n`,
  });
  assert.deepEqual(await verdicts(receiveBufferCheck, { files: files('0000000000001400') }), { 'rmem-max': 'ok' });
  assert.deepEqual(await verdicts(receiveBufferCheck, { files: files('0000000000000400') }), { 'rmem-max': 'info' });
  assert.deepEqual(await verdicts(receiveBufferCheck, { files: { '/proc/sys/net/core/rmem_max': '8388608' } }), {
    'rmem-max': 'ok',
  });
  assert.deepEqual(await verdicts(receiveBufferCheck), { 'rmem-max': 'skipped' });
});

test('the version of Kubernetes from the metrics of kube-proxy', async () => {
  const page = (version: string) => ({
    'http://127.0.0.1:10249/metrics': `# HELP x\nkubernetes_build_info{build_date="x",git_commit="y",git_version="${version}",major="1"} 1\n`,
  });
  assert.deepEqual(await verdicts(kubernetesCheck, { pages: page('v1.31.4') }), { kubernetes: 'ok' });
  assert.deepEqual(await verdicts(kubernetesCheck, { pages: page('v1.13.0') }), { kubernetes: 'warn' });
  assert.deepEqual(
    await verdicts(kubernetesCheck, { pages: { 'http://127.0.0.1:10249/metrics': 'x'.repeat(9_000_000) } }),
    { kubernetes: 'skipped' },
  );
  assert.deepEqual(await verdicts(kubernetesCheck), { kubernetes: 'skipped' });
  assert.equal(kubernetesVersionIn('kubernetes_build_info{git_version="1.2'), undefined);
});
