/**
 * The pods of `helm test`, with the scripts of deploy/verify. One is an ordinary pod without powers, whose script
 * test/real/verify.test.ts runs; the other one is the doctor, which sees what zerohop sees.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRender, daemonSet, deployed, helmTemplate, type KubernetesObject, type PodSpec } from './kubernetes.js';
import { podSecurityLevel } from './pod-security.js';

const skip = cannotRender;

type Pod = KubernetesObject & { readonly spec: PodSpec };

function podOf(...values: string[]): Pod {
  return podsOf(...values).find(({ metadata }) => metadata.name === 'node-local-dns-test')!;
}

function podsOf(...values: string[]): Pod[] {
  return helmTemplate([...values, 'metricsPort=9999']).filter(({ kind }) => kind === 'Pod') as Pod[];
}

/** The values of the environment, without the node's address. */
function environmentOf(...values: string[]): Record<string, string | undefined> {
  const [container] = podOf(...values).spec.containers as unknown as [{ env: { name: string; value?: string }[] }];
  return Object.fromEntries(
    container.env.filter(({ value }) => value !== undefined).map(({ name, value }) => [name, value]),
  );
}

test('it is a test of helm without powers, with the script that verifies', { skip }, () => {
  const { metadata, spec } = podOf();
  assert.equal(metadata.annotations?.['helm.sh/hook'], 'test');
  assert.equal(podSecurityLevel({ ...spec, volumes: [] }), 'restricted');
  const [, , , script] = spec.containers[0].command ?? [];
  assert.equal(script.trim(), deployed('verify', 'verify.mjs').trim());
});

test('it asks as pods of its mode ask, or the cache where pods do not ask it yet', { skip }, () => {
  const metrics = { METRICS_PORT: '9999', METRICS_SERVICE: 'node-local-dns.kube-system' };
  for (const mode of ['iptables', 'cilium']) assert.deepEqual(environmentOf(`mode=${mode}`), metrics);
  for (const mode of ['ipvs', 'nftables']) {
    assert.deepEqual(environmentOf(`mode=${mode}`), { ...metrics, SERVERS: '169.254.20.10' });
  }
});

test('the doctor has the network and the rights of zerohop, its folder, and the script', { skip }, () => {
  for (const values of [['mode=iptables'], ['mode=ipvs', 'iptablesLegacy=true'], ['mode=nftables']]) {
    const doctor = podsOf(...values).find(({ metadata }) => metadata.name === 'node-local-dns-test-doctor')!;
    const zerohop = daemonSet(helmTemplate([...values, 'metricsPort=9999'])).spec.template.spec;
    const { spec } = doctor;
    assert.equal(doctor.metadata.annotations?.['helm.sh/hook'], 'test');
    assert.deepEqual([spec.hostNetwork, spec.dnsPolicy], [zerohop.hostNetwork, zerohop.dnsPolicy]);
    assert.deepEqual(spec.containers[0].securityContext, zerohop.containers[0].securityContext);
    const [, , , script] = spec.containers[0].command ?? [];
    assert.equal(script.trim(), deployed('verify', 'doctor.mjs').trim());
  }
});

test('with Cilium no other pod can see what zerohop sees', { skip }, () => {
  assert.deepEqual(
    podsOf('mode=cilium').map(({ metadata }) => metadata.name),
    ['node-local-dns-test'],
  );
});
