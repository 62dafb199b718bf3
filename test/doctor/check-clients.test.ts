/** The clients of the cache, and pods that ask past it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedCheck, flowsCheck } from '../../src/doctor/check-clients.js';
import { found, linksText, listLinks, nodeLinks, verdicts } from './outsides.js';

const programs = { [listLinks]: nodeLinks };

test('queries are counted by the address that they came to', async () => {
  const { 'nobody-asks': asked } = await found(askedCheck, { programs });
  assert.equal(asked.verdict, 'ok');
  assert.equal(asked.seen, '10,000 queries in 15 minutes: 98 % to 10.96.0.10, 2 % to 169.254.20.10');
});

test('no query in a quarter of an hour, on a node with pods', async () => {
  const { 'nobody-asks': nobody } = await found(askedCheck, { programs, recent: { queries: 0 } });
  assert.deepEqual([nobody.verdict, nobody.seen], ['warn', 'no query came to 169.254.20.10, 10.96.0.10 in 15 minutes']);
});

test('no alarm on a node without pods, in the first minutes, and of a stand-by', async () => {
  const bare = { [listLinks]: linksText({ name: 'eth0' }, { name: 'nodelocaldns', kind: 'dummy' }) };
  assert.deepEqual(await verdicts(askedCheck, { programs: bare, recent: { queries: 0 } }), { 'nobody-asks': 'ok' });
  const skipped = { 'nobody-asks': 'skipped' };
  assert.deepEqual(await verdicts(askedCheck, { programs, recent: { queries: 0, seconds: 300 } }), skipped);
  assert.deepEqual(
    await verdicts(askedCheck, { programs, recent: { queries: 0 }, facts: { role: 'stand-by' } }),
    skipped,
  );
  assert.deepEqual(await verdicts(askedCheck, { facts: null }), skipped);
});

test('queries of the node itself, the doctor among them, are no sign that pods ask', async () => {
  const asked = (...topClients: string[]) => ({
    programs,
    hostAddresses: ['10.0.0.5', '169.254.20.10'],
    facts: { topClients },
  });
  const { 'nobody-asks': own } = await found(askedCheck, asked('10.0.0.5', '169.254.20.10'));
  assert.equal(own.verdict, 'info');
  assert.match(own.seen, /^10,000 queries in 15 minutes: .* from this node itself$/);
  assert.deepEqual(await verdicts(askedCheck, asked('10.0.0.5', '10.244.3.7')), { 'nobody-asks': 'ok' });
  assert.deepEqual(await verdicts(askedCheck, asked()), { 'nobody-asks': 'ok' }, 'nobody was sampled');
});

const flow = (from: string, to = '10.96.0.10', protocol = 'udp'): string =>
  `ipv4     2 ${protocol}      17 25 src=${from} dst=${to} sport=40000 dport=53 [UNREPLIED] src=10.244.1.2 dst=${from} sport=53 dport=40000 mark=0 use=2\n`;
const tracked = (...flows: string[]) => ({ '/proc/net/nf_conntrack': flows.join('') });

test('the few queries of the doctor itself do not hide that nobody asks', async () => {
  const few = { programs, recent: { queries: 6 }, facts: { topClients: [] } };
  const { 'nobody-asks': hardly } = await found(askedCheck, few);
  assert.equal(hardly.verdict, 'info');
  assert.match(hardly.seen, /^6 queries in 15 minutes.*, fewer than one a minute$/);
  const sampled = { programs, recent: { queries: 6 }, facts: { topClients: ['10.244.3.7'] } };
  assert.deepEqual(await verdicts(askedCheck, sampled), { 'nobody-asks': 'ok' });
  const young = { programs, recent: { queries: 6, seconds: 400 }, facts: { topClients: [] } };
  assert.deepEqual(await verdicts(askedCheck, young), { 'nobody-asks': 'ok' });
  const files = tracked(flow('10.244.3.7'));
  const flags = { localAddresses: ['169.254.20.10'] };
  assert.equal((await verdicts(flowsCheck, { files, flags, recent: { queries: 6 } }))['bypassed'], 'warn');
});

test('pods whose queries are tracked though the ClusterIP is ours', async () => {
  const files = tracked(flow('10.244.3.7'), flow('10.244.3.7'), flow('10.244.3.9'));
  const { bypassed, 'old-pods': old } = await found(flowsCheck, { files });
  assert.deepEqual(
    [bypassed.verdict, bypassed.seen],
    ['warn', '3 tracked flows from 2 pods to 10.96.0.10:53: 10.244.3.7, 10.244.3.9'],
  );
  assert.equal(old.verdict, 'ok');
});

test('pods older than the change of clusterDNS, where others ask the cache', async () => {
  const files = tracked(flow('10.244.3.7'));
  const flags = { localAddresses: ['169.254.20.10'] };
  const { bypassed, 'old-pods': old } = await found(flowsCheck, { files, flags });
  assert.deepEqual([bypassed.verdict, old.verdict], ['ok', 'info']);
  assert.match(old.meaning, /change when they are made anew/);
  assert.equal((await verdicts(flowsCheck, { files, flags, recent: { queries: 0 } }))['bypassed'], 'warn');
});

test('the node itself, TCP, and flows to others are no pods that pass by', async () => {
  const files = tracked(flow('10.0.0.5'), flow('10.244.3.7', '10.96.0.10', 'tcp'), flow('10.244.3.7', '10.96.0.11'));
  assert.deepEqual(await verdicts(flowsCheck, { files, hostAddresses: ['10.0.0.5'] }), {
    bypassed: 'ok',
    'old-pods': 'ok',
  });
});

test('a kernel without the list, a young process and another namespace are skipped', async () => {
  const skipped = { bypassed: 'skipped', 'old-pods': 'skipped' };
  const files = tracked(flow('10.244.3.7'));
  assert.deepEqual(await verdicts(flowsCheck), skipped);
  assert.deepEqual(await verdicts(flowsCheck, { files, facts: { upSeconds: 100 } }), skipped);
  assert.deepEqual(await verdicts(flowsCheck, { files, networkNamespace: 'net:[2]' }), skipped);
  assert.deepEqual(await verdicts(flowsCheck, { files, environment: {} }), skipped);
  assert.deepEqual(await verdicts(flowsCheck, { facts: null }), skipped);
});

test('ten thousand sources are counted within a bound', async () => {
  const flows = Array.from({ length: 10_000 }, (_, at) => flow(`10.244.${at >> 8}.${at & 255}`));
  const { bypassed } = await found(flowsCheck, { files: tracked(...flows) });
  assert.match(bypassed.seen, /from 1,024 pods to 10\.96\.0\.10:53: .* and 1020 more$/);
});
