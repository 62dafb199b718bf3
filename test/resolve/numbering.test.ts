import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zoneIdsMax } from '../../src/limits.js';
import { Numbering } from '../../src/resolve/numbering.js';

describe('Numbering', () => {
  it('numbers texts in the order in which they come and remembers them', () => {
    const numbering = new Numbering();
    assert.deepEqual(
      ['a', 'b', 'a', '', 'A'].map((text) => numbering.of(text)),
      [0, 1, 0, 2, 3],
    );
    assert.deepEqual(numbering.texts(), ['a', 'b', '', 'A']);
    assert.equal(numbering.size, 4);
  });

  it('ends with a sentence at its bound, and what has a number keeps it', () => {
    const numbering = new Numbering();
    for (let index = 0; index < zoneIdsMax; index++) numbering.of(`zone ${index}`);
    assert.throws(() => numbering.of('one more'), /More than 65535 different zones have been served; start/u);
    assert.equal(numbering.size, zoneIdsMax);
    assert.equal(numbering.of(`zone ${zoneIdsMax - 1}`), zoneIdsMax - 1);
    assert.ok(zoneIdsMax - 1 <= 0xffff, 'a cache key spends 16 bits on it');
  });
});
