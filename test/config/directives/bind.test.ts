import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, warningsOf } from '../options.js';

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
test('an address with a port, or in brackets, is refused with how to write it', () => {
  for (const [text, reason] of [
    ['10.0.0.1:53', /; write "bind 10\.0\.0\.1": the port belongs after the zone, as in "\.:53"\.$/u],
    ['[fd00::10]:5353', /; write "bind fd00::10": the port belongs after the zone, as in "\.:5353"\.$/u],
    ['[::1]', /; write "bind ::1"\.$/u],
    ['eth7', /"eth7" is neither an IP address nor an interface of this host\.$/u],
  ] as const) {
    assert.throws(() => addresses(`bind ${text}`), reason, text);
  }
});
test('an IPv6 address that looks like one with a port is warned of', () => {
  const warned = (text: string) => warningsOf(`. {\nbind ${text}\nforward . 10.0.0.1\n}\n`);
  assert.match(
    warned('fd00::10:53')[0],
    /^2: bind: "fd00::10:53" is an IPv6 address; for port 53 of fd00::10 write "bind fd00::10"/u,
  );
  for (const text of ['fd00::53', 'fd00::10', 'fd00::10:54', '10.0.0.53']) assert.deepEqual(warned(text), [], text);
});
