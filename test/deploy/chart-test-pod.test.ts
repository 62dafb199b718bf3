/** The pod of `helm test`: its script, run with a name server that answers and with one that does not. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import packet from 'dns-packet';
import { cannotRender, expanded, helmTemplate, type KubernetesObject, ofKind, type PodSpec } from './kubernetes.js';
import { podSecurityLevel } from './pod-security.js';

const skip = cannotRender;
const name = 'kubernetes.default.svc.corp.internal.';

function podOf(...values: string[]): KubernetesObject & { readonly spec: PodSpec } {
  return ofKind(helmTemplate([...values, 'clusterDomain=corp.internal']), 'Pod') as ReturnType<typeof podOf>;
}

test('it needs no powers, and asks what pods ask in its mode', { skip }, () => {
  const { metadata, spec } = podOf();
  assert.equal(metadata.annotations?.['helm.sh/hook'], 'test');
  assert.equal(podSecurityLevel({ ...spec, volumes: [] }), 'restricted');
  assert.deepEqual(spec.containers[0].args, [name, '169.254.20.10']);
  assert.deepEqual(podOf('mode=cilium').spec.containers[0].args, [name, '']);
  const { args } = podOf('mode=iptables').spec.containers[0];
  assert.deepEqual(expanded(args, { KUBE_DNS_SERVICE_HOST: '10.3.0.10' }), [name, '169.254.20.10,10.3.0.10']);
});

test('it prints the answer, and what pods do not do yet', { skip }, async () => {
  const server = createSocket('udp4', (bytes, { port, address }) => {
    const { id, questions } = packet.decode(bytes);
    const answers = [{ type: 'A' as const, name: questions?.[0].name ?? '', ttl: 5, data: '10.3.0.1' }];
    server.send(packet.encode({ type: 'response', id: id ?? 0, questions: questions ?? [], answers }), port, address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const cache = `127.0.0.1:${server.address().port}`;
  const { code, printed } = await run(cache);
  server.close();
  assert.equal(code, 0, printed);
  assert.equal(printed.split('\n')[0], `${cache} answers ${name}: 10.3.0.1`);
  assert.match(printed, new RegExp(`^Pods ask .*, not yet the cache: set clusterDNS of kubelet to ${cache}$`, 'm'));
});

test('it fails, and says so, when the cache does not answer', { skip }, async () => {
  const closed = createSocket('udp4').bind(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address();
  closed.close();
  const { code, printed } = await run(`127.0.0.1:${port}`);
  assert.equal(code, 1, printed);
  assert.match(printed, /^The cache does not answer: .*ECONNREFUSED/);
});

/** Runs the pod's script for a cache at this address. */
function run(cache: string): Promise<{ code: number; printed: string }> {
  const [, ...words] = podOf().spec.containers[0].command ?? [];
  return new Promise((resolve) => {
    execFile(process.execPath, [...words, name, cache], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), printed: `${stdout}${stderr}` });
    });
  });
}
