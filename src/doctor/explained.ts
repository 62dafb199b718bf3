/**
 * One cause, one failure: what follows from another finding is told as such, so that an operator repairs the cause and is not
 * sent after its effects. An effect that has a cause of its own has a code of its own, which nothing here takes away.
 */
import type { DoctorOutsides, Finding } from './check.js';
import { clusterDnsOf, endpointRoutesOf } from './cluster-evidence.js';

/** By the code of a failure: the codes that follow from it. Causes come before what they explain. */
const effects: Readonly<Record<string, readonly string[]>> = {
  firewall: ['listener-silent', 'internal-name', 'outside-name'],
  'local-address': ['listener-silent', 'internal-name', 'outside-name'],
  'listener-silent': ['internal-name', 'outside-name'],
  'wrong-cluster-ip': ['nobody-asks', 'bypassed', 'old-pods'],
  'conntrack-full': ['conntrack-race', 'lost', 'insert-failed'],
  'cluster-dns-service': ['internal-name'],
  'ipvs-no-backend': ['no-endpoints', 'cluster-ip-unreachable', 'internal-name', 'wrong-cluster-domain'],
  'no-endpoints': ['cluster-ip-unreachable', 'internal-name', 'wrong-cluster-domain'],
  'kube-proxy-rules': ['cluster-ip-unreachable', 'internal-name'],
  'cross-node': ['endpoint-dead', 'session-affinity', 'lost', 'internal-name'],
  'coredns-forwards-to-stub': ['coredns-outside', 'coredns-servfail'],
  'coredns-rbac': ['coredns-not-ready', 'coredns-servfail', 'internal-name'],
  'coredns-outside': ['coredns-servfail'],
  'endpoint-dead': ['lost', 'internal-name', 'coredns-servfail'],
  'cluster-ip-unreachable': ['internal-name'],
  'wrong-cluster-domain': ['internal-name'],
  'conntrack-race': ['lost', 'insert-failed'],
  loop: ['resolver-refuses', 'outside-name'],
  'stub-resolver': ['outside-name'],
  'resolver-refuses': ['outside-name'],
};

/** Failures of the cluster DNS by which outside names fail where zerohop asks it for those, too. */
const causesOutside = [
  'no-endpoints',
  'ipvs-no-backend',
  'cluster-ip-unreachable',
  'coredns-outside',
  'kube-proxy-rules',
];

/** What follows from a rule of the node that drops questions to the cluster DNS. */
const effectsOfDrops = ['cluster-ip-unreachable', 'endpoint-dead', 'cross-node', 'session-affinity', 'lost'];

/**
 * The same findings, those that follow from another one as `info` with its code. What has to be looked at for that is left
 * out once `isOver` resolves.
 */
export async function explainedFindings(
  outsides: DoctorOutsides,
  found: readonly Finding[],
  isOver: Promise<null> = new Promise(() => {}),
): Promise<Finding[]> {
  const asksNodeResolvers = (outsides.facts?.nodeResolvers ?? []).length > 0;
  const findings = asksNodeResolvers ? found : withProvenStub(found);
  const causes = findings.filter(({ verdict, explainedBy }) => verdict === 'fail' && explainedBy === undefined);
  const byLink = await downLinkOf(outsides, findings, isOver);
  const address = clusterDnsOf(outsides).at?.address;
  const dropsToCluster = causes.some(({ code, seen }) => {
    return code === 'firewall' && address !== undefined && seen.includes(`${address}:`);
  });
  const causeOf = (finding: Finding): string | null => {
    if (dropsToCluster && effectsOfDrops.includes(finding.code)) return 'firewall';
    const isOutside = finding.code === 'outside-name' && !asksNodeResolvers;
    const cause = Object.keys(effects).find((code) => {
      const isCause = causes.some((each) => each !== finding && each.code === code);
      return isCause && (effects[code].includes(finding.code) || (isOutside && causesOutside.includes(code)));
    });
    return cause ?? (byLink(finding) ? 'link-down' : null);
  };
  return findings.map((finding): Finding => {
    if (finding.verdict !== 'fail' && finding.verdict !== 'warn') return finding;
    const explainedBy = finding.explainedBy ?? causeOf(finding);
    return explainedBy === null ? finding : Object.assign({}, finding, { verdict: 'info', explainedBy } as const);
  });
}

/** Names outside that fail prove that the stub, which zerohop skips, was the way to them. */
function withProvenStub(findings: readonly Finding[]): readonly Finding[] {
  if (!findings.some(({ code, verdict }) => code === 'outside-name' && verdict === 'fail')) return findings;
  return findings.map((finding) => {
    const isStub = finding.code === 'stub-resolver' && finding.verdict === 'warn';
    return isStub ? Object.assign({}, finding, { verdict: 'fail' } as const) : finding;
  });
}

/** Whether a silent endpoint is reached over a link that is down. */
async function downLinkOf(
  outsides: DoctorOutsides,
  findings: readonly Finding[],
  isOver: Promise<null>,
): Promise<(finding: Finding) => boolean> {
  const down = findings.filter(({ code, verdict }) => code === 'link-down' && verdict === 'fail');
  if (down.length === 0 || !findings.some(({ code }) => code === 'endpoint-dead')) return () => false;
  const places = await Promise.race([endpointRoutesOf(outsides), isOver]);
  const words = down.flatMap(({ seen }) => seen.split(/[\s,;:]+/u));
  return ({ code, seen }) => {
    const device = places?.get(seen.split(' ')[0])?.device;
    return code === 'endpoint-dead' && device !== undefined && words.includes(device);
  };
}
