import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  familyOf,
  isMarked,
  nodeAddresses,
  readRule,
  ruleKey,
  rulesOf,
  ruleText,
  withPrefix,
} from '../../src/host/rules.js';

const wish = { addresses: ['169.254.20.10'], dnsPort: 53, healthPort: 8080 };
const skip = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK';
const allow = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT';
const to = (protocol: string, port = 53) => `-d 169.254.20.10/32 -p ${protocol} -m ${protocol} --dport ${port}`;
const from = (protocol: string, port = 53) => `-s 169.254.20.10/32 -p ${protocol} -m ${protocol} --sport ${port}`;

test('twelve rules an address, in node-cache’s order', () => {
  assert.deepEqual(rulesOf(wish).map(ruleKey), [
    `raw PREROUTING ${to('tcp')} ${skip}`,
    `raw PREROUTING ${to('udp')} ${skip}`,
    `filter INPUT ${to('tcp')} ${allow}`,
    `filter INPUT ${to('udp')} ${allow}`,
    `raw OUTPUT ${from('tcp')} ${skip}`,
    `raw OUTPUT ${from('udp')} ${skip}`,
    `filter OUTPUT ${from('tcp')} ${allow}`,
    `filter OUTPUT ${from('udp')} ${allow}`,
    `raw OUTPUT ${to('tcp')} ${skip}`,
    `raw OUTPUT ${to('udp')} ${skip}`,
    `raw OUTPUT ${to('tcp', 8080)} ${skip}`,
    `raw OUTPUT ${from('tcp', 8080)} ${skip}`,
  ]);
});

test('a health port that is the DNS port is not named twice', () => {
  assert.equal(rulesOf({ ...wish, healthPort: 53 }).length, 10);
});

test('what is written is read again, for every address and port', () => {
  const address = fc.oneof(fc.ipV4(), fc.constantFrom('fd00::10', '2001:db8::1', 'fe80::1', '::ffff:1.2.3.4'));
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(address, port, port, (one, dnsPort, healthPort) => {
      for (const rule of rulesOf({ addresses: [one], dnsPort, healthPort })) {
        const line = `-A ${rule.chain} ${ruleText(rule)}`;
        assert.deepEqual(readRule(rule.table, line), { rule, text: ruleText(rule) });
        assert(isMarked(line));
      }
    }),
  );
});

test('rules as other versions and node-cache have them are known', () => {
  const [rule] = rulesOf(wish);
  const ct = `${to('tcp')} ${skip.replace('NOTRACK', 'CT --notrack')}`;
  assert.deepEqual(readRule('raw', `-A PREROUTING ${ct}`), { rule, text: ct });
  const commentFirst = `-d 169.254.20.10/32 -p tcp ${skip.replace(' -j', ' -m tcp --dport 53 -j')}`;
  assert.deepEqual(readRule('raw', `-A PREROUTING ${commentFirst}`)?.rule, rule);
  const long = '-A INPUT -d fd00:0:0::10/128 -p udp -m udp --dport 53 ';
  assert.equal(readRule('filter', long + allow)?.rule.address, 'fd00::10');
});

test('what does more or less than ours is not ours', () => {
  for (const line of [
    '',
    ':PREROUTING ACCEPT [0:0]',
    `-A PREROUTING ${to('tcp')} -j NOTRACK`,
    `-A PREROUTING -i eth0 ${to('tcp')} ${skip}`,
    `-A PREROUTING ! ${to('tcp')} ${skip}`,
    `-A PREROUTING ${to('tcp')} -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j ACCEPT`,
    `-A PREROUTING ${to('tcp')} -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j DROP`,
    `-A PREROUTING ${to('tcp').replace('/32', '/24')} ${skip}`,
    `-A PREROUTING ${to('tcp').replace('169.254.20.10/32', 'somewhere')} ${skip}`,
    `-A PREROUTING -d 169.254.20.10/32 -p tcp ${skip}`,
    `-A PREROUTING -d 169.254.20.10/32 -p tcp -m tcp --sport 53 ${skip}`,
    `-A PREROUTING ${skip}`,
  ]) {
    assert.equal(readRule('raw', line), undefined, line);
  }
});

test('an address has a family, and a prefix that is it alone', () => {
  assert.equal(familyOf('169.254.20.10'), 'ipv4');
  assert.equal(familyOf('fd00::10'), 'ipv6');
  assert.equal(withPrefix('169.254.20.10'), '169.254.20.10/32');
  assert.equal(withPrefix('fd00::10'), 'fd00::10/128');
});

test('what every host has, and what names its link, is not set up', () => {
  const ours = ['169.254.20.10', '10.96.0.10', '12.7.0.1', 'fd00::10', '::1:2', '10.0.0.0'];
  const theirs = ['127.0.0.1', '127.1.2.3', '0.0.0.0', '::', '::1', 'fe80::1%eth0'];
  assert.deepEqual(nodeAddresses([...theirs, ...ours]), ours);
});
