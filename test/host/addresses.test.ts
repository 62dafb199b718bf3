import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf, nodeAddresses, withPrefix } from '../../src/host/addresses.js';

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
