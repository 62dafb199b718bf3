import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceOf, codesIn, codesOf, shortly } from './advice-of.js';

test('the cluster DNS is asked over TCP', () => {
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . 10.0.0.1'), ['8 cluster-dns-over-udp']);
  assert.deepEqual(codesIn('a.svc.cluster.local', 'cache', 'forward . 10.0.0.1'), ['8 cluster-dns-over-udp']);
  assert.deepEqual(codesOf('cache', 'forward . 10.97.12.34'), ['8 cluster-dns-over-udp']);
  for (const option of ['force_tcp', 'prefer_udp']) {
    assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . 10.0.0.1 {', option, '}'), []);
  }
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . tls://10.0.0.1'), []);
  assert.deepEqual(codesIn('acme.local', 'cache', 'forward . 10.0.0.1'), []);
});

test('nobody is asked who is this server itself', () => {
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10'), ['8 forward-to-own-address'], 'of -localip');
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10:5353'), [], 'another port');
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 169.254.20.10'), [], 'said when it is read');
  const [advice] = adviceOf(
    '. {\nbind 10.0.0.1\nerrors\nreload\nready :8181\ncache\nforward . 10.0.0.9\n}\n' +
      'a. {\nbind 10.0.0.1 10.0.0.2\nerrors\ncache\nforward . 10.0.0.9\n}\n' +
      'b. {\nbind 10.0.0.1\nerrors\ncache\nforward . 10.0.0.2\n}\n',
  );
  assert.equal(advice.at.line, 19);
  assert.match(advice.message, /^forward: 10\.0\.0\.2 is an address that the server block on line 9 listens on, /u);
});

test('loopback addresses are our own where all addresses are listened on', () => {
  const text = (address: string) =>
    `. {\nbind 0.0.0.0\nerrors\nloop\nreload\nready :8181\ncache\nforward . ${address}\n}\n`;
  assert.deepEqual(shortly(adviceOf(text('127.0.0.1'))), ['8 forward-to-own-address']);
  assert.deepEqual(shortly(adviceOf(text('127.0.0.1:5353'))), []);
  assert.deepEqual(shortly(adviceOf(text('::1'))), []);
});

test('systemd-resolved is asked by its list', () => {
  assert.deepEqual(codesOf('cache', 'forward . 127.0.0.53'), ['8 forward-to-stub-resolver']);
  assert.deepEqual(codesOf('cache', 'forward . /run/systemd/resolve/resolv.conf'), []);
});

test("the node's resolvers are asked as the client asked", () => {
  assert.deepEqual(codesOf('cache', 'forward . /etc/resolv.conf {', 'force_tcp', '}'), ['8 outside-over-tcp']);
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . /etc/resolv.conf {', 'force_tcp', '}'), []);
});

test('a loop through the resolvers of a file is looked for', () => {
  const text = (loop: string) =>
    `. {\nbind 169.254.20.10\nerrors\nreload\nready :8181\ncache\nforward . /etc/resolv.conf\n${loop}}\n`;
  assert.deepEqual(shortly(adviceOf(text(''))), ['7 loop-missing']);
  assert.deepEqual(shortly(adviceOf(text('loop\n'))), []);
});
