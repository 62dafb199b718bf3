import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { Host, type HostOptions, type SocketsOfHost, servedElsewhere } from '../../src/host/host.js';
import type { SetupError } from '../../src/host/tools.js';
import type { Endpoint } from '../../src/os/network.js';
import { ownSockets, socketsAt as realSocketsAt } from '../../src/os/proc.js';
import { ManualClock } from '../simulation/clock.js';
import { type FakeNode, failed, newFakeNode } from './fake-node.js';
import { newSpokenLog, type SpokenLog } from './spoken-log.js';

const wish: HostOptions = {
  addresses: ['169.254.20.10', 'fd00::10'],
  interfaceName: 'nodelocaldns',
  firewall: 'iptables',
  dnsPort: 53,
  healthPort: 8080,
  syncIntervalMs: 60_000,
  atExit: 'taken out',
};

/** What the end may take. */
const withinMs = 1_500;

interface Kept {
  readonly host: Host;
  readonly node: FakeNode;
  readonly clock: ManualClock;
  readonly log: SpokenLog;
  readonly errors: SetupError[];
  readonly conditions: Set<string>;
  readonly files: Map<string, string>;
  /** The inodes of UDP sockets by their endpoint. */
  readonly sockets: Map<string, readonly number[]>;
}

function keeper(more: Partial<HostOptions> | null = {}, node = newFakeNode(), clock = new ManualClock()): Kept {
  const log = newSpokenLog();
  const errors: SetupError[] = [];
  const conditions = new Set<string>();
  const files = new Map<string, string>();
  const sockets = new Map<string, readonly number[]>();
  const world = {
    ...{ clock, log, run: node.run, readFile: (path: string) => files.get(path), ownSockets: () => new Set([7]) },
    socketsAt: ({ address, port }: Endpoint) => sockets.get(`${address}:${port}`) ?? [],
    failed: (kind: SetupError) => void errors.push(kind),
    met: (condition: string) => void conditions.add(condition),
    lost: (condition: string) => void conditions.delete(condition),
  };
  const host = new Host(world, more === null ? null : { ...wish, ...more });
  return { host, node, clock, log, errors, conditions, files, sockets };
}

const served = '169.254.20.10:53';

/** Prepared and kept, the first look done. */
async function started(kept: Kept): Promise<Kept> {
  await kept.host.prepare();
  kept.host.keep();
  await kept.clock.pass(0);
  return kept;
}

/** What changes a node; everything else only looks. */
const changing = /restore|nft -f|link (?:add|set|delete)|address (?:replace|delete)/u;
const ruleCount = ({ rules }: FakeNode): number => [...rules.values()].flat().length;
const isClean = (node: FakeNode): boolean =>
  ruleCount(node) === 0 && node.links.size === 1 && node.links.get('lo')!.addresses.length === 2;

test('addresses before the listeners, rules after them, and each is a line and a condition', async () => {
  const kept = keeper();
  const { host, node, clock, log, conditions } = kept;
  assert.deepEqual([...conditions], []);
  await host.prepare();
  assert.deepEqual([...conditions], ['interface']);
  assert.deepEqual([node.links.get('nodelocaldns')!.addresses.length, ruleCount(node)], [2, 0]);
  host.keep();
  await clock.pass(0);
  assert.deepEqual([...conditions], ['interface', 'rules']);
  assert.equal(ruleCount(node), 24);
  assert.deepEqual(log.lines, ['added 169.254.20.10, fd00::10 to nodelocaldns', 'iptables: 24 firewall rules changed']);
});

test('what is gone is back after the interval, no sooner, with a line; a look that finds all right says nothing', async () => {
  const { node, clock, log } = await started(keeper());
  node.links.delete('nodelocaldns');
  node.rules.clear();
  const lines = log.lines.length;
  await clock.pass(59_999);
  assert(isClean(node));
  await clock.pass(1);
  assert.equal(node.links.get('nodelocaldns')!.addresses.length, 2);
  assert.equal(ruleCount(node), 24);
  assert.equal(log.lines.length, lines + 2);
  await clock.pass(600_000);
  assert.equal(log.lines.length, lines + 2);
});

test('what fails is counted each time, logged once, tried again ever later up to the interval, and told when it is over', async () => {
  const kept = keeper({ syncIntervalMs: 10_000 });
  const { node, clock, log, errors, conditions } = kept;
  node.missing.add('iptables-save');
  await started(kept);
  assert.deepEqual(errors, ['iptables']);
  assert.deepEqual([...conditions], ['interface']);
  const atMs: number[] = [];
  for (let second = 1; second <= 45; second++) {
    const before = errors.length;
    await clock.pass(1_000);
    if (errors.length > before) atMs.push(second);
  }
  assert.deepEqual(atMs, [1, 3, 7, 15, 25, 35, 45]);
  assert.equal(log.levels.filter((level) => level === 'error').length, 1);
  assert(log.lines.includes('rules: iptables-save is not installed'));
  node.missing.clear();
  await clock.pass(10_000);
  assert.deepEqual([...conditions], ['interface', 'rules']);
  assert.equal(log.lines.at(-1), 'iptables: 24 firewall rules changed');
});

test('a failure that was nothing in the end is told too', async () => {
  const kept = await started(keeper());
  const { node, clock, log, conditions } = kept;
  node.instead.push({ start: 'ip -json', end: failed(1, 'Cannot open netlink socket') });
  await clock.pass(60_000);
  assert.deepEqual([...conditions], ['rules']);
  await clock.pass(1_000);
  assert.equal(log.lines.at(-1), 'interface: recovered');
  assert.deepEqual([...conditions].sort(), ['interface', 'rules']);
});

test('a lock that others hold is counted as such and tried again within a second', async () => {
  const kept = keeper();
  const locked = failed(4, 'Another app is currently holding the xtables lock. Stopped waiting after 2s.');
  kept.node.instead.push({ start: 'iptables-restore', end: locked }, { start: 'iptables-restore', end: locked });
  await started(kept);
  assert.deepEqual(kept.errors, ['iptables_lock']);
  await kept.clock.pass(1_000);
  assert.deepEqual(kept.errors, ['iptables_lock', 'iptables_lock']);
  await kept.clock.pass(2_000);
  assert.equal(ruleCount(kept.node), 24);
});

test('without the capability the line says so, and how to do without', async () => {
  const kept = keeper();
  const denied = failed(2, 'RTNETLINK answers: Operation not permitted');
  kept.node.instead.push({ start: 'ip link add', end: denied });
  await kept.host.prepare();
  assert.deepEqual(kept.errors, ['interface_add']);
  assert.match(kept.log.lines[0], /not permitted; needs the capability NET_ADMIN, or -setupinterface=false/u);
  const raw = failed(1, 'Permission denied (you must be root)');
  kept.node.instead.push({ start: 'iptables-legacy-save', end: raw });
  kept.files.set('/proc/net/ip_tables_names', 'mangle\n');
  kept.host.keep();
  await kept.clock.pass(0);
  assert.match(kept.log.lines.at(-1) ?? '', /NET_ADMIN and, for iptables-legacy, NET_RAW, or -setupiptables=false/u);
});

test('a bug of ours there does not end the program', async () => {
  const kept = keeper();
  kept.node.before = () => {
    throw new TypeError('a bug');
  };
  await started(kept);
  assert.deepEqual(kept.errors, ['interface_check', 'interface_check', 'iptables']);
  assert.match(kept.log.lines[0], /TypeError: a bug\n/u);
  kept.node.before = null;
  await kept.clock.pass(1_000);
  assert.deepEqual([...kept.conditions], ['interface', 'rules']);
});

test('at the end rules go, then addresses, and no look comes after that', async () => {
  const kept = await started(keeper());
  const { host, node, clock, log } = kept;
  node.ran.length = 0;
  await host.leave(withinMs);
  assert(isClean(node));
  const restore = node.ran.findIndex((line) => line.includes('restore'));
  assert(restore >= 0 && restore < node.ran.indexOf('ip link delete dev nodelocaldns'));
  assert.equal(log.lines.at(-1), 'removed interface and firewall rules');
  await clock.pass(600_000);
  assert(isClean(node));
  assert.equal(clock.timersSet, 0);
});

test('before the listeners close only the rules that bring questions go; our own sockets are no other program', async () => {
  const kept = await started(keeper());
  const { host, node, clock } = kept;
  kept.sockets.set(served, [7]);
  await host.stepAside(withinMs);
  const left = (): string[] => [...node.rules.values()].flat();
  assert.deepEqual([left().length, node.links.size], [14, 2]);
  assert(left().every((line) => line.includes('-j ACCEPT') || line.includes(' -s ')));
  await clock.pass(600_000);
  assert.equal(left().length, 14, 'nothing is mended any more');
  await host.leave(withinMs);
  assert(isClean(node));
});

test('two that end at once: the last to close takes everything out', async () => {
  const node = newFakeNode();
  const one = await started(keeper({}, node));
  const other = await started(keeper({}, node));
  for (const { sockets } of [one, other]) sockets.set(served, [8]);
  await Promise.all([one.host.stepAside(withinMs), other.host.stepAside(withinMs)]);
  await one.host.leave(withinMs);
  assert.deepEqual([ruleCount(node), node.links.size], [24, 2]);
  other.sockets.clear();
  await other.host.leave(withinMs);
  assert(isClean(node));
});

test('what a killed one has left is found, kept, and taken out at the end', async () => {
  const node = newFakeNode();
  await started(keeper({}, node));
  const second = keeper({}, node);
  node.ran.length = 0;
  await started(second);
  assert(!node.ran.some((line) => changing.test(line)));
  assert.deepEqual(second.log.lines, ['iptables: the firewall rules are in place']);
  await second.host.leave(withinMs);
  assert(isClean(node));
});

test('it leaves everything: with -skipteardown, to a successor, and where another program serves', async () => {
  const skipped = await started(keeper({ atExit: 'left' }));
  await skipped.host.leave(withinMs);
  assert.equal(ruleCount(skipped.node), 24);

  const released = await started(keeper());
  released.host.release();
  released.node.rules.clear();
  await released.clock.pass(600_000);
  await released.host.leave(withinMs);
  assert.deepEqual([ruleCount(released.node), released.node.links.size], [0, 2]);

  const shared = await started(keeper());
  shared.sockets.set(served, [8]);
  await shared.host.stepAside(withinMs);
  await shared.host.leave(withinMs);
  assert.equal(ruleCount(shared.node), 24);
  assert.equal(
    shared.log.lines.at(-1),
    'leaving interface and firewall rules in place: another program serves 169.254.20.10',
  );
});

test('a host that was released can be taken again', async () => {
  const { host, node, clock } = await started(keeper());
  host.release();
  node.rules.clear();
  await clock.pass(120_000);
  assert.equal(ruleCount(node), 0);
  host.keep();
  await clock.pass(0);
  assert.equal(ruleCount(node), 24);
  await clock.pass(60_000);
  await host.leave(withinMs);
  assert(isClean(node));
});

test('two at once do not fight, whatever their addresses', async () => {
  for (const firewall of ['iptables', 'nftables'] as const) {
    const [node, clock] = [newFakeNode(), new ManualClock()];
    const one = keeper({ firewall }, node, clock);
    const other = keeper({ firewall, addresses: ['169.254.20.10', '10.96.0.10'] }, node, clock);
    await Promise.all([one.host.prepare(), other.host.prepare()]);
    one.host.keep();
    other.host.keep();
    await clock.pass(120_000);
    const lines = one.log.lines.length + other.log.lines.length;
    node.ran.length = 0;
    await clock.pass(600_000);
    assert(!node.ran.some((line) => changing.test(line)), firewall);
    assert.equal(one.log.lines.length + other.log.lines.length, lines);
    if (firewall === 'iptables') assert.equal(ruleCount(node), 36);
  }
});

test('a program that hangs keeps nobody from ending', async () => {
  const hanging = keeper({}, { ...newFakeNode(), run: () => new Promise(() => {}) });
  hanging.host.keep();
  const left = hanging.host.leave(withinMs);
  await hanging.clock.pass(withinMs);
  await left;
});

test('nothing is run where nothing is wanted', async () => {
  for (const more of [
    null,
    { interfaceName: null, firewall: 'none' },
    { addresses: ['127.0.0.1', '0.0.0.0', '::1'] },
  ] as const) {
    const kept = await started(keeper(more));
    await kept.clock.pass(600_000);
    await kept.host.leave(withinMs);
    assert.deepEqual(kept.node.ran, []);
    assert.deepEqual([...kept.conditions], ['interface', 'rules']);
  }
});

test('rules without a link of ours, and the other way about', async () => {
  const rules = await started(keeper({ interfaceName: null }));
  assert.deepEqual([ruleCount(rules.node), rules.node.links.size], [24, 1]);
  assert(!rules.node.ran.some((line) => line.startsWith('ip ')));
  const link = await started(keeper({ firewall: 'none' }));
  assert.deepEqual([ruleCount(link.node), link.node.links.size], [0, 2]);
  await link.host.leave(withinMs);
  assert(link.node.ran.every((line) => line.startsWith('ip ')));
});

const host = (sockets: Record<string, readonly number[]> | null, own: readonly number[] = []): SocketsOfHost => ({
  socketsAt: ({ address, port }) => (sockets === null ? undefined : (sockets[`${address} ${port}`] ?? [])),
  ownSockets: () => new Set(own),
});

test('somebody serves an address when there is a socket on it and its port', () => {
  const read = host({ '169.254.20.10 53': [20213], '0.0.0.0 53': [20214], 'fd00::10 53': [1] });
  assert.equal(servedElsewhere(read, ['10.96.0.10', '169.254.20.10'], 53), '169.254.20.10');
  assert.equal(servedElsewhere(read, ['fd00::10'], 53), 'fd00::10');
  assert.equal(servedElsewhere(read, ['169.254.20.10'], 54), undefined);
  assert.equal(servedElsewhere(read, ['10.96.0.10', 'fd00::11'], 53), undefined);
});

test('our own sockets do not count', () => {
  const two = { '169.254.20.10 53': [20213, 20215] };
  assert.equal(servedElsewhere(host(two, [20213]), ['169.254.20.10'], 53), '169.254.20.10');
  assert.equal(servedElsewhere(host(two, [20213, 20215]), ['169.254.20.10'], 53), undefined);
});

test('where the kernel does not tell, nobody does', () => {
  assert.equal(servedElsewhere(host(null), ['169.254.20.10'], 53), undefined);
});

for (const [type, address] of [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const) {
  test(`a real ${type} socket is seen while it is open`, async () => {
    const socket = createSocket(type).bind({ address, port: 0 });
    await once(socket, 'listening');
    const { port } = socket.address();
    const socketsAt: SocketsOfHost['socketsAt'] = (at) => realSocketsAt('udp', at);
    const read = { socketsAt, ownSockets: () => new Set<number>() };
    assert.equal(servedElsewhere({ socketsAt, ownSockets }, [address], port), undefined, 'it is ours');
    assert.equal(servedElsewhere(read, [address], port), address);
    socket.close();
    await once(socket, 'close');
    assert.equal(servedElsewhere(read, [address], port), undefined);
  });
}
