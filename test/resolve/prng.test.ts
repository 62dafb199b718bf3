import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Prng } from '../../src/resolve/prng.js';

describe('Prng', () => {
  it('gives numbers in range, each as often, from any seed', () => {
    for (const seed of [0, 1, 2, 2 ** 31, 2 ** 32 - 1]) {
      const dice = new Prng(seed);
      const counts = new Array(8).fill(0);
      for (let draw = 0; draw < 8000; draw++) counts[dice.below(8)]++;
      for (const count of counts) assert.ok(Math.abs(count - 1000) < 150, `${seed}: ${counts}`);
    }
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 65_536 }), (seed, below) => {
        const drawn = new Prng(seed).below(below);
        assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < below);
      }),
    );
  });

  it('is repeated by its seed, and another with the next', () => {
    const draws = (seed: number) => {
      const dice = new Prng(seed);
      return Array.from({ length: 20 }, () => dice.below(100));
    };
    assert.deepEqual(draws(5), draws(5));
    const same = draws(5).filter((drawn, index) => drawn === draws(6)[index]).length;
    assert.ok(same < 5);
  });
});
