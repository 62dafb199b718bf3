/** What `ip` prints, of any version, as links, routes and rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isPhysical,
  linksOf,
  listFrom,
  podLinks,
  readLink,
  readNodeRule,
  readRoute,
  routesOf,
  rulesOfNode,
} from '../../src/doctor/links.js';
import { listLinks, lookingAt, nodeLinks } from './outsides.js';

test('links with kind, state and addresses', async () => {
  const links = await linksOf(lookingAt({ programs: { [listLinks]: nodeLinks } }));
  assert(links.ok);
  assert.deepEqual(
    links.items.map(({ name, kind, isUp }) => [name, kind, isUp]),
    [
      ['lo', '', true],
      ['eth0', '', true],
      ['nodelocaldns', 'dummy', true],
      ['veth1', 'veth', true],
    ],
  );
  assert.deepEqual(
    links.items.filter(isPhysical).map(({ name }) => name),
    ['eth0'],
  );
  assert.deepEqual(
    podLinks(links.items).map(({ name }) => name),
    ['veth1'],
  );
});

test('one run of a program serves all checks of a run', async () => {
  const outsides = lookingAt({ programs: { [listLinks]: nodeLinks } });
  await Promise.all([linksOf(outsides), linksOf(outsides)]);
  assert.deepEqual(outsides.lines, [listLinks]);
});

test('rules of both families, and routes with their table', async () => {
  const outsides = lookingAt({
    programs: {
      'ip -json rule show':
        '[{"priority":512,"src":"10.0.3.201","table":"1001"},{"priority":0,"src":"all","table":"local"}]',
      'ip -json -6 rule show': '[{"src":"fd00::","srclen":64,"table":7}]',
      'ip -json route show table all':
        '[{"dst":"default","dev":"eth1","table":"1001"},{"dst":"10.0.0.0/24","dev":"eth0"},{"type":"blackhole","dst":"10.9.0.0/16"}]',
    },
  });
  const [rules, routes] = [await rulesOfNode(outsides), await routesOf(outsides)];
  assert(rules.ok && routes.ok);
  assert.deepEqual(rules.items, [
    { from: '10.0.3.201', to: 'all', table: '1001' },
    { from: 'all', to: 'all', table: 'local' },
    { from: 'fd00::/64', to: 'all', table: '7' },
  ]);
  assert.deepEqual(routes.items, [
    { to: 'default', device: 'eth1', table: '1001', type: 'unicast' },
    { to: '10.0.0.0/24', device: 'eth0', table: 'main', type: 'unicast' },
  ]);
});

test('what is no such JSON is said, and rows of another shape are left out', async () => {
  assert.deepEqual(listFrom('1: lo: <LOOPBACK>', readLink), {
    ok: false,
    why: 'ip did not print JSON; its version is too old',
  });
  assert.deepEqual(listFrom('{}', readLink), { ok: false, why: 'ip printed JSON of another shape' });
  assert.deepEqual(listFrom('', readLink), { ok: true, items: [] });
  for (const read of [readLink, readRoute, readNodeRule]) {
    assert.deepEqual(listFrom<unknown>('[null, 1, "x", [], {}, {"ifname":5}, {"dst":1}]', read), {
      ok: true,
      items: [],
    });
  }
  assert.deepEqual(readLink({ ifname: 'x', flags: 'UP', addr_info: [null, { local: 1 }], linkinfo: null }), {
    name: 'x',
    kind: '',
    isLoopback: false,
    isUp: false,
    hasCarrier: true,
    mtu: 0,
    addresses: [],
  });
  const gone = await linksOf(lookingAt());
  assert.deepEqual(gone, { ok: false, why: 'ip is not installed' });
});

test('twenty thousand routes are read', () => {
  const rows = Array.from({ length: 20_000 }, (_, at) => ({ dst: `10.0.${at >> 8}.${at & 255}`, dev: 'eth0' }));
  const routes = listFrom(JSON.stringify(rows), readRoute);
  assert(routes.ok);
  assert.equal(routes.items.length, 20_000);
});
