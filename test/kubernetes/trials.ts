/**
 * The trials of test/kubernetes/run, in the order in which they are made. Each leaves the cluster as it found it: the
 * cache on 169.254.20.10, two replicas of the cluster DNS.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { type KubernetesObject, ofKind } from '../deploy/kubernetes.js';
import type { Asked } from './asker.js';
import { type Cluster, inSeconds, podsWith, type Result, readyPod, timed, until } from './cluster.js';
import { doctor, doctorOfUnusedCache } from './doctor.js';
import { documents } from './documents.js';
import { dropIn, overlay, overlayWithKernelLane } from './objects.js';

export interface Trial {
  readonly name: string;
  work(cluster: Cluster): Promise<Result[]>;
}

const local = '169.254.20.10';
const kubeDns = '10.96.0.10';
const label = 'k8s-app=node-local-dns';
const aSecond = 1_000;
const mountBpf = 'mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf';

export const trials: readonly Trial[] = [
  { name: 'install', work: install },
  { name: 'names', work: names },
  { name: 'clusterip', work: clusterIp },
  { name: 'steady', work: (cluster) => underLoad(cluster, 'nothing happens', 30, async () => '') },
  { name: 'deleted', work: deleted },
  { name: 'restart', work: restart },
  { name: 'successor', work: successor },
  { name: 'killed', work: killed },
  { name: 'standby', work: standby },
  { name: 'hangs', work: hangs },
  { name: 'replica', work: replica },
  { name: 'doctor', work: doctor },
  { name: 'doctor-unused', work: doctorOfUnusedCache },
  { name: 'configmap', work: configMap },
  { name: 'drop-in', work: tryDropIn },
  { name: 'kernel-lane', work: kernelLane },
  { name: 'kernel-lane-deaths', work: kernelLaneDeaths },
  { name: 'documents', work: documents },
];

async function install(cluster: Cluster): Promise<Result[]> {
  const seconds = await timed(async () => {
    await cluster.apply(overlay('ipvs'));
    await readyPod(cluster, label);
  });
  const [pid] = await pids(cluster);
  const rules = await countRules(cluster);
  const { text: health } = await fetched(cluster, `http://${local}:8080/health`);
  const user = await userOf(cluster, pid);
  return [
    row('`kubectl apply -k`, no pod before', rules === 12 && health === 'OK' && user === '0', {
      seen: `ready; /health ${health}; ${rules} rules`,
      took: inSeconds(seconds),
    }),
  ];
}

/** What a pod asks whose resolv.conf kubelet wrote, and what must be among the lines of the answer. */
const questions: readonly [what: string, command: string, answer: RegExp][] = [
  ['A of a Service, by the search path', 'getent ahostsv4 web', /^10\.96\.\d+\.\d+ /m],
  ['A of a Service, whole name', 'dig +short kubernetes.default.svc.cluster.local', /^10\.96\.0\.1$/m],
  ['the same over TCP', 'dig +tcp +short kubernetes.default.svc.cluster.local', /^10\.96\.0\.1$/m],
  ['A of a headless Service, both pods', 'dig +short webh.default.svc.cluster.local | wc -l', /^2$/m],
  ['SRV', 'dig +short _http._tcp.web.default.svc.cluster.local SRV', / 80 web\.default\.svc\.cluster\.local\.$/m],
  ['PTR', 'dig +short -x 10.96.0.1', /^kubernetes\.default\.svc\.cluster\.local\.$/m],
  ['a name of the cluster that is not there', 'dig none.default.svc.cluster.local', /status: NXDOMAIN/],
  ['an outside name', 'dig +short www.example.test', /^198\.51\.100\.1$/m],
  ['an outside name, by the search path', 'getent ahostsv4 www.example.test', /^198\.51\.100\.1 /m],
  ['an outside name that is not there', 'dig www.example.invalid', /status: NXDOMAIN/],
  ['AAAA', 'dig web.default.svc.cluster.local AAAA', /status: NXDOMAIN[\s\S]*SOA/],
];

async function names(cluster: Cluster): Promise<Result[]> {
  const { text: resolvConf } = await cluster.inPod('client', 'cat /etc/resolv.conf');
  const wrong: string[] = resolvConf.includes(`nameserver ${local}\n`) ? [] : ['resolv.conf'];
  for (const [what, command, answer] of questions) {
    const { text } = await cluster.inPod('client', command);
    if (!answer.test(text)) wrong.push(`${what}: ${text.replaceAll('\n', ' ').slice(0, 80)}`);
  }
  const tracked = await flows(cluster, local);
  if (tracked > 0) wrong.push(`${tracked} flows in conntrack`);
  return [
    row(`kubelet's clusterDNS ${local}: ${questions.map(([what]) => what).join('; ')}`, wrong.length === 0, {
      seen: wrong.join('; ') || `all ${questions.length} as they should be; no flow in conntrack`,
    }),
  ];
}

async function clusterIp(cluster: Cluster): Promise<Result[]> {
  await cluster.apply(overlay('iptables'));
  await rolledOut(cluster);
  await pause(1_000);
  const { text } = await cluster.inPod(
    'client',
    `dig +short @${kubeDns} web.default.svc.cluster.local; dig +tcp +short @${kubeDns} www.example.test`,
  );
  const { text: metrics } = await fetched(cluster, `http://${local}:9253/metrics`);
  const counted = /^coredns_dns_requests_total\{server="dns:\/\/10\.96\.0\.10:53".* [1-9]/m.test(metrics);
  const tracked = await flows(cluster, kubeDns);
  await cluster.apply(overlay('ipvs'));
  await rolledOut(cluster);
  const { text: after } = await cluster.inPod('client', `dig +short @${kubeDns} kubernetes.default.svc.cluster.local`);
  return [
    row(
      `overlays/iptables: a pod asks ${kubeDns}, UDP and TCP`,
      /^10\.96\..*\n198\.51\.100\.1$/.test(text) && counted && tracked === 0,
      {
        seen: `answered here${counted ? '' : ': no'}; ${tracked} flows in conntrack`,
      },
    ),
    row(`back to overlays/ipvs: ${kubeDns} is kube-proxy's again`, after === '10.96.0.1', { seen: after }),
  ];
}

async function deleted(cluster: Cluster): Promise<Result[]> {
  return underLoad(cluster, 'the pod deleted', 75, () => deletePod(cluster));
}

async function restart(cluster: Cluster): Promise<Result[]> {
  const tried = '`kubectl rollout restart`, old pod first (no maxSurge in this Kubernetes)';
  return underLoad(cluster, tried, 75, () => restartPod(cluster));
}

async function deletePod(cluster: Cluster): Promise<string> {
  const pod = await readyPod(cluster, label);
  await cluster.kubectl('-n', 'kube-system', 'delete', 'pod', pod, '--wait=false');
  await readyPod(cluster, label, [pod]);
  return 'a new pod in its place';
}

async function restartPod(cluster: Cluster): Promise<string> {
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'restart', 'daemonset/node-local-dns');
  await rolledOut(cluster);
  return 'a new pod in its place';
}

/** What is lost without a pod on the node, with and without the kernel lane, in both ways in which pods ask. */
async function kernelLane(cluster: Cluster): Promise<Result[]> {
  // The cluster DNS answers outside names too, for those that it gets meanwhile.
  await cluster.kubectl('-n', 'kube-system', 'set', 'env', 'deploy/coredns', 'FORWARD=172.30.0.254');
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', 'deploy/coredns', '--timeout=180s');
  await cluster.node('sh', '-c', mountBpf);
  const rows: Result[] = [];
  for (const [folder, server] of [
    ['iptables', kubeDns],
    ['ipvs', local],
  ] as const) {
    for (const isOn of [false, true]) {
      // What the pods before have left would still answer.
      await cluster.node('rm', '-rf', '/sys/fs/bpf/zerohop');
      await cluster.apply(isOn ? overlayWithKernelLane(folder) : overlay(folder));
      await rolledOut(cluster);
      if (isOn) await laneIsOn(cluster);
      const how = `pods ask ${server}, ${isOn ? 'with' : 'without'} the kernel lane`;
      rows.push(...(await underLoad(cluster, `${how}: the pod deleted`, 75, () => deletePod(cluster), server)));
      rows.push(
        ...(await underLoad(cluster, `${how}: rolled out, old pod first`, 75, () => restartPod(cluster), server)),
      );
    }
  }
  await cluster.apply(overlay('ipvs'));
  await rolledOut(cluster);
  return [...rows, await laneIsOver(cluster)];
}

async function kernelLaneDeaths(cluster: Cluster): Promise<Result[]> {
  await cluster.node('sh', '-c', mountBpf);
  await cluster.apply(overlayWithKernelLane('ipvs'));
  await rolledOut(cluster);
  await laneIsOn(cluster);
  const rows = [...(await killed(cluster)), ...(await hangs(cluster))];
  await cluster.apply(overlay('ipvs'));
  await rolledOut(cluster);
  return rows.map((one) => ({ ...one, tried: `with the kernel lane: ${one.tried}` }));
}

async function laneIsOn(cluster: Cluster): Promise<void> {
  await until('the kernel lane', 20, async () => {
    const { text } = await fetched(cluster, `http://${local}:9253/metrics`);
    return text.includes('zerohop_kernel_lane{why=""} 1') ? true : undefined;
  });
}

/** The instance that came last has no lane: what its predecessor has left in the kernel answers nobody. */
async function laneIsOver(cluster: Cluster): Promise<Result> {
  await pause(130_000);
  const files = await cluster.node('sh', '-c', 'find /sys/fs/bpf/zerohop -type f | wc -l');
  const counted = async () => {
    const { text } = await fetched(cluster, `http://${local}:9253/metrics`);
    return Number(/^coredns_cache_requests_total\{.*zones="cluster\.local\.".*\} (\d+)/m.exec(text)?.[1] ?? 0);
  };
  const before = await counted();
  await cluster.inPod('client', 'for n in 1 2 3 4 5; do dig +noedns +short web.default.svc.cluster.local; done');
  await pause(1_500);
  const after = await counted();
  return row('rolled out without the kernel lane, and two minutes waited', after - before === 5, {
    seen: `${after - before} of 5 queries reach the pod; ${files.trim()} files left in /sys/fs/bpf/zerohop`,
  });
}

/** What maxSurge does, by hand: the new pod is there and ready for minReadySeconds before the old one goes. */
async function successor(cluster: Cluster): Promise<Result[]> {
  const rows = await underLoad(cluster, 'an update with the new pod first, as maxSurge makes it', 75, async () => {
    await cluster.apply(overlay('ipvs', 'node-local-dns-next'));
    await readyPod(cluster, 'k8s-app=node-local-dns-next');
    await pause(5_000);
    await cluster.kubectl('-n', 'kube-system', 'delete', 'daemonset', 'node-local-dns');
    return 'the new one goes on';
  });
  await cluster.apply(overlay('ipvs'));
  await readyPod(cluster, label);
  await cluster.kubectl('-n', 'kube-system', 'delete', 'daemonset', 'node-local-dns-next');
  return rows;
}

async function killed(cluster: Cluster): Promise<Result[]> {
  return underLoad(cluster, 'the process killed (SIGKILL), alone on its node', 40, async () => {
    const [pid] = await pids(cluster);
    await cluster.node('kill', '-KILL', pid);
    await until('a new process', 30, async () => (await pids(cluster)).find((each) => each !== pid));
    return 'the container starts anew, and finds link and rules as they were';
  });
}

/** overlays/high-availability: of two pods the one that started last serves. */
async function standby(cluster: Cluster): Promise<Result[]> {
  await cluster.apply(overlay('ipvs', 'node-local-dns-standby'));
  await readyPod(cluster, 'k8s-app=node-local-dns-standby');
  const dies = await underLoad(cluster, 'the process killed (SIGKILL), with another that stands by', 40, async () => {
    const before = await pids(cluster);
    await cluster.node('kill', '-KILL', before[before.length - 1]);
    await until('a new process', 30, async () => (await pids(cluster)).find((each) => !before.includes(each)));
    return 'the other one serves';
  });
  const goes = await underLoad(cluster, 'the pod deleted, with another that stands by', 40, async () => {
    const pod = await readyPod(cluster, 'k8s-app=node-local-dns-standby');
    await cluster.kubectl('-n', 'kube-system', 'delete', 'pod', pod, '--wait=false');
    await readyPod(cluster, 'k8s-app=node-local-dns-standby', [pod]);
    return 'the other one serves';
  });
  await cluster.kubectl('-n', 'kube-system', 'delete', 'daemonset', 'node-local-dns-standby');
  return [...dies, ...goes];
}

async function hangs(cluster: Cluster): Promise<Result[]> {
  return underLoad(cluster, 'the process stopped (SIGSTOP): /health fails', 75, async () => {
    const [{ restarts }] = await podsWith(cluster, label);
    const [pid] = await pids(cluster);
    await cluster.node('kill', '-STOP', pid);
    await until('a restart by kubelet', 60, async () =>
      (await podsWith(cluster, label)).find((pod) => pod.restarts > restarts && pod.isReady),
    );
    return 'kubelet kills it and starts the container anew';
  });
}

async function replica(cluster: Cluster): Promise<Result[]> {
  const pod = await readyPod(cluster, 'k8s-app=kube-dns');
  const signal = (name: string) =>
    cluster.kubectl('-n', 'kube-system', 'exec', pod, '--', 'sh', '-c', `kill -${name} $(pidof knotd)`);
  try {
    return await underLoad(
      cluster,
      'one of two replicas of the cluster DNS stopped (SIGSTOP), stays in its Service',
      40,
      async () => {
        await signal('STOP');
        return 'asked again over connections to the other';
      },
    );
  } finally {
    await signal('CONT');
  }
}

async function configMap(cluster: Cluster): Promise<Result[]> {
  const right = ofKind(overlay('ipvs'), 'ConfigMap');
  const edited = '.:53 {\n    template IN A edited.test {\n        answer "{{ .Name }} 5 IN A 192.0.2.7"\n    }\n';
  const text = right.data?.['Corefile'] ?? '';
  let seconds = 0;
  const [live] = await underLoad(cluster, 'the ConfigMap edited', 90, async () => {
    seconds = await timed(async () => {
      await cluster.apply([withCorefile(right, text.replace('.:53 {\n', edited))]);
      await until('the new answer', 80, async () => {
        const answer = await cluster.inPod('client', 'dig +short edited.test');
        return answer.text === '192.0.2.7' ? true : undefined;
      });
    });
    return 'served by the pod that runs';
  });
  let toCount = 0;
  const [wrong] = await underLoad(cluster, 'a wrong ConfigMap (`forwart`)', 90, async () => {
    toCount = await timed(async () => {
      await cluster.apply([withCorefile(right, text.replace('forward', 'forwart'))]);
      await until('the error counted', 80, async () => {
        const { text: metrics } = await fetched(cluster, `http://${local}:9253/metrics`);
        return /setup_errors_total\{errortype="configmap"\} [1-9]/.test(metrics) ? true : undefined;
      });
    });
    const { text: answer } = await cluster.inPod('client', 'dig +short edited.test');
    assert.equal(answer, '192.0.2.7', 'the old configuration');
    return 'counted; the old one serves on';
  });
  await cluster.apply([right]);
  await until('the right one again', 80, async () => {
    const { text: answer } = await cluster.inPod('client', 'dig edited.test');
    return answer.includes('192.0.2.7') ? undefined : true;
  });
  return [
    { ...live, took: inSeconds(seconds) },
    { ...wrong, took: inSeconds(toCount) },
  ];
}

function withCorefile(one: KubernetesObject, corefile: string): KubernetesObject {
  return { ...one, data: { Corefile: corefile } };
}

async function tryDropIn(cluster: Cluster): Promise<Result[]> {
  await cluster.kubectl('-n', 'kube-system', 'delete', 'daemonset', 'node-local-dns');
  await until('no process', 30, async () => ((await pids(cluster)).length === 0 ? true : undefined));
  const left = await countRules(cluster);
  await cluster.apply(dropIn());
  const seconds = await timed(() => readyPod(cluster, label));
  await pause(2_000);
  const [pid] = await pids(cluster);
  const rules = await countRules(cluster);
  const { text } = await cluster.inPod(
    'client',
    `dig +short @${kubeDns} web.default.svc.cluster.local; dig +short www.example.test`,
  );
  const pidFile = (await cluster.node('cat', `/proc/${pid}/root/tmp/node-cache.pid`)).trim();
  const { text: health } = await fetched(cluster, `http://${local}:8080/health`);
  const { text: metrics } = await fetched(cluster, `http://${local}:9353/metrics`);
  const user = await userOf(cluster, pid);
  const isRight = /^10\.96\..*\n198\.51\.100\.1$/.test(text) && rules === 24 && pidFile === '1';
  return [
    row('the DaemonSet deleted', left === 0, { seen: `${left} rules left` }),
    row(
      "node-cache's manifest, only the image changed",
      isRight && health === 'OK' && metrics.includes('coredns_build_info'),
      {
        seen: `names answered on both addresses; ${rules} rules; pid file; /health ${health}; /metrics on :9353; runs as user ${user}`,
        took: inSeconds(seconds),
      },
    ),
  ];
}

/** Asks for so many seconds from a pod; ten seconds after the beginning something is done. */
async function underLoad(
  cluster: Cluster,
  tried: string,
  seconds: number,
  happens: () => Promise<string>,
  server = local,
): Promise<Result[]> {
  const asking = cluster.inPod('client', `node /asker/asker.mjs ${server} ${aSecond} ${seconds}`);
  await pause(10_000);
  const seen = await happens().catch((error: Error) => `**${error.message}**`);
  const { text } = await asking;
  const asked = JSON.parse(text) as Asked;
  const { sent, lost, known, knownLost, servfail, late, silenceMs, p50Ms, p99Ms } = asked;
  const more = [
    ...(servfail > 0 ? [`${servfail} SERVFAIL`] : []),
    ...(late > 0 ? [`${late} later than 1 s`] : []),
    `p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
  ];
  return [
    row(tried, !seen.startsWith('**'), {
      seen: [...(seen === '' ? [] : [seen]), ...more].join('; '),
      lost: `${outOf(lost, sent)}; of known names ${outOf(knownLost, known)}`,
      took: `silent for ${(silenceMs / 1000).toFixed(1)} s`,
    }),
  ];
}

function outOf(some: number, all: number): string {
  return `${some.toLocaleString('en')} of ${all.toLocaleString('en')}`;
}

function row(tried: string, holds: boolean, rest: { seen: string; lost?: string; took?: string }): Result {
  return { tried, holds, seen: rest.seen, lost: rest.lost ?? '', took: rest.took ?? '' };
}

async function rolledOut(cluster: Cluster): Promise<void> {
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', 'daemonset/node-local-dns', '--timeout=90s');
}

/** The program's processes in pods, the one that started last at the end. */
async function pids(cluster: Cluster): Promise<string[]> {
  const look =
    "for p in $(pgrep -x zerohop); do grep -q kubepods /proc/$p/cgroup && echo $(cut -d' ' -f22 /proc/$p/stat) $p; done | sort -n | cut -d' ' -f2";
  return (await cluster.node('sh', '-c', look)).split('\n').filter(Boolean);
}

async function userOf(cluster: Cluster, pid: string): Promise<string> {
  return (await cluster.node('awk', '/^Uid:/ { print $2 }', `/proc/${pid}/status`)).trim();
}

async function countRules(cluster: Cluster): Promise<number> {
  return Number(await cluster.node('sh', '-c', "iptables-save | grep -c 'NodeLocal DNS Cache' || true"));
}

/** Flows of DNS to this address that the node's kernel keeps track of. */
async function flows(cluster: Cluster, address: string): Promise<number> {
  const look = `conntrack -L -d ${address} 2>/dev/null | grep -c 'dport=53 ' || true`;
  return Number(await cluster.node('sh', '-c', look));
}

function fetched(cluster: Cluster, url: string): Promise<{ status: number; text: string }> {
  return cluster.inPod('client', `curl -s --max-time 3 ${url}`);
}
