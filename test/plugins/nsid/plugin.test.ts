import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { blockOf, testOptions } from '../../config/options.js';

const nsidOf = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).traits.serverId;

test('nsid is the host’s name, or what is written behind it', () => {
  assert.equal(nsidOf(), null);
  assert.equal(nsidOf('nsid'), 'node-7');
  assert.equal(nsidOf('nsid Use The Force'), 'Use The Force');
  assert.equal(nsidOf('nsid "two  blanks"'), 'two  blanks');
  assert.equal(nsidOf(`nsid ${'x'.repeat(128)}`)?.length, 128);
});

test('nsid of a host without a name', () => {
  const { hostName: _, ...options } = testOptions();
  const { blocks } = parseConfig('. {\nnsid\nforward . 10.0.0.1\n}\n', 'Corefile', options);
  assert.equal(blocks[0].traits.serverId, 'localhost');
});

test('what nsid cannot say it refuses', () => {
  assert.throws(() => nsidOf('nsid ""'), /:3: nsid: the name is empty/u);
  assert.throws(() => nsidOf(`nsid ${'ü'.repeat(65)}`), /:3: nsid: the name may have 128 bytes at most/u);
  assert.throws(() => nsidOf('nsid a {', '}'), /:3: nsid: takes no block/u);
  assert.throws(() => nsidOf('nsid a', 'nsid b'), /:4: nsid: allowed once/u);
});
