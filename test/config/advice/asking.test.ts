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
  const own = '.:5301 {\nbind 127.0.0.1\nerrors\ncache\nforward . 10.0.0.1\n}\n';
  const text = `cluster.local {\nbind 10.0.0.9\nerrors\nreload\nready :8181\ncache\nforward . 127.0.0.1:5301\n}\n${own}`;
  assert.deepEqual(shortly(adviceOf(text)), [], 'another block of this server is no cluster DNS');
});

test('this server itself is not asked what would come back', () => {
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10'), ['8 forward-to-own-address'], 'of -localip');
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10:5353'), [], 'another port');
  const own = adviceOf('. {\nbind 10.0.0.1\nerrors\nreload\nready :8181\ncache\nforward . 10.0.0.9 10.0.0.1\n}\n');
  assert.deepEqual(shortly(own), ['7 forward-to-own-address']);
  assert.equal(
    own[0].message,
    "forward: 10.0.0.1:53 is this server's own address, and its queries come back to this server block, so it is not used",
  );
});

const chained = (second: string) =>
  '.:5300 {\nbind 127.0.0.1\nerrors\nreload\nready :8181\ncache\nforward . 127.0.0.1:5301\n}\n' +
  `.:5301 {\nbind 127.0.0.1\nerrors\ncache\nforward . ${second}\n}\n`;

test('another block of this server may be asked, as long as it asks somebody else', () => {
  assert.deepEqual(adviceOf(chained('tls://9.9.9.9%dns.quad9.net')), []);
  assert.deepEqual(shortly(adviceOf(chained('127.0.0.1:5300'))), [
    '7 forward-to-own-address',
    '13 forward-to-own-address',
  ]);
  const text = 'a.example:5302 {\nbind 127.0.0.1\nerrors\ncache\nforward . 127.0.0.1:5301\n}\n';
  const [advice, ...others] = adviceOf(chained('127.0.0.1:5302') + text);
  assert.match(
    advice.message,
    /^forward: 127\.0\.0\.1:5302 is this server's own address, and names in a\.example\. come back/u,
  );
  assert.deepEqual(shortly(others), ['19 forward-to-own-address']);
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
