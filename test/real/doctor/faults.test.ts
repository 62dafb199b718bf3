/**
 * `zerohop doctor` against real faults: a node, pods of the cluster DNS, kube-proxy's rules and a resolver in namespaces.
 * Each fault is made, found with the right code and remedy, and nothing else is; mended, it is gone: the run for the next
 * fault finds only that one, and the last run, on a healthy node, finds nothing. Several clusters at once, because the
 * doctor mostly waits.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { needs } from '../commands.js';
import { ioPath } from '../zerohop.js';
import { Cluster, clusterNeeds, type Diagnosis, type Pretence, type ProxyKind } from './cluster.js';
import { coreDnsFaults, endpointFaults, resolverFaults, serviceFaults, stickyFaults } from './cluster-faults.js';
import type { Fault } from './fault.js';
import {
  firewallFaults,
  healthyIpvs,
  intoIpvs,
  ipvsFaults,
  linkFaults,
  pairsOfFaults,
  questionFaults,
  startFaults,
  trackingFaults,
} from './node-faults.js';

interface Setup {
  readonly proxy: ProxyKind;
  readonly faults: readonly Fault[];
  /** Makes another cluster of it. */
  readonly into?: (cluster: Cluster) => Promise<void>;
  readonly healthy?: Pretence;
}

/** What depends on how kube-proxy writes its rules, besides a healthy node. */
const ofRules = serviceFaults.filter(({ finds }) => finds[0] !== 'single-endpoint' && finds[0] !== 'session-affinity');

/** Those that take longest come first. */
const setups: Readonly<Record<string, Setup>> = {
  resolvers: { proxy: 'iptables-nft', faults: resolverFaults },
  'kube-proxy in nftables, 1.36; CoreDNS': { proxy: 'nftables 1.36', faults: [...ofRules.slice(-1), ...coreDnsFaults] },
  'kube-proxy in iptables-legacy': { proxy: 'iptables-legacy', faults: [...ofRules, ...trackingFaults] },
  'how zerohop was started': { proxy: 'iptables-nft', faults: startFaults },
  firewalls: { proxy: 'iptables-nft', faults: firewallFaults },
  'several at once': { proxy: 'iptables-legacy', faults: pairsOfFaults },
  'kube-proxy in iptables-nft': { proxy: 'iptables-nft', faults: serviceFaults },
  'kube-proxy in nftables, 1.31': { proxy: 'nftables 1.31', faults: [...ofRules, ...questionFaults] },
  'endpoints and links': { proxy: 'iptables-nft', faults: [...endpointFaults, ...stickyFaults, ...linkFaults] },
  'kube-proxy in IPVS mode, as far as its files tell': {
    proxy: 'iptables-nft',
    faults: ipvsFaults,
    into: intoIpvs,
    healthy: healthyIpvs,
  },
};

// What the doctor finds does not depend on how packets are read.
const skip = needs(...clusterNeeds, 'dnsmasq', 'unshare') || (ioPath !== 'threads' && 'once is enough');

// Each node and each cluster takes itself away when the process ends.
process.setMaxListeners(4 * Object.keys(setups).length);

describe('the doctor', { skip, concurrency: Object.keys(setups).length }, () => {
  for (const [name, setup] of Object.entries(setups)) test(name, (t) => eachFault(t, setup));
});

let turn: Promise<unknown> = Promise.resolve();

/** To start takes a processor; to look is mostly waiting. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

async function eachFault(t: TestContext, { proxy, faults, into, healthy }: Setup): Promise<void> {
  const cluster = await inTurn(() => Cluster.make(proxy));
  try {
    await inTurn(() => (into === undefined ? cluster.startZerohop() : into(cluster)));
    for (const fault of faults) {
      await t.test(fault.name, async () => {
        await fault.make(cluster);
        try {
          assertFound(await cluster.doctor(fault.pretence), fault);
        } finally {
          await fault.mend(cluster);
        }
      });
    }
    await t.test('all is mended: nothing is wrong', async () => assertHealthy(await cluster.doctor(healthy)));
  } finally {
    await cluster.remove();
  }
}

function assertHealthy(seen: Diagnosis): void {
  assert.deepEqual(seen.wrong, [], shown(seen));
  assert.equal(seen.status, 0);
}

function assertFound(seen: Diagnosis, { finds, says, helps, informs = [] }: Fault): void {
  assert.deepEqual(seen.wrong, [...finds].sort(), shown(seen));
  const findings = seen.findings.filter(({ code, verdict }) => finds.includes(code) && verdict !== 'info');
  assert(
    findings.some((finding) => says.test(finding.seen) && (helps?.test(finding.command ?? '') ?? true)),
    `${says} ${helps ?? ''}\n${shown(seen)}`,
  );
  for (const { code, meaning } of findings) assert.notEqual(meaning, '', code);
  const informing = seen.findings.filter(({ verdict }) => verdict === 'info').map(({ code }) => code);
  for (const code of informs) assert(informing.includes(code), `${code}\n${shown(seen)}`);
  assert.equal(seen.status, findings.some(({ verdict }) => verdict === 'fail') ? 2 : 1);
  assert(seen.questions <= 300, `${seen.questions} questions`);
}

function shown({ findings }: Diagnosis): string {
  const faults = findings.filter(
    ({ verdict, code }) => !['ok', 'skipped'].includes(verdict) || code === 'not-looked-at',
  );
  return faults.map(({ verdict, code, seen, command }) => `${verdict} ${code}: ${seen}\n  ${command}`).join('\n');
}
