/**
 * Names from end to end, as a pod asks for them: one of the cluster and one outside of it through the cache, and outside
 * names at each resolver of the node alone. No name of other people is asked for, unless the operator gives one.
 */
import { canonicalAddress, formatEndpoint } from '../config/addresses.js';
import { rcodeName } from '../dns/names.js';
import { typeA, typeNs } from '../dns/wire.js';
import { doctorAnswerMs, resolvConfServersMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { podAddresses } from './check-addresses.js';
import { isResolved, randomOutsideName, replyText } from './check-endpoints.js';
import { msText } from './check-service.js';
import { domainOfCluster, isOwnAddress, kubernetesName, nodeResolversOf } from './cluster-evidence.js';
import { fineFinding, oncePerRun, otherNetwork, skippedFinding, someOf } from './found.js';
import { type ProbeReply, type ProbeTransport, probeServer } from './probe.js';

/** zerohop gives up after 4.6 s, a resolver between us and others later. */
const throughCacheMs = 5 * doctorAnswerMs;
const noCache = 'no address of this cache that pods ask is known';

/** The first address that pods ask; null without one, or without a serving process in this network. */
function cacheOf(outsides: DoctorOutsides): Endpoint | null {
  const { facts } = outsides;
  if (otherNetwork(outsides) !== null) return null;
  const [address] = podAddresses(outsides);
  return facts === null || address === undefined ? null : { address, port: facts.flags.dnsPort };
}

export const internalNameCheck: Check = {
  about: 'a cluster name through the cache',
  isCheap: false,
  async run(outsides) {
    const codes = ['internal-name', 'wrong-cluster-domain'];
    const server = cacheOf(outsides);
    if (server === null) return codes.map((code) => skippedFinding(code, otherNetwork(outsides) ?? noCache));
    const { domain, real, source } = await domainOfCluster(outsides);
    const name = kubernetesName(domain);
    const ask = () => probeServer(outsides, { server, over: 'udp', name, type: typeA, timeoutMs: throughCacheMs });
    const [first, second] = [await ask(), await ask()];
    const wrongDomain = domainFinding(outsides, { domain, real, isConfigured: source === 'configured', reply: first });
    const internal = internalFinding(outsides, name, [first, second]);
    return [wrongDomain.verdict === 'fail' ? { ...internal, verdict: 'info' } : internal, wrongDomain];
  },
};

interface DomainSeen {
  readonly domain: string;
  readonly real: string | null;
  readonly isConfigured: boolean;
  readonly reply: ProbeReply;
}

function domainFinding(outsides: DoctorOutsides, { domain, real, isConfigured, reply }: DomainSeen): Finding {
  const code = 'wrong-cluster-domain';
  if (!reply.answered) return skippedFinding(code, `${kubernetesName(domain)} got no answer`);
  const isNxdomain = rcodeName(reply.rcode) === 'NXDOMAIN';
  if (real === domain || (!isNxdomain && isResolved(reply))) return fineFinding(code, `the domain is ${domain}`);
  if (!isNxdomain && real === null) return skippedFinding(code, `the answer is ${replyText(reply)}`);
  const service = outsides.environment['KUBERNETES_SERVICE_HOST'] ?? 'the API server';
  return {
    code,
    verdict: 'fail',
    seen:
      real === null
        ? `NXDOMAIN for ${kubernetesName(domain)}, which every cluster has`
        : `the Corefile has ${isConfigured ? domain : 'no domain of the cluster'}, but the cluster DNS calls ${service} kubernetes.default.svc.${real}.`,
    meaning:
      'Every name of the cluster is looked up below a domain that the cluster does not have. Set the right one in the ' +
      `Corefile, or with clusterDomain of the chart${real === null ? '' : `: ${real}`}.`,
    command:
      real === null
        ? 'kubectl -n kube-system get configmap coredns -o yaml | grep kubernetes'
        : 'kubectl -n kube-system edit configmap node-local-dns',
  };
}

function internalFinding(outsides: DoctorOutsides, name: string, [first, second]: readonly ProbeReply[]): Finding {
  const code = 'internal-name';
  const shown = name.slice(0, -1);
  if (!first.answered && first.why === 'unasked') return skippedFinding(code, 'this run may send no more questions');
  const isWrong = !first.answered || !isResolved(first) || first.addresses.length === 0;
  const wanted = canonicalAddress(outsides.environment['KUBERNETES_SERVICE_HOST'] ?? '');
  if (isWrong) {
    const isEmpty = first.answered && isResolved(first) && rcodeName(first.rcode) === 'NOERROR';
    // A cluster whose Services have IPv6 addresses only has no A record.
    if (isEmpty && wanted?.includes(':') !== false)
      return fineFinding(code, `${shown} has no A record, as with IPv6 only`);
    return {
      code,
      verdict: 'fail',
      seen: `${shown} through the cache: ${isEmpty ? 'no address' : replyText(first)}`,
      meaning: 'Pods that ask this cache get no name of the cluster that is not cached.',
      command: 'kubectl -n kube-system logs -l k8s-app=kube-dns --prefix --tail=20',
    };
  }
  const again = second.answered ? `, ${msText(second.afterMs)} again` : '';
  const text = `${shown} = ${first.addresses.join(', ')} (${msText(first.afterMs)}${again})`;
  if (wanted === undefined || wanted.includes(':') || first.addresses.includes(wanted)) return fineFinding(code, text);
  return {
    code,
    verdict: 'info',
    seen: `${text}, but this container knows the API server as ${wanted}`,
    meaning: 'The variable KUBERNETES_SERVICE_HOST has been set by hand, or this is the DNS of another cluster.',
    command: 'kubectl get svc kubernetes',
  };
}

/** What a resolver of the node says over each transport. */
interface ResolverSeen {
  readonly at: Endpoint;
  readonly outside: Readonly<Record<ProbeTransport, ProbeReply>>;
  /** The root's name servers: a name that every resolver with a way out knows. */
  readonly root: ProbeReply;
  /** A name of the cluster, which only what goes to the cluster DNS knows. */
  readonly cluster: ProbeReply;
}

const resolversSeen = oncePerRun(async (outsides): Promise<readonly ResolverSeen[]> => {
  const resolvers = nodeResolversOf(outsides)
    .filter(({ address }) => !isOwnAddress(outsides, address))
    .slice(0, resolvConfServersMax);
  const { domain } = await domainOfCluster(outsides);
  return Promise.all(
    resolvers.map(async (at): Promise<ResolverSeen> => {
      const ask = (name: string, type: number, over: ProbeTransport) =>
        probeServer(outsides, { server: at, over, name, type, timeoutMs: 3 * doctorAnswerMs });
      const { outsideName } = outsides;
      const name = outsideName == null ? randomOutsideName(outsides) : `${outsideName.replace(/\.$/u, '')}.`;
      const [udp, tcp, root, cluster] = await Promise.all([
        ask(name, typeA, 'udp'),
        ask(name, typeA, 'tcp'),
        ask('.', typeNs, 'udp'),
        ask(kubernetesName(domain), typeA, 'udp'),
      ]);
      return { at, outside: { udp, tcp }, root, cluster };
    }),
  );
});

/** Answers for the outside world, over UDP at least. */
function isUsable({ outside, root }: ResolverSeen): boolean {
  return isResolved(outside.udp) || isResolved(root);
}

export const resolversCheck: Check = {
  about: "each of the node's resolvers",
  isCheap: false,
  async run(outsides) {
    const seen = await resolversSeen(outsides);
    const codes = ['resolver-refuses', 'loop'];
    if (seen.length === 0) {
      const why =
        outsides.facts === null ? 'no resolver of the node is known' : "no block forwards to the node's resolvers";
      return codes.map((code) => skippedFinding(code, why));
    }
    const loops = seen.filter(isLoop);
    const bad = seen.filter((each) => !loops.includes(each)).flatMap((each) => resolverFinding(each, seen));
    const names = someOf(seen.map(({ at }) => at.address));
    return [
      ...(bad.length > 0 ? bad : [fineFinding('resolver-refuses', `an answer over UDP and TCP comes from ${names}`)]),
      ...(loops.length > 0
        ? loops.map((each) => loopFinding(outsides, each))
        : [fineFinding('loop', `no question comes back from ${names}`)]),
    ];
  },
};

/** A resolver that knows the cluster's names and no others asks this cache, or a server that does: other names go in a circle. */
function isLoop({ outside, root, cluster }: ResolverSeen): boolean {
  const knowsCluster = isResolved(cluster) && cluster.answered && cluster.addresses.length > 0;
  const knowsNothingElse = [outside.udp, root].every((reply) => {
    return reply.answered ? rcodeName(reply.rcode) === 'SERVFAIL' : reply.why === 'silent';
  });
  return knowsCluster && knowsNothingElse;
}

function loopFinding(outsides: DoctorOutsides, { at, outside }: ResolverSeen): Finding {
  const own = outsides.facts?.flags.localAddresses[0];
  return {
    code: 'loop',
    verdict: 'fail',
    seen:
      `what is asked at ${at.address} comes back to ${own ?? 'the cluster DNS'}: it knows names of the cluster, and has ` +
      `${replyText(outside.udp)} for all others`,
    meaning:
      'A resolver of this node, such as systemd-resolved, uses this cache as its own resolver, and names outside fail. Give ' +
      'it a real one (DNS= in /etc/systemd/resolved.conf).',
    command: 'resolvectl status',
  };
}

function resolverFinding(seen: ResolverSeen, all: readonly ResolverSeen[]): Finding[] {
  const { at, outside, root } = seen;
  const { udp, tcp } = outside;
  const fault = (verdict: 'info' | 'warn' | 'fail', what: string, meaning: string, command: string): Finding[] => [
    { code: 'resolver-refuses', verdict, seen: `${formatEndpoint(at)} ${what}`, meaning, command },
  ];
  const dig = `dig @${at.address} . NS`;
  const isRefusal = (reply: ProbeReply): boolean => reply.answered && rcodeName(reply.rcode) === 'REFUSED';
  if (isRefusal(udp) && isRefusal(root)) {
    return fault('fail', 'answers REFUSED', 'Its access list does not know this node, or it is not recursive.', dig);
  }
  if (isUsable(seen)) {
    if (tcp.answered || tcp.why === 'unasked') return [];
    const what = `answers over UDP, and over TCP there is ${replyText(tcp)}`;
    if (tcp.why === 'closed')
      return fault('info', what, 'Answers that do not fit in a UDP packet are lost.', `${dig} +tcp`);
    return fault(
      'warn',
      what,
      'Answers that do not fit in a UDP packet are lost: a firewall drops TCP 53.',
      `${dig} +tcp`,
    );
  }
  if (!udp.answered && isResolved(tcp)) {
    return fault('fail', 'is silent over UDP and answers over TCP', 'A firewall drops UDP port 53.', dig);
  }
  if (!udp.answered && udp.why === 'unasked') return [];
  const others = all.filter(isUsable).map((each) => each.at.address);
  const remedy =
    others.length === 0
      ? 'No other resolver answers either.'
      : `${someOf(others)} answers; take ${at.address} out of the node's resolv.conf.`;
  const meaning = `Each question that it gets first is late. ${remedy}`;
  // Without any that answers, outside-name says what it means.
  return fault(others.length === 0 ? 'warn' : 'fail', `resolves no names outside (${replyText(udp)})`, meaning, dig);
}

export const outsideNameCheck: Check = {
  about: 'an outside name through the cache',
  isCheap: false,
  async run(outsides) {
    const code = 'outside-name';
    const server = cacheOf(outsides);
    if (server === null) return [skippedFinding(code, otherNetwork(outsides) ?? noCache)];
    const { outsideName } = outsides;
    const given = outsideName == null ? null : `${outsideName.replace(/\.$/u, '')}.`;
    const ask = (name: string, type: number) =>
      probeServer(outsides, { server, over: 'udp', name, type, timeoutMs: throughCacheMs });
    const reply = await ask(given ?? randomOutsideName(outsides), typeA);
    if (!reply.answered && reply.why === 'unasked')
      return [skippedFinding(code, 'this run may send no more questions')];
    const shown = given ?? 'a random name below invalid';
    if (isResolved(reply)) return [fineFinding(code, `${shown}: ${replyText(reply)} (${timeOf(reply)})`)];
    if (reply.answered && rcodeName(reply.rcode) === 'REFUSED') {
      return [skippedFinding(code, 'the Corefile has no block for names outside the cluster, or refuses them')];
    }
    const resolvers = await resolversSeen(outsides);
    // Some resolvers have no answer for invalid, which is no fault.
    const isOnlyInvalid =
      given === null && resolvers.some((each) => isResolved(each.root) && !isResolved(each.outside.udp));
    const root = isOnlyInvalid ? await ask('.', typeNs) : reply;
    if (isResolved(root)) return [fineFinding(code, `the root's name servers: ${replyText(root)} (${timeOf(root)})`)];
    return [outsideFailure(shown, root, resolvers)];
  },
};

function timeOf(reply: ProbeReply): string {
  return reply.answered ? msText(reply.afterMs) : '';
}

function outsideFailure(name: string, reply: ProbeReply, resolvers: readonly ResolverSeen[]): Finding {
  const each = resolvers.map(({ at, outside: { udp } }) => {
    return `${at.address}: ${isResolved(udp) ? `answers in ${timeOf(udp)}` : replyText(udp)}`;
  });
  const dead = resolvers.filter((one) => !isUsable(one)).map(({ at }) => at.address);
  const isSome = dead.length > 0 && dead.length < resolvers.length;
  return {
    code: 'outside-name',
    verdict: 'fail',
    seen: `${name} through the cache: ${replyText(reply)}${each.length === 0 ? '' : `; ${someOf(each)}`}`,
    meaning: isSome
      ? `Take ${someOf(dead)} out of the node's resolv.conf.`
      : "Names outside the cluster fail. What the Corefile's block for them forwards to does not answer.",
    command:
      resolvers.length === 0
        ? 'kubectl -n kube-system logs -l k8s-app=kube-dns --prefix --tail=20'
        : `dig @${resolvers[0].at.address} . NS`,
  };
}
