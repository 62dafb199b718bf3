import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, type Diagnostic } from '../../src/config/config.js';
import type { Token } from '../../src/config/lexer.js';
import { readName, readServerKey, readZones } from '../../src/config/zones.js';

const token = (text: string): Token => ({ text, at: { file: 'f', line: 1 }, startsLine: true, isLiteral: false });
const zones = (text: string) => readZones(token(text), 'cache');
const key = (text: string, warnings: Diagnostic[] = []) =>
  readServerKey(token(text), 1053, warnings).map(({ zone, port }) => `${zone}@${port}`);

test('names come out in lower case with their closing dot', () => {
  assert.deepEqual(zones('Cluster.LOCAL'), ['cluster.local.']);
  assert.deepEqual(zones('.'), ['.']);
  assert.deepEqual(zones('_tcp.*.a-b.'), ['_tcp.*.a-b.']);
});
test('a key has the default port unless it says another', () => {
  assert.deepEqual(key('.'), ['.@1053']);
  assert.deepEqual(key('a.test:53'), ['a.test.@53']);
  assert.deepEqual(key('dns://a.test'), ['a.test.@1053']);
  assert.deepEqual(key('DNS://.:5353'), ['.@5353']);
  assert.deepEqual(key('.:0'), ['.@0']);
});
test('networks on a boundary are one reverse zone', () => {
  assert.deepEqual(zones('10.0.0.0/16'), ['0.10.in-addr.arpa.']);
  assert.deepEqual(zones('10.0.0.0/8'), ['10.in-addr.arpa.']);
  assert.deepEqual(zones('10.1.2.3/32'), ['3.2.1.10.in-addr.arpa.']);
  assert.deepEqual(zones('0.0.0.0/0'), ['in-addr.arpa.']);
  assert.deepEqual(zones('2001:db8::/32'), ['8.b.d.0.1.0.0.2.ip6.arpa.']);
  assert.deepEqual(zones('::/0'), ['ip6.arpa.']);
  assert.deepEqual(zones('fd00::1/128'), [`1.${'0.'.repeat(29)}d.f.ip6.arpa.`]);
});
test('addresses inside a network stand for it', () => assert.deepEqual(zones('10.5.6.7/16'), ['5.10.in-addr.arpa.']));
test('networks between boundaries are several zones', () => {
  assert.deepEqual(
    zones('10.96.0.0/14'),
    ['96.10', '97.10', '98.10', '99.10'].map((z) => `${z}.in-addr.arpa.`),
  );
  assert.deepEqual(
    zones('192.168.7.129/31'),
    ['128', '129'].map((z) => `${z}.7.168.192.in-addr.arpa.`),
  );
  assert.equal(zones('128.0.0.0/1').length, 128);
  assert.deepEqual(
    zones('2001:db8::/30'),
    ['8', '9', 'a', 'b'].map((z) => `${z}.b.d.0.1.0.0.2.ip6.arpa.`),
  );
});
test('networks take ports', () => {
  assert.deepEqual(key('10.0.0.0/15:53'), ['0.10.in-addr.arpa.@53', '1.10.in-addr.arpa.@53']);
  assert.deepEqual(key('fd00::/8:53'), ['d.f.ip6.arpa.@53']);
  assert.deepEqual(key('fd00::/8'), ['d.f.ip6.arpa.@1053']);
});
test('an IPv6 address may end like an IPv4 one', () => {
  assert.deepEqual(zones('::ffff:10.0.0.0/104'), [`a.0.f.f.f.f.${'0.'.repeat(20)}ip6.arpa.`]);
});
test('names with a slash that are no network stay names (RFC 2317)', () => {
  assert.deepEqual(zones('0/25.2.0.192.in-addr.arpa'), ['0/25.2.0.192.in-addr.arpa.']);
});
test('an IPv4 address as a zone is a warning', () => {
  const warnings: Diagnostic[] = [];
  assert.deepEqual(key('10.0.0.1:53', warnings), ['10.0.0.1.@53']);
  assert.match(warnings[0].message, /to listen on an address write "bind"/u);
});
test('what is no zone is refused', () => {
  for (const text of [
    '',
    'a..b',
    `${'a'.repeat(64)}.b`,
    '10.0.0/8',
    '10.0.0.0/x',
    'fd00::/129',
    'a:b',
    '.:-1',
    '::1',
    'tls://.',
  ]) {
    assert.throws(() => readServerKey(token(text), 53, []), ConfigError, text);
  }
});
test('a name in an option is checked and spelled alike', () => {
  assert.equal(readName('Health.Local', { file: 'f', line: 1 }, 'forward'), 'health.local.');
  assert.throws(() => readName('a..b', { file: 'f', line: 7 }, 'forward'), /^ConfigError: f:7: forward: /u);
});
test('every address of a network has its reverse name in exactly one of the zones', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.nat(32), fc.nat(2 ** 32 - 1), (network, bits, host) => {
      const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
      const inside = ((network & mask) | (host & ~mask)) >>> 0;
      const octets = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
      const reverse = `${octets(inside).reverse().join('.')}.in-addr.arpa.`;
      const found = zones(`${octets(network).join('.')}/${bits}`);
      assert.equal(found.filter((zone) => reverse === zone || reverse.endsWith(`.${zone}`)).length, 1);
      assert.ok(found.length <= 128);
    }),
  );
});
