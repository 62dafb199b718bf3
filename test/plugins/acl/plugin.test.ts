import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readNetwork } from '../../../src/config/addresses.js';
import { blockOf, configOf, warningsOf } from '../../config/options.js';

const rulesOf = (...lines: string[]) => blockOf('forward . 10.0.0.1', 'acl {', ...lines, '}').traits.access[0].rules;

test('rules are about types and networks, in either order, or about everything', () => {
  assert.deepEqual(
    rulesOf('allow net 192.168.1.0/24 fd00::/8', 'filter type A AAAA net 10.0.0.1', 'drop NET * TYPE ANY', 'block'),
    [
      { action: 'allow', types: null, networks: [readNetwork('192.168.1.0/24'), readNetwork('fd00::/8')] },
      { action: 'filter', types: [1, 28], networks: [readNetwork('10.0.0.1/32')] },
      { action: 'drop', types: [255], networks: null },
      { action: 'block', types: null, networks: null },
    ],
  );
  assert.deepEqual(rulesOf('block type * net *'), [{ action: 'block', types: null, networks: null }]);
});

test('zones are the block’s or its own, and there may be several', () => {
  const { access } = configOf('a.test b.test {\nforward . 10.0.0.1\nacl {\nblock\n}\nacl x.a.test {\nallow\n}\n}\n')
    .blocks[0].traits;
  assert.deepEqual(
    access.map(({ zones }) => zones),
    [['a.test.', 'b.test.'], ['x.a.test.']],
  );
  assert.deepEqual(access[0].at, { file: '/etc/Corefile', line: 3 });
  assert.deepEqual(blockOf('forward . 10.0.0.1').traits.access, []);
});

test('what is wrong is refused at its line', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    'deny net *': /^\/etc\/Corefile:3: acl: does not know "deny"/u,
    'block net 10.0.0.0/33': /:3: acl block: "10\.0\.0\.0\/33" is not a network/u,
    'block net web.test': /:3: acl block: "web\.test" is not a network/u,
    'block type B': /:3: acl block: "B" is not a record type/u,
    'block 10.0.0.0/8': /:3: acl block: "10\.0\.0\.0\/8" must follow type or net/u,
    'block type net 10.0.0.0/8': /:3: acl block: a value is missing after "type"/u,
    'block net': /:3: acl block: a value is missing after "net"/u,
    'block net * {\n}': /:3: acl block: takes no block/u,
    '': /:2: acl: has no rule/u,
  };
  for (const [line, message] of Object.entries(wrong)) {
    assert.throws(() => configOf(`. {\nacl {\n${line}\n}\nforward . 10.0.0.1\n}\n`), { message }, line);
  }
});

test('a rule behind one for everybody is a warning', () => {
  const [warning] = warningsOf('. {\nforward . 10.0.0.1\nacl {\nblock\nallow net 10.0.0.1\n}\n}\n');
  assert.match(warning, /^5: acl allow: the rule above matches all clients/u);
});
