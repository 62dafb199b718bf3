import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codesIn, codesOf } from './advice-of.js';

const rest = ['cache', 'forward . 10.0.0.1'];

test('a forward behind one that takes all its names', () => {
  assert.deepEqual(codesOf(...rest, 'forward a. 10.0.0.2'), ['9 forward-unreachable']);
  assert.deepEqual(codesOf(...rest, 'forward . 10.0.0.2'), ['9 forward-unreachable']);
  assert.deepEqual(codesOf('cache', 'forward a. 10.0.0.2', 'forward . 10.0.0.1'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'except a', '}', 'forward a. 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'except b.a', '}', 'forward a. 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'next NXDOMAIN', '}', 'forward . 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'next_on_nodata', '}', 'forward . 10.0.0.2'), []);
});

test('a forward behind a template for everything', () => {
  assert.deepEqual(codesOf(...rest, 'template ANY ANY {', 'rcode REFUSED', '}'), ['8 forward-unreachable']);
  assert.deepEqual(codesOf(...rest, 'template ANY ANY a {', 'rcode REFUSED', '}'), []);
  assert.deepEqual(codesOf(...rest, 'template ANY MX {', 'rcode REFUSED', '}'), []);
});

test('a template that nothing comes to', () => {
  const mx = ['template IN MX {', 'rcode NXDOMAIN', '}'];
  assert.deepEqual(codesOf(...rest, ...mx, ...mx), ['12 template-unreachable']);
  assert.deepEqual(codesOf(...rest, ...mx, 'template IN TXT {', 'rcode NXDOMAIN', '}'), []);
  assert.deepEqual(codesOf(...rest, 'template IN MX {', 'match ^a', 'rcode NXDOMAIN', 'fallthrough', '}', ...mx), []);
  const aaaa = ['template IN AAAA {', 'match ^a', 'answer "{{ .Name }} 5 IN AAAA fd00::1"', 'fallthrough', '}'];
  assert.deepEqual(codesOf(...rest, 'aaaa nodata', ...aaaa), ['10 template-unreachable']);
  assert.deepEqual(codesOf(...rest, 'aaaa forward', ...aaaa), []);
});

test('a template with a condition and nowhere to go', () => {
  const template = (...more: readonly string[]) => ['template IN MX {', 'match ^a', 'rcode NXDOMAIN', ...more, '}'];
  assert.deepEqual(codesOf(...rest, ...template()), ['9 template-without-fallthrough']);
  assert.deepEqual(codesOf(...rest, ...template('fallthrough')), []);
  assert.deepEqual(codesOf(...template()), [], 'nothing stands behind it');
  assert.deepEqual(codesOf(...template(), 'template IN TXT {', 'rcode NXDOMAIN', '}'), [
    '7 template-without-fallthrough',
  ]);
});

test('a hosts file before a forward', () => {
  const hosts = (...more: readonly string[]) => ['hosts {', '10.0.0.1 a.acme.local', ...more, '}'];
  assert.deepEqual(codesIn('acme.local', ...rest, ...hosts()), ['9 hosts-without-fallthrough']);
  assert.deepEqual(codesIn('acme.local', ...rest, ...hosts('fallthrough')), []);
  assert.deepEqual(codesOf(...rest, ...hosts()), [], 'said when it is read');
  assert.deepEqual(codesIn('acme.local', ...hosts()), []);
});

test('an acl that lets nobody in, or everybody', () => {
  assert.deepEqual(codesOf(...rest, 'acl {', 'block', '}'), ['9 acl-blocks-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'drop net 0.0.0.0/0 ::/0', '}'), ['9 acl-blocks-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'block net 0.0.0.0/0', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl {', 'block type ANY', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl a. {', 'block', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl {', 'allow net 10.0.0.0/8', '}'), ['9 acl-allows-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'allow net 10.0.0.0/8', 'block', '}'), []);
});
