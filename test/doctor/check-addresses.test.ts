/** The addresses that pods ask: right ones, on a link that is up, with one owner, and answering. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clusterIpCheck,
  listenersCheck,
  localAddressCheck,
  modeCheck,
  placeholderCheck,
  podAddresses,
} from '../../src/doctor/check-addresses.js';
import { found, healthyFacts, linksText, listLinks, nodeLinks, verdicts } from './outsides.js';

const programs = { [listLinks]: nodeLinks };
const mode = (name: string) => ({ 'http://127.0.0.1:10249/proxyMode': name });

test('a placeholder that is left in the command line or in the Corefile', async () => {
  assert.deepEqual(await verdicts(placeholderCheck), { placeholder: 'ok' });
  const line = { '/proc/17/cmdline': 'zerohop\0-localip\x00169.254.20.10,__PILLAR__DNS__SERVER__\0' };
  const { placeholder } = await found(placeholderCheck, { files: line });
  assert.equal(placeholder.verdict, 'fail');
  assert.match(placeholder.seen, /still has __PILLAR__DNS__SERVER__$/);
  assert.deepEqual(await verdicts(placeholderCheck, { facts: { clusterDomain: '__PILLAR__DNS__DOMAIN__' } }), {
    placeholder: 'fail',
  });
  assert.deepEqual(await verdicts(placeholderCheck, { facts: null }), { placeholder: 'skipped' });
});

test('the ClusterIP of another cluster', async () => {
  const there = { KUBE_DNS_SERVICE_HOST: '172.20.0.10' };
  const { 'wrong-cluster-ip': wrong } = await found(clusterIpCheck, { programs, environment: there });
  assert.equal(wrong.verdict, 'fail');
  assert.equal(wrong.seen, '-localip has 10.96.0.10, and the Service kube-dns is 172.20.0.10');
  assert.match(wrong.meaning, /172\.20\.0\.10 do not reach this cache/);
});

test('no alarm for the right one, none, another family, an own address of the node, or that of another Service', async () => {
  const fine = { 'wrong-cluster-ip': 'ok' };
  assert.deepEqual(await verdicts(clusterIpCheck, { programs }), fine);
  assert.deepEqual(await verdicts(clusterIpCheck, { programs, flags: { localAddresses: ['169.254.20.10'] } }), fine);
  assert.deepEqual(
    await verdicts(clusterIpCheck, { programs, environment: { KUBE_DNS_SERVICE_HOST: 'fd00:10::a' } }),
    fine,
  );
  const own = { localAddresses: ['169.254.20.10', '10.0.0.5'] };
  assert.deepEqual(await verdicts(clusterIpCheck, { programs, flags: own }), fine);
  const services = { KUBE_DNS_SERVICE_HOST: '10.96.0.99', KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.10' };
  assert.deepEqual(await verdicts(clusterIpCheck, { programs, environment: services }), fine);
  assert.deepEqual(await verdicts(clusterIpCheck, { programs, environment: {} }), { 'wrong-cluster-ip': 'skipped' });
});

test('an address on no link, and one on a link that is down', async () => {
  assert.deepEqual(await verdicts(localAddressCheck, { programs }), { 'local-address': 'ok' });
  const without = { [listLinks]: linksText({ name: 'eth0' }, { name: 'nodelocaldns', addresses: ['10.96.0.10'] }) };
  const missing = (await found(localAddressCheck, { programs: without }))['local-address'];
  assert.deepEqual([missing.verdict, missing.seen], ['fail', '169.254.20.10 is on no link of this node']);
  const byHand = await found(localAddressCheck, { programs: without, flags: { setupInterface: false } });
  assert.equal(byHand['local-address'].command, 'ip address add 169.254.20.10/32 dev nodelocaldns');
  const down = linksText({ name: 'nodelocaldns', flags: [], addresses: ['169.254.20.10', '10.96.0.10'] });
  const isDown = (await found(localAddressCheck, { programs: { [listLinks]: down } }))['local-address'];
  assert.deepEqual([isDown.verdict, isDown.command], ['fail', 'ip link set nodelocaldns up']);
});

test('the link of kube-proxy in IPVS mode is down by nature', async () => {
  const both = linksText(
    { name: 'nodelocaldns', kind: 'dummy', addresses: ['169.254.20.10'] },
    { name: 'kube-ipvs0', kind: 'dummy', flags: [], addresses: ['10.96.0.10'] },
  );
  assert.deepEqual(await verdicts(localAddressCheck, { programs: { [listLinks]: both } }), { 'local-address': 'ok' });
});

test('addresses of IPv6 are compared in their shortest form', async () => {
  const environment = { KUBE_DNS_SERVICE_HOST: 'fd00:0010:0:0::a' };
  const flags = { localAddresses: ['fd00:10::a'] };
  assert.deepEqual(await verdicts(clusterIpCheck, { environment, flags, programs }), { 'wrong-cluster-ip': 'ok' });
});

test('addresses that cannot be looked at are skipped', async () => {
  const skipped = { 'local-address': 'skipped' };
  assert.deepEqual(await verdicts(localAddressCheck), skipped);
  assert.deepEqual(await verdicts(localAddressCheck, { programs, networkNamespace: 'net:[2]' }), skipped);
  assert.deepEqual(await verdicts(localAddressCheck, { programs, flags: { localAddresses: ['0.0.0.0'] } }), skipped);
  assert.deepEqual(await verdicts(localAddressCheck, { facts: null }), skipped);
  assert.deepEqual(
    podAddresses({ facts: { ...healthyFacts, flags: { ...healthyFacts.flags, localAddresses: ['::1', 'fd00::a'] } } }),
    ['fd00::a'],
  );
});

test('a listener that is silent over one transport', async () => {
  assert.deepEqual(await verdicts(listenersCheck), { 'listener-silent': 'ok' });
  const answers = ({ address }: { address: string }, over: string) => address !== '10.96.0.10' || over === 'UDP';
  const { 'listener-silent': silent } = await found(listenersCheck, { answers });
  assert.deepEqual([silent.verdict, silent.seen], ['fail', '10.96.0.10:53 over TCP gave no answer within 1000 ms']);
});

test('two owners of an address in IPVS mode', async () => {
  const both = linksText(
    { name: 'nodelocaldns', kind: 'dummy', addresses: ['169.254.20.10', '10.96.0.10'] },
    { name: 'kube-ipvs0', kind: 'dummy', flags: [], addresses: ['10.96.0.10', '10.96.0.1'] },
  );
  const { mode: finding } = await found(modeCheck, { programs: { [listLinks]: both }, pages: mode('ipvs') });
  assert.equal(finding.verdict, 'fail');
  assert.match(finding.seen, /kube-ipvs0 has 10\.96\.0\.10 too/);
  const alone = { localAddresses: ['169.254.20.10'] };
  const fine = { mode: 'ok', 'iptables-unused': 'ok' };
  assert.deepEqual(
    await verdicts(modeCheck, { programs: { [listLinks]: both }, pages: mode('ipvs'), flags: alone }),
    fine,
  );
});

test('iptables mode without the ClusterIP, while nobody asks', async () => {
  const alone = { localAddresses: ['169.254.20.10'] };
  const asked = { pages: mode('iptables'), programs, flags: alone };
  assert.equal((await verdicts(modeCheck, asked))['iptables-unused'], 'ok', 'kubelet has the address');
  const unused = await found(modeCheck, { ...asked, recent: { queries: 0 } });
  assert.equal(unused['iptables-unused'].verdict, 'warn');
  assert.match(unused['iptables-unused'].command ?? '', /-localip=169\.254\.20\.10,10\.96\.0\.10$/);
  assert.equal((await verdicts(modeCheck, { ...asked, recent: { queries: 0, seconds: 60 } }))['iptables-unused'], 'ok');
  const bare = { [listLinks]: linksText({ name: 'eth0' }) };
  const idle = await verdicts(modeCheck, { ...asked, programs: bare, recent: { queries: 0 } });
  assert.equal(idle['iptables-unused'], 'ok', 'a node without pods');
});

test('without kube-proxy its mode is skipped', async () => {
  assert.deepEqual(await verdicts(modeCheck), { mode: 'skipped', 'iptables-unused': 'skipped' });
});
