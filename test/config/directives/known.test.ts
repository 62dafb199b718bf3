import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aboutUnsupported, directiveNames } from '../../../src/config/directives/known.js';
import { plugins } from '../../../src/plugins/registry.js';

const names = directiveNames(plugins);

test('every directive of the standard node-local Corefile is supported', () => {
  for (const name of ['bind', 'cache', 'errors', 'forward', 'health', 'loop', 'prometheus', 'reload', 'template']) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(!names.includes('kubernetes'));
  assert.ok(!names.includes('constructor'));
});
test('a known one is told from an unknown one', () => {
  assert.match(aboutUnsupported('etcd', names), /"etcd" is known but not supported/u);
  assert.match(aboutUnsupported('hsots', names), /unknown directive "hsots"; did you mean "hosts"\?/u);
  assert.match(aboutUnsupported('constructor', names), /unknown directive/u);
  assert.match(aboutUnsupported('qqqqqqqq', names), new RegExp(names.join(', '), 'u'));
});
test('a word that looks like a zone points at the block above', () => {
  assert.match(aboutUnsupported('example.org:53', names), /the \} of the block above is missing/u);
});
