import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { doAll, toEach } from '../../src/scheduling/each.js';

const planted = (what: string): never => {
  throw new Error(what);
};

describe('toEach', () => {
  it('calls all of them in order', () => {
    const told: number[] = [];
    toEach([1, 2, 3], (number) => void told.push(number));
    assert.deepEqual(told, [1, 2, 3]);
  });

  it('calls the others, too, when one throws, and throws that in the end', () => {
    const told: number[] = [];
    const tell = (number: number): void => {
      told.push(number);
      if (number === 2) planted('two');
    };
    assert.throws(() => toEach([1, 2, 3], tell), /^Error: two$/u);
    assert.deepEqual(told, [1, 2, 3]);
  });

  it('throws one exception with the stacks of all when several throw', () => {
    const tell = (number: number): void => void (number === 2 || planted(`the ${number}`));
    assert.throws(
      () => toEach([1, 2, 3], tell),
      (error: Error) => /the 1[\s\S]+each\.test[\s\S]+the 3[\s\S]+each\.test/u.test(error.stack ?? ''),
    );
  });

  it('tells those, too, that come on the way', () => {
    const all = new Set([1]);
    const tell = (number: number): void => {
      if (number < 4) all.add(number + 1);
      planted(`${number}`);
    };
    assert.throws(() => toEach(all, tell), { message: 'Error: 1; Error: 2; Error: 3; Error: 4' });
  });
});

describe('doAll', () => {
  it('does each, whatever the others throw', () => {
    const done: string[] = [];
    const doing = (): void =>
      doAll(
        () => planted('one'),
        () => void done.push('two'),
      );
    assert.throws(doing, /one/u);
    assert.deepEqual(done, ['two']);
  });
});
