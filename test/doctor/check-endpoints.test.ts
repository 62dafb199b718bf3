/** The pods behind the cluster DNS: silent ones, the way to them, names outside, and what the cache hides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hiddenCheck,
  isResolved,
  outsideAnswersOf,
  outsideOfEndpointsCheck,
  randomOutsideName,
  replyText,
  silentEndpointsCheck,
} from '../../src/doctor/check-endpoints.js';
import { seededRandom } from '../simulation/random.js';
import { type AskedHere, clusterSeen, findingOf, findingsOf, pods, type ReplyHere } from './cluster.js';

const silentAt =
  (address: string, ...over: string[]) =>
  ({ to, over: by }: AskedHere): ReplyHere | undefined =>
    to === address && over.includes(by) ? 'silent' : undefined;

test('a healthy cluster DNS', async () => {
  for (const check of [silentEndpointsCheck, outsideOfEndpointsCheck, hiddenCheck]) {
    const findings = await findingsOf(check);
    assert.ok(findings.length > 0 && findings.every(({ verdict }) => verdict === 'ok'), JSON.stringify(findings));
  }
});

test('every endpoint gets three questions over each transport', async () => {
  const outsides = clusterSeen();
  await findingsOf(silentEndpointsCheck, outsides);
  for (const address of pods) {
    for (const over of ['udp', 'tcp']) {
      assert.equal(outsides.asked.filter((each) => each.to === address && each.over === over).length, 3);
    }
  }
});

test('one endpoint silent over UDP, TCP, both', async () => {
  const udp = await findingOf(silentEndpointsCheck, 'endpoint-dead', { answers: silentAt(pods[1], 'udp') });
  assert.equal(udp.verdict, 'fail');
  assert.equal(udp.seen, '10.244.1.8 does not answer over UDP, and is still in the Service; 1 of 2 endpoints answer');
  assert.match(udp.meaning, /answers over TCP, so a firewall .* drops UDP port 53\. It is not on this node\./);
  assert.equal(udp.command, 'kubectl get pods -A -o wide | grep 10.244.1.8');
  const tcp = await findingOf(silentEndpointsCheck, 'endpoint-dead', { answers: silentAt(pods[0], 'tcp') });
  assert.match(tcp.seen, /10\.244\.0\.7 does not answer over TCP/);
  assert.match(tcp.meaning, /It is on this node/);
  const both = await findingOf(silentEndpointsCheck, 'endpoint-dead', { answers: silentAt(pods[0], 'udp', 'tcp') });
  assert.match(both.meaning, /^The pod hangs/);
  const closed = await findingOf(silentEndpointsCheck, 'endpoint-dead', {
    answers: ({ to }) => (to === pods[0] ? 'closed' : undefined),
  });
  assert.match(closed.meaning, /^Nothing listens there/);
});

test('a firewall between nodes: all endpoints elsewhere are silent, those here answer', async () => {
  const endpoints = [...pods, '10.244.2.9'];
  const answers = ({ to, over }: AskedHere): ReplyHere | undefined =>
    over === 'udp' && to !== pods[0] && to.startsWith('10.244.') ? 'silent' : undefined;
  const finding = await findingOf(silentEndpointsCheck, 'cross-node', { endpoints, answers });
  assert.equal(finding.verdict, 'fail');
  assert.equal(
    finding.seen,
    'over UDP, every endpoint on another node is silent (10.244.1.8, 10.244.2.9); on this node 10.244.0.7 answers',
  );
  const oneOnly = await findingOf(silentEndpointsCheck, 'cross-node', { endpoints, answers: silentAt(pods[1], 'udp') });
  assert.equal(oneOnly.verdict, 'ok');
});

test('one silent endpoint elsewhere is a firewall only if its process is known to live', async () => {
  const answers = silentAt(pods[1], 'udp', 'tcp');
  assert.equal((await findingOf(silentEndpointsCheck, 'cross-node', { answers })).verdict, 'fail');
  const pages = { 'http://10.244.1.8:8181/ready': null, 'http://10.244.1.8:9153/metrics': null };
  assert.equal((await findingOf(silentEndpointsCheck, 'cross-node', { answers, pages })).verdict, 'ok');
  const noRoutes = { 'ip -j route get 10.244.1.8': 'rubbish' };
  assert.equal((await findingOf(silentEndpointsCheck, 'cross-node', { answers, programs: noRoutes })).verdict, 'ok');
});

test('without endpoints, and without questions left, nothing is said', async () => {
  const unknown = await findingsOf(silentEndpointsCheck, { endpoints: [] });
  assert.deepEqual(
    unknown.map(({ code, verdict }) => [code, verdict]),
    [
      ['endpoint-dead', 'skipped'],
      ['cross-node', 'skipped'],
    ],
  );
  assert.equal((await findingOf(outsideOfEndpointsCheck, 'coredns-outside', { endpoints: [] })).verdict, 'skipped');
});

const outsideAt =
  (reply: ReplyHere, ...addresses: readonly string[]) =>
  ({ to, name }: AskedHere): ReplyHere | undefined =>
    addresses.includes(to) && name.endsWith('.invalid') ? reply : undefined;

test('one CoreDNS that resolves nothing outside the cluster', async () => {
  const answers = outsideAt({ rcode: 'SERVFAIL' }, pods[0]);
  const finding = await findingOf(outsideOfEndpointsCheck, 'coredns-outside', { answers });
  assert.equal(finding.verdict, 'fail');
  assert.equal(
    finding.seen,
    '10.244.0.7 (SERVFAIL) answers cluster names, but none outside the cluster; 10.244.1.8 answers both',
  );
  const silent = await findingOf(outsideOfEndpointsCheck, 'coredns-outside', { answers: outsideAt('silent', pods[0]) });
  assert.match(silent.seen, /10\.244\.0\.7 \(no answer\)/);
});

test('all of them: a failure where zerohop asks them for it, a warning where it does not, nothing where they refuse', async () => {
  const answers = outsideAt({ rcode: 'SERVFAIL' }, ...pods);
  const beside = await findingOf(outsideOfEndpointsCheck, 'coredns-outside', { answers });
  assert.equal(beside.verdict, 'warn');
  const needed = await findingOf(outsideOfEndpointsCheck, 'coredns-outside', { answers, facts: { nodeResolvers: [] } });
  assert.equal(needed.verdict, 'fail');
  const refuses = { answers: outsideAt({ rcode: 'REFUSED' }, ...pods) };
  assert.equal((await findingOf(outsideOfEndpointsCheck, 'coredns-outside', refuses)).verdict, 'skipped');
});

test('names outside are random and below invalid', async () => {
  const outsides = clusterSeen();
  await outsides.clock.until(outsideAnswersOf(outsides));
  const names = outsides.asked.map(({ name }) => name).filter((name) => !name.endsWith('cluster.local'));
  assert.ok(names.length === 2 && names.every((name) => /^zerohop-doctor-\d+\.invalid$/.test(name)));
  assert.match(randomOutsideName({ random: seededRandom(3) }), /^zerohop-doctor-\d+\.invalid\.$/);
});

test('what the cache hides of a silent endpoint, and the advice to ask pods by themselves', async () => {
  const answers = silentAt(pods[1], 'udp', 'tcp');
  const hidden = await findingOf(hiddenCheck, 'hidden', { answers });
  assert.equal(hidden.verdict, 'info');
  assert.equal(hidden.seen, 'of 10,000 queries lately, 3 got SERVFAIL; 212 questions were asked again since the start');
  assert.equal((await findingOf(hiddenCheck, 'endpoints', { answers })).verdict, 'info');
  const upstreams = pods.map((pod) => ({ address: `${pod}:53`, protocol: 'tcp', healthy: true, failures: 0 }) as const);
  assert.equal((await findingOf(hiddenCheck, 'endpoints', { answers, facts: { upstreams } })).verdict, 'ok');
  assert.equal((await findingOf(hiddenCheck, 'hidden', { answers, facts: null })).verdict, 'skipped');
});

test('what counts as resolved, and replies in words', () => {
  const reply = (rcode: number) => ({ answered: true, rcode, addresses: [], names: [], afterMs: 1 }) as const;
  assert.deepEqual(
    [0, 2, 3, 5].map((rcode) => isResolved(reply(rcode))),
    [true, false, true, false],
  );
  assert.equal(isResolved({ answered: false, why: 'silent' }), false);
  assert.equal(replyText(reply(2)), 'SERVFAIL');
  assert.equal(replyText({ answered: false, why: 'closed' }), 'connection refused');
});
