import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf } from '../../config/options.js';

const loadbalanceOf = (...lines: string[]) => blockOf('forward . 8.8.8.8 8.8.4.4', ...lines).traits.prefers;

test('loadbalance is round_robin, written or not', () => {
  assert.equal(loadbalanceOf(), null);
  assert.deepEqual(loadbalanceOf('loadbalance'), []);
  assert.deepEqual(loadbalanceOf('loadbalance round_robin'), []);
});

test('loadbalance prefers networks in the order written', () => {
  assert.deepEqual(loadbalanceOf('loadbalance round_robin {', 'prefer 10.0.0.0/8 fd00::/8', 'prefer 192.0.2.1', '}'), [
    { bytes: [10, 0, 0, 0], prefixBits: 8 },
    { bytes: [0xfd, ...Array(15).fill(0)], prefixBits: 8 },
    { bytes: [192, 0, 2, 1], prefixBits: 32 },
  ]);
});

test('what loadbalance cannot do it refuses', () => {
  assert.throws(() => loadbalanceOf('loadbalance weighted ./w'), /:3: loadbalance: weighted is not supported; write/u);
  assert.throws(
    () => loadbalanceOf('loadbalance fair'),
    /:3: loadbalance: the policy must be round_robin, not "fair"/u,
  );
  assert.throws(() => loadbalanceOf('loadbalance round_robin x'), /:3: loadbalance: .*remove "x"/u);
  const options = (line: string) => () => loadbalanceOf('loadbalance {', line, '}');
  assert.throws(options('prefer'), /:4: loadbalance prefer: expects networks/u);
  assert.throws(options('prefer 10.0.0.0/33'), /:4: loadbalance prefer: "10.0.0.0\/33" is not a network/u);
  assert.throws(options('reload 10s'), /:4: loadbalance: does not know "reload"; known: prefer/u);
  const many = Array.from({ length: 9 }, (_, index) => `10.${index}.0.0/16`).join(' ');
  assert.throws(
    () => loadbalanceOf('loadbalance {', `prefer ${many}`, `prefer ${many}`, '}'),
    /more than 16 networks/u,
  );
});
