/**
 * What the checks of the cluster DNS look at, each looked at once in a run: the addresses of its Services, kube-proxy's
 * rules for them, and what every endpoint and both Services answer over UDP and TCP. Only facts; the checks judge.
 */
import { canonicalAddress, dnsPort, portNumber, readEndpoint } from '../config/addresses.js';
import { parseResolvConf } from '../config/resolv-conf.js';
import { typeA, typePtr } from '../dns/wire.js';
import { doctorAnswerMs, doctorEndpointsMax, doctorTriesAtLast, doctorTriesPerEndpoint } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { DoctorOutsides } from './check.js';
import { rulesOfService, type ServiceRules } from './endpoints-of-service.js';
import { oncePerRun, runProgramFor } from './found.js';
import { type ProbeReply, type ProbeTransport, probeServer } from './probe.js';

/** The answers to a few equal questions over one transport. */
interface Answers {
  readonly asked: number;
  readonly answered: number;
  readonly fastestMs: number | null;
  /** Of the last question without an answer. */
  readonly why: Extract<ProbeReply, { answered: false }>['why'] | null;
  /** Of the last answer. */
  readonly rcode: number | null;
}

export interface AnsweringServer {
  readonly address: string;
  /** Null: there is no such port. */
  readonly udp: Answers | null;
  readonly tcp: Answers | null;
}

/** The address of the Service that zerohop asks; null with the reason. */
type AskedService = { readonly at: Endpoint; readonly missing: null } | { readonly at: null; readonly missing: string };

/** As the serving process has it; without one, as the environment of this container says. */
export function clusterDnsOf({ facts, environment }: DoctorOutsides): AskedService {
  if (facts !== null) {
    const { clusterDns: at, clusterDnsMissing } = facts.flags;
    return at === null ? { at, missing: clusterDnsMissing } : { at, missing: null };
  }
  const at = serviceIn(environment, 'KUBE_DNS_UPSTREAM') ?? serviceIn(environment, 'KUBE_DNS');
  if (at !== null) return { at, missing: null };
  return { at: null, missing: 'neither KUBE_DNS_UPSTREAM_SERVICE_HOST nor KUBE_DNS_SERVICE_HOST is set' };
}

/** The Service kube-dns, which pods without this cache ask; null outside a cluster. */
function kubeDnsOf({ environment }: DoctorOutsides): Endpoint | null {
  return serviceIn(environment, 'KUBE_DNS');
}

function serviceIn(environment: DoctorOutsides['environment'], name: string): Endpoint | null {
  const address = canonicalAddress(environment[`${name}_SERVICE_HOST`] ?? '');
  const port = portNumber(environment[`${name}_SERVICE_PORT`] ?? '', 1) ?? dnsPort;
  return address === undefined ? null : { address, port };
}

/** Whether this node answers at the address by itself, so that questions to it do not leave the node. */
export function isOwnAddress({ facts }: DoctorOutsides, address: string): boolean {
  return facts?.flags.localAddresses.some((own) => canonicalAddress(own) === address) === true;
}

/** The node's resolvers, from the serving process or from the file that kubelet gave this container. */
export function nodeResolversOf({ facts, readFile }: DoctorOutsides): readonly Endpoint[] {
  if (facts !== null) return facts.nodeResolvers.flatMap((text) => readEndpoint(text, dnsPort) ?? []);
  return parseResolvConf(readFile('/etc/resolv.conf') ?? '').filter(({ address }) => !address.startsWith('127.'));
}

/** Null: there is no cluster DNS to look for. */
export const clusterRulesOf = oncePerRun((outsides) => rulesAt(outsides, clusterDnsOf(outsides).at));
export const kubeDnsRulesOf = oncePerRun((outsides) => rulesAt(outsides, kubeDnsOf(outsides)));

async function rulesAt(outsides: DoctorOutsides, at: Endpoint | null): Promise<ServiceRules | null> {
  return at === null ? null : rulesOfService(outsides, at);
}

/** Where an endpoint is, by the addresses of both Services' endpoints. */
interface EndpointPorts {
  readonly address: string;
  readonly udp: Endpoint | null;
  readonly tcp: Endpoint | null;
}

/** The endpoints of the Service by address; empty where they are not known. */
export function endpointsIn(rules: ServiceRules | null): readonly EndpointPorts[] {
  if (rules === null || !rules.known) return [];
  const addresses = new Set([...rules.udp.endpoints, ...rules.tcp.endpoints].map(({ address }) => address));
  const portOf = (address: string, over: ProbeTransport): Endpoint | null =>
    rules[over].endpoints.find((each) => each.address === address) ?? null;
  return [...addresses].map((address) => ({ address, udp: portOf(address, 'udp'), tcp: portOf(address, 'tcp') }));
}

/** The name that every cluster DNS has. */
export function kubernetesName(domain: string): string {
  return `kubernetes.default.svc.${domain}.`;
}

const usualDomain = 'cluster.local';

/** What every endpoint answers, up to a bound; those of both transports at once, the tries one after the other. */
export const endpointAnswersOf = oncePerRun(async (outsides): Promise<readonly AnsweringServer[]> => {
  const endpoints = endpointsIn(await clusterRulesOf(outsides)).slice(0, doctorEndpointsMax);
  return Promise.all(endpoints.map(({ address, udp, tcp }) => answersAt(outsides, address, { udp, tcp })));
});

/** What the Service's own address answers; null where there is none, or it is an address of this node. */
export const clusterDnsAnswersOf = oncePerRun(async (outsides): Promise<AnsweringServer | null> => {
  const { at } = clusterDnsOf(outsides);
  if (at === null || isOwnAddress(outsides, at.address)) return null;
  return answersAt(outsides, at.address, { udp: at, tcp: at });
});

/**
 * Whether the Service answers one of many questions over this transport: with one endpoint of two silent, three questions
 * in a row may all go to it.
 */
export async function answersAtLast(
  outsides: DoctorOutsides,
  server: Endpoint,
  over: ProbeTransport,
): Promise<boolean> {
  const name = kubernetesName(outsides.facts?.clusterDomain ?? usualDomain);
  const question = { server, over, name, type: typeA, timeoutMs: doctorAnswerMs };
  const asked = Array.from({ length: doctorTriesAtLast }, () => probeServer(outsides, question));
  return (await Promise.all(asked)).some(({ answered }) => answered);
}

/** The same of the Service kube-dns, if it is another one. */
export const kubeDnsAnswersOf = oncePerRun(async (outsides): Promise<AnsweringServer | null> => {
  const at = kubeDnsOf(outsides);
  if (at === null || isOwnAddress(outsides, at.address)) return null;
  const { at: asked } = clusterDnsOf(outsides);
  if (asked?.address === at.address) return null;
  return answersAt(outsides, at.address, { udp: at, tcp: at });
});

async function answersAt(
  outsides: DoctorOutsides,
  address: string,
  ports: Readonly<Record<ProbeTransport, Endpoint | null>>,
): Promise<AnsweringServer> {
  const name = kubernetesName(outsides.facts?.clusterDomain ?? usualDomain);
  const over = (transport: ProbeTransport): Promise<Answers | null> => {
    const server = ports[transport];
    return server === null ? Promise.resolve(null) : askSeveralTimes(outsides, { server, over: transport, name });
  };
  const [udp, tcp] = await Promise.all([over('udp'), over('tcp')]);
  return { address, udp, tcp };
}

async function askSeveralTimes(
  outsides: DoctorOutsides,
  { server, over, name }: { readonly server: Endpoint; readonly over: ProbeTransport; readonly name: string },
): Promise<Answers> {
  const replies: ProbeReply[] = [];
  for (let attempt = 0; attempt < doctorTriesPerEndpoint; attempt++) {
    replies.push(await probeServer(outsides, { server, over, name, type: typeA, timeoutMs: doctorAnswerMs }));
  }
  return answersIn(replies);
}

/** Questions that the budget refused count as never asked. */
export function answersIn(replies: readonly ProbeReply[]): Answers {
  const asked = replies.filter((reply) => reply.answered || reply.why !== 'unasked');
  const times = asked.flatMap((reply) => (reply.answered ? [reply.afterMs] : []));
  const failures = asked.flatMap((reply) => (reply.answered ? [] : [reply.why]));
  const rcodes = asked.flatMap((reply) => (reply.answered ? [reply.rcode] : []));
  return {
    asked: asked.length,
    answered: times.length,
    fastestMs: times.length === 0 ? null : Math.min(...times),
    why: failures.at(-1) ?? null,
    rcode: rcodes.at(-1) ?? null,
  };
}

/** Whether questions were sent and not one was answered. */
export function isSilent(answers: Answers | null): boolean {
  return answers !== null && answers.asked > 0 && answers.answered === 0;
}

export function isAnswering(answers: Answers | null): boolean {
  return answers !== null && answers.answered > 0;
}

/** `dead`: silent over every transport that it has. */
export function isDead({ udp, tcp }: AnsweringServer): boolean {
  return (isSilent(udp) || isSilent(tcp)) && !isAnswering(udp) && !isAnswering(tcp);
}

/** Over what the server is silent, in words; null: over nothing. */
export function silenceOf(server: AnsweringServer): 'UDP' | 'TCP' | 'UDP and TCP' | null {
  const { udp, tcp } = server;
  if (isSilent(udp) && isSilent(tcp)) return 'UDP and TCP';
  if (isSilent(udp)) return 'UDP';
  return isSilent(tcp) ? 'TCP' : null;
}

/** Which node an address is on, as far as this node's routes tell. */
export type NodePlace = 'here' | 'elsewhere' | 'unknown';

export interface EndpointRoute {
  readonly place: NodePlace;
  /** The link over which packets to the endpoint leave; empty where it is not known. */
  readonly device: string;
}

const unknownRoute: EndpointRoute = { place: 'unknown', device: '' };

/** The way to every endpoint that was asked, by its address. */
export const endpointRoutesOf = oncePerRun(async (outsides): Promise<ReadonlyMap<string, EndpointRoute>> => {
  const endpoints = await endpointAnswersOf(outsides);
  const defaults = (outsides.readFile('/proc/net/route') ?? '').split('\n').flatMap((line) => {
    const [device, to] = line.trim().split(/\s+/u);
    return to === '00000000' ? [device] : [];
  });
  const routes = endpoints.map(async ({ address }): Promise<[string, EndpointRoute]> => {
    const end = await runProgramFor(outsides, 'ip', ['-j', 'route', 'get', address]);
    return [address, end.ok ? routeIn(end.text, defaults) : unknownRoute];
  });
  return new Map(await Promise.all(routes));
});

/** Links between nodes, over which also a local address may be reached. */
const overlayNames = /^(?:weave|vxlan|flannel|tunl|geneve|wg|ovn|genev_sys|kube-bridge)/u;

/**
 * The way that `ip -j route get` shows. A gateway, and the link of a default route, lead to other nodes; an overlay's own
 * link may lead to either; any other link is that of a pod here, or of a bridge with pods.
 */
export function routeIn(text: string, defaultDevices: readonly string[]): EndpointRoute {
  let route: Readonly<Record<string, unknown>> | undefined;
  try {
    [route] = JSON.parse(text);
  } catch {
    return unknownRoute;
  }
  const device = route?.['dev'];
  if (typeof device !== 'string') return unknownRoute;
  const at = (place: NodePlace): EndpointRoute => ({ place, device });
  if (route?.['type'] === 'local' || device === 'lo') return at('here');
  if (route?.['gateway'] !== undefined || route?.['via'] !== undefined) return at('elsewhere');
  if (defaultDevices.includes(device)) return at('elsewhere');
  return at(overlayNames.test(device) ? 'unknown' : 'here');
}

/** The domain of the cluster, without the final dot. */
interface ClusterDomain {
  /** As the serving process has it, else as the cluster DNS says, else the usual one. */
  readonly domain: string;
  /** What the cluster DNS calls the Service kubernetes; null: it did not say. */
  readonly real: string | null;
  readonly source: 'configured' | 'asked' | 'usual';
}

export const domainOfCluster = oncePerRun(async (outsides): Promise<ClusterDomain> => {
  const real = await realDomain(outsides);
  const configured = outsides.facts?.clusterDomain ?? null;
  if (configured !== null) return { domain: configured, real, source: 'configured' };
  return real === null ? { domain: usualDomain, real, source: 'usual' } : { domain: real, real, source: 'asked' };
});

/** The cluster DNS has a PTR record for the address of each Service. */
async function realDomain(outsides: DoctorOutsides): Promise<string | null> {
  const address = canonicalAddress(outsides.environment['KUBERNETES_SERVICE_HOST'] ?? '');
  const server = await answeringServer(outsides);
  if (address === undefined || address.includes(':') || server === null) return null;
  const name = `${address.split('.').reverse().join('.')}.in-addr.arpa.`;
  const reply = await probeServer(outsides, { ...server, name, type: typePtr, timeoutMs: doctorAnswerMs });
  const names = reply.answered ? reply.names : [];
  return /^kubernetes\.default\.svc\.(.+)\.$/u.exec(names[0] ?? '')?.[1] ?? null;
}

/** An endpoint, or else the Service, and a transport over which it answers; null: nobody answers. */
export async function answeringServer(
  outsides: DoctorOutsides,
): Promise<{ readonly server: Endpoint; readonly over: ProbeTransport } | null> {
  const rules = await clusterRulesOf(outsides);
  const ports = endpointsIn(rules);
  for (const { address, udp, tcp } of await endpointAnswersOf(outsides)) {
    const at = ports.find((each) => each.address === address);
    if (isAnswering(udp) && at?.udp) return { server: at.udp, over: 'udp' };
    if (isAnswering(tcp) && at?.tcp) return { server: at.tcp, over: 'tcp' };
  }
  const service = await clusterDnsAnswersOf(outsides);
  const { at } = clusterDnsOf(outsides);
  if (service === null || at === null) return null;
  if (isAnswering(service.udp)) return { server: at, over: 'udp' };
  return isAnswering(service.tcp) ? { server: at, over: 'tcp' } : null;
}
