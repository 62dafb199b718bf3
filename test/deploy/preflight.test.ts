/** deploy/preflight: pods without powers on every node, whose init container accepts what the program accepts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtEntry, repositoryPath } from '../corpus/repository.js';
import { cannotRender, type DaemonSet, daemonSet, deployed, kustomize, unknownFields, validate } from './kubernetes.js';
import { podSecurityLevel } from './pod-security.js';

const skip = cannotRender;

function preflight(): DaemonSet {
  return daemonSet(kustomize(repositoryPath('deploy', 'preflight')));
}

test('it is one DaemonSet with labels of its own, as the schemas of Kubernetes say', { skip }, () => {
  const objects = kustomize(repositoryPath('deploy', 'preflight'));
  assert.deepEqual(
    objects.map(({ kind, metadata: { name, namespace } }) => `${kind} ${namespace}/${name}`),
    ['DaemonSet kube-system/zerohop-preflight'],
  );
  validate(objects);
  assert.equal(unknownFields(objects), '');
  const { selector, template } = preflight().spec;
  assert.deepEqual(selector.matchLabels, { 'k8s-app': 'zerohop-preflight' });
  assert.equal(template.metadata.labels['app.kubernetes.io/component'], 'preflight');
});

test('it runs where the cache runs, with its image and none of its powers', { skip }, () => {
  const ours = preflight().spec.template.spec as ReturnType<typeof cache> & { nodeSelector: unknown };
  const theirs = cache() as typeof ours;
  assert.equal(podSecurityLevel(ours), 'restricted');
  assert.deepEqual(ours.tolerations, theirs.tolerations);
  assert.deepEqual(ours.nodeSelector, theirs.nodeSelector);
  assert.equal(ours.automountServiceAccountToken, false);
  const images = [...(ours.initContainers ?? []), ...ours.containers].map(({ image }) => image);
  assert.deepEqual(new Set(images), new Set([theirs.containers[0].image]));
});

test('the Corefile is looked for where node-cache has its template', { skip }, () => {
  const { initContainers = [], volumes } = preflight().spec.template.spec;
  const [check] = initContainers;
  assert.equal(check.args[1], '/etc/coredns/Corefile.base');
  assert.deepEqual(
    check.volumeMounts.map(({ mountPath }) => mountPath),
    ['/etc/coredns', '/etc/kube-dns'],
  );
  for (const volume of volumes as readonly { name: string; configMap?: { optional?: boolean } }[]) {
    assert.equal(volume.configMap?.optional, true, volume.name);
  }
});

test('a Corefile that the program serves passes, a wrong one does not, and neither is needed', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'preflight-'));
  try {
    const corefile = join(folder, 'Corefile.base');
    const absent = checked(corefile);
    assert.deepEqual([absent.status, absent.stdout.includes('nothing to check')], [0, true]);
    writeFileSync(corefile, deployed('base', 'Corefile'));
    const good = checked(corefile);
    assert.deepEqual([good.status, /Corefile\.base: ok, 4 server blocks/.test(good.stdout)], [0, true], good.stdout);
    writeFileSync(corefile, deployed('base', 'Corefile').replace('forward', 'forwart'));
    const wrong = checked(corefile);
    assert.deepEqual([wrong.status, /"forwart"/.test(wrong.stdout)], [2, true], wrong.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the container that holds the node’s place ends at SIGTERM', { skip }, async () => {
  const [, ...words] = preflight().spec.template.spec.containers[0].command ?? [];
  const { status, signal } = spawnSync(process.execPath, [...words, ''], { timeout: 1_000 });
  assert.deepEqual([status, signal], [0, null]);
});

/** Runs the init container's command for this file, with the program of this repository. */
function checked(corefile: string): { status: number | null; stdout: string } {
  const [check] = preflight().spec.template.spec.initContainers ?? [];
  const [, ...words] = check.command ?? [];
  assert.equal(check.args[0], '/app/dist/zerohop/main.js');
  return spawnSync(process.execPath, [...words, builtEntry, corefile], { encoding: 'utf8' });
}

function cache(): DaemonSet['spec']['template']['spec'] {
  return daemonSet(kustomize(repositoryPath('deploy', 'base'))).spec.template.spec;
}
