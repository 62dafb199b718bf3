/**
 * `zerohop doctor` in the pods of a real cluster: nothing wrong while nothing is, one replica of the cluster DNS stopped,
 * pods whose kubelet was not told, and an address in -localip that is not the Service's.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type KubernetesObject, ofKind } from '../deploy/kubernetes.js';
import { type Cluster, inSeconds, type Result, readyPod, timed, until } from './cluster.js';
import { overlay } from './objects.js';

interface SeenFinding {
  readonly code: string;
  readonly verdict: string;
  readonly seen: string;
}

const kubeDns = '10.96.0.10';
const local = '169.254.20.10';
const label = 'k8s-app=node-local-dns';
const daemonSet = 'daemonset/node-local-dns';
const clusterName = 'kubernetes.default.svc.cluster.local';

/** Leaves the cache on 169.254.20.10, as it was. */
export async function doctor(cluster: Cluster): Promise<Result[]> {
  await installed(cluster, overlay('iptables'));
  await askedFromPod(cluster);
  const rows = [await examined(cluster, 'overlays/iptables, nothing wrong', [])];
  const pod = await readyPod(cluster, 'k8s-app=kube-dns');
  const signal = (name: string) =>
    cluster.kubectl('-n', 'kube-system', 'exec', pod, '--', 'sh', '-c', `kill -${name} $(pidof knotd)`);
  try {
    await signal('STOP');
    rows.push(await examined(cluster, 'one of two replicas of the cluster DNS stopped (SIGSTOP)', ['endpoint-dead']));
  } finally {
    await signal('CONT');
  }
  rows.push(await examined(cluster, 'the replica goes on', []), ...(await wrongClusterIp(cluster)));
  await installed(cluster, overlay('ipvs'));
  await askedFromPod(cluster);
  return rows;
}

/** An address that is not the Service's: zerohop does not start with it, unless another program keeps the addresses. */
async function wrongClusterIp(cluster: Cluster): Promise<Result[]> {
  const wrong = '10.96.0.11';
  const address = `-localip=${local},${wrong}`;
  await cluster.apply(withArguments(overlay('iptables'), [address]));
  const logs = ['-n', 'kube-system', 'logs', '-l', label, '--tail=20'];
  const refusal = await until('the refusal', 90, async () => {
    return /-localip 10\.96\.0\.11 is neither [^;]*/u.exec(await cluster.kubectl(...logs))?.[0];
  });
  const tried = `-localip with ${wrong}, which is no Service`;
  const rows: Result[] = [{ tried, holds: true, seen: `it does not start: ${refusal}`, lost: '', took: '' }];
  const addresses = [local, wrong].map((each) => `${each}/32`);
  for (const each of addresses) await cluster.node('ip', 'address', 'add', each, 'dev', 'lo');
  try {
    await installed(cluster, withArguments(overlay('iptables'), [address, '-setupinterface=false']));
    await askedFromPod(cluster);
    rows.push(await examined(cluster, `${tried}, and -setupinterface=false`, ['wrong-cluster-ip']));
  } finally {
    for (const each of addresses) await cluster.node('ip', 'address', 'delete', each, 'dev', 'lo');
  }
  return rows;
}

/** Ten minutes in which no pod asks the cache, because kubelet was not told of it. */
export async function doctorOfUnusedCache(cluster: Cluster): Promise<Result[]> {
  await installed(cluster, overlay('ipvs'));
  await pause(quietMs);
  await cluster.inPod('client', `for n in 1 2 3; do dig +short @${kubeDns} ${clusterName}; done`);
  const codes = ['bypassed', 'iptables-unused', 'nobody-asks'];
  return [await examined(cluster, `for ten minutes pods ask ${kubeDns} and nobody ${local}`, codes)];
}

/** Somewhat more than the doctor takes for quiet. */
const quietMs = 620_000;

async function askedFromPod(cluster: Cluster): Promise<void> {
  await cluster.inPod('client', `dig +short @${local} ${clusterName}; dig +short @${kubeDns} ${clusterName}`);
}

async function installed(cluster: Cluster, objects: readonly KubernetesObject[]): Promise<void> {
  await cluster.apply(objects);
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'restart', daemonSet);
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', daemonSet, '--timeout=90s');
}

/** With these in place of the first argument. */
function withArguments(objects: readonly KubernetesObject[], first: readonly string[]): readonly KubernetesObject[] {
  const changed = structuredClone(objects) as KubernetesObject[];
  const set = ofKind(changed, 'DaemonSet') as unknown as {
    spec: { template: { spec: { containers: { args: string[] }[] } } };
  };
  const [container] = set.spec.template.spec.containers;
  container.args = [...first, ...container.args.slice(1)];
  return changed;
}

/** Holds when exactly these codes warn or fail. */
async function examined(cluster: Cluster, tried: string, codes: readonly string[]): Promise<Result> {
  let text = '';
  const seconds = await timed(async () => {
    const exec = ['-n', 'kube-system', 'exec', daemonSet, '--', 'zerohop', 'doctor', '-o', 'json'];
    // Its exit status says what it found, and kubectl ends with it.
    text = await cluster.kubectl(...exec).catch((error: { stdout?: string }) => error.stdout ?? '');
  });
  const { findings } = JSON.parse(text) as { readonly findings: readonly SeenFinding[] };
  const wrong = findings.filter(({ verdict }) => verdict === 'warn' || verdict === 'fail');
  const found = [...new Set(wrong.map(({ code }) => code))].sort();
  const seen = wrong.map(({ code, seen: what }) => `${code}: ${what}`).join('; ') || 'nothing wrong';
  return {
    tried: `\`zerohop doctor\`: ${tried}`,
    holds: found.join() === [...codes].sort().join(),
    seen,
    lost: '',
    took: inSeconds(seconds),
  };
}
