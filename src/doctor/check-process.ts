/** Checks of the process and its instances: memory, the last reload, a stand-by, a stranger on our addresses, a taken port. */
import { formatEndpoint } from '../config/addresses.js';
import { socketRowsBytesMax } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { noFacts, podAddresses } from './check-addresses.js';
import type { MemoryUse } from './facts.js';
import { fineFinding, howMany, percent, readTextOf, skippedFinding, someOf } from './found.js';
import { keyedNumber, parseSocketRows, type SocketRow, soleNumber } from './kernel-tables.js';

export const reloadCheck: Check = {
  about: 'the last reload',
  isCheap: true,
  async run({ facts }) {
    const code = 'reload-refused';
    if (facts === null) return [skippedFinding(code, noFacts)];
    if (!facts.isLastReloadRefused) return [fineFinding(code, 'the configuration in force is the one that is written')];
    return [
      {
        code,
        verdict: 'fail',
        seen: 'the last configuration was rejected, and the one before is in force',
        meaning: 'Changes since then have no effect, and a pod that starts anew does not start with them.',
        command: 'kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=200 | grep rejected',
      },
    ];
  },
};

export const standByCheck: Check = {
  about: 'other instances on this node',
  isCheap: true,
  async run({ facts }) {
    const codes = ['alone', 'duplicate'];
    if (facts === null) return codes.map((code) => skippedFinding(code, noFacts));
    return [aloneFinding(facts), duplicateFinding(facts)];
  },
};

type FactsOfProcess = NonNullable<DoctorOutsides['facts']>;

function aloneFinding(facts: FactsOfProcess): Finding {
  const code = 'alone';
  const { role, standBys, hasHandover } = facts;
  if (role !== 'serving') return fineFinding(code, 'this instance is not the serving one');
  if (standBys > 0) return fineFinding(code, `${howMany(standBys, 'instance stands', 'instances stand')} by`);
  // With Cilium each pod has a network of its own, and a successor is there before the redirection changes.
  if (podAddresses({ facts }).length === 0) return fineFinding(code, 'instances share no address here');
  if (hasHandover === false) {
    return {
      code,
      verdict: 'warn',
      seen: 'no stand-by is here, and -handover is empty',
      meaning: 'A successor cannot take over, so an update costs 5 to 10 s of DNS on this node.',
      command: 'kubectl -n kube-system edit daemonset node-local-dns  # -handover=/run/zerohop/handover.sock',
    };
  }
  return {
    code,
    verdict: 'info',
    seen: 'no stand-by is on this node',
    meaning:
      'An update with maxSurge: 1 costs nothing; without it, and when this pod is killed or evicted, the node is without DNS ' +
      'for 5 to 10 s. The overlay high-availability adds a stand-by.',
    command: `kubectl -n kube-system get daemonset node-local-dns -o jsonpath='{.spec.updateStrategy}'`,
  };
}

/** A predecessor may still be leaving. */
const secondsOfLeaving = 60;

function duplicateFinding({ flags, foreignSockets, standBys, upSeconds, role }: FactsOfProcess): Finding {
  const code = 'duplicate';
  if (foreignSockets === undefined)
    return skippedFinding(code, 'zerohop does not tell who else has sockets on its addresses');
  if (foreignSockets === 0) return fineFinding(code, 'nobody else has sockets on the addresses of zerohop');
  if (standBys > 0 || role !== 'serving' || upSeconds < secondsOfLeaving) {
    return fineFinding(code, 'the other sockets on our addresses are those of another instance');
  }
  return {
    code,
    verdict: 'fail',
    seen: `another process has ${howMany(foreignSockets, 'UDP socket')} on port ${flags.dnsPort} of ${someOf(flags.localAddresses)}`,
    meaning:
      'The kernel divides the queries between both: node-cache, or an instance with another -handover, answers some of them.',
    command: `ss -lnup sport = :${flags.dnsPort}`,
  };
}

const nearlyOutShare = 0.9;

export const memoryCheck: Check = {
  about: 'memory of the container',
  isCheap: true,
  async run({ readFile, facts }) {
    const codes = ['memory', 'oom-kills'];
    // Beside the serving process there may be a limit of the doctor's own container.
    const use = facts?.memory === undefined ? memoryUse(readFile) : facts.memory;
    if (use === null)
      return codes.map((code) => skippedFinding(code, 'this process has no memory limit that it can see'));
    const { limitBytes, usedBytes, kills } = use;
    const said = `${mebibytesOf(usedBytes)} of ${mebibytesOf(limitBytes)} MiB (${percent(usedBytes, limitBytes)})`;
    const isNear = usedBytes >= nearlyOutShare * limitBytes;
    return [isNear ? nearlyOut(said) : fineFinding('memory', said), killsFinding(kills)];
  },
};

/** Control groups of version 2, then of version 1; null without a limit. */
export function memoryUse(readFile: DoctorOutsides['readFile']): MemoryUse | null {
  const second = '/sys/fs/cgroup';
  const limit = soleNumber(readFile(`${second}/memory.max`));
  const current = soleNumber(readFile(`${second}/memory.current`));
  if (limit !== undefined && current !== undefined) {
    const inactive = keyedNumber(readFile(`${second}/memory.stat`), 'inactive_file') ?? 0;
    const kills = keyedNumber(readFile(`${second}/memory.events`), 'oom_kill') ?? 0;
    return { limitBytes: limit, usedBytes: Math.max(0, current - inactive), kills };
  }
  const first = '/sys/fs/cgroup/memory';
  const limitOfFirst = soleNumber(readFile(`${first}/memory.limit_in_bytes`));
  const usage = soleNumber(readFile(`${first}/memory.usage_in_bytes`));
  if (limitOfFirst === undefined || usage === undefined || limitOfFirst > Number.MAX_SAFE_INTEGER) return null;
  const inactive = keyedNumber(readFile(`${first}/memory.stat`), 'total_inactive_file') ?? 0;
  const kills = keyedNumber(readFile(`${first}/memory.oom_control`), 'oom_kill') ?? 0;
  return { limitBytes: limitOfFirst, usedBytes: Math.max(0, usage - inactive), kills };
}

function mebibytesOf(bytes: number): string {
  return Math.round(bytes / 2 ** 20).toLocaleString('en-US');
}

function nearlyOut(said: string): Finding {
  return {
    code: 'memory',
    verdict: 'warn',
    seen: `the container uses ${said}`,
    meaning: 'At the limit the kernel kills zerohop, and the node is without DNS until it is back.',
    command: 'kubectl -n kube-system set resources daemonset node-local-dns --limits=memory=768Mi',
  };
}

function killsFinding(kills: number): Finding {
  if (kills === 0) return fineFinding('oom-kills', 'the kernel has killed nothing in the container of zerohop');
  return {
    code: 'oom-kills',
    verdict: 'warn',
    seen: `the kernel has killed ${howMany(kills, 'process', 'processes')} in the container of zerohop for want of memory`,
    meaning:
      'If it was zerohop, the node was without DNS until it was back; if it was ip or iptables, a repair was put off.',
    command: 'kubectl -n kube-system describe pods -l k8s-app=node-local-dns | grep -A5 "Last State"',
  };
}

/** A taken port is why a start fails, and then there is no process that could be asked. */
export const portCheck: Check = {
  about: 'the port of /health',
  isCheap: false,
  async run(outsides) {
    const code = 'port-8080';
    if (outsides.facts !== null) {
      const at = podAddresses(outsides).map((address) => ({ address, port: outsides.facts!.flags.healthPort }));
      return [
        fineFinding(code, `zerohop runs, so nobody keeps it from ${at.map(formatEndpoint).join(', ') || 'its port'}`),
      ];
    }
    const tables = await Promise.all(
      ['tcp', 'tcp6'].map((name) => readTextOf(outsides, `/proc/net/${name}`, socketRowsBytesMax)),
    );
    if (tables[0] === undefined) return [skippedFinding(code, '/proc/net/tcp cannot be read')];
    const rows = tables.flatMap((text) => parseSocketRows(text ?? ''));
    return [takenFinding(rows.filter(({ port, state }) => port === healthPortByDefault && state === stateOfListening))];
  },
};

const healthPortByDefault = 8080;
/** In /proc/net/tcp. */
const stateOfListening = '0A';

function takenFinding(listening: readonly SocketRow[]): Finding {
  const code = 'port-8080';
  const onAll = listening.find(({ address }) => address === '0.0.0.0' || address === '::');
  if (onAll === undefined) return fineFinding(code, `nobody listens on port ${healthPortByDefault} of all addresses`);
  return {
    code,
    verdict: 'fail',
    seen: `a process of user ${onAll.user} listens on ${formatEndpoint(onAll)}, and zerohop does not run`,
    meaning:
      'zerohop cannot open /health on a port that another program has on all addresses: change health in the Corefile, -health-port and the probes together.',
    command: `ss -lntp sport = :${healthPortByDefault}`,
  };
}
