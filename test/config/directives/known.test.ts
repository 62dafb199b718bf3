import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aboutUnsupported, isSupported, supportedDirectives } from '../../../src/config/directives/known.js';

test('every directive of the standard node-local Corefile is supported', () => {
  for (const name of ['bind', 'cache', 'errors', 'forward', 'health', 'loop', 'prometheus', 'reload', 'template']) {
    assert.ok(isSupported(name), name);
  }
  assert.ok(!isSupported('kubernetes'));
  assert.ok(!isSupported('constructor'));
});
test('a known one is told from an unknown one', () => {
  assert.match(aboutUnsupported('etcd'), /"etcd" is known but not supported/u);
  assert.match(aboutUnsupported('hsots'), /unknown directive "hsots"; did you mean "hosts"\?/u);
  assert.match(aboutUnsupported('constructor'), /unknown directive/u);
  assert.match(aboutUnsupported('qqqqqqqq'), new RegExp(supportedDirectives.join(', '), 'u'));
});
test('a word that looks like a zone points at the block above', () => {
  assert.match(aboutUnsupported('example.org:53'), /the \} of the block above is missing/u);
});
