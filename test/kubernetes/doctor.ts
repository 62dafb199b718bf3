/**
 * `zerohop doctor` in the pods of a real cluster: nothing wrong while nothing is, one replica of the cluster DNS stopped,
 * pods whose kubelet was not told, and an address in -localip that is not the Service's.
 */
import { type KubernetesObject, ofKind } from '../deploy/kubernetes.js';
import { type Cluster, inSeconds, type Result, readyPod, timed } from './cluster.js';
import { overlay } from './objects.js';

interface SeenFinding {
  readonly code: string;
  readonly verdict: string;
  readonly seen: string;
}

const kubeDns = '10.96.0.10';
const local = '169.254.20.10';
const daemonSet = 'daemonset/node-local-dns';
const clusterName = 'kubernetes.default.svc.cluster.local';

/** Leaves the cache on 169.254.20.10, as it was. */
export async function doctor(cluster: Cluster): Promise<Result[]> {
  await installed(cluster, overlay('iptables'));
  await cluster.inPod('client', `dig +short @${local} ${clusterName}; dig +short @${kubeDns} ${clusterName}`);
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
  rows.push(await examined(cluster, 'the replica goes on', []));
  await installed(cluster, withAddress(overlay('iptables'), '10.96.0.11'));
  await cluster.inPod('client', `dig +short @${local} ${clusterName}; dig +short @${kubeDns} ${clusterName}`);
  rows.push(await examined(cluster, '-localip with 10.96.0.11, which is no Service', ['wrong-cluster-ip']));
  await installed(cluster, overlay('ipvs'));
  await cluster.inPod('client', `for n in 1 2 3 4 5; do dig +short @${kubeDns} ${clusterName}; done`);
  rows.push(await examined(cluster, `pods ask ${kubeDns}, and nobody ${local}`, ['nobody-asks']));
  return rows;
}

async function installed(cluster: Cluster, objects: readonly KubernetesObject[]): Promise<void> {
  await cluster.apply(objects);
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'restart', daemonSet);
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', daemonSet, '--timeout=90s');
}

function withAddress(objects: readonly KubernetesObject[], address: string): readonly KubernetesObject[] {
  const changed = structuredClone(objects) as KubernetesObject[];
  const set = ofKind(changed, 'DaemonSet') as unknown as {
    spec: { template: { spec: { containers: { args: string[] }[] } } };
  };
  set.spec.template.spec.containers[0].args[0] = `-localip=${local},${address}`;
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
