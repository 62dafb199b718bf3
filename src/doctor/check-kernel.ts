/** Checks of the kernel's settings and version, and of the version of Kubernetes, as far as a node shows it. */
import { kubeProxyMetricsBytesMax, kubeProxyPageMs, receiveBufferBytes } from '../limits.js';
import type { Check, Finding } from './check.js';
import { fineFinding, otherNetwork, skippedFinding } from './found.js';
import { kernelVersion, soleNumber } from './kernel-tables.js';
import { kubeProxyMetrics, kubeProxyOf } from './kube-proxy.js';

const osRelease = '/proc/sys/kernel/osrelease';

export const kernelCheck: Check = {
  about: 'the version of the kernel',
  isCheap: true,
  async run({ readFile }) {
    const code = 'kernel';
    const release = (readFile(osRelease) ?? '').trim();
    const version = kernelVersion(release);
    if (version === undefined) return [skippedFinding(code, `${osRelease} cannot be read`)];
    if (isAtLeast(version, 5, 0)) return [fineFinding(code, `Linux ${release}`)];
    return [
      {
        code,
        verdict: 'info',
        seen: `Linux ${release}`,
        meaning:
          'Kernels before 5.0 lose one of two queries that race for a place in the conntrack table; pods that bypass this cache wait five seconds then.',
        command: null,
      },
    ];
  },
};

type Version = NonNullable<ReturnType<typeof kernelVersion>>;

function isAtLeast(version: Version, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

export const ipvsCheck: Check = {
  about: 'settings of IPVS',
  isCheap: true,
  async run(outsides) {
    const codes = ['ipvs-reuse', 'ipvs-conntrack', 'ipvs-expire'];
    const away = otherNetwork(outsides);
    if (away !== null) return codes.map((code) => skippedFinding(code, away));
    const { mode, how } = await kubeProxyOf(outsides);
    if (mode === null) return codes.map((code) => skippedFinding(code, how));
    if (mode !== 'ipvs') return codes.map((code) => fineFinding(code, `kube-proxy is in ${mode} mode`));
    const read = (name: string): number | undefined => soleNumber(outsides.readFile(`/proc/sys/net/ipv4/vs/${name}`));
    const release = (outsides.readFile(osRelease) ?? '').trim();
    return [
      reuseFinding(read('conn_reuse_mode'), release),
      mustBeOne(
        'ipvs-conntrack',
        'conntrack',
        read('conntrack'),
        'kube-proxy cannot masquerade, so pods on other nodes do not answer.',
      ),
      mustBeOne(
        'ipvs-expire',
        'expire_nodest_conn',
        read('expire_nodest_conn'),
        'Packets of a flow go on to a pod that has been deleted, until the flow times out.',
      ),
    ];
  },
};

/** kube-proxy leaves the setting alone from Linux 5.9 on, and sets it to 0 before (kubernetes#102122). */
function reuseFinding(value: number | undefined, release: string): Finding {
  const code = 'ipvs-reuse';
  const version = kernelVersion(release);
  if (value === undefined || version === undefined) return skippedFinding(code, 'conn_reuse_mode cannot be read');
  const said = `conn_reuse_mode is ${value} on Linux ${release}`;
  const isNew = isAtLeast(version, 5, 9);
  if (isNew && value === 0) {
    return {
      code,
      verdict: 'warn',
      seen: said,
      meaning: 'A new connection from the port of an old one goes to the pod of the old one, which may be dead.',
      command: 'sysctl net.ipv4.vs.conn_reuse_mode=1',
    };
  }
  if (!isNew && value !== 0) {
    return {
      code,
      verdict: 'warn',
      seen: said,
      meaning:
        'Before Linux 5.9 that costs each new connection from a used port a second; upgrade the kernel, or else dead pods get connections.',
      command: 'sysctl net.ipv4.vs.conn_reuse_mode=0',
    };
  }
  return fineFinding(code, said);
}

function mustBeOne(code: string, name: string, value: number | undefined, meaning: string): Finding {
  if (value === undefined) return skippedFinding(code, `${name} cannot be read`);
  if (value === 1) return fineFinding(code, `${name} is 1`);
  return { code, verdict: 'warn', seen: `${name} is ${value}`, meaning, command: `sysctl net.ipv4.vs.${name}=1` };
}

/** CAP_NET_ADMIN in the masks of /proc/PID/status. */
const capabilityNetAdmin = 1n << 12n;

export const receiveBufferCheck: Check = {
  about: 'the size of receive queues',
  isCheap: true,
  async run({ readFile }) {
    const code = 'rmem-max';
    const bytes = soleNumber(readFile('/proc/sys/net/core/rmem_max'));
    if (bytes === undefined) return [skippedFinding(code, 'net.core.rmem_max cannot be read')];
    const said = `net.core.rmem_max is ${bytes.toLocaleString('en-US')}`;
    if (bytes >= receiveBufferBytes) return [fineFinding(code, said)];
    const [, mask] = /^CapEff:\s*([0-9a-f]{1,16})$/mu.exec(readFile('/proc/self/status') ?? '') ?? [];
    const isPrivileged = mask !== undefined && (BigInt(`0x${mask}`) & capabilityNetAdmin) !== 0n;
    if (isPrivileged) return [fineFinding(code, `${said}, which does not bind a process with NET_ADMIN`)];
    return [
      {
        code,
        verdict: 'info',
        seen: `${said}, and zerohop asks for ${receiveBufferBytes.toLocaleString('en-US')} bytes`,
        meaning: 'Without the capability NET_ADMIN its receive queues are shorter, so a burst of queries loses some.',
        command: `sysctl net.core.rmem_max=${receiveBufferBytes}`,
      },
    ];
  },
};

export const kubernetesCheck: Check = {
  about: 'the version of Kubernetes',
  isCheap: false,
  async run({ fetchText }) {
    const code = 'kubernetes';
    const bounds = { timeoutMs: kubeProxyPageMs, bytesMax: kubeProxyMetricsBytesMax };
    const page = await fetchText(kubeProxyMetrics, bounds);
    const version = page?.status === 200 ? kubernetesVersionIn(page.body) : undefined;
    if (version === undefined) return [skippedFinding(code, 'kube-proxy does not tell it at 127.0.0.1:10249')];
    const [, minor] = /^v1\.(\d+)/u.exec(version) ?? [];
    if (minor === undefined || Number(minor) >= 15) return [fineFinding(code, `${version}, as kube-proxy says`)];
    return [
      {
        code,
        verdict: 'warn',
        seen: `kube-proxy is of Kubernetes ${version}`,
        meaning: 'A node-local cache takes Kubernetes 1.15 or later.',
        command: null,
      },
    ];
  },
};

export function kubernetesVersionIn(metrics: string): string | undefined {
  return /^kubernetes_build_info\{[^}\n]*\bgit_version="(v[^"\s]{1,40})"/mu.exec(metrics)?.[1];
}
