/** Names through the cache and at the node's resolvers: the domain, outside names, refusals, silence and loops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internalNameCheck, outsideNameCheck, resolversCheck } from '../../src/doctor/check-names.js';
import {
  type AskedHere,
  cacheAddress,
  clusterSeen,
  findingOf,
  findingsOf,
  nodeResolver,
  pods,
  type ReplyHere,
} from './cluster.js';

const isOutside = (name: string): boolean => name.endsWith('.invalid');

/** `reply` from this address, for the names that `isMeant` says. */
const from =
  (address: string, reply: ReplyHere, isMeant: (asked: AskedHere) => boolean = () => true) =>
  (asked: AskedHere): ReplyHere | undefined =>
    asked.to === address && isMeant(asked) ? reply : undefined;

test('a healthy node', async () => {
  for (const check of [internalNameCheck, outsideNameCheck, resolversCheck]) {
    const findings = await findingsOf(check);
    assert.ok(
      findings.every(({ verdict }) => verdict === 'ok'),
      JSON.stringify(findings),
    );
  }
  const { seen } = await findingOf(internalNameCheck, 'internal-name');
  assert.equal(seen, 'kubernetes.default.svc.cluster.local = 10.96.0.1 (1.0 ms, 1.0 ms again)');
});

test('no name of other people is asked for, unless the operator gives one', async () => {
  const outsides = clusterSeen();
  await findingsOf(outsideNameCheck, outsides);
  await findingsOf(resolversCheck, outsides);
  const allowed = /^$|^\.$|\.invalid$|\.cluster\.local$|\.in-addr\.arpa$/;
  assert.deepEqual(
    outsides.asked.filter(({ name }) => !allowed.test(name)),
    [],
  );
  const given = clusterSeen({ outsideName: 'www.example.org.' });
  const { seen } = await findingOf(outsideNameCheck, 'outside-name', given);
  assert.match(seen, /^www\.example\.org\.: NXDOMAIN/);
});

test('the wrong domain of the cluster, with the right one as the cluster DNS has it', async () => {
  const answers = ({ name, type }: AskedHere): ReplyHere | undefined => {
    if (type === 'PTR') return { ptr: 'kubernetes.default.svc.corp.example' };
    return name.endsWith('.cluster.local') ? { rcode: 'NXDOMAIN' } : undefined;
  };
  const findings = await findingsOf(internalNameCheck, { answers });
  const [internal, domain] = findings;
  assert.deepEqual(
    [internal.code, internal.verdict, domain.code, domain.verdict],
    ['internal-name', 'info', 'wrong-cluster-domain', 'fail'],
  );
  assert.match(
    domain.seen,
    /the Corefile has cluster\.local, but the cluster DNS calls 10\.96\.0\.1 kubernetes\.default\.svc\.corp\.example\./,
  );
  assert.match(domain.meaning, /: corp\.example\.$/);
  const silent = ({ name, type }: AskedHere): ReplyHere | undefined =>
    type === 'PTR' || name.endsWith('.cluster.local') ? { rcode: 'NXDOMAIN' } : undefined;
  const unknown = await findingOf(internalNameCheck, 'wrong-cluster-domain', { answers: silent });
  assert.deepEqual(
    [unknown.verdict, unknown.seen],
    ['fail', 'NXDOMAIN for kubernetes.default.svc.cluster.local., which every cluster has'],
  );
});

test('a cluster name without an answer, with SERVFAIL, of another cluster, or with IPv6 only', async () => {
  const isName = ({ name }: AskedHere): boolean => name.endsWith('.cluster.local');
  const silent = await findingOf(internalNameCheck, 'internal-name', { answers: from(cacheAddress, 'silent', isName) });
  assert.deepEqual(
    [silent.verdict, silent.seen],
    ['fail', 'kubernetes.default.svc.cluster.local through the cache: no answer'],
  );
  const failing = { answers: from(cacheAddress, { rcode: 'SERVFAIL' }, isName) };
  assert.equal((await findingOf(internalNameCheck, 'internal-name', failing)).verdict, 'fail');
  assert.notEqual((await findingOf(internalNameCheck, 'wrong-cluster-domain', failing)).verdict, 'fail');
  const other = { answers: from(cacheAddress, { addresses: ['10.43.0.1'] }, isName) };
  assert.equal((await findingOf(internalNameCheck, 'internal-name', other)).verdict, 'info');
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00:96::1', KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11' };
  const ipv6 = { answers: from(cacheAddress, {}, isName), environment };
  assert.equal((await findingOf(internalNameCheck, 'internal-name', ipv6)).verdict, 'ok');
  const empty = { answers: from(cacheAddress, {}, isName) };
  assert.equal((await findingOf(internalNameCheck, 'internal-name', empty)).verdict, 'fail');
});

test('without the serving process names through the cache are skipped', async () => {
  for (const check of [internalNameCheck, outsideNameCheck]) {
    const findings = await findingsOf(check, { facts: null });
    assert.ok(findings.every(({ verdict }) => verdict === 'skipped'));
    const elsewhere = await findingsOf(check, { networkNamespace: 'net:[2]' });
    assert.ok(elsewhere.every(({ verdict, seen }) => verdict === 'skipped' && /namespace/.test(seen)));
  }
});

test('an outside name fails, with what each resolver of the node says', async () => {
  const facts = { nodeResolvers: ['10.0.0.2', '10.0.0.3'] };
  const answers = (asked: AskedHere): ReplyHere | undefined => {
    if (asked.to === '10.0.0.3') return 'silent';
    return asked.to === cacheAddress && isOutside(asked.name) ? { rcode: 'SERVFAIL' } : undefined;
  };
  const finding = await findingOf(outsideNameCheck, 'outside-name', { answers, facts });
  assert.equal(finding.verdict, 'fail');
  assert.equal(
    finding.seen,
    'a random name below invalid through the cache: SERVFAIL; 10.0.0.2: answers in 1.0 ms, 10.0.0.3: no answer',
  );
  assert.equal(finding.meaning, "Take 10.0.0.3 out of the node's resolv.conf.");
});

test('a resolver that knows nothing of invalid, and a Corefile without outside names, are no fault', async () => {
  const answers = (asked: AskedHere): ReplyHere | undefined =>
    isOutside(asked.name) && [cacheAddress, nodeResolver].includes(asked.to) ? { rcode: 'SERVFAIL' } : undefined;
  const finding = await findingOf(outsideNameCheck, 'outside-name', { answers });
  assert.equal(finding.verdict, 'ok', finding.seen);
  assert.deepEqual(
    (await findingsOf(resolversCheck, { answers })).map(({ verdict }) => verdict),
    ['ok', 'ok'],
  );
  const refused = { answers: from(cacheAddress, { rcode: 'REFUSED' }, ({ name }) => isOutside(name)) };
  assert.equal((await findingOf(outsideNameCheck, 'outside-name', refused)).verdict, 'skipped');
});

test('a resolver that refuses', async () => {
  const { verdict, seen, meaning } = await findingOf(resolversCheck, 'resolver-refuses', {
    answers: from(nodeResolver, { rcode: 'REFUSED' }),
  });
  assert.deepEqual([verdict, seen], ['fail', '10.0.0.2:53 answers REFUSED']);
  assert.match(meaning, /access list/);
});

test('a resolver that is silent over UDP, over TCP, over both', async () => {
  const over = (transport: string) => from(nodeResolver, 'silent', (asked) => asked.over === transport);
  const udp = await findingOf(resolversCheck, 'resolver-refuses', { answers: over('udp') });
  assert.deepEqual([udp.verdict, udp.seen], ['fail', '10.0.0.2:53 is silent over UDP and answers over TCP']);
  const tcp = await findingOf(resolversCheck, 'resolver-refuses', { answers: over('tcp') });
  assert.deepEqual([tcp.verdict, tcp.seen], ['warn', '10.0.0.2:53 answers over UDP, and over TCP there is no answer']);
  const closed = from(nodeResolver, 'closed', (asked) => asked.over === 'tcp');
  assert.equal((await findingOf(resolversCheck, 'resolver-refuses', { answers: closed })).verdict, 'info');
  const only = await findingOf(resolversCheck, 'resolver-refuses', { answers: from(nodeResolver, 'silent') });
  assert.deepEqual([only.verdict, only.seen], ['warn', '10.0.0.2:53 resolves no names outside (no answer)']);
  const facts = { nodeResolvers: ['10.0.0.2', '10.0.0.3'] };
  const one = await findingOf(resolversCheck, 'resolver-refuses', { answers: from('10.0.0.3', 'silent'), facts });
  assert.equal(one.verdict, 'fail');
  assert.match(one.meaning, /10\.0\.0\.2 answers; take 10\.0\.0\.3 out/);
});

test('a resolver that asks us: it knows cluster names, and nothing else', async () => {
  const looping = (asked: AskedHere): ReplyHere | undefined => {
    if (asked.to !== nodeResolver) return undefined;
    return asked.name.endsWith('.cluster.local') ? { addresses: ['10.96.0.1'] } : { rcode: 'SERVFAIL' };
  };
  const findings = await findingsOf(resolversCheck, { answers: looping });
  assert.deepEqual(
    findings.map(({ code, verdict }) => [code, verdict]),
    [
      ['resolver-refuses', 'ok'],
      ['loop', 'fail'],
    ],
  );
  assert.match(findings[1].seen, /^what is asked at 10\.0\.0\.2 comes back to 169\.254\.20\.10/);
  const split = (asked: AskedHere): ReplyHere | undefined =>
    asked.to === nodeResolver && asked.name.endsWith('.cluster.local') ? { addresses: ['10.96.0.1'] } : undefined;
  assert.equal(
    (await findingOf(resolversCheck, 'loop', { answers: split })).verdict,
    'ok',
    'a resolver with split DNS',
  );
});

test('no resolver of the node in use', async () => {
  const findings = await findingsOf(resolversCheck, { facts: { nodeResolvers: [] } });
  assert.ok(findings.length === 2 && findings.every(({ verdict }) => verdict === 'skipped'));
  const files = { '/etc/resolv.conf': 'nameserver 127.0.0.53\nnameserver 10.0.0.2\n' };
  const byFile = await findingsOf(resolversCheck, { facts: null, files });
  assert.deepEqual(
    byFile.map(({ verdict }) => verdict),
    ['ok', 'ok'],
  );
  assert.equal(pods.length, 2);
});
