/** resolv.conf of the node: stubs that zerohop skips, forwarders that it asks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stubCheck } from '../../src/doctor/check-resolvers.js';
import { found, verdicts } from './outsides.js';

const conf = (...servers: string[]) => ({
  '/etc/resolv.conf': servers.map((server) => `nameserver ${server}\n`).join(''),
});
const udp = (local: string) => ({
  '/proc/net/udp': `  sl\n 1: ${local}:0035 00000000:0000 07 0:0 00:0 0 101 0 152 2 0 0\n`,
});
const systemd = '3500007F';
const dnsmasq = '0101007F';
const none = { nodeResolvers: [], skippedResolvers: ['127.0.0.53: an address of this node in /etc/resolv.conf'] };

test('real resolvers, and a Corefile that names its own', async () => {
  const fine = { 'stub-resolver': 'ok' };
  assert.deepEqual(await verdicts(stubCheck, { files: conf('10.0.0.2', '10.0.0.3') }), fine);
  const fixed = { nodeResolvers: [], skippedResolvers: [] };
  assert.deepEqual(await verdicts(stubCheck, { files: conf('127.0.0.53'), facts: fixed }), fine);
});

test('only the stub of systemd-resolved', async () => {
  const files = { ...conf('127.0.0.53'), ...udp(systemd) };
  const { 'stub-resolver': stub } = await found(stubCheck, { files, facts: none });
  assert.equal(stub.verdict, 'warn');
  assert.equal(stub.seen, '/etc/resolv.conf lists 127.0.0.53 and no other resolver; systemd-resolved listens there');
  assert.match(stub.command ?? '', /--resolv-conf=\/run\/systemd\/resolve\/resolv\.conf/);
  const gone = await found(stubCheck, { files: { ...conf('127.0.0.53'), ...udp(dnsmasq) }, facts: none });
  assert.match(gone['stub-resolver'].seen, /does not listen there$/);
  assert.deepEqual(await verdicts(stubCheck, { files, facts: null }), { 'stub-resolver': 'warn' });
});

test('the stub is skipped where systemd tells its own resolvers, as on a laptop', async () => {
  const files = { ...conf('127.0.0.53'), ...udp(systemd) };
  const facts = { ...none, nodeResolvers: ['192.168.1.1'] };
  assert.deepEqual(await verdicts(stubCheck, { files, facts }), { 'stub-resolver': 'ok' });
});

test('a forwarder of the node at 127.0.1.1, there and not there', async () => {
  const facts = { nodeResolvers: ['127.0.1.1'], skippedResolvers: [] };
  const there = { ...conf('127.0.1.1'), ...udp(dnsmasq) };
  assert.deepEqual(await verdicts(stubCheck, { files: there, facts }), { 'stub-resolver': 'info' });
  const { 'stub-resolver': gone } = await found(stubCheck, { files: { ...conf('127.0.1.1'), ...udp(systemd) }, facts });
  assert.deepEqual(
    [gone.verdict, gone.seen],
    ['warn', '/etc/resolv.conf lists 127.0.1.1, and nobody listens there on port 53'],
  );
});

test('our own address is a stub too', async () => {
  const facts = { nodeResolvers: [], skippedResolvers: ['169.254.20.10: an address of this node'] };
  assert.deepEqual(await verdicts(stubCheck, { files: conf('169.254.20.10'), facts }), { 'stub-resolver': 'warn' });
});

test('a file that cannot be read, and one without resolvers', async () => {
  assert.deepEqual(await verdicts(stubCheck), { 'stub-resolver': 'skipped' });
  const { 'stub-resolver': empty } = await found(stubCheck, { files: { '/etc/resolv.conf': '\0# nothing\n' } });
  assert.deepEqual([empty.verdict, empty.seen], ['ok', '/etc/resolv.conf lists no resolver']);
});
