/**
 * Questions that get lost between this node and the cluster DNS: pairs of A and AAAA from one socket, as the resolvers of
 * pods send them, and the counters of the kernel that say where packets went.
 */
import {
  doctorFileBytesMax,
  doctorPairsAtOnce,
  doctorPairsLeast,
  doctorPairsMax,
  doctorPairsWaitMs,
  doctorQuestionsSpare,
} from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { noClusterDns, nodeName } from './check-service.js';
import {
  clusterDnsAnswersOf,
  clusterDnsOf,
  domainOfCluster,
  endpointAnswersOf,
  isAnswering,
  kubernetesName,
  silenceOf,
} from './cluster-evidence.js';
import { fineFinding, howMany, oncePerRun, readTextOf, skippedFinding } from './found.js';
import { parseConntrackStat, parseSoftnetDrops, snmpUdp } from './kernel-tables.js';
import { type PairsAsked, probePairs } from './probe.js';

/** Packets that the kernel threw away, by why; null: the counter cannot be read. */
interface KernelLosses {
  readonly insertFailed: number | null;
  readonly dropped: number | null;
  readonly receiveBuffer: number | null;
  readonly softnet: number | null;
}

type PairsSeen =
  | { readonly asked: PairsAsked; readonly grown: KernelLosses; readonly why: null }
  | { readonly asked: null; readonly why: string };

/** The pairs, with what the counters grew by meanwhile; or why none were sent. */
const pairsSeen = oncePerRun(async (outsides): Promise<PairsSeen> => {
  const { at } = clusterDnsOf(outsides);
  if (at === null) return { asked: null, why: noClusterDns };
  const service = await clusterDnsAnswersOf(outsides);
  if (service === null || !isAnswering(service.udp))
    return { asked: null, why: `${at.address} does not answer over UDP` };
  const silent = (await endpointAnswersOf(outsides)).filter((server) => silenceOf(server)?.startsWith('UDP') === true);
  // Half the pairs would be lost for a reason that is known.
  if (silent.length > 0) return { asked: null, why: `${silent[0].address} is silent over UDP` };
  const left = outsides.questionsLeft?.() ?? 2 * doctorPairsMax + doctorQuestionsSpare;
  const pairs = Math.min(doctorPairsMax, Math.floor((left - doctorQuestionsSpare) / 2));
  if (pairs < doctorPairsLeast) return { asked: null, why: 'this run may send too few questions' };
  const { domain } = await domainOfCluster(outsides);
  const name = kubernetesName(domain);
  const before = await lossesNow(outsides);
  const wish = { server: at, name, pairs, atOnce: doctorPairsAtOnce, timeoutMs: doctorPairsWaitMs };
  const asked = await probePairs(outsides, wish);
  return { asked, grown: growth(before, await lossesNow(outsides)), why: null };
});

async function lossesNow(outsides: DoctorOutsides): Promise<KernelLosses> {
  const read = (path: string) => readTextOf(outsides, path, doctorFileBytesMax);
  const [conntrack, snmp, softnet] = await Promise.all(
    ['/proc/net/stat/nf_conntrack', '/proc/net/snmp', '/proc/net/softnet_stat'].map(read),
  );
  const stats = conntrack === undefined ? null : parseConntrackStat(conntrack);
  return {
    insertFailed: stats?.get('insert_failed') ?? null,
    dropped: stats?.get('drop') ?? null,
    receiveBuffer: snmpUdp(snmp ?? '', 'RcvbufErrors') ?? null,
    softnet: softnet === undefined ? null : parseSoftnetDrops(softnet),
  };
}

function growth(before: KernelLosses, after: KernelLosses): KernelLosses {
  const grown = (name: keyof KernelLosses): number | null => {
    const [from, to] = [before[name], after[name]];
    return from === null || to === null ? null : Math.max(0, to - from);
  };
  return {
    insertFailed: grown('insertFailed'),
    dropped: grown('dropped'),
    receiveBuffer: grown('receiveBuffer'),
    softnet: grown('softnet'),
  };
}

/** Without the counter of the kernel, so many lost pairs are no accident. */
const lostPairsLeast = 2;

export const conntrackRaceCheck: Check = {
  about: 'A and AAAA at once from one socket',
  isCheap: false,
  async run(outsides) {
    const code = 'conntrack-race';
    const seen = await pairsSeen(outsides);
    if (seen.asked === null) return [skippedFinding(code, seen.why)];
    const { asked, grown } = seen;
    const { address } = clusterDnsOf(outsides).at!;
    const pairs = `${asked.lostOne} of ${asked.pairs} pairs of A and AAAA lost one answer through ${address}`;
    const isCounted = grown.insertFailed !== null && grown.insertFailed > 0;
    const isRace = asked.lostOne > 0 && (isCounted || (grown.insertFailed === null && asked.lostOne >= lostPairsLeast));
    if (!isRace) return [fineFinding(code, pairs)];
    return [
      {
        code,
        verdict: 'fail',
        seen: `${pairs}${isCounted ? `; insert_failed +${grown.insertFailed}` : ''}`,
        meaning:
          'Two packets of one socket race for one entry of connection tracking, and the kernel drops one. Pods that bypass ' +
          'the cache wait 5 s then, and those that use it do not. Let them use it, or set single-request-reopen in their dnsConfig.',
        command: null,
      },
    ];
  },
};

export const lossCheck: Check = {
  about: 'lost questions and the counters of the kernel',
  isCheap: false,
  async run(outsides) {
    const code = 'lost';
    const seen = await pairsSeen(outsides);
    if (seen.asked === null) return [skippedFinding(code, seen.why)];
    const { asked, grown } = seen;
    const { address } = clusterDnsOf(outsides).at!;
    const lost = asked.lostOne + 2 * asked.lostBoth;
    const of = `${lost} of ${2 * asked.pairs} UDP questions to ${address}`;
    if (lost === 0) return [fineFinding(code, `lost ${of}`)];
    return [lostFinding(of, lost / (2 * asked.pairs), grown, nodeName(outsides))];
  },
};

const lostShareLeast = 0.05;

function lostFinding(of: string, share: number, grown: KernelLosses, node: string): Finding {
  const names = {
    insertFailed: 'insert_failed',
    dropped: 'conntrack drop',
    receiveBuffer: 'RcvbufErrors',
    softnet: 'softnet drops',
  };
  const known = (Object.keys(names) as (keyof KernelLosses)[]).filter((name) => grown[name] !== null);
  const isExplained = known.some((name) => grown[name]! > 0);
  const counters = known.map((name) => `${names[name]} +${grown[name]}`).join(', ');
  return {
    code: 'lost',
    verdict: share >= lostShareLeast ? 'warn' : 'info',
    seen: `lost ${of}${counters === '' ? '' : `: ${counters}`}`,
    meaning: isExplained
      ? 'This node dropped them; the counters say where.'
      : `No counter of this node grew with ${howMany(Math.round(share * 100), 'percent', 'percent')} lost: the network or the pods dropped them.`,
    command: isExplained
      ? null
      : `kubectl debug node/${node} -it --profile=sysadmin --image=nicolaka/netshoot -- tcpdump -ni any port 53 -c 200`,
  };
}
