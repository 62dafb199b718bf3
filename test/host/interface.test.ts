import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLink } from '../../src/host/interface.js';
import type { HostError } from '../../src/host/tools.js';
import { type FakeNode, failed, newFakeNode, worked } from './fake-node.js';
import { newSpokenLog } from './spoken-log.js';

const name = 'nodelocaldns';
const both = ['169.254.20.10', 'fd00::10'];

function linkOn(node: FakeNode, addresses: readonly string[] = both) {
  const log = newSpokenLog();
  return { link: newLink(node.run, { name, addresses }, log), log };
}

test('a dummy link is made, set up, and given each address as itself alone', async () => {
  const node = newFakeNode();
  const { link, log } = linkOn(node);
  assert.deepEqual(await link.repair(), { missing: both, on: name });
  const made = { kind: 'dummy', up: true, addresses: ['169.254.20.10/32', 'fd00::10/128'] };
  assert.deepEqual(node.links.get(name), made);
  assert.deepEqual(node.ran, [
    'ip -json -details address show',
    'ip link add nodelocaldns type dummy',
    'ip link set dev nodelocaldns up',
    'ip address replace 169.254.20.10/32 dev nodelocaldns',
    'ip address replace fd00::10/128 dev nodelocaldns nodad',
  ]);
  assert.deepEqual(log.lines, []);
});

test('where all is right one look is all', async () => {
  const node = newFakeNode();
  const { link } = linkOn(node);
  await link.repair();
  node.ran.length = 0;
  assert.deepEqual(await link.repair(), { missing: [], on: name });
  assert.deepEqual(node.ran, ['ip -json -details address show']);
});

test('what is taken away comes back: an address, the link, its being up', async () => {
  const node = newFakeNode();
  const { link } = linkOn(node);
  await link.repair();
  node.links.get(name)!.addresses = ['fd00::10/128'];
  assert.deepEqual(await link.repair(), { missing: ['169.254.20.10'], on: name });
  node.links.delete(name);
  assert.deepEqual(await link.repair(), { missing: both, on: name });
  node.links.get(name)!.up = false;
  assert.deepEqual(await link.repair(), { missing: [], on: name });
  assert.deepEqual(node.links.get(name), { kind: 'dummy', up: true, addresses: ['169.254.20.10/32', 'fd00::10/128'] });
});

test('node-cache’s link, which it leaves down, and one made at the same moment, are taken over', async () => {
  const node = newFakeNode();
  node.links.set(name, { kind: 'dummy', up: false, addresses: ['169.254.20.10/32'] });
  const { link } = linkOn(node);
  assert.deepEqual(await link.repair(), { missing: ['fd00::10'], on: name });
  assert(!node.ran.some((line) => line.startsWith('ip link add')));
  const raced = newFakeNode();
  raced.before = ({ parameters }) => {
    if (parameters[1] === 'add') raced.links.set(name, { kind: 'dummy', up: false, addresses: [] });
  };
  assert.deepEqual(await linkOn(raced).link.repair(), { missing: both, on: name });
});

test('a kernel without dummies: lo, with one warning', async () => {
  const node = newFakeNode();
  node.hasDummies = false;
  const { link, log } = linkOn(node);
  assert.deepEqual(await link.repair(), { missing: both, on: 'lo' });
  assert.deepEqual(node.links.get('lo')!.addresses.slice(2), ['169.254.20.10/32', 'fd00::10/128']);
  node.links.get('lo')!.addresses = ['127.0.0.1/8'];
  assert.deepEqual(await link.repair(), { missing: both, on: 'lo' });
  assert.equal(node.ran.filter((line) => line.startsWith('ip link add')).length, 1);
  assert.deepEqual(log.levels, ['warn']);
  assert.match(
    log.lines[0],
    /^dummy interfaces unavailable \(Unknown device type\); using lo for 169\.254\.20\.10, fd00::10$/u,
  );
});

test('an address on another link is the host’s: it is neither moved nor taken out', async () => {
  const node = newFakeNode();
  node.links.set('eth0', { kind: 'ether', up: true, addresses: ['169.254.20.10/16'] });
  const { link } = linkOn(node);
  assert.deepEqual(await link.repair(), { missing: ['fd00::10'], on: name });
  await link.remove();
  assert.deepEqual(node.links.get('eth0')!.addresses, ['169.254.20.10/16']);
  assert(!node.links.has(name));
});

test('taken out: a dummy as a whole, of other links only our addresses', async () => {
  const node = newFakeNode();
  await linkOn(node).link.repair();
  node.links.get(name)!.addresses.push('fe80::1/64');
  assert.equal(await linkOn(node).link.remove(), 'removed');
  assert(!node.links.has(name));

  const lo = newFakeNode();
  lo.hasDummies = false;
  await linkOn(lo).link.repair();
  await linkOn(lo).link.remove();
  assert.deepEqual(lo.links.get('lo')!.addresses, ['127.0.0.1/8', '::1/128']);

  const own = newFakeNode();
  own.links.set(name, { kind: 'ether', up: true, addresses: ['192.0.2.1/24'] });
  const { link } = linkOn(own);
  await link.repair();
  await link.remove();
  assert.deepEqual(own.links.get(name)!.addresses, ['192.0.2.1/24']);
});

test('failures are of the type that node-cache counts them as', async () => {
  const cases: [string, ReturnType<typeof failed>, string][] = [
    ['ip -json', failed(1, 'Option "-json" is unknown'), 'interface_check'],
    ['ip -json', worked('1: lo: <LOOPBACK,UP>'), 'interface_check'],
    ['ip link add', failed(2, 'RTNETLINK answers: Operation not permitted'), 'interface_add'],
    ['ip link set', failed(2, 'RTNETLINK answers: Operation not permitted'), 'interface_add'],
    ['ip address replace', failed(2, 'RTNETLINK answers: Permission denied'), 'interface_add'],
    ['ip -json', { ran: false, why: 'missing', text: 'ip is not installed' }, 'interface_check'],
  ];
  for (const [start, end, errortype] of cases) {
    const node = newFakeNode();
    node.instead.push({ start, end });
    await assert.rejects(linkOn(node).link.repair(), (error: HostError) => error.errortype === errortype, start);
  }
});
