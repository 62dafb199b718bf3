/** A link that is down with routes of pods, and links that are down on healthy nodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downFinding, linksCheck } from '../../src/doctor/check-links.js';
import { found, linksText, listLinks, nodeLinks, verdicts } from './outsides.js';

const eth1Down = linksText(
  { name: 'lo' },
  { name: 'eth0', addresses: ['10.0.0.5'] },
  { name: 'eth1', flags: ['BROADCAST'] },
);
const mainRules = [
  { src: 'all', table: 'local' },
  { src: 'all', table: 'main' },
];
const podRules = Array.from({ length: 12 }, (_, at) => ({ src: `10.0.3.${201 + at}`, table: '1001' }));

/** Of the node to its own pods. */
const toPods = podRules.map(({ src }) => ({ dst: src, dev: 'veth1' }));

function programsOf({ rules = mainRules as readonly object[], routes = [] as readonly object[], links = eth1Down }) {
  return {
    [listLinks]: links,
    'ip -json rule show': JSON.stringify(rules),
    'ip -json -6 rule show': '[]',
    'ip -json route show table all': JSON.stringify([{ dst: 'default', dev: 'eth0' }, ...routes]),
  };
}

test('the table of pod addresses leads over a link that is down', async () => {
  const routes = [{ dst: 'default', dev: 'eth1', table: '1001', flags: ['linkdown'] }];
  const { 'link-down': down } = await found(linksCheck, {
    programs: programsOf({ rules: [...mainRules, ...podRules], routes }),
  });
  assert.equal(down.verdict, 'fail');
  assert.match(down.seen, /^eth1 is DOWN, and 12 pod addresses are routed by it \(table 1001\): 10\.0\.3\.201, /);
  assert.equal(down.command, 'ip link set eth1 up');
});

test('the kernel has taken the routes of the link away, and the rules are left', async () => {
  const { 'link-down': down } = await found(linksCheck, {
    programs: programsOf({ rules: [...mainRules, ...podRules], routes: toPods }),
  });
  assert.deepEqual([down.verdict, down.command], ['fail', 'ip link set eth1 up']);
});

test('routes to single pods over a link without carrier', async () => {
  const links = linksText({ name: 'eth0' }, { name: 'eth1', flags: ['UP', 'NO-CARRIER'] });
  const { 'link-down': down } = await found(linksCheck, {
    programs: programsOf({ links, routes: [{ dst: '10.0.3.201', dev: 'eth1' }] }),
  });
  assert.equal(down.verdict, 'fail');
  assert.match(down.seen, /^eth1 has no carrier, and 1 pod address is routed by it: 10\.0\.3\.201$/);
});

test('no alarm for an unused link, docker0 without containers, an unplugged laptop, and tables of others', async () => {
  const fine = { 'link-down': 'ok', mtu: 'ok' };
  assert.deepEqual(await verdicts(linksCheck, { programs: programsOf({}) }), fine);
  const docker = linksText(
    { name: 'eth0' },
    { name: 'docker0', kind: 'bridge', flags: ['UP', 'NO-CARRIER'], addresses: ['172.17.0.1'] },
  );
  const toDocker = [{ dst: '172.17.0.0/16', dev: 'docker0', flags: ['linkdown'] }];
  assert.deepEqual(await verdicts(linksCheck, { programs: programsOf({ links: docker, routes: toDocker }) }), fine);
  const laptop = linksText(
    { name: 'wlan0' },
    { name: 'enp0s31f6', flags: ['UP', 'NO-CARRIER'], addresses: ['192.168.1.2'] },
  );
  const connected = [{ dst: '192.168.1.0/24', dev: 'enp0s31f6', flags: ['linkdown'] }];
  assert.deepEqual(await verdicts(linksCheck, { programs: programsOf({ links: laptop, routes: connected }) }), fine);
  const closed = [...mainRules, { src: '10.8.0.2', table: '51820' }];
  assert.deepEqual(await verdicts(linksCheck, { programs: programsOf({ rules: closed }) }), fine, 'a closed tunnel');
  const vpn = [...mainRules, { src: '10.8.0.2', table: '51820' }];
  const overTunnel = [{ dst: 'default', dev: 'wg0', table: '51820' }];
  assert.deepEqual(await verdicts(linksCheck, { programs: programsOf({ rules: vpn, routes: overTunnel }) }), fine);
});

test('in a container hardware has the kind of a veth', async () => {
  const links = linksText(
    { name: 'eth0', kind: 'veth' },
    { name: 'eth1', kind: 'veth', flags: [] },
    { name: 'veth7', kind: 'veth', flags: [] },
  );
  const { 'link-down': down } = await found(linksCheck, {
    programs: programsOf({ links, rules: podRules, routes: toPods }),
  });
  assert.deepEqual([down.verdict, down.command], ['fail', 'ip link set eth1 up']);
});

test('with all links up, rules and routes are not listed', async () => {
  assert.deepEqual(await verdicts(linksCheck, { programs: { [listLinks]: nodeLinks } }), {
    'link-down': 'ok',
    mtu: 'ok',
  });
});

test('a link with a small MTU', async () => {
  const links = linksText({ name: 'eth0', mtu: 1_200, addresses: ['10.0.0.5'] }, { name: 'eth1', mtu: 500 });
  const { mtu } = await found(linksCheck, { programs: { [listLinks]: links } });
  assert.deepEqual([mtu.verdict, mtu.seen], ['warn', 'eth0 takes 1200 bytes']);
});

test('what cannot be listed is skipped', async () => {
  assert.deepEqual(await verdicts(linksCheck), { 'link-down': 'skipped', mtu: 'skipped' });
  assert.deepEqual(await verdicts(linksCheck, { programs: { [listLinks]: eth1Down } }), {
    'link-down': 'skipped',
    mtu: 'ok',
  });
  assert.deepEqual(await verdicts(linksCheck, { networkNamespace: 'net:[2]' }), {
    'link-down': 'skipped',
    mtu: 'skipped',
  });
  const link = { name: 'eth1', kind: '', isLoopback: false, isUp: false, hasCarrier: true, mtu: 0, addresses: [] };
  assert.equal(downFinding([link], [], []).verdict, 'ok');
});
