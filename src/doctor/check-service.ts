/**
 * The Services of the cluster DNS on this node: that there is one, that it has endpoints, that kube-proxy's rules lead to
 * them, that its address answers, and that no client sticks to one endpoint.
 */
import { canonicalAddress, formatEndpoint } from '../config/addresses.js';
import { doctorFileBytesMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import {
  type AnsweringServer,
  answersAtLast,
  clusterDnsAnswersOf,
  clusterDnsOf,
  clusterRulesOf,
  endpointAnswersOf,
  endpointsIn,
  isAnswering,
  isDead,
  isOwnAddress,
  isSilent,
  kubeDnsAnswersOf,
  kubeDnsRulesOf,
  silenceOf,
} from './cluster-evidence.js';
import type { ServedPort, ServiceRules } from './endpoints-of-service.js';
import { fineFinding, howMany, otherNetwork, readTextOf, skippedFinding, someOf } from './found.js';
import type { ProbeTransport } from './probe.js';

export const noClusterDns = 'no address of the cluster DNS is known';
const transports: readonly ProbeTransport[] = ['udp', 'tcp'];

/** `53/UDP`, as kubectl and kube-proxy write ports. */
function portText({ port }: Endpoint, over: ProbeTransport): string {
  return `${port}/${over.toUpperCase()}`;
}

export const clusterDnsServiceCheck: Check = {
  about: 'Service of the cluster DNS',
  isCheap: false,
  async run(outsides) {
    const code = 'cluster-dns-service';
    const { at, missing } = clusterDnsOf(outsides);
    if (at === null) {
      const { facts, environment } = outsides;
      // A Corefile may name its upstreams itself; without an address for a placeholder zerohop does not start.
      const isNeeded =
        facts === null ? environment['KUBERNETES_SERVICE_HOST'] !== undefined : facts.clusterDomain !== null;
      if (!isNeeded) return [skippedFinding(code, `no Service of a cluster is asked: ${missing.replace(/\.$/u, '')}`)];
      return [
        {
          code,
          verdict: 'fail',
          seen: `zerohop has no address of the cluster DNS: ${missing}`,
          meaning:
            'Names that are not cached get no answer. A pod learns the addresses of Services when it starts: create the ' +
            'Service if there is none, then restart this pod.',
          command: 'kubectl -n kube-system get svc kube-dns-upstream',
        },
      ];
    }
    const other = await otherEndpoints(outsides);
    return [other ?? fineFinding(code, `the cluster DNS is ${formatEndpoint(at)}`)];
  },
};

/** A finding where both Services have endpoints, and not the same. */
async function otherEndpoints(outsides: DoctorOutsides): Promise<Finding | null> {
  const [asked, usual] = [await clusterRulesOf(outsides), await kubeDnsRulesOf(outsides)];
  if (asked?.at.address === usual?.at.address) return null;
  const [ours, theirs] = [asked, usual].map((rules) => endpointsIn(rules).map(({ address }) => address));
  const differ = [...ours.filter((each) => !theirs.includes(each)), ...theirs.filter((each) => !ours.includes(each))];
  if (ours.length === 0 || theirs.length === 0 || differ.length === 0) return null;
  const name = asked?.known === true ? asked.udp.service : null;
  return {
    code: 'cluster-dns-service',
    verdict: 'warn',
    seen: `the Service that zerohop asks and kube-dns have different endpoints: ${someOf(differ)}`,
    meaning: 'Their selectors differ, so pods with and without the cache ask different servers.',
    command: `kubectl get svc -A -o wide | grep -e ' kube-dns ' -e '${name?.split('/')[1] ?? 'kube-dns-upstream'}'`,
  };
}

type KnownRules = Extract<ServiceRules, { known: true }>;

/** The rules for the cluster DNS, or why the codes of a check cannot be looked at. */
async function rulesOrSkipped(
  outsides: DoctorOutsides,
  codes: readonly string[],
): Promise<{ readonly rules: KnownRules } | { readonly skipped: readonly Finding[] }> {
  const all = (why: string) => ({ skipped: codes.map((code) => skippedFinding(code, why)) });
  const elsewhere = otherNetwork(outsides);
  if (elsewhere !== null) return all(elsewhere);
  const rules = await clusterRulesOf(outsides);
  if (rules === null) return all(noClusterDns);
  return rules.known ? { rules } : all(`the endpoints are not known: ${rules.why}`);
}

export const kubeProxyRulesCheck: Check = {
  about: "kube-proxy's rules for the cluster DNS",
  isCheap: false,
  async run(outsides) {
    const known = await rulesOrSkipped(outsides, ['kube-proxy-rules', 'ipvs-no-backend']);
    if ('skipped' in known) return known.skipped;
    const rules = believedRules(known.rules, await clusterDnsAnswersOf(outsides));
    return [rulesFinding(outsides, rules), backendFinding(rules)];
  },
};

/**
 * The rules as far as they do not contradict what is seen: an address that answers is served by some program, as where
 * another one stands in for kube-proxy. A rule that rejects is none that is missing.
 */
function believedRules(rules: KnownRules, answers: AnsweringServer | null): KnownRules {
  const believed = (over: ProbeTransport): ServedPort => {
    const isServed = rules[over].state !== 'rejected' && isAnswering(answers?.[over] ?? null);
    return isServed ? Object.assign({}, rules[over], { state: 'served' } as const) : rules[over];
  };
  return Object.assign({}, rules, { udp: believed('udp'), tcp: believed('tcp') });
}

/** Whether this container knows the address as that of a Service: `-upstreamsvc` may name any server. */
function isServiceAddress({ environment }: DoctorOutsides, address: string): boolean {
  return Object.entries(environment).some(([name, value]) => name.endsWith('_SERVICE_HOST') && value === address);
}

function rulesFinding(outsides: DoctorOutsides, rules: KnownRules): Finding {
  const { at, mode } = rules;
  const wrong = transports.filter((over) => rules[over].state === 'absent' || rules[over].state === 'empty');
  if (wrong.length === 0)
    return fineFinding('kube-proxy-rules', `kube-proxy (${mode}) has rules for ${formatEndpoint(at)}`);
  const isAbsent = wrong.some((over) => rules[over].state === 'absent');
  const isNoService =
    transports.every((over) => rules[over].state === 'absent') && !isServiceAddress(outsides, at.address);
  if (isNoService) return skippedFinding('kube-proxy-rules', `${at.address} is not known as the address of a Service`);
  const ports = wrong.map((over) => portText(at, over)).join(' and ');
  return {
    code: 'kube-proxy-rules',
    verdict: 'fail',
    seen: isAbsent
      ? `kube-proxy runs in ${mode} mode and has no rule for ${at.address} port ${ports}`
      : `kube-proxy's rules for ${at.address} port ${ports} lead to no endpoint`,
    meaning: 'Questions to this address go nowhere. The rules are missing or stale, or the Service has gone.',
    command: kubeProxyLogs(outsides),
  };
}

/** `kubectl logs` itself selects no node. */
function kubeProxyLogs(outsides: DoctorOutsides): string {
  const pod = `-l k8s-app=kube-proxy --field-selector spec.nodeName=${nodeName(outsides)} -o name`;
  return `kubectl -n kube-system logs --tail=50 $(kubectl -n kube-system get pods ${pod})`;
}

/** A pod in the host's network has the name of the node; `NODE`, for the reader to replace, where this seems to be none. */
export function nodeName({ readFile }: Pick<DoctorOutsides, 'readFile'>): string {
  const name = (readFile('/proc/sys/kernel/hostname') ?? '').trim();
  return /^[\w.-]+$/u.test(name) && !name.startsWith('node-local-dns-') ? name : 'NODE';
}

function backendFinding(rules: KnownRules): Finding {
  const code = 'ipvs-no-backend';
  const { at, mode } = rules;
  if (mode !== 'ipvs') return skippedFinding(code, `kube-proxy runs in ${mode} mode`);
  const bare = transports.filter((over) => rules[over].state === 'rejected').map((over) => portText(at, over));
  if (bare.length === 0) return fineFinding(code, `${formatEndpoint(at)} has real servers`);
  return {
    code,
    verdict: 'fail',
    seen: `the virtual server ${at.address} port ${bare.join(' and ')} has no real server with a weight`,
    meaning: 'Questions to this address go nowhere, because no CoreDNS pod is ready.',
    command: 'kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide',
  };
}

export const endpointsCheck: Check = {
  about: 'endpoints of the cluster DNS',
  isCheap: false,
  async run(outsides) {
    const known = await rulesOrSkipped(outsides, ['no-endpoints', 'single-endpoint']);
    if ('skipped' in known) return known.skipped;
    const { rules } = known;
    const none = transports.filter((over) => rules[over].state === 'rejected');
    if (none.length > 0) return [noEndpoints(rules, none), skippedFinding('single-endpoint', 'there is none')];
    const endpoints = endpointsIn(rules).map(({ address }) => address);
    if (endpoints.length === 0) {
      return ['no-endpoints', 'single-endpoint'].map((code) => skippedFinding(code, "kube-proxy's rules name none"));
    }
    const all = `${howMany(endpoints.length, 'endpoint')}: ${someOf(endpoints)}`;
    if (endpoints.length > 1) return ['no-endpoints', 'single-endpoint'].map((code) => fineFinding(code, all));
    return [fineFinding('no-endpoints', all), singleEndpoint(rules, endpoints[0])];
  },
};

function noEndpoints(rules: KnownRules, none: readonly ProbeTransport[]): Finding {
  const { at } = rules;
  const service = rules[none[0]].service;
  return {
    code: 'no-endpoints',
    verdict: 'fail',
    seen:
      `kube-proxy rejects ${at.address} port ${none.map((over) => portText(at, over)).join(' and ')}: ` +
      `${service ?? 'the Service'} has no endpoints`,
    meaning: 'No CoreDNS pod is ready, or the selector of the Service matches none. Names that are not cached fail.',
    command: 'kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide',
  };
}

function singleEndpoint(rules: KnownRules, address: string): Finding {
  return {
    code: 'single-endpoint',
    verdict: 'warn',
    seen: `${rules.udp.service ?? 'the cluster DNS'} has one endpoint only, ${address}`,
    meaning: 'While that pod restarts, or its node does, names that are not cached get no answer.',
    command: 'kubectl -n kube-system scale deployment coredns --replicas=2',
  };
}

export const serviceReachCheck: Check = {
  about: 'address of the cluster DNS over UDP and TCP',
  isCheap: false,
  async run(outsides) {
    const code = 'cluster-ip-unreachable';
    const servers = [await clusterDnsAnswersOf(outsides), await kubeDnsAnswersOf(outsides)].flatMap(
      (each) => each ?? [],
    );
    if (servers.length === 0) {
      const { at } = clusterDnsOf(outsides);
      const isOwn = at !== null && isOwnAddress(outsides, at.address);
      return [skippedFinding(code, isOwn ? `${at.address} is an address of this cache` : noClusterDns)];
    }
    const endpoints = await endpointAnswersOf(outsides);
    const silent: Finding[] = [];
    for (const server of servers) {
      const over = await silentTransports(outsides, server, endpoints);
      if (over.length > 0) silent.push(await unreachableService(outsides, { server, over, endpoints }));
    }
    if (silent.length > 0) return silent;
    const asked = servers.filter(({ udp, tcp }) => isAnswering(udp) && isAnswering(tcp));
    if (asked.length > 0) return [fineFinding(code, asked.map(answersText).join('; '))];
    return [skippedFinding(code, 'this run may send no more questions, or got few answers')];
  },
};

/** `10.96.0.10 answers over UDP (0.4 ms) and TCP (0.6 ms)`. */
export function answersText({ address, udp, tcp }: AnsweringServer): string {
  const over = [
    ...(isAnswering(udp) ? [`UDP (${msText(udp!.fastestMs)})`] : []),
    ...(isAnswering(tcp) ? [`TCP (${msText(tcp!.fastestMs)})`] : []),
  ];
  return `${address} answers over ${over.join(' and ')}`;
}

/** `0.4 ms`, `12 ms`. */
export function msText(ms: number | null): string {
  return ms === null ? '?' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Over what the Service answers nothing, though some endpoint may. */
async function silentTransports(
  outsides: DoctorOutsides,
  server: AnsweringServer,
  endpoints: readonly AnsweringServer[],
): Promise<ProbeTransport[]> {
  const rules = [await clusterRulesOf(outsides), await kubeDnsRulesOf(outsides)];
  const at = rules.find((each) => each?.at.address === server.address)?.at;
  const silent: ProbeTransport[] = [];
  for (const over of transports) {
    if (!isSilent(server[over])) continue;
    const isByChance = at !== undefined && endpoints.some((each) => isSilent(each[over]));
    if (!isByChance || !(await answersAtLast(outsides, at, over))) silent.push(over);
  }
  return silent;
}

interface Unreachable {
  readonly server: AnsweringServer;
  readonly over: readonly ProbeTransport[];
  readonly endpoints: readonly AnsweringServer[];
}

async function unreachableService(
  outsides: DoctorOutsides,
  { server, over, endpoints }: Unreachable,
): Promise<Finding> {
  const answering = endpoints.filter((each) => over.every((transport) => isAnswering(each[transport])));
  const isAsked = server.address === clusterDnsOf(outsides).at?.address;
  const whose = isAsked ? 'The cache asks this address' : 'Pods that do not use the cache ask this address';
  const but = answering.length === 0 ? '' : `, but ${someOf(answering.map(({ address }) => address))} behind it do`;
  const how = over.every((each) => server[each]?.why === 'closed') ? 'refused' : 'no answer in 1 s, three times';
  const words = over.map((each) => each.toUpperCase()).join(' and ');
  const finding: Finding = {
    code: 'cluster-ip-unreachable',
    verdict: 'fail',
    seen: `${server.address} does not answer over ${words} (${how})${but}`,
    meaning:
      answering.length === 0
        ? `${whose}. Its endpoints do not answer either, or are not known.`
        : `${whose}. kube-proxy's rules on this node are missing or stale, or a rule drops packets to it.`,
    command: kubeProxyLogs(outsides),
  };
  const isByEndpoints =
    endpoints.length > 0 && (answering.length === 0 || (await isStuck(outsides, server, endpoints)));
  return isByEndpoints ? Object.assign(finding, { explainedBy: 'endpoint-dead' }) : finding;
}

/** With session affinity this node may get no other endpoint than the silent one. */
async function isStuck(
  outsides: DoctorOutsides,
  { address }: AnsweringServer,
  endpoints: readonly AnsweringServer[],
): Promise<boolean> {
  const all = [await clusterRulesOf(outsides), await kubeDnsRulesOf(outsides)];
  const rules = all.find((each) => each?.at.address === address);
  const isSticky = rules?.known === true && (rules.udp.affinity !== null || rules.tcp.affinity !== null);
  return isSticky && endpoints.some((each) => silenceOf(each) !== null);
}

export const sessionAffinityCheck: Check = {
  about: 'session affinity of the cluster DNS',
  isCheap: false,
  async run(outsides) {
    const code = 'session-affinity';
    const known = await rulesOrSkipped(outsides, [code]);
    if ('skipped' in known) return known.skipped;
    const kubeDns = await kubeDnsRulesOf(outsides);
    // What this cache answers by itself goes to no endpoint.
    const isMeant = kubeDns?.known === true && !isOwnAddress(outsides, kubeDns.at.address);
    const all = isMeant ? [known.rules, kubeDns] : [known.rules];
    const sticky = all.flatMap((rules) => [rules.udp, rules.tcp].map((port) => ({ at: rules.at, port })));
    const first = sticky.find(({ port }) => port.affinity !== null);
    if (first === undefined) {
      const isKnown = all.some(({ udp, tcp }) => udp.state === 'served' || tcp.state === 'served');
      return [isKnown ? fineFinding(code, 'no client sticks to one endpoint') : skippedFinding(code, 'no endpoints')];
    }
    return [await affinityFinding(outsides, first.at, first.port)];
  },
};

async function affinityFinding(
  outsides: DoctorOutsides,
  at: Endpoint,
  { affinity, service }: ServedPort,
): Promise<Finding> {
  const dead = (await endpointAnswersOf(outsides)).filter(isDead).map(({ address }) => address);
  const now = await endpointOfOurs(outsides, at);
  const time = affinity?.seconds == null ? 'for a fixed time' : `for ${affinity.seconds.toLocaleString('en-US')} s`;
  const isDeadNow = now !== null && dead.includes(now);
  const isAsked = at.address === clusterDnsOf(outsides).at?.address;
  const [namespace, name] = service?.split('/') ?? ['kube-system', nameOfService(outsides, at.address)];
  return {
    code: 'session-affinity',
    verdict: isAsked && dead.length > 0 ? 'fail' : 'warn',
    seen:
      `${service ?? formatEndpoint(at)} keeps a client on one endpoint ${time}` +
      (now === null ? '' : `; now this node is on ${now}${isDeadNow ? ', which does not answer' : ''}`),
    meaning:
      'All questions of this node come from one address, so all of them go to one CoreDNS pod, whether it answers or not.',
    command: `kubectl -n ${namespace} patch svc ${name} -p '{"spec":{"sessionAffinity":"None"}}'`,
  };
}

/** As the variables of this container name the Service with this address: `KUBE_DNS_UPSTREAM_SERVICE_HOST`. */
function nameOfService({ environment }: DoctorOutsides, address: string): string {
  const variable = Object.keys(environment).find((each) => {
    return each.endsWith('_SERVICE_HOST') && canonicalAddress(environment[each] ?? '') === address;
  });
  return (
    variable
      ?.replace(/_SERVICE_HOST$/u, '')
      .replaceAll('_', '-')
      .toLowerCase() ?? 'kube-dns'
  );
}

/** The endpoint that connections from this node to the address go to, as connection tracking has it; null: none is seen. */
async function endpointOfOurs(outsides: DoctorOutsides, at: Endpoint): Promise<string | null> {
  const own = outsides.network.hostAddresses?.() ?? [];
  const text = await readTextOf(outsides, '/proc/net/nf_conntrack', doctorFileBytesMax);
  return text === undefined ? null : endpointOfFlows(text, at, own);
}

/** In rows of nf_conntrack: the source of the replies to the newest flow from one of `own` to `at`. */
export function endpointOfFlows(text: string, at: Endpoint, own: readonly string[]): string | null {
  const shape = /^\S+ +\d+ +\S+ +\d+ (\d+) .*?\bsrc=(\S+) dst=(\S+) sport=\d+ dport=(\d+) .*?src=(\S+) dst=/u;
  let found: string | null = null;
  let secondsLeftMost = -1;
  for (const line of text.split('\n')) {
    if (!line.includes(` dport=${at.port} `)) continue;
    const [, secondsLeft, from = '', to = '', port, source = ''] = shape.exec(line) ?? [];
    if (Number(port) !== at.port || canonicalAddress(to) !== at.address) continue;
    const endpoint = canonicalAddress(source);
    if (!own.includes(canonicalAddress(from) ?? '') || endpoint === undefined || endpoint === at.address) continue;
    if (Number(secondsLeft) <= secondsLeftMost) continue;
    secondsLeftMost = Number(secondsLeft);
    found = endpoint;
  }
  return found;
}
