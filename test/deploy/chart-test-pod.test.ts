/** The pod of `helm test`: it has the script of deploy/verify, which test/real/verify.test.ts runs, and needs no powers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRender, deployed, helmTemplate, type KubernetesObject, ofKind, type PodSpec } from './kubernetes.js';
import { podSecurityLevel } from './pod-security.js';

const skip = cannotRender;

function podOf(...values: string[]): KubernetesObject & { readonly spec: PodSpec } {
  return ofKind(helmTemplate([...values, 'metricsPort=9999']), 'Pod') as ReturnType<typeof podOf>;
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
