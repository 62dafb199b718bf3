import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToWire, wireOf, wireToName } from '../../../src/dns/names.js';
import { backFrom, overWire } from '../../../src/plugins/rewrite/renaming.js';

describe('backFrom', () => {
  const back = backFrom('blue.', 'red.');
  it('leads the name and what is below it back, and no other', () => {
    assert.deepEqual(['blue.', 'a.blue.', 'dark-blue.', 'green.'].map(back), [
      'red.',
      'a.red.',
      'dark-blue.',
      'green.',
    ]);
  });
});

describe('wireOf', () => {
  it('is null for what is no name', () => {
    for (const name of ['', '.a.', 'a..b.', `${'a'.repeat(64)}.`, 'a.'.repeat(128)]) assert.equal(wireOf(name), null);
    assert.deepEqual(wireOf('a.'), nameToWire('a.'));
  });
});

describe('overWire', () => {
  const over =
    (...renamings: ((name: string) => string)[]) =>
    (name: string) => {
      const wire = overWire(renamings)?.(nameToWire(name)) ?? null;
      return wire === null ? null : wireToName(wire, 0);
    };

  it('is null without renamings', () => assert.equal(overWire([]), null));

  it('applies one after the other, to names in any case', () => {
    assert.equal(over(backFrom('c.', 'b.'), backFrom('b.', 'a.'))('X.C.'), 'x.a.');
  });

  it('leaves names that are not concerned, with their case, and those that would become no names', () => {
    assert.equal(over(backFrom('c.', 'b.'))('D.'), null);
    assert.equal(over(() => 'a..b.')('d.'), null);
    assert.equal(over((name) => name.repeat(200))('d.'), null);
  });

  it('says the same of a name each time it is asked, in any order', () => {
    const rename = overWire([backFrom('b.', 'a.')])!;
    const names = ['x.b.', 'x.b.', 'y.b.', 'c.', 'x.b.'];
    assert.deepEqual(
      names.map((name) => rename(nameToWire(name)) && wireToName(rename(nameToWire(name))!, 0)),
      ['x.a.', 'x.a.', 'y.a.', null, 'x.a.'],
    );
  });

  it('makes a name or nothing of anything', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (junk) => {
        const wire = overWire([() => junk])!(nameToWire('a.test'));
        assert.ok(wire === null || (wire.length <= 255 && wireToName(wire, 0).length > 0));
      }),
    );
  });
});
