import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/nearest.js';

const words = ['cache', 'forward', 'bind', 'loop', 'log', 'prometheus'];

test('one wrong, missing, surplus or swapped letter is forgiven', () => {
  assert.equal(nearest('cach', words), 'cache');
  assert.equal(nearest('forwrad', words), 'forward');
  assert.equal(nearest('Bind', words), 'bind');
  assert.equal(nearest('promethius', words), 'prometheus');
  assert.equal(nearest('looop', words), 'loop');
});
test('a word like no other has none near', () => {
  assert.equal(nearest('kubernetes', words), undefined);
  assert.equal(nearest('', ['cache']), undefined);
  assert.equal(nearest('x'.repeat(10_000), words), undefined);
});
