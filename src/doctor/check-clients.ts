/** Checks of the clients: whether pods ask this cache, and which pods ask the ClusterIP past it. */
import { dnsPort } from '../config/addresses.js';
import { doctorFileBytesMax, flowSourcesMax } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { kubeDnsAddress, noFacts, podAddresses, quietSecondsLeast } from './check-addresses.js';
import type { ServerFacts } from './facts.js';
import { fineFinding, howMany, otherNetwork, percent, skippedFinding, someOf } from './found.js';
import { eachFlowTo } from './kernel-tables.js';
import { linksOf, podLinks } from './links.js';

export const askedCheck: Check = {
  about: 'whether pods ask this cache',
  isCheap: true,
  async run(outsides) {
    const code = 'nobody-asks';
    const { facts } = outsides;
    if (facts === null) return [skippedFinding(code, noFacts)];
    if (facts.role !== 'serving') return [skippedFinding(code, 'another instance serves this node')];
    const { queries, seconds } = facts.recent;
    if (queries > 0) return [onlyTheNode(outsides) ?? hardlyAnybody(facts) ?? fineFinding(code, whoAsks(facts))];
    if (seconds < quietSecondsLeast)
      return [skippedFinding(code, `zerohop has served for ${Math.round(seconds)} s only`)];
    const away = otherNetwork(outsides);
    const links = await linksOf(outsides);
    // A node without pods of the pod network, as some control planes are, has nobody who would ask.
    if (away === null && links.ok && podLinks(links.items).length === 0) {
      return [fineFinding(code, 'no query came, and this node has no link of a pod')];
    }
    return [
      {
        code,
        verdict: 'warn',
        seen: `no query came to ${someOf(facts.flags.localAddresses)} in ${Math.round(seconds / 60)} minutes`,
        meaning:
          'Pods that are older than the change of the clusterDNS of kubelet keep their old resolver, or that change was not made.',
        command: 'kubectl get --raw /api/v1/nodes/NODE/proxy/configz | grep -o \'"clusterDNS":[^]]*\'',
      },
    ];
  },
};

/** The doctor's own questions, and those of programs on the host's network, are no sign that pods ask. */
function onlyTheNode({ facts, network }: DoctorOutsides): Finding | null {
  const own = new Set(network.hostAddresses?.() ?? []);
  const clients = facts?.topClients ?? [];
  if (facts === null || clients.length === 0 || !clients.every((client) => own.has(client))) return null;
  return {
    code: 'nobody-asks',
    verdict: 'info',
    seen: `${whoAsks(facts)}, as far as sampled all of them from this node itself`,
    meaning: 'The node and the doctor ask this cache, and no pod of the pod network was seen.',
    command: 'kubectl get pods -A -o wide --field-selector spec.nodeName=NODE',
  };
}

/** Fewer than one query a minute: each run of the doctor asks a few names through the cache. */
function isHardlyAsked({ recent: { queries, seconds } }: ServerFacts): boolean {
  return queries * 60 < seconds;
}

/** Too few for the sample of clients, which would tell pods from the node. */
function hardlyAnybody(facts: ServerFacts): Finding | null {
  const isSampled = (facts.topClients ?? []).length > 0;
  if (isSampled || facts.recent.seconds < quietSecondsLeast || !isHardlyAsked(facts)) return null;
  return {
    code: 'nobody-asks',
    verdict: 'info',
    seen: `${whoAsks(facts)}, fewer than one a minute`,
    meaning:
      'They may be those of the doctor itself. If this node has pods that are at work, they do not use this cache.',
    command: 'kubectl get pods -A -o wide --field-selector spec.nodeName=NODE',
  };
}

function whoAsks({ recent: { queries, seconds, byLocalAddress } }: ServerFacts): string {
  const total = Object.values(byLocalAddress).reduce((sum, count) => sum + count, 0);
  const shares = Object.entries(byLocalAddress)
    .filter(([, count]) => count > 0)
    .sort(([, one], [, other]) => other - one)
    .map(([address, count]) => `${percent(count, total)} to ${address}`);
  const where = shares.length === 0 ? '' : `: ${someOf(shares)}`;
  return `${howMany(queries, 'query', 'queries')} in ${howMany(Math.max(1, Math.round(seconds / 60)), 'minute')}${where}`;
}

export const flowsCheck: Check = {
  about: 'pods that pass by this cache',
  isCheap: false,
  async run(outsides) {
    const codes = ['bypassed', 'old-pods'];
    const skip = (why: string): Finding[] => codes.map((code) => skippedFinding(code, why));
    const { facts, environment, network, readPieces } = outsides;
    if (facts === null) return skip(noFacts);
    const away = otherNetwork(outsides);
    if (away !== null) return skip(away);
    const service = kubeDnsAddress(environment);
    if (service === '') return skip('KUBE_DNS_SERVICE_HOST is not set here');
    const pieces = await readPieces('/proc/net/nf_conntrack', doctorFileBytesMax);
    if (pieces === undefined) return skip('this kernel does not list its tracked flows (/proc/net/nf_conntrack)');
    if (facts.upSeconds < secondsOfOldFlows) return skip('flows of the time before the start may still be tracked');
    const own = new Set(network.hostAddresses?.() ?? []);
    const flows = new Map<string, number>();
    eachFlowTo(dnsPort, pieces, ({ protocol, from, to }) => {
      // A TCP connection may be days old; the node's own programs are no pods.
      if (protocol !== 'udp' || to !== service || own.has(from)) return;
      if (flows.has(from) || flows.size < flowSourcesMax) flows.set(from, (flows.get(from) ?? 0) + 1);
    });
    return flowFindings(flows, { service, isOurs: podAddresses(outsides).includes(service), facts });
  },
};

/** The kernel forgets UDP flows after 30 to 180 s. */
const secondsOfOldFlows = 300;

function flowFindings(
  flows: ReadonlyMap<string, number>,
  { service, isOurs, facts }: { readonly service: string; readonly isOurs: boolean; readonly facts: ServerFacts },
): readonly Finding[] {
  const none = `no tracked flow of a pod goes to ${service}:${dnsPort}`;
  if (flows.size === 0) return [fineFinding('bypassed', none), fineFinding('old-pods', none)];
  const pods = [...flows].sort(([, one], [, other]) => other - one).map(([address]) => address);
  const total = [...flows.values()].reduce((sum, count) => sum + count, 0);
  const seen = `${howMany(total, 'tracked flow')} from ${howMany(flows.size, 'pod')} to ${service}:${dnsPort}: ${someOf(pods)}`;
  if (isOurs || isHardlyAsked(facts)) {
    return [
      {
        code: 'bypassed',
        verdict: 'warn',
        seen,
        meaning: isOurs
          ? `These queries are tracked and go to the cluster DNS, though ${service} is ours: a rule before our NOTRACK rules takes the packets.`
          : 'These pods do not use this cache, and hardly anybody else does.',
        command: isOurs ? 'iptables-save -c -t raw' : `kubectl get pods -A -o wide | grep -F ${pods[0]}`,
      },
      fineFinding('old-pods', isOurs ? `${service} is in -localip` : 'no pod asks this cache yet'),
    ];
  }
  return [
    fineFinding('bypassed', `${service} is not in -localip, so pods that ask it are older than the change`),
    {
      code: 'old-pods',
      verdict: 'info',
      seen,
      meaning: `These pods still ask ${service}; they change when they are made anew.`,
      command: `kubectl get pods -A -o wide | grep -F ${pods[0]}`,
    },
  ];
}
