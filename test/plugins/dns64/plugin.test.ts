import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import { dns64 } from '../../../src/plugins/dns64/plugin.js';
import { blockOf, warningsOf } from '../../config/options.js';

const dns64Of = (...lines: string[]) => settingsOf(blockOf('forward . 10.0.0.1', ...lines), dns64) ?? null;
const prefixOf = (...lines: string[]) => {
  const { bytes, prefixBits } = dns64Of(...lines)!.prefix;
  return `${Buffer.from(bytes).toString('hex')}/${prefixBits}`;
};

test('dns64 has the well-known prefix, or the one that is written', () => {
  assert.equal(dns64Of(), null);
  assert.equal(prefixOf('dns64'), '0064ff9b000000000000000000000000/96');
  assert.equal(prefixOf('dns64 64:1337::/96'), '00641337000000000000000000000000/96');
  assert.equal(prefixOf('dns64 {', 'prefix 64:1337::/64', '}'), '00641337000000000000000000000000/64');
  assert.equal(prefixOf('dns64 2001:db8::/32 {', 'allow_ipv4', '}'), '20010db8000000000000000000000000/32');
});

test('dns64 is for IPv6 and for names without addresses of their own, unless told otherwise', () => {
  const told = ({ translatesAll, forIpv4 }: NonNullable<ReturnType<typeof dns64Of>>) => [translatesAll, forIpv4];
  assert.deepEqual(told(dns64Of('dns64')!), [false, false]);
  assert.deepEqual(told(dns64Of('dns64 {', 'translate_all', '}')!), [true, false]);
  assert.deepEqual(told(dns64Of('dns64 {', 'allow_ipv4', '}')!), [false, true]);
});

test('what dns64 cannot do it refuses', () => {
  assert.throws(() => dns64Of('dns64 64:ff9b::/96 x'), /:3: dns64: .*remove "x"/u);
  assert.throws(() => dns64Of('dns64 10.0.0.0/8'), /:3: dns64: "10.0.0.0\/8" is not an IPv6 prefix; write one like/u);
  assert.throws(() => dns64Of('dns64 64:ff9b::/72'), /:3: dns64: a prefix must be \/32, .* or \/96 \(RFC 6052 2.2\)/u);
  assert.throws(() => dns64Of('dns64 64:ff9b::'), /not \/128\./u);
  assert.throws(() => dns64Of('dns64 {', 'prefix', '}'), /:4: dns64 prefix: expects a prefix, but has none/u);
  assert.throws(() => dns64Of('dns64 {', 'allow_ipv4 yes', '}'), /:4: dns64 allow_ipv4: .*remove "yes"/u);
  assert.throws(
    () => dns64Of('dns64 {', 'allow_ip4', '}'),
    /:4: dns64: does not know "allow_ip4"; did you mean allow_ipv4/u,
  );
});

test('AAAA questions that a policy answers leave nothing to translate', () => {
  assert.throws(
    () => dns64Of('dns64', 'aaaa nodata'),
    /:3: dns64: AAAA queries get "nodata" from line 4; remove that/u,
  );
  assert.throws(() => dns64Of('aaaa smart', 'dns64'), /:4: dns64: AAAA queries get "smart" from line 3/u);
  const nxdomain = '. {\nforward . 10.0.0.1\ndns64\ntemplate ANY AAAA {\nrcode NXDOMAIN\n}\n}\n';
  assert.match(warningsOf(nxdomain).join('\n'), /^3: dns64: has no effect: AAAA queries get "nxdomain" from line 4/mu);
  assert.ok(dns64Of('dns64', 'aaaa forward'));
});
