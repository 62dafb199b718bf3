import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, warningsOf } from '../options.js';

const localOf = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).local;

test('local takes names that begin with localhost, unless told not to', () => {
  assert.equal(localOf(), null);
  assert.deepEqual(localOf('local'), { takesPrefix: true });
  assert.deepEqual(localOf('local {', 'localhost_prefix on', '}'), { takesPrefix: true });
  assert.deepEqual(localOf('local {', 'localhost_prefix off', '}'), { takesPrefix: false });
});

test('local alone has something to answer; of two the last counts', () => {
  assert.deepEqual(warningsOf('. {\nlocal\n}\n'), []);
  const twice = '. {\nlocal\nlocal {\nlocalhost_prefix off\n}\n}\n';
  assert.deepEqual(blockOf('local', 'local {', 'localhost_prefix off', '}').local, { takesPrefix: false });
  assert.match(warningsOf(twice)[0], /^3: local: it is already on line 2, and only the last one counts/u);
});

test('what local does not understand it refuses', () => {
  assert.throws(() => localOf('local example.org'), /:3: local: expects no arguments; remove "example.org"/u);
  assert.throws(() => localOf('local {', 'localhost_prefix', '}'), /:4: local localhost_prefix: expects on or off/u);
  assert.throws(
    () => localOf('local {', 'localhost_prefix maybe', '}'),
    /:4: local localhost_prefix: it must be on or off/u,
  );
  assert.throws(() => localOf('local {', 'prefix on', '}'), /:4: local: does not know "prefix"/u);
});
