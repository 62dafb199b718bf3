import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IptablesBackend, newIptables, program } from '../../src/host/iptables.js';
import { rulesOf, ruleText } from '../../src/host/rules.js';
import type { HostError } from '../../src/host/tools.js';
import { type FakeNode, failed, newFakeNode } from './fake-node.js';

const wish = { addresses: ['169.254.20.10', 'fd00::10'], dnsPort: 53, healthPort: 8080 };
const rules = rulesOf(wish);
const on = (node: FakeNode, backend: IptablesBackend = 'nft') => newIptables(node.run, rules, backend);
const lines = (node: FakeNode, key: string) => node.rules.get(key) ?? [];
/** The chains' rules from their heads, in one table, as node-cache leaves them. */
const wanted = (address: string, table: string) =>
  rules
    .filter((rule) => rule.address === address && rule.table === table)
    .map((rule) => `${rule.chain} ${ruleText(rule)}`)
    .reverse();

test('programs by family and backend', () => {
  assert.equal(program('ipv4', 'nft'), 'iptables-nft');
  assert.equal(program('ipv6', 'legacy'), 'ip6tables-legacy');
  assert.equal(program('ipv6', 'default'), 'ip6tables');
});

for (const backend of ['nft', 'legacy'] as const) {
  test(`${backend}: all rules go in, the last of node-cache’s order first, and nothing changes after that`, async () => {
    const node = newFakeNode();
    node.rules.set(`iptables-${backend} filter`, ['INPUT -p tcp -j ACCEPT']);
    const writer = on(node, backend);
    assert.equal(await writer.repair(), 24);
    assert.deepEqual(lines(node, `iptables-${backend} raw`), wanted('169.254.20.10', 'raw'));
    const filter = [...wanted('169.254.20.10', 'filter'), 'INPUT -p tcp -j ACCEPT'];
    assert.deepEqual(lines(node, `iptables-${backend} filter`), filter);
    assert.deepEqual(lines(node, `ip6tables-${backend} raw`), wanted('fd00::10', 'raw'));
    const restores = node.ran.filter((line) => line.includes('restore'));
    assert.deepEqual(restores, [
      `iptables-${backend}-restore -w 2 --noflush`,
      `ip6tables-${backend}-restore -w 2 --noflush`,
    ]);
    node.ran.length = 0;
    assert.equal(await writer.repair(), 0);
    assert.equal(node.ran.length, 4);
    assert(node.ran.every((line) => line.includes('-save -t')));
  });
}

test('what is untracked is accepted already: filter is filled first, and emptied last', async () => {
  const node = newFakeNode();
  const tables: string[][] = [];
  node.before = ({ input = '' }) => {
    if (input !== '') tables.push([...input.matchAll(/^\*(\w+)$/gm)].map(([, table]) => table));
  };
  await on(node).repair();
  await on(node).remove();
  const [filled, emptied] = [
    ['filter', 'raw'],
    ['raw', 'filter'],
  ];
  assert.deepEqual(tables, [filled, filled, emptied, emptied]);
});

test('what is missing comes back, and only that', async () => {
  const node = newFakeNode();
  await on(node).repair();
  const raw = lines(node, 'iptables-nft raw');
  const [gone] = raw.splice(3, 1);
  assert.equal(await on(node).repair(), 1);
  assert.deepEqual(lines(node, 'iptables-nft raw')[0], gone);
  assert.equal(lines(node, 'iptables-nft raw').length, 8);
});

test('a rule that is there twice becomes one in a single step', async () => {
  const node = newFakeNode();
  await on(node).repair();
  const twice = lines(node, 'iptables-nft filter')[0];
  lines(node, 'iptables-nft filter').push(twice, twice.replace('-j ACCEPT', '-j ACCEPT'));
  let least = 1;
  node.before = () => {
    const copies = lines(node, 'iptables-nft filter').filter((line) => line === twice).length;
    least = Math.min(least, copies);
  };
  assert.equal(await on(node).repair(), 4);
  assert.equal(lines(node, 'iptables-nft filter').filter((line) => line === twice).length, 1);
  assert.equal(least, 1);
});

test('two that see the same want, or the same surplus, end with one of each', async () => {
  const node = newFakeNode();
  await Promise.all([on(node).repair(), on(node).repair()]);
  await Promise.all([on(node).repair(), on(node).repair()]);
  assert.equal(lines(node, 'iptables-nft raw').length, 8);
  assert.equal(lines(node, 'ip6tables-nft filter').length, 4);
  // Between the look of the first and its change a second instance mends it all.
  let isOvertaken = false;
  lines(node, 'iptables-nft raw').push(lines(node, 'iptables-nft raw')[0]);
  node.before = (command) => {
    if (isOvertaken || !command.program.endsWith('restore')) return;
    isOvertaken = true;
    lines(node, 'iptables-nft raw').pop();
  };
  await on(node).repair();
  assert(isOvertaken);
  assert.equal(lines(node, 'iptables-nft raw').length, 8);
});

test('rules of node-cache are ours, whatever their spelling', async () => {
  const node = newFakeNode();
  await on(node, 'nft').repair();
  const respelt = lines(node, 'iptables-nft raw').map((line) => line.replace('-j NOTRACK', '-j CT --notrack'));
  node.rules.set('iptables-nft raw', respelt);
  assert.equal(await on(node).repair(), 0);
  assert.equal(await on(node).remove(), 24);
});

test('diverted: what brings questions is out in both families, what answers need is not', async () => {
  const node = newFakeNode();
  await on(node).repair();
  assert.equal(await on(node).divert(), 10);
  assert.deepEqual(
    lines(node, 'ip6tables-nft raw'),
    wanted('fd00::10', 'raw').filter((line) => line.includes(' -s ')),
  );
  assert.equal(lines(node, 'iptables-nft filter').length, 4);
  assert.equal(await on(node).divert(), 0);
});

test('taken out: every copy, also with a health port of before, and nothing of others', async () => {
  const node = newFakeNode();
  await newIptables(node.run, rulesOf({ ...wish, healthPort: 9254 }), 'legacy').repair();
  await on(node, 'legacy').repair();
  await newIptables(node.run, rulesOf({ ...wish, addresses: ['10.96.0.10'] }), 'legacy').repair();
  lines(node, 'iptables-legacy raw').push(lines(node, 'iptables-legacy raw').at(-1)!);
  const theirs = ['INPUT -p tcp -j ACCEPT'];
  lines(node, 'ip6tables-legacy filter').push(...theirs);
  await on(node, 'legacy').remove();
  assert.equal(lines(node, 'iptables-legacy raw').length, 8);
  assert(lines(node, 'iptables-legacy raw').every((line) => line.includes('10.96.0.10')));
  assert.deepEqual(lines(node, 'ip6tables-legacy raw'), []);
  assert.deepEqual(lines(node, 'ip6tables-legacy filter'), theirs);
  assert.equal(await on(node, 'legacy').remove(), 0);
});

test('a lock that others hold is a failure of its own kind, at once', async () => {
  const node = newFakeNode();
  const locked = 'Another app is currently holding the xtables lock. Stopped waiting after 2s.\n';
  node.instead.push({ start: 'iptables-legacy-restore', end: failed(4, locked) });
  await assert.rejects(on(node, 'legacy').repair(), (error: HostError) => {
    assert.equal(error.errortype, 'iptables_lock');
    assert.match(error.message, /holding the xtables lock/u);
    return true;
  });
  assert.equal(node.ran.filter((line) => line.includes('restore')).length, 1);
});

test('a tool that is missing or refuses is counted as iptables, after four tries at most', async () => {
  const bare = newFakeNode();
  bare.missing.add('iptables-nft-save');
  await assert.rejects(on(bare).repair(), /^Error: iptables-nft-save is not installed$/u);
  const refusing = newFakeNode();
  const refusal = failed(2, "iptables-nft-restore: unknown option '--noflush'\n");
  refusing.instead.push(...Array.from({ length: 9 }, () => ({ start: 'iptables-nft-restore', end: refusal })));
  await assert.rejects(on(refusing).repair(), (error: HostError) => error.errortype === 'iptables');
  assert.equal(refusing.instead.length, 5);
});

test('one who takes the rules out as often as they are put in is named', async () => {
  const node = newFakeNode();
  node.before = ({ program: name }) => {
    if (name.endsWith('save')) node.rules.clear();
  };
  await assert.rejects(on(node).repair(), /another program keeps changing the rules/u);
});
