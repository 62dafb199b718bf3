import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { dnsdist, dnsmasq, echo, knot, unbound } from '../../../bench/load/peers.js';
import type { Server, ServerWish } from '../../../bench/load/servers.js';

/** The command, and what is in the configuration written for it. */
async function written(server: Server, file: string): Promise<{ command: readonly string[]; text: string }> {
  return inTemporaryFolder('zerohop-test-', async (folder) => {
    const wish: ServerWish = {
      folder,
      at: { address: '127.0.0.1', port: 5300 },
      upstream: { address: '127.0.0.1', port: 5301 },
      sidePorts: [5302, 5303],
      aaaa: 'policy',
    };
    const command = server.command(wish).map((word) => word.replace(folder, '.'));
    return { command, text: readFileSync(join(folder, file), 'utf8') };
  });
}

function assertSays(text: string, ...lines: string[]): void {
  for (const line of lines) assert.ok(text.includes(line), line);
}

test('unbound gets the same address and upstream, and asks over TCP too', async () => {
  const { command, text } = await written(unbound('/usr/sbin/unbound'), 'unbound.conf');
  assert.deepEqual(command, ['/usr/sbin/unbound', '-d', '-c', './unbound.conf']);
  assertSays(text, 'port: 5300', 'forward-addr: 127.0.0.1@5301', 'tcp-upstream: yes', 'num-threads: 1');
});

test('dnsdist gets them and a packet cache, asks over TCP and serves metrics', async () => {
  const { command, text } = await written(dnsdist('dnsdist'), 'dnsdist.conf');
  assert.deepEqual(command, ['dnsdist', '--supervised', '--disable-syslog', '-C', './dnsdist.conf']);
  assertSays(text, 'setLocal("127.0.0.1:5300")', 'address="127.0.0.1:5301", tcpOnly=true', 'newPacketCache(200000');
  assertSays(text, 'webserver("127.0.0.1:5302")');
});

test('dnsmasq gets them and stays in the foreground; it cannot ask over TCP', async () => {
  const { command, text } = await written(dnsmasq('dnsmasq'), 'dnsmasq.conf');
  assert.deepEqual(command, ['dnsmasq', '--keep-in-foreground', '--conf-file=./dnsmasq.conf']);
  assertSays(text, 'port=5300', 'server=127.0.0.1#5301', 'cache-size=10000', 'no-resolv');
  assert.equal(dnsmasq('').able, 'cache');
});

test('knot answers with authority what the upstream of the others would', async () => {
  const { command, text } = await written(knot('knotd'), 'knot.conf');
  assert.deepEqual(command, ['knotd', '-c', './knot.conf']);
  assertSays(text, 'listen: 127.0.0.1@5300', 'udp-workers: 1', 'domain: cluster.local', 'domain: example.com');
});

test('the echo is a program beside the bench', () => {
  const [, program, port] = echo().command({ at: { address: '127.0.0.1', port: 5300 } } as ServerWish);
  assert.ok(existsSync(program) && port === '5300');
});
