import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf } from '../options.js';

const addresses = (...lines: string[]) => blockOf(...lines, 'forward . 10.0.0.1').addresses;

test('without bind all addresses', () => assert.deepEqual(addresses(), ['::']));
test('addresses, in their one spelling, without duplicates', () => {
  assert.deepEqual(addresses('bind 169.254.20.10 FD00::0001 169.254.20.10'), ['169.254.20.10', 'fd00::1']);
});
test('several bind add up', () =>
  assert.deepEqual(addresses('bind 10.0.0.1', 'bind 10.0.0.2'), ['10.0.0.1', '10.0.0.2']));
test('an interface stands for its addresses', () => {
  assert.deepEqual(addresses('bind eth0 10.0.0.1'), ['10.1.2.3', 'fe80::1%eth0', '10.0.0.1']);
});
test('except takes addresses and interfaces out', () => {
  assert.deepEqual(addresses('bind lo eth0 {', 'except ::1 eth0', '}'), ['127.0.0.1']);
});
test('except counts for its own bind only', () => {
  assert.deepEqual(addresses('bind lo {', 'except ::1', '}', 'bind ::1'), ['127.0.0.1', '::1']);
});
