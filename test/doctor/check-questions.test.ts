/** What pods ask: AAAA, and search paths. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aaaaCheck, mostSearched, searchPathCheck } from '../../src/doctor/check-questions.js';
import { found, verdicts } from './outsides.js';

const zero = '0'.repeat(32);
const ipv6 = { '/proc/net/ipv6_route': `${zero} 00 ${zero} 00 fe80 00000400 1 0 3 eth0\n` };
const noIpv6 = { '/proc/net/ipv6_route': `${zero} 00 ${zero} 00 ${zero} ffffffff 1 0 200200 lo\n` };

test('AAAA with NXDOMAIN, which breaks pods with musl', async () => {
  const aaaaPolicies = ['forward', 'nxdomain'];
  const [first, second] = ['web.shop.svc.cluster.local.', 'web.svc.cluster.local.'];
  const asked = async (...topNames: readonly { readonly name: string; readonly exists?: boolean }[]) => {
    const facts = { aaaaPolicies, topNames: topNames.map((each) => ({ ...each, count: 1 })) };
    return (await found(aaaaCheck, { facts, files: ipv6 }))['aaaa-nxdomain'];
  };
  const suffers = await asked({ name: first, exists: true }, { name: second });
  assert.equal(suffers.verdict, 'warn');
  assert.match(suffers.seen, /pods go on after web\.shop\.svc\.cluster\.local\., which exists$/);
  assert.match(suffers.command ?? '', /aaaa nodata/);
  assert.equal((await asked()).verdict, 'info');
  assert.equal((await asked({ name: first, exists: true })).verdict, 'info', 'they stop');
  assert.equal((await asked({ name: first }, { name: second })).verdict, 'info', 'it does not exist');
  const outside = 'www.example.com.shop.svc.cluster.local.';
  assert.equal((await asked({ name: outside, exists: true }, { name: second })).verdict, 'info');
  assert.equal((await verdicts(aaaaCheck, { files: ipv6 }))['aaaa-nxdomain'], 'ok');
});

test('AAAA in vain, on a node without an IPv6 route', async () => {
  const facts = { aaaaPolicies: ['forward'] };
  const useless = async (seen: object) => (await verdicts(aaaaCheck, { facts, ...seen }))['aaaa-useless'];
  assert.equal(await useless({ files: noIpv6 }), 'info');
  assert.equal(await useless({ files: ipv6 }), 'ok');
  assert.equal(await useless({ files: noIpv6, recent: { queries: 10, aaaa: 5 } }), 'ok');
  assert.equal(await useless({ files: noIpv6, facts: { aaaaPolicies: ['nodata'] } }), 'ok');
  assert.equal(await useless({}), 'skipped');
  assert.deepEqual(await verdicts(aaaaCheck, { facts: null }), {
    'aaaa-nxdomain': 'skipped',
    'aaaa-useless': 'skipped',
  });
});

test('search paths that multiply queries, with the name that costs most', async () => {
  const facts = {
    topNames: [
      { name: 'web-0.web.default.svc.cluster.local.', count: 9 },
      { name: 'api.stripe.com.default.svc.cluster.local.', count: 8 },
    ],
  };
  const recent = { nxdomainBelowClusterDomain: 7_100 };
  const searched = await found(searchPathCheck, { facts, recent });
  assert.equal(
    searched['search-path'].seen,
    '71 % of 10,000 queries are names of search paths that do not exist (most: api.stripe.com.default.svc.cluster.local.)',
  );
  assert.deepEqual([searched['search-path'].verdict, searched['autopath'].verdict], ['info', 'info']);
  assert.equal((await verdicts(searchPathCheck, { recent, facts: { hasAutopath: true } }))['autopath'], 'ok');
});

test('few of them, few queries, and no cluster domain are no findings', async () => {
  const fine = { 'search-path': 'ok', autopath: 'ok' };
  const skipped = { 'search-path': 'skipped', autopath: 'skipped' };
  assert.deepEqual(await verdicts(searchPathCheck), fine);
  assert.deepEqual(await verdicts(searchPathCheck, { recent: { queries: 9, nxdomainBelowClusterDomain: 9 } }), fine);
  assert.deepEqual(await verdicts(searchPathCheck, { facts: { clusterDomain: null } }), skipped);
  assert.deepEqual(await verdicts(searchPathCheck, { facts: null }), skipped);
});

test('names of search paths are told from those of Services and pods', () => {
  const of = (name: string) => mostSearched({ topNames: [{ name, count: 1 }], clusterDomain: 'cluster.local' });
  for (const name of [
    'api.stripe.com.default.svc.cluster.local.',
    'Api.stripe.com.a.svc.Cluster.local',
    'github.com.cluster.local.',
  ]) {
    assert.equal(of(name), name);
  }
  for (const name of [
    'web.default.svc.cluster.local.',
    'web-0.web.default.svc.cluster.local.',
    'www.example.com.',
    'web.cluster.local.',
    'cluster.local.',
    '',
  ]) {
    assert.equal(of(name), undefined, name);
  }
});
