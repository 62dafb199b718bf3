import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { idleNumbersKept, zoneIdsMax } from '../../src/limits.js';
import { type Holding, Numbering, ReusableNumbering } from '../../src/resolve/stable-ids.js';

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
    assert.throws(() => numbering.of('one more'), /more than 65535 different zones were served; restart/u);
    assert.equal(numbering.size, zoneIdsMax);
    assert.equal(numbering.of(`zone ${zoneIdsMax - 1}`), zoneIdsMax - 1);
    assert.ok(zoneIdsMax - 1 <= 0xffff, 'a cache key spends 16 bits on it');
  });
});

describe('ReusableNumbering', () => {
  const yes = () => true;
  const newNumbering = () => {
    const cleared: number[] = [];
    return { cleared, numbering: new ReusableNumbering((number) => void cleared.push(number)) };
  };
  /** Releases so many numbers that have been held together, so that those before them are the longest idle. */
  const makeIdle = (numbering: ReusableNumbering, count: number, name: string): void => {
    const holding = numbering.hold();
    for (let index = 0; index < count; index++) holding.of(`${name} ${index}`);
    holding.release(yes);
  };

  it('gives a text its number for as long as anybody holds it', () => {
    const { numbering, cleared } = newNumbering();
    const one = numbering.hold();
    const other = numbering.hold();
    assert.deepEqual([one.of('a'), one.of('b'), one.of('a'), other.of('b')], [0, 1, 0, 1]);
    one.release(yes);
    makeIdle(numbering, idleNumbersKept + 10, 'idle');
    makeIdle(numbering, idleNumbersKept + 10, 'more');
    assert.deepEqual([other.of('b'), numbering.textOf(1)], [1, 'b']);
    assert.ok(!cleared.includes(1));
    assert.notEqual(numbering.textOf(0), 'a', 'nobody holds it');
  });

  it('gives back the number, as it was, to a text that comes back while it is idle', () => {
    const { numbering, cleared } = newNumbering();
    makeIdle(numbering, idleNumbersKept, 'zone');
    const holding = numbering.hold();
    assert.equal(holding.of('zone 7'), 7);
    assert.deepEqual(cleared, []);
  });

  it('reuses the longest idle when enough others are idle, and clears it before', () => {
    const { numbering, cleared } = newNumbering();
    makeIdle(numbering, idleNumbersKept, 'zone');
    const holding = numbering.hold();
    assert.equal(holding.of('zone 0'), 0, 'held again, so it is not the longest idle');
    assert.equal(holding.of('new'), idleNumbersKept, 'too few are idle');
    holding.release(yes);
    const next = numbering.hold();
    assert.deepEqual([next.of('next'), next.of('last')], [1, idleNumbersKept + 1]);
    assert.deepEqual([cleared, numbering.textOf(1), numbering.size], [[1], 'next', idleNumbersKept + 2]);
    assert.equal(next.of('zone 1'), idleNumbersKept + 2, 'its number is another’s now');
  });

  it('reuses no number that somebody may still count under', () => {
    const { numbering, cleared } = newNumbering();
    let hasLeft = false;
    const first = numbering.hold();
    first.of('slow');
    first.release(() => hasLeft);
    makeIdle(numbering, idleNumbersKept, 'zone');
    assert.equal(numbering.hold().of('new'), idleNumbersKept + 1);
    assert.deepEqual(cleared, []);
    hasLeft = true;
    assert.equal(numbering.hold().of('newer'), 0);
    assert.deepEqual(cleared, [0]);
  });

  it('never gives two texts that are held one number', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.nat(2 * idleNumbersKept), fc.nat(99)), { maxLength: 60 }),
        (steps) => {
          const { numbering } = newNumbering();
          const holdings: { holding: Holding; numbers: Map<string, number> }[] = [];
          for (const [kind, first, count] of steps) {
            if (kind === 0) holdings.shift()?.holding.release(yes);
            else {
              const holding = numbering.hold();
              const texts = Array.from({ length: count }, (_, index) => `zone ${first + index}`);
              holdings.push({ holding, numbers: new Map(texts.map((text) => [text, holding.of(text)])) });
            }
            const all = new Map(holdings.flatMap(({ numbers }) => [...numbers]));
            assert.equal(new Set(all.values()).size, all.size);
            for (const { numbers } of holdings)
              for (const [text, number] of numbers) assert.equal(numbering.textOf(number), text);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('grows with what is held and not with what was: twice released is once released', () => {
    const { numbering } = newNumbering();
    const stays = numbering.hold();
    stays.of('stays');
    for (let round = 0; round < 5_000; round++) {
      const holding = numbering.hold();
      assert.equal(holding.of('stays'), 0);
      holding.of(`zone ${round}`);
      holding.release(yes);
      holding.release(yes);
      assert.throws(() => holding.of('later'), /before they are released/u);
    }
    assert.ok(numbering.size <= 2 + idleNumbersKept, `${numbering.size}`);
  });

  it('ends with a sentence at its bound', () => {
    const holding = newNumbering().numbering.hold();
    for (let index = 0; index < zoneIdsMax; index++) holding.of(`zone ${index}`);
    assert.throws(() => holding.of('one more'), /more than 65535 different zones were served; restart/u);
    assert.equal(holding.of('zone 9'), 9);
  });
});
