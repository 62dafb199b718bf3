import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import type { OptionChange } from '../../../src/plugins/rewrite/name-rules.js';
import { rewrite } from '../../../src/plugins/rewrite/plugin.js';
import { blockOf, warningsOf } from '../../config/options.js';

function option(words: string): OptionChange {
  return settingsOf(blockOf('forward . 10.0.0.1', `rewrite edns0 ${words}`), rewrite)![0].change as OptionChange;
}

const refuses = (words: string, message: RegExp) => assert.throws(() => option(words), { message }, words);

test('an option has a code and bytes, written as they are or in hexadecimal', () => {
  const abcd = {
    field: 'edns0',
    action: 'set',
    code: 0xffee,
    data: { kind: 'bytes', bytes: [0x61, 0x62, 0x63, 0x64] },
  };
  for (const words of ['local set 0xffee 0x61626364', 'local set 65518 abcd', 'LOCAL Set 0xFFEE abcd']) {
    assert.deepEqual(option(words), abcd);
  }
  assert.deepEqual(option('local append 0xffee 0x').data, { kind: 'bytes', bytes: [] });
});

test('its data may be what is known of the question or the client', () => {
  assert.deepEqual(option('local replace 0xffee {client_ip}').data, { kind: 'variable', name: 'client_ip' });
  assert.deepEqual(option('subnet set 24 56').data, { kind: 'subnet', v4Bits: 24, v6Bits: 56 });
  assert.deepEqual(option('nsid set').code, 3);
  assert.deepEqual(option('subnet append 0 0').code, 8);
});

test('an option may be taken out, and revert says what is so anyway', () => {
  assert.deepEqual(option('local unset 0xffee').action, 'unset');
  assert.deepEqual(option('subnet unset').action, 'unset');
  assert.deepEqual(option('nsid unset').action, 'unset');
  for (const words of ['nsid set', 'subnet set 24 56', 'local set 0xffee abcd']) {
    assert.deepEqual(option(`${words} revert`), option(words));
  }
});

test('what is wrong is refused', () => {
  refuses('local', /^\/etc\/Corefile:3: rewrite edns0: expects local, nsid or subnet, then set/u);
  refuses('cookie set', /the option must be local, nsid or subnet, not "cookie"/u);
  refuses('nsid put', /the action must be set, append, replace or unset, not "put"/u);
  refuses('nsid set x', /nsid expects nothing more/u);
  refuses('subnet set 24', /subnet expects the bits/u);
  refuses('subnet set 33 56', /the bits of IPv4 addresses must be a whole number from 0 to 32/u);
  refuses('subnet set 24 129', /from 0 to 128/u);
  refuses('local set 0xffee', /local expects CODE DATA/u);
  refuses('local set 70000 x', /the code must be a whole number/u);
  refuses('local set 0xffee 0x123', /two hexadecimal digits/u);
  refuses('local set 0xffee {a}', /"\{a\}" is unknown; write \{qname\}/u);
  for (const text of ['{/a}', '{a/}', '{a/b/c}']) refuses(`local set 0xffee ${text}`, /is unknown/u);
  refuses('local set x {a/b}', /the code must be a whole number/u);
  refuses(`local set 0xffee ${'x'.repeat(513)}`, /512 bytes at most/u);
});

const warnings = (words: string) => warningsOf(`. {\nforward . 10.0.0.1\nrewrite edns0 ${words}\n}\n`);

test('an option that tells who asks is a warning, as what it is used for is not cached', () => {
  assert.match(warnings('local set 0xffee {client_ip}')[0], /may depend on \{client_ip\}/u);
  assert.deepEqual(warnings('local set 0xffee {qname}'), []);
});
test('metadata, which has no value yet, is set by no rule, as in CoreDNS', () => {
  for (const label of ['forward/upstream', 'kubernetes/client-namespace']) {
    const lines = [`rewrite edns0 local set 0xffee {${label}}`, 'rewrite name a.test b.test'];
    assert.equal(settingsOf(blockOf('forward . 10.0.0.1', ...lines), rewrite)!.length, 1);
    assert.match(
      warnings(`local replace 0xffee {${label}}`)[0],
      /^3: rewrite edns0: has no effect: the metadata \{\w+\/[\w-]+\} has/u,
    );
  }
});
