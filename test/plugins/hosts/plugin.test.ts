import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import type { HostsConfig } from '../../../src/plugins/hosts/file.js';
import { hosts } from '../../../src/plugins/hosts/plugin.js';
import { blockOf, configOf, warningsOf } from '../../config/options.js';

function hostsOf(...lines: string[]): HostsConfig {
  return settingsOf(blockOf('forward . 10.0.0.1', ...lines), hosts)!;
}

const byDefault = {
  at: { file: '/etc/Corefile', line: 3 },
  file: '/etc/hosts',
  zones: ['.'],
  inline: '',
  ttlSeconds: 3600,
  reverse: true,
  reloadMs: 5000,
  fallthrough: null,
  fallthroughUnsupported: false,
};

test('hosts alone is /etc/hosts for the zones of the block, looked at every five seconds', () => {
  assert.deepEqual(hostsOf('hosts'), byDefault);
  assert.deepEqual(blockOf('forward . 10.0.0.1').settings, {});
});

test('everything hosts can say, entries among the options', () => {
  const written = hostsOf(
    'hosts /etc/coredns/NodeHosts example.org 10.0.0.0/8 {',
    '10.0.0.1 a.Example.org b.example.org',
    'ttl 60',
    'no_reverse',
    'fd00::1 *.c.example.org',
    'reload 1m30s',
    'fallthrough Example.org',
    'fallthrough_unsupported',
    '}',
  );
  assert.deepEqual(written, {
    ...byDefault,
    file: '/etc/coredns/NodeHosts',
    zones: ['example.org.', '10.in-addr.arpa.'],
    inline: '10.0.0.1 a.example.org. b.example.org.\nfd00::1 *.c.example.org.',
    ttlSeconds: 60,
    reverse: false,
    reloadMs: 90_000,
    fallthrough: ['example.org.'],
    fallthroughUnsupported: true,
  });
  assert.deepEqual(hostsOf('hosts {', 'reload 0', 'fallthrough', '}').fallthrough, []);
  assert.equal(hostsOf('hosts {', 'reload 0', '}').reloadMs, 0);
});

test('what is wrong is refused at its line', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '10.0.0.256 a.test': /^\/etc\/Corefile:3: hosts: does not know "10\.0\.0\.256"; known: ttl, /u,
    '10.0.0.1': /:3: hosts 10\.0\.0\.1: has no name; write ADDRESS, then one NAME or more\.$/u,
    '10.0.0.1 a..test': /:3: hosts 10\.0\.0\.1: /u,
    'ttl 0': /:3: hosts ttl: the TTL must be a whole number from 1 to 65535, not "0"/u,
    'ttl 65536': /:3: hosts ttl: /u,
    'no_reverse please': /:3: hosts no_reverse: expects no arguments/u,
    'reload soon': /:3: hosts reload: the reload interval/u,
    'reload 1ms': /:3: hosts reload: "1ms" is too short/u,
    fallthrough_unsupported: /:2: hosts: fallthrough_unsupported extends fallthrough/u,
    'fallthrugh a.test': /:3: hosts: does not know "fallthrugh"; did you mean fallthrough\?/u,
  };
  for (const [line, message] of Object.entries(wrong)) {
    assert.throws(() => configOf(`. {\nhosts {\n${line}\n}\nforward . 10.0.0.1\n}\n`), { message }, line);
  }
  assert.throws(() => blockOf('hosts', 'hosts', 'forward . 10.0.0.1'), { message: /hosts/u });
});

test('what works and hurts is a warning', () => {
  const [warning] = warningsOf('. {\nforward . 10.0.0.1\nhosts\n}\n');
  assert.match(warning, /^3: hosts: without fallthrough, names that are not in it get SERVFAIL/u);
  assert.deepEqual(warningsOf('. {\nforward . 10.0.0.1\nhosts {\nfallthrough\n}\n}\n'), []);
  const [foreign] = warningsOf('a.test {\nforward . 10.0.0.1\nhosts /etc/hosts b.test {\nfallthrough\n}\n}\n');
  assert.match(foreign, /^3: hosts: has no effect: no name of b\.test\. reaches this server block/u);
  assert.deepEqual(warningsOf('a.test {\nhosts\n}\n'), [], 'it needs no forward to have answers');
});
