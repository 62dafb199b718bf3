/** A run of the doctor: bounds, checks that fail by themselves, progress, and one failure for one cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Check, Finding } from '../../src/doctor/check.js';
import { clusterChecks } from '../../src/doctor/cluster-checks.js';
import { type DoctorReport, exitCodeOf, notLookedAt, runDoctor, verdictOfAll } from '../../src/doctor/doctor.js';
import { explainedFindings } from '../../src/doctor/explained.js';
import { doctorQuestionsMax, doctorRunMs } from '../../src/limits.js';
import {
  type AskedHere,
  type ClusterSeen,
  cacheAddress,
  clusterSeen,
  pods,
  type ReplyHere,
  reportOf,
  upstreamService,
} from './cluster.js';

const finding = (code: string, verdict: Finding['verdict'], seen = 'seen'): Finding => {
  return { code, verdict, seen, meaning: '', command: null };
};
const checkThat = (about: string, run: Check['run']): Check => ({ about, isCheap: false, run });

/** The failures and warnings, by code, and what the effects follow from. */
function faultsOf({ findings }: DoctorReport): Record<string, string> {
  const faults = findings.filter(({ verdict, explainedBy }) => /fail|warn/.test(verdict) || explainedBy !== undefined);
  return Object.fromEntries(faults.map(({ code, verdict, explainedBy }) => [code, explainedBy ?? verdict]));
}

test('a healthy cluster has no finding', async () => {
  const report = await reportOf(clusterChecks);
  assert.deepEqual(faultsOf(report), {});
  assert.ok(report.findings.every(({ verdict }) => verdict === 'ok' || verdict === 'skipped'));
  assert.equal(exitCodeOf(report.findings), 0);
  assert.ok(report.questions <= doctorQuestionsMax && report.tookMs <= doctorRunMs);
});

test('with IPVS, without the serving process, and with nothing known at all there is no false alarm either', async () => {
  const blind: ClusterSeen = {
    facts: null,
    environment: {},
    endpoints: [],
    programs: { 'iptables-nft-save -t nat': '', 'iptables-nft-save -t filter': '' },
    pages: { 'http://127.0.0.1:10249/proxyMode': null },
    answers: () => 'silent',
  };
  assert.deepEqual(faultsOf(await reportOf(clusterChecks, blind)), {});
  assert.deepEqual(faultsOf(await reportOf(clusterChecks, { facts: null })), {});
});

test('a check that throws is reported, and the others go on', async () => {
  const checks = [
    checkThat('what breaks', () => Promise.reject(new Error('out of order'))),
    checkThat('what works', async () => [finding('works', 'ok')]),
  ];
  const { findings } = await reportOf(checks);
  assert.deepEqual(
    findings.map(({ code, verdict, seen }) => [code, verdict, seen]),
    [
      ['works', 'ok', 'seen'],
      [notLookedAt, 'skipped', 'what breaks: out of order'],
    ],
  );
});

test('a run ends in time, whatever a check waits for', async () => {
  const checks = [
    checkThat('what hangs', () => new Promise(() => {})),
    checkThat('what works', async () => [finding('works', 'ok')]),
  ];
  const report = await reportOf(checks);
  assert.equal(report.tookMs, doctorRunMs);
  assert.match(report.findings[1].seen, /what hangs: not done within 12 s/);
});

test('a run that takes all its time still tells causes from effects', async () => {
  const checks = [
    checkThat('what hangs', () => new Promise(() => {})),
    checkThat('a cause', async () => [finding('no-endpoints', 'fail')]),
    checkThat('an effect', async () => [finding('internal-name', 'fail')]),
    checkThat('another cause', async () => [finding('link-down', 'fail'), finding('endpoint-dead', 'fail')]),
  ];
  const faults = faultsOf(await reportOf(checks));
  assert.deepEqual(faults, {
    'no-endpoints': 'fail',
    'internal-name': 'no-endpoints',
    'link-down': 'fail',
    'endpoint-dead': 'fail',
  });
});

test('a run in which everything is silent ends in time, too', async () => {
  const endpoints = Array.from({ length: 40 }, (_, index) => `10.244.0.${index + 7}`);
  const report = await reportOf(clusterChecks, { endpoints, answers: () => 'silent' });
  assert.ok(report.tookMs <= doctorRunMs);
  assert.ok(report.questions <= doctorQuestionsMax);
});

test('questions beyond the budget are refused, and are no silence', async () => {
  const endpoints = Array.from({ length: 40 }, (_, index) => `10.244.0.${index + 7}`);
  const outsides = clusterSeen({ endpoints });
  const greedy = checkThat('what asks much', async ({ network }) => {
    const socket = network.connectDatagrams({ address: upstreamService, port: 53 }, { datagram() {}, error() {} });
    const query = Buffer.from('000001000001000000000000000001', 'hex');
    for (let sent = 0; sent < doctorQuestionsMax; sent++)
      socket.send(Buffer.concat([query, Buffer.from([0, 1])]), { address: '', port: 53 });
    return [finding('greedy', 'ok')];
  });
  const report = await reportOf([greedy, ...clusterChecks], outsides);
  assert.equal(report.questions, doctorQuestionsMax);
  assert.equal(outsides.asked.length, doctorQuestionsMax);
  assert.deepEqual(faultsOf(report), {});
});

test('progress names each check once, as it begins', async () => {
  const outsides = clusterSeen();
  const lines: string[] = [];
  const checks = ['one', 'two'].map((about) => checkThat(about, async () => []));
  await outsides.clock.until(runDoctor({ checks, outsides, progress: (text) => lines.push(text) }));
  assert.deepEqual(lines, ['1 of 2: one', '2 of 2: two']);
});

test('the worst comes first; the exit code is that of the worst', async () => {
  const verdicts = ['ok', 'skipped', 'warn', 'info', 'fail'] as const;
  const { findings } = await reportOf([checkThat('all', async () => verdicts.map((each) => finding(each, each)))]);
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['fail', 'warn', 'info', 'ok', 'skipped'],
  );
  assert.deepEqual(
    [exitCodeOf(findings), exitCodeOf([finding('x', 'warn')]), exitCodeOf([finding('x', 'info')])],
    [2, 1, 0],
  );
  assert.equal(verdictOfAll([finding('x', 'skipped')]), 'ok');
});

test('no endpoints: one failure, and what follows from it', async () => {
  const answers = ({ to, name }: AskedHere): ReplyHere | undefined => {
    if (to === upstreamService) return 'closed';
    return to === cacheAddress && name.endsWith('.cluster.local') ? { rcode: 'SERVFAIL' } : undefined;
  };
  assert.deepEqual(faultsOf(await reportOf(clusterChecks, { endpoints: [], answers })), {
    'no-endpoints': 'fail',
    'cluster-ip-unreachable': 'no-endpoints',
    'internal-name': 'no-endpoints',
  });
});

test('missing rules: one failure', async () => {
  const answers = ({ to }: AskedHere): ReplyHere | undefined => (to === upstreamService ? 'silent' : undefined);
  const programs = { 'iptables-nft-save -t nat': ':KUBE-SERVICES - [0:0]\n' };
  assert.deepEqual(faultsOf(await reportOf(clusterChecks, { answers, programs })), {
    'kube-proxy-rules': 'fail',
    'cluster-ip-unreachable': 'kube-proxy-rules',
  });
});

test('one dead endpoint, with session affinity: both are failures, because each needs a repair', async () => {
  const answers = ({ to }: AskedHere): ReplyHere | undefined => (to === pods[0] ? 'silent' : undefined);
  const report = await reportOf(clusterChecks, { answers, hasAffinity: true });
  assert.deepEqual(faultsOf(report), { 'endpoint-dead': 'fail', 'session-affinity': 'fail' });
  assert.equal(exitCodeOf(report.findings), 2);
});

test('two causes are two failures', async () => {
  const answers = ({ to, over, name }: AskedHere): ReplyHere | undefined => {
    if (to === pods[0]) return 'silent';
    if (to === '10.0.0.2') return { rcode: 'REFUSED' };
    return to === cacheAddress && name.endsWith('.invalid') && over === 'udp' ? { rcode: 'SERVFAIL' } : undefined;
  };
  assert.deepEqual(faultsOf(await reportOf(clusterChecks, { answers })), {
    'endpoint-dead': 'fail',
    'resolver-refuses': 'fail',
    'outside-name': 'resolver-refuses',
  });
});

test('outside names follow from the cluster DNS only where zerohop asks it for them', async () => {
  const both = [finding('no-endpoints', 'fail'), finding('outside-name', 'fail')];
  const [, beside] = await explainedFindings(clusterSeen(), both);
  assert.equal(beside.explainedBy, undefined);
  const [, through] = await explainedFindings(clusterSeen({ facts: { nodeResolvers: [] } }), both);
  assert.deepEqual([through.verdict, through.explainedBy], ['info', 'no-endpoints']);
});

test('where outside names fail because only a stub is left, the stub is the failure', async () => {
  const both = [finding('outside-name', 'fail'), finding('stub-resolver', 'warn')];
  const explained = await explainedFindings(clusterSeen({ facts: { nodeResolvers: [] } }), both);
  assert.deepEqual(
    explained.map(({ verdict, explainedBy }) => [verdict, explainedBy]),
    [
      ['info', 'stub-resolver'],
      ['fail', undefined],
    ],
  );
  assert.deepEqual(await explainedFindings(clusterSeen(), both), both, 'another resolver is asked');
});

test('a silent endpoint behind a link that is down follows from it, another one does not', async () => {
  const outsides = clusterSeen();
  const findings = [
    finding('link-down', 'fail', 'eth0 is DOWN, and 12 pod addresses are routed by it'),
    finding('endpoint-dead', 'fail', '10.244.1.8 does not answer over UDP'),
    finding('endpoint-dead', 'fail', '10.244.0.7 does not answer over UDP'),
  ];
  const explained = await outsides.clock.until(explainedFindings(outsides, findings));
  assert.deepEqual(
    explained.map(({ explainedBy }) => explainedBy),
    [undefined, 'link-down', undefined],
  );
});

test("a rule of the node that drops questions to the cluster DNS explains its silence, one that drops the pods' does not", async () => {
  const effect = async (seen: string) => {
    const findings = [finding('firewall', 'fail', seen), finding('endpoint-dead', 'fail')];
    return (await explainedFindings(clusterSeen(), findings))[1].explainedBy;
  };
  assert.equal(
    await effect(`${upstreamService}:53 over UDP gave no answer, and the rule "-A OUTPUT -j DROP" counted`),
    'firewall',
  );
  assert.equal(await effect(`${cacheAddress}:53 over UDP gave no answer`), undefined);
});

test('warnings explain nothing, and what is well is not touched', async () => {
  const findings = [finding('no-endpoints', 'warn'), finding('internal-name', 'fail'), finding('loop', 'ok')];
  assert.deepEqual(await explainedFindings(clusterSeen(), findings), findings);
});
