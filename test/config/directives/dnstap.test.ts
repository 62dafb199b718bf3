import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programVersion } from '../../../src/config/version.js';
import { blockOf, warningsOf } from '../options.js';

const dnstap = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).dnstap;
const target = (socket: string) => dnstap(`dnstap ${socket}`)[0].to;

test('a socket, and what is said without being asked', () => {
  assert.deepEqual(dnstap(), []);
  assert.deepEqual(dnstap('dnstap /run/dnstap.sock'), [
    {
      at: { file: '/etc/Corefile', line: 3 },
      socket: '/run/dnstap.sock',
      to: { kind: 'path', path: '/run/dnstap.sock' },
      full: false,
      identity: 'node-7',
      version: `zerohop-${programVersion()}`,
      extra: null,
    },
  ]);
});
test('paths, addresses and names', () => {
  assert.deepEqual(target('unix:///run/dnstap.sock'), { kind: 'path', path: '/run/dnstap.sock' });
  assert.deepEqual(target('dnstap.sock'), { kind: 'path', path: 'dnstap.sock' });
  const tcp = (address: string, port: number) => ({ kind: 'tcp', endpoint: { address, port } });
  assert.deepEqual(target('tcp://127.0.0.1:6000'), tcp('127.0.0.1', 6000));
  assert.deepEqual(target('tcp://[FD00::1]:6000'), tcp('fd00::1', 6000));
  assert.deepEqual(target('tcp://Collector.example.com:6000'), tcp('collector.example.com', 6000));
  const tls = { kind: 'tls', endpoint: { address: '10.0.0.9', port: 6001 } };
  assert.deepEqual(target('tls://10.0.0.9:6001'), { ...tls, isVerified: true });
  assert.deepEqual(dnstap('dnstap tls://10.0.0.9:6001 {', 'skipverify', '}')[0].to, { ...tls, isVerified: false });
});
test('options, and several collectors', () => {
  const lines = ['identity ns1', 'version 1.2', 'extra "{/forward/upstream}"'];
  const [first, second] = dnstap('dnstap /a full {', ...lines, '}', 'dnstap /b full 1024 2048');
  assert.deepEqual(
    [first.full, first.identity, first.version, first.extra],
    [true, 'ns1', '1.2', '{/forward/upstream}'],
  );
  assert.deepEqual([second.socket, second.full], ['/b', true]);
});
test('sizes of what waits are taken with a warning', () => {
  const text = '. {\nforward . 10.0.0.1\ndnstap /a full 1024 2048\n}\n';
  assert.match(warningsOf(text)[0], /^3: dnstap: the sizes after full have no effect/u);
});
test('what is not a socket or option is refused', () => {
  for (const [line, reason] of [
    ['dnstap', /dnstap: expects SOCKET/u],
    ['dnstap unix://', /is not a socket; write a path/u],
    ['dnstap http://a:1', /"http:\/\/a:1" is not a socket; write a path/u],
    ['dnstap tcp://127.0.0.1', /must be tcp:\/\/ADDRESS:PORT/u],
    ['dnstap tcp://fd00::1:6000', /must be tcp:\/\/ADDRESS:PORT, with \[ADDRESS\] for IPv6/u],
    ['dnstap tcp://:6000', /must be tcp:\/\/ADDRESS:PORT/u],
    ['dnstap tcp://a..b:6000', /empty label/u],
    ['dnstap /a fuller', /the word after the socket must be full/u],
    ['dnstap /a full 0', /the size must be a whole number from 1/u],
    ['dnstap /a full 1 2 3', /remove "3"/u],
    ['dnstap /a {\nidentity\n}', /identity: expects a name/u],
    ['dnstap /a {\nskipverify x\n}', /skipverify: expects no arguments/u],
    ['dnstap /a {\nformat x\n}', /does not know "format"/u],
  ] as const) {
    assert.throws(() => dnstap(line), reason, line);
  }
});
