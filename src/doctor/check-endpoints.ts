/**
 * The pods behind the cluster DNS, each asked by itself: which are silent, over what, and whether that is the pod or the way
 * to it; whether they answer for names outside the cluster; and what zerohop does about a silent one.
 */
import { rcodeName } from '../dns/names.js';
import { typeA } from '../dns/wire.js';
import { doctorAnswerMs, doctorFetchMs } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { answersText } from './check-service.js';
import {
  type AnsweringServer,
  clusterRulesOf,
  type EndpointRoute,
  endpointAnswersOf,
  endpointRoutesOf,
  endpointsIn,
  isAnswering,
  isDead,
  isSilent,
  type NodePlace,
  silenceOf,
} from './cluster-evidence.js';
import { fineFinding, howMany, oncePerRun, skippedFinding, someOf } from './found.js';
import { type ProbeReply, type ProbeTransport, probeServer } from './probe.js';

const noEndpointsKnown = 'the endpoints of the cluster DNS are not known';

type RoutesByAddress = ReadonlyMap<string, EndpointRoute>;

/** Which endpoints are silent, and whether a firewall between nodes explains all of them. */
interface Silence {
  readonly servers: readonly AnsweringServer[];
  readonly silent: readonly AnsweringServer[];
  readonly places: RoutesByAddress;
  /** Over these no endpoint of another node answers, while those here do, and it is not the pods. */
  readonly acrossNodes: readonly ProbeTransport[];
}

const silenceOfEndpoints = oncePerRun(async (outsides): Promise<Silence> => {
  const servers = await endpointAnswersOf(outsides);
  const silent = servers.filter((server) => silenceOf(server) !== null);
  const places = silent.length === 0 ? new Map<string, EndpointRoute>() : await endpointRoutesOf(outsides);
  const acrossNodes: ProbeTransport[] = [];
  for (const over of ['udp', 'tcp'] as const) {
    if (await isCutBetweenNodes(outsides, servers, places, over)) acrossNodes.push(over);
  }
  return { servers, silent, places, acrossNodes };
});

/** One silent pod elsewhere may have died; several, or one whose other ports answer, have not. */
async function isCutBetweenNodes(
  outsides: DoctorOutsides,
  servers: readonly AnsweringServer[],
  places: RoutesByAddress,
  over: ProbeTransport,
): Promise<boolean> {
  const at = (place: NodePlace): AnsweringServer[] =>
    servers.filter(({ address }) => places.get(address)?.place === place);
  const [here, elsewhere] = [at('here'), at('elsewhere')];
  if (here.length === 0 || elsewhere.length === 0 || here.length + elsewhere.length < servers.length) return false;
  if (!here.every((each) => isAnswering(each[over])) || !elsewhere.every((each) => isSilent(each[over]))) return false;
  return elsewhere.length > 1 || isAliveElsewhere(outsides, elsewhere[0].address);
}

/** Whether CoreDNS at this address answers on its port for probes. */
async function isAliveElsewhere({ fetchText }: DoctorOutsides, address: string): Promise<boolean> {
  const host = address.includes(':') ? `[${address}]` : address;
  const bounds = { timeoutMs: doctorFetchMs, bytesMax: 1024 };
  const pages = [`http://${host}:8181/ready`, `http://${host}:8080/health`];
  return (await Promise.all(pages.map((url) => fetchText(url, bounds)))).some((page) => page !== null);
}

export const silentEndpointsCheck: Check = {
  about: 'what each endpoint of the cluster DNS answers',
  isCheap: false,
  async run(outsides) {
    const { servers, silent, places, acrossNodes } = await silenceOfEndpoints(outsides);
    if (servers.length === 0) {
      return ['endpoint-dead', 'cross-node'].map((code) => skippedFinding(code, noEndpointsKnown));
    }
    const unasked = servers.filter(({ udp, tcp }) => udp?.asked === 0 || tcp?.asked === 0);
    if (silent.length === 0 && unasked.length > 0) {
      const why = 'this run may send no more questions';
      return ['endpoint-dead', 'cross-node'].map((code) => skippedFinding(code, why));
    }
    const matrix = servers.map(answersText).join('; ');
    if (silent.length === 0) return [fineFinding('endpoint-dead', matrix), fineFinding('cross-node', matrix)];
    const cut = acrossNodes.length === 0 ? null : crossNode(servers, places, acrossNodes);
    const way = cut ?? fineFinding('cross-node', 'the silence does not follow the borders of nodes');
    return [
      ...silent.map((server) => silentEndpoint(server, servers, places.get(server.address)?.place ?? 'unknown')),
      way,
    ];
  },
};

function crossNode(
  servers: readonly AnsweringServer[],
  places: RoutesByAddress,
  over: readonly ProbeTransport[],
): Finding {
  const at = (place: NodePlace): string =>
    someOf(servers.flatMap(({ address }) => (places.get(address)?.place === place ? [address] : [])));
  const how = over.map((each) => each.toUpperCase()).join(' and ');
  return {
    code: 'cross-node',
    verdict: 'fail',
    seen: `over ${how}, every endpoint on another node is silent (${at('elsewhere')}); on this node ${at('here')} answers`,
    meaning: `A firewall, security group or network policy drops ${how} port 53 from this node to the pods of other nodes.`,
    command: `nc -vz${over.includes('tcp') ? '' : 'u'} ${servers.find(({ address }) => places.get(address)?.place === 'elsewhere')!.address} 53`,
  };
}

function silentEndpoint(server: AnsweringServer, servers: readonly AnsweringServer[], place: NodePlace): Finding {
  const { address, udp, tcp } = server;
  const over = silenceOf(server)!;
  const isWhole = isDead(server);
  const answering = servers.filter((each) => silenceOf(each) === null).length;
  const isRefused = [udp, tcp].every((each) => !isSilent(each) || each?.why === 'closed');
  const others = servers.length === 1 ? 'it is the only one' : `${answering} of ${servers.length} endpoints answer`;
  const where = { here: 'It is on this node.', elsewhere: 'It is not on this node.', unknown: '' }[place];
  const what = isRefused
    ? 'Nothing listens there.'
    : isWhole
      ? 'The pod hangs, or packets to it are lost.'
      : `It answers over ${over === 'UDP' ? 'TCP' : 'UDP'}, so a firewall or a network policy drops ${over} port 53.`;
  return {
    code: 'endpoint-dead',
    verdict: 'fail',
    seen: `${address} does not answer over ${over}, and is still in the Service; ${others}`,
    meaning: [what, where, 'Every client that the Service sends there waits in vain.']
      .filter((text) => text !== '')
      .join(' '),
    command: `kubectl get pods -A -o wide | grep ${address}`,
  };
}

/** A resolver asks several others for a name that nobody has; CoreDNS gives each of its own two seconds. */
const outsideMs = 4 * doctorAnswerMs;

/** An answer of one endpoint to a random name outside the cluster. */
interface OutsideAnswer {
  readonly address: string;
  readonly reply: ProbeReply;
}

/** `zerohop-doctor-4711.invalid.`: nobody has names below invalid (RFC 6761 6.4), and no cache has this one. */
export function randomOutsideName({ random }: Pick<DoctorOutsides, 'random'>): string {
  return `zerohop-doctor-${random.below(2 ** 32)}.invalid.`;
}

/** Each endpoint that answers for the cluster, asked for a name outside of it. */
export const outsideAnswersOf = oncePerRun(async (outsides): Promise<readonly OutsideAnswer[]> => {
  const ports = endpointsIn(await clusterRulesOf(outsides));
  const asked = (await endpointAnswersOf(outsides)).flatMap(({ address, udp, tcp }) => {
    const at = ports.find((each) => each.address === address);
    const over = isAnswering(udp) ? 'udp' : 'tcp';
    const server = at?.[over];
    return server != null && (isAnswering(udp) || isAnswering(tcp)) ? [{ address, server, over } as const] : [];
  });
  return Promise.all(
    asked.map(async ({ address, server, over }) => {
      const name = randomOutsideName(outsides);
      return { address, reply: await probeServer(outsides, { server, over, name, type: typeA, timeoutMs: outsideMs }) };
    }),
  );
});

/** Whether a resolver has found out what a name is: that there is none is found out, too. */
export function isResolved(reply: ProbeReply): boolean {
  return reply.answered && ['NOERROR', 'NXDOMAIN'].includes(rcodeName(reply.rcode));
}

/** `SERVFAIL`, `no answer`. */
export function replyText(reply: ProbeReply): string {
  if (reply.answered) return rcodeName(reply.rcode);
  return { silent: 'no answer', closed: 'connection refused', unreachable: 'not reachable', unasked: 'not asked' }[
    reply.why
  ];
}

export const outsideOfEndpointsCheck: Check = {
  about: 'names outside the cluster at each endpoint',
  isCheap: false,
  async run(outsides) {
    const code = 'coredns-outside';
    const answers = (await outsideAnswersOf(outsides)).filter(({ reply }) => reply.answered || reply.why !== 'unasked');
    if (answers.length === 0) return [skippedFinding(code, 'no endpoint answers, or none is known')];
    const failing = answers.filter(({ reply }) => !isResolved(reply));
    if (failing.length === 0)
      return [fineFinding(code, `${howMany(answers.length, 'endpoint resolves', 'endpoints resolve')} names outside`)];
    const refused = answers.filter(({ reply }) => reply.answered && rcodeName(reply.rcode) === 'REFUSED');
    if (refused.length === answers.length)
      return [skippedFinding(code, 'the cluster DNS answers for the cluster only')];
    return [outsideFails(outsides, failing, answers)];
  },
};

function outsideFails(
  outsides: DoctorOutsides,
  failing: readonly OutsideAnswer[],
  answers: readonly OutsideAnswer[],
): Finding {
  const good = answers.filter((each) => !failing.includes(each)).map(({ address }) => address);
  const bad = failing.map(({ address, reply }) => `${address} (${replyText(reply)})`);
  // Where zerohop asks the node's resolvers itself, only pods that bypass it depend on these.
  const isNeeded = (outsides.facts?.nodeResolvers ?? []).length === 0;
  return {
    code: 'coredns-outside',
    verdict: isNeeded || good.length > 0 ? 'fail' : 'warn',
    seen:
      `${someOf(bad)} answers cluster names, but none outside the cluster` +
      (good.length === 0 ? '' : `; ${someOf(good)} answers both`),
    meaning: 'Its own resolvers, those of its node or of its forward, do not answer it.',
    command: 'kubectl -n kube-system logs -l k8s-app=kube-dns --prefix | grep -i -e timeout -e error',
  };
}

export const hiddenCheck: Check = {
  about: 'what the cache hides of a silent endpoint',
  isCheap: false,
  async run(outsides) {
    const { silent, servers } = await silenceOfEndpoints(outsides);
    const { facts } = outsides;
    if (silent.length === 0) return ['hidden', 'endpoints'].map((code) => fineFinding(code, 'no endpoint is silent'));
    if (facts === null) {
      return ['hidden', 'endpoints'].map((code) => skippedFinding(code, 'the serving process cannot be asked'));
    }
    const hidden: Finding = {
      code: 'hidden',
      verdict: 'info',
      seen:
        `of ${facts.recent.queries.toLocaleString('en-US')} queries lately, ` +
        `${facts.recent.servfail.toLocaleString('en-US')} got SERVFAIL; ` +
        `${howMany(facts.retries, 'question was', 'questions were')} asked again since the start`,
      meaning: 'zerohop asks again where an answer does not come, so that pods notice little of a silent endpoint.',
      command: null,
    };
    return [hidden, endpointsAdvice(outsides, servers)];
  },
};

/** The upstreams that are neither the Service nor resolvers of the node are the endpoints themselves. */
function endpointsAdvice(outsides: DoctorOutsides, endpoints: readonly AnsweringServer[]): Finding {
  const upstreams = (outsides.facts?.upstreams ?? []).map(({ address }) => address);
  const asked = endpoints.filter(({ address }) => upstreams.some((each) => each.includes(address)));
  if (asked.length > 0) return fineFinding('endpoints', `zerohop asks ${someOf(asked.map(({ address }) => address))}`);
  return {
    code: 'endpoints',
    verdict: 'info',
    seen: 'zerohop asks the Service, which sends some questions to the silent endpoint',
    meaning:
      'With "endpoints" and the name of a headless Service in the forward block, zerohop asks the pods themselves and ' +
      'leaves a silent one out within a second.',
    command: null,
  };
}
