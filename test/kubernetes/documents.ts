/**
 * The command blocks of README.md, docs/INSTALL.md and docs/MIGRATION.md, run as they are pasted, in a cluster without
 * a node cache and then in one with node-cache's manifest. They run in a copy of deploy/, since some of them edit it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { repositoryPath } from '../corpus/repository.js';
import { type KubernetesObject, tool } from '../deploy/kubernetes.js';
import { type Block, blocksUnder } from '../docs/pages.js';
import type { Asked } from './asker.js';
import { type Cluster, inSeconds, type Result, timed, until } from './cluster.js';
import { dropIn, image } from './objects.js';

/** What a block must print at its end, beside ending with 0. */
interface Step {
  readonly block: Block;
  readonly prints: RegExp;
  /** Whether a pod asks 1,000 queries a second meanwhile. */
  readonly isUnderLoad?: boolean;
}

/** The address of the Service kube-dns. */
const kubeDns = '10.96.0.10';
const readme = blocksUnder('README.md', '## Install');
const install = 'docs/INSTALL.md';
const migration = 'docs/MIGRATION.md';
const withKubectl = blocksUnder(install, '## With kubectl');
const withHelm = blocksUnder(install, '## With helm');
const rolledOut = /successfully rolled out\s*$/;
const verified = /ok: zerohop on node \S+ answered 20 of 20 queries of this pod; \S+ is 10\.96\.0\.1\s*$/;

/** The pods of helm's test, in any order: one asks, one runs the doctor. */
const tested = /^(?=.*ok: zerohop on node \S+ answered 20 of 20 queries of this pod)(?=.*\n0 failures)/s;

/** The blocks in the order of a cluster without a node cache. */
const freshSteps: readonly Step[] = [
  { block: readme[0], prints: /^/ },
  { block: readme[1], prints: verified },
  { block: withKubectl[1], prints: /deleted/ },
  { block: withKubectl[0], prints: rolledOut },
  { block: blocksUnder(install, '## Verify')[0], prints: verified },
  { block: blocksUnder(install, '## Alpine or IPv6')[0], prints: /configmap\/node-local-dns configured/ },
  { block: withKubectl[1], prints: /deleted/ },
  { block: withHelm[0], prints: tested },
  { block: withHelm[1], prints: /uninstalled/ },
  {
    block: blocksUnder(install, '## Two pods on every node')[0],
    prints: /daemonset\.apps\/node-local-dns-standby created/,
  },
];

/** The blocks in the order of a cluster with node-cache. */
const migrationSteps: readonly Step[] = [
  ...blocksUnder(migration, '## The image alone').map((block, index) => ({
    block,
    prints: [rolledOut, /deleted/, verified, /rolled back/][index],
    isUnderLoad: index === 1,
  })),
  { block: readme[2], prints: verified },
  { block: blocksUnder(migration, "## zerohop's own manifest")[0], prints: rolledOut },
];

/** What the image section does is what the README's first block does. */
const sameAsOthers: readonly Block[] = blocksUnder(install, '## The image');

/** The blocks that need a cluster; test/docs runs the others. */
export const clusterBlocks: readonly Block[] = [...freshSteps, ...migrationSteps]
  .map(({ block }) => block)
  .concat(sameAsOthers);

/** Runs all blocks; leaves the cluster without a node cache. */
export async function documents(cluster: Cluster): Promise<Result[]> {
  await cluster.up(kubeDns);
  // As kubeadm makes it; here kube-proxy is no pod.
  const configuration = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-proxy', namespace: 'kube-system' },
  };
  await cluster.apply([{ ...configuration, data: { 'config.conf': 'mode: iptables\n' } } as KubernetesObject]);
  const workplace = makeWorkplace(cluster);
  try {
    await removeCaches(cluster);
    const rows = [await untouched(cluster, workplace)];
    await removeCaches(cluster);
    for (const step of freshSteps) rows.push(await run(cluster, workplace, step));
    await removeCaches(cluster);
    rows.push(await nodeCacheInstalled(cluster));
    for (const step of migrationSteps) rows.push(await run(cluster, workplace, step));
    await removeCaches(cluster);
    return rows;
  } finally {
    rmSync(workplace, { recursive: true });
  }
}

/** With the placeholder as the image nothing that runs is touched. */
async function untouched(cluster: Cluster, workplace: string): Promise<Result> {
  await nodeCacheInstalled(cluster);
  await bash(workplace, 'kubectl apply -k deploy/preflight');
  const pods = () => cluster.kubectl('-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=zerohop-preflight');
  const seen = await until('InvalidImageName', 60, async () => /\S*InvalidImageName/.exec(await pods())?.[0]);
  const { text: answer } = await cluster.inPod(
    'client',
    'dig +short @169.254.20.10 kubernetes.default.svc.cluster.local',
  );
  await bash(workplace, 'kubectl delete -k deploy/preflight');
  const tried = 'preflight with the image still `REGISTRY/zerohop`, and the command after it';
  return { tried, holds: answer === '10.96.0.1', seen: `${seen}; node-cache goes on`, lost: '', took: '' };
}

async function nodeCacheInstalled(cluster: Cluster): Promise<Result> {
  await cluster.apply(dropIn());
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', 'daemonset/node-local-dns', '--timeout=90s');
  return {
    tried: "node-cache's manifest, its image standing in for node-cache",
    holds: true,
    seen: 'ready',
    lost: '',
    took: '',
  };
}

/** Pods first: a kubelet that has just been started cannot end a pod whose ConfigMap is gone. */
async function removeCaches(cluster: Cluster): Promise<void> {
  const remove = (kinds: string, ...names: string[]) =>
    cluster.kubectl('-n', 'kube-system', 'delete', kinds, ...names, '--ignore-not-found');
  const names = ['node-local-dns', 'node-local-dns-standby', 'zerohop-preflight', 'zerohop-verify'];
  await remove('daemonset,job', ...names);
  // helm keeps the pods of its test.
  await remove('pod', 'node-local-dns-test', 'node-local-dns-test-doctor');
  await until('no pod of a cache', 90, async () => {
    const pods = await cluster.kubectl('-n', 'kube-system', 'get', 'pods', '-o', 'name');
    return /node-local-dns|zerohop/.test(pods) ? undefined : true;
  });
  await remove('configmap,serviceaccount', ...names);
  await remove('service', 'node-local-dns', 'kube-dns-upstream');
}

async function run(cluster: Cluster, workplace: string, { block, prints, isUnderLoad }: Step): Promise<Result> {
  let seen = '';
  let holds = false;
  const load = isUnderLoad ? cluster.inPod('client', `node /asker/asker.mjs ${kubeDns} 1000 60`) : undefined;
  if (load !== undefined) await pause(5_000);
  const seconds = await timed(async () => {
    const { status, output } = await bash(workplace, block.text);
    holds = status === 0 && prints.test(output);
    const last = output.trim().split('\n').at(-1) ?? '';
    seen = holds ? last : `status ${status}: ${output.trim().slice(-400).replaceAll('\n', ' / ')}`;
  });
  const [first] = block.text.trim().split('\n');
  process.stderr.write(holds ? `ok ${first}\n` : `FAILS ${first}: ${seen}\n`);
  const tried = `${block.page}: \`${first.length > 60 ? `${first.slice(0, 60)} …` : first}\``;
  return { tried, holds, seen, lost: lostOf(await load), took: inSeconds(seconds) };
}

function lostOf(load: { readonly text: string } | undefined): string {
  if (load === undefined) return '';
  const { lost, sent } = JSON.parse(load.text) as Asked;
  return `${lost.toLocaleString('en')} of ${sent.toLocaleString('en')}`;
}

/** A pasted block: the shell goes on behind a failed line, and its status is the last line's. */
function bash(workplace: string, text: string): Promise<{ status: number; output: string }> {
  const environment = { ...process.env, PATH: `${join(workplace, 'bin')}:${process.env['PATH']}` };
  return new Promise((resolve) => {
    const options = { cwd: workplace, env: environment, timeout: 300_000, maxBuffer: 16 << 20 };
    execFile('bash', ['-c', `exec 2>&1\n${text}`], options, (error, stdout) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), output: stdout });
    });
  });
}

/** A folder with deploy/ and, on PATH, docker, kubectl and helm for this cluster. */
function makeWorkplace(cluster: Cluster): string {
  const workplace = mkdtempSync(join(tmpdir(), 'zerohop-documents-'));
  cpSync(repositoryPath('deploy'), join(workplace, 'deploy'), { recursive: true });
  const bin = join(workplace, 'bin');
  mkdirSync(bin);
  for (const [name, text] of Object.entries(programs(cluster))) {
    writeFileSync(join(bin, name), `#!/usr/bin/env bash\nset -euo pipefail\n${text}`);
    chmodSync(join(bin, name), 0o755);
  }
  changeFile(join(workplace, 'deploy', 'chart', 'Chart.yaml'), [/^kubeVersion: .*$/m, 'kubeVersion: ">=1.20.0-0"']);
  const strategy = /maxSurge: 1\n {4}maxUnavailable: 0/;
  changeFile(join(workplace, 'deploy', 'chart', 'values.yaml'), [strategy, 'maxUnavailable: 1']);
  return workplace;
}

/** The cluster is older than the chart allows. */
function changeFile(path: string, [from, to]: readonly [RegExp, string]): void {
  const text = readFileSync(path, 'utf8');
  assert.match(text, from);
  writeFileSync(path, text.replace(from, to));
}

/**
 * The image is in the cluster already: building tells nothing new (test/image/run does it), pushing gives it its name.
 * The cluster's own kubectl knows no kustomize components and its API server neither maxSurge nor a probe's grace
 * period, so a newer kubectl renders, and the older one applies and leaves them out.
 */
function programs({ folder }: Cluster): Readonly<Record<string, string>> {
  const environment = `. ${join(folder, 'env.sh')}\n`;
  return {
    docker: `${environment}[ "$1" = build ] || in_node ctr -a "$RUN/containerd.sock" -n k8s.io images tag --force ${image} "\${@: -1}"\n`,
    helm: `${environment}[ "$1" != install ] || set -- "$@" --disable-openapi-validation --server-side=false
exec nsenter --net=/run/netns/$NS -- env KUBECONFIG="$RUN/conf/admin.conf" ${tool('helm')} "$@"\n`,
    kubectl: `folder= rest=()
while [ $# -gt 0 ]; do
  if [ "$1" = -k ]; then folder=$2; shift; else rest+=("$1"); fi
  shift
done
[ -n "$folder" ] || exec ${join(folder, 'kubectl')} "\${rest[@]}"
[ "\${rest[0]}" = delete ] || rest+=(--validate=false)
${tool('kubectl')} kustomize "$folder" | sed '/maxSurge/d; s/maxUnavailable: 0/maxUnavailable: 1/' | ${join(folder, 'kubectl')} "\${rest[@]}" -f -
`,
  };
}
