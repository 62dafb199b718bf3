/** Checks of the firewall: do our NOTRACK rules see packets, and does a rule drop the doctor's own questions. */
import { formatEndpoint } from '../config/addresses.js';
import { typeA } from '../dns/wire.js';
import { doctorAnswerMs } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { answersStatus, noFacts, podAddresses } from './check-addresses.js';
import { fineFinding, howMany, otherNetwork, pause, runProgramFor, skippedFinding, someOf } from './found.js';
import { probeServer } from './probe.js';

interface CountedRule {
  /** As iptables-save writes it, `-A INPUT … -j DROP`, or `-P INPUT DROP`. */
  readonly text: string;
  readonly packets: number;
}

/** `[12:3456] -A INPUT …` of `iptables-save -c`, and a chain's policy, `:INPUT DROP [12:3456]`; undefined for other lines. */
export function readCountedRule(line: string): CountedRule | undefined {
  const [, packets, text] = /^\[(\d{1,15}):\d+\] (-A .*)$/u.exec(line) ?? [];
  if (text !== undefined) return { text, packets: Number(packets) };
  const [, chain, policy, byPolicy] = /^:(\S+) ([A-Z]+) \[(\d{1,15}):\d+\]$/u.exec(line) ?? [];
  return chain === undefined ? undefined : { text: `-P ${chain} ${policy}`, packets: Number(byPolicy) };
}

type Table = 'raw' | 'filter';

/** Comments of our rules, which node-cache writes too. */
const skipsTracking = 'NodeLocal DNS Cache: skip conntrack';

/** The rules of the table that `keep` wants, in both backends and both families; null: no program can list them. */
async function countedRules(
  outsides: DoctorOutsides,
  table: Table,
  keep: (rule: string) => boolean,
): Promise<readonly CountedRule[] | null> {
  const rules: CountedRule[] = [];
  let hasListed = false;
  for (const program of await savingPrograms(outsides, table)) {
    const end = await runProgramFor(outsides, program, ['-c', '-t', table], keep);
    if (!end.ok) continue;
    hasListed = true;
    rules.push(...end.text.split('\n').flatMap((line) => readCountedRule(line) ?? []));
  }
  return hasListed ? rules : null;
}

/** Listing a legacy table that does not exist would make it. */
async function savingPrograms({ readFile, facts }: DoctorOutsides, table: Table): Promise<readonly string[]> {
  const has = (names: string): boolean => (readFile(`/proc/net/${names}`) ?? '').split('\n').includes(table);
  const isIpv6 = (facts?.flags.localAddresses ?? []).some((address) => address.includes(':'));
  return [
    'iptables-nft-save',
    ...(has('ip_tables_names') ? ['iptables-legacy-save'] : []),
    ...(isIpv6 ? ['ip6tables-nft-save'] : []),
    ...(isIpv6 && has('ip6_tables_names') ? ['ip6tables-legacy-save'] : []),
  ];
}

export const notrackCheck: Check = {
  about: 'NOTRACK rules and what they count',
  isCheap: true,
  async run(outsides) {
    const code = 'notrack-unused';
    const { facts } = outsides;
    if (facts === null) return [skippedFinding(code, noFacts)];
    const away = otherNetwork(outsides);
    if (away !== null) return [skippedFinding(code, away)];
    if (facts.flags.firewall === 'none')
      return [skippedFinding(code, 'another program keeps the rules (-setupiptables=false)')];
    const addresses = podAddresses(outsides);
    if (addresses.length === 0) return [skippedFinding(code, '-localip has only addresses that every host has')];
    const rules = await countedRules(outsides, 'raw', (line) => line.includes(skipsTracking));
    if (rules === null) return [skippedFinding(code, 'no program can list the rules')];
    if (rules.length === 0) return [await withoutIptables(outsides, addresses)];
    const packets = rules.reduce((sum, rule) => sum + rule.packets, 0);
    const said = `${howMany(rules.length, 'NOTRACK rule')}, ${howMany(packets, 'packet')}`;
    // The kernel lane answers before the firewall, and a new cache has had no time.
    const isExpected = facts.hasKernelLane !== true && facts.recent.queries >= queriesThatCount;
    if (packets > 0 || !isExpected) return [fineFinding(code, said)];
    return [
      {
        code,
        verdict: 'fail',
        seen: `${said}, though ${howMany(facts.recent.queries, 'query', 'queries')} came`,
        meaning:
          'Packets pass by the rules: another backend (legacy, nft) or network namespace is in use, so each query takes a ' +
          'place in the conntrack table.',
        command: 'iptables-nft-save -c -t raw; iptables-legacy-save -c -t raw',
      },
    ];
  },
};

/** Fewer may all have come before the rules were there. */
const queriesThatCount = 100;

/** Where no rule of iptables is there, our table of nftables must be; its rules have no counters. */
async function withoutIptables(outsides: DoctorOutsides, addresses: readonly string[]): Promise<Finding> {
  const code = 'notrack-unused';
  const table = await runProgramFor(outsides, 'nft', ['list', 'table', 'inet', 'zerohop']);
  if (table.ok && addresses.every((address) => table.text.includes(address))) {
    return fineFinding(code, 'the table inet zerohop of nftables has the addresses; its rules do not count');
  }
  if (!table.ok && !/No such file/u.test(table.why)) return skippedFinding(code, table.why);
  if (outsides.facts!.upSeconds < secondsUntilRules) return skippedFinding(code, 'zerohop has only just started');
  return {
    code,
    verdict: 'fail',
    seen: `no NOTRACK rule for ${someOf(addresses)} is there, in iptables or in nftables`,
    meaning:
      'Each query takes a place in the conntrack table, and with a ClusterIP in -localip kube-proxy sends it past this cache.',
    command: 'kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=100',
  };
}

/** The rules are tried again with pauses up to -syncinterval. */
const secondsUntilRules = 60;

export const firewallCheck: Check = {
  about: "rules that drop the doctor's questions",
  isCheap: false,
  async run(outsides) {
    const code = 'firewall';
    const { facts } = outsides;
    if (facts === null) return [skippedFinding(code, noFacts)];
    const away = otherNetwork(outsides);
    if (away !== null) return [skippedFinding(code, away)];
    const places: Endpoint[] = podAddresses(outsides).map((address) => ({ address, port: facts.flags.dnsPort }));
    if (facts.flags.clusterDns !== null) places.push(facts.flags.clusterDns);
    if (places.length === 0) return [skippedFinding(code, 'there is nothing on this node to ask')];
    // Twice, because a busy listener may lose one.
    const first = await silentPlaces(outsides, places);
    const before = first.length === 0 ? null : await countedRules(outsides, 'filter', isDropping);
    const silent = first.length === 0 ? [] : await silentPlaces(outsides, places);
    if (silent.length === 0) {
      return [fineFinding(code, `no question to ${places.map(formatEndpoint).join(', ')} was dropped`)];
    }
    const after = await countedRules(outsides, 'filter', isDropping);
    // As long without a question: a rule that drops others' packets counts as much then.
    await pause(outsides.clock, doctorAnswerMs);
    const later = await countedRules(outsides, 'filter', isDropping);
    const rose = risenMore(before ?? [], after ?? [], later ?? [], facts.flags.dnsPort);
    const chains = rose.length > 0 ? [] : await droppingNftChains(outsides);
    return [dropFinding(silent, rose, chains)];
  },
};

/** Not kube-proxy's rules for Services without endpoints, which have a finding of their own. */
function isDropping(line: string): boolean {
  return / -j (?:DROP|REJECT)(?: |$)|^:\S+ DROP /u.test(line) && !line.includes(' has no endpoints"');
}

async function silentPlaces(outsides: DoctorOutsides, places: readonly Endpoint[]): Promise<string[]> {
  const asked = await Promise.all(
    places.flatMap((at) =>
      (['UDP', 'TCP'] as const).map(async (over) =>
        (await answersHere(outsides, at, over)) ? [] : [`${formatEndpoint(at)} over ${over}`],
      ),
    ),
  );
  return asked.flat();
}

/** The cluster DNS gets a question, as servers of others need not answer STATUS. */
async function answersHere(outsides: DoctorOutsides, at: Endpoint, over: 'UDP' | 'TCP'): Promise<boolean> {
  const { clusterDns = null } = outsides.facts?.flags ?? {};
  if (clusterDns?.address !== at.address || clusterDns.port !== at.port) return answersStatus(outsides, at, over);
  const name = `kubernetes.default.svc.${outsides.facts?.clusterDomain ?? 'cluster.local'}.`;
  const transport = over === 'UDP' ? 'udp' : 'tcp';
  const question = { server: at, name, type: typeA, over: transport, timeoutMs: doctorAnswerMs } as const;
  const reply = await probeServer(outsides, question);
  // A closed port is no firewall's drop, and a question that was not sent tells nothing.
  return reply.answered || reply.why === 'closed' || reply.why === 'unasked';
}

/** The rules that counted more in `after`, the busiest first. A rule that was not there before has counted nothing of ours. */
export function risen(before: readonly CountedRule[], after: readonly CountedRule[]): readonly CountedRule[] {
  const was = new Map<string, number>();
  for (const { text, packets } of before) was.set(text, (was.get(text) ?? 0) + packets);
  const now = new Map<string, number>();
  for (const { text, packets } of after) now.set(text, (now.get(text) ?? 0) + packets);
  return [...now]
    .map(([text, packets]) => ({ text, packets: packets - (was.get(text) ?? packets) }))
    .filter(({ packets }) => packets > 0)
    .sort((one, other) => other.packets - one.packets);
}

/**
 * The rules that counted more between `before` and `after` than between `after` and `later`, and those that name the port:
 * they count the queries of pods all the time.
 */
function risenMore(
  before: readonly CountedRule[],
  after: readonly CountedRule[],
  later: readonly CountedRule[],
  port: number,
): readonly CountedRule[] {
  const ofPort = new RegExp(` --dports? (?:\\S+,)?${port}(?:[, ]|$)`, 'u');
  const usual = new Map(risen(after, later).map(({ text, packets }) => [text, packets]));
  return risen(before, after).filter(({ text, packets }) => packets > (usual.get(text) ?? 0) || ofPort.test(text));
}

function dropFinding(silent: readonly string[], rose: readonly CountedRule[], chains: readonly string[]): Finding {
  const code = 'firewall';
  const unanswered = `${someOf(silent)} gave no answer`;
  if (rose.length > 0) {
    return {
      code,
      verdict: 'fail',
      seen: `${unanswered}, and the rule "${rose[0].text}" counted ${howMany(rose[0].packets, 'packet')} meanwhile`,
      meaning: 'The firewall of this node drops DNS.',
      command: `iptables-save -c -t filter | grep -e '-j DROP' -e '-j REJECT'`,
    };
  }
  if (chains.length > 0) {
    return {
      code,
      verdict: 'warn',
      seen: `${unanswered}, and ${someOf(chains)} drops what it does not accept`,
      meaning: 'If no rule there accepts port 53, UDP and TCP, the firewall of this node drops DNS.',
      command: 'nft list ruleset',
    };
  }
  return fineFinding(code, `${unanswered}, but no rule of this node that drops packets counted one`);
}

/** Chains of nftables for packets to or from this node whose policy drops. */
async function droppingNftChains(outsides: DoctorOutsides): Promise<readonly string[]> {
  const isWanted = (line: string): boolean => /^table |^\tchain |hook (?:input|output) .*policy drop/u.test(line);
  const end = await runProgramFor(outsides, 'nft', ['list', 'chains'], isWanted);
  return end.ok ? droppingChainsIn(end.text) : [];
}

export function droppingChainsIn(listed: string): readonly string[] {
  let table = '';
  let chain = '';
  return listed.split('\n').flatMap((line) => {
    const [, kind, name] = /^\t?(table|chain) (.*?) \{/u.exec(line) ?? [];
    if (kind === 'table') table = name;
    else if (kind === 'chain') chain = name;
    return kind === undefined && line.includes('policy drop') ? [`the chain ${chain} of the table ${table}`] : [];
  });
}
