import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToWire, wireToName } from '../../src/dns/names.js';
import { backFrom, byPattern, matches, overWire, renamed, wireOf } from '../../src/resolve/renaming.js';

const regex = (source: string) => ({ how: 'regex' as const, pattern: new RegExp(source, 'u') });
const text = (how: 'exact' | 'prefix' | 'suffix' | 'substring', part: string) => ({ how, text: part });

describe('matches and renamed', () => {
  const cases = [
    [text('exact', 'red.'), 'blue.', 'red.', 'blue.'],
    [text('exact', 'red.'), 'blue.', 'a.red.', null],
    [text('prefix', 'foo.'), 'bar.', 'foo.example.com.', 'bar.example.com.'],
    [text('prefix', 'foo'), 'bar', 'coredns.foo.', null],
    [text('prefix', 'api-'), 'svc-', 'api-prod.example.', 'svc-prod.example.'],
    [text('suffix', '.schmoogle.com.'), '.google.com.', 'www.schmoogle.com.', 'www.google.com.'],
    [text('suffix', 'com.'), 'org.', 'com.coredns.', null],
    [text('substring', '-api-'), '-svc-', 'my-api-prod.example.', 'my-svc-prod.example.'],
    [
      text('substring', 'service.us-west-1.example.org'),
      'service.us-west-1.consul',
      'ftp.service.us-west-1.example.org.',
      'ftp.service.us-west-1.consul.',
    ],
    [
      regex('(.*)-(us-west-1)\\.example\\.org'),
      '{1}.service.{2}.consul.',
      'ftp-us-west-1.example.org.',
      'ftp.service.us-west-1.consul.',
    ],
    [regex('(.*)-(us-west-1)\\.example\\.org'), '{1}.service.{2}.consul.', 'ftp.example.org.', null],
  ] as const;
  for (const [match, to, name, expected] of cases) {
    it(`${match.how}: ${name} becomes ${expected ?? 'nothing else'}`, () => {
      assert.equal(matches(match, name), expected !== null);
      if (expected !== null) assert.equal(renamed(match, to, name), expected);
    });
  }

  it('takes every place of a substring, and no dollar sign for anything else', () => {
    assert.equal(renamed(text('substring', 'a'), '$&', 'a.b.a.'), '$&.b.$&.');
  });
});

describe('byPattern', () => {
  it('puts groups in their places, the whole match for {0}, nothing for one that took no part', () => {
    assert.equal(byPattern(/(a)|(b)/u, '{0}-{1}-{2}.', 'b.'), 'b--b.');
    assert.equal(byPattern(/a/u, '{7}.', 'a.'), '{7}.');
  });

  it('closes a name once', () => assert.equal(byPattern(/^a\.(.*)/u, 'b.{1}.', 'a.test.'), 'b.test.'));

  it('leaves a name that it does not match', () => assert.equal(byPattern(/x/u, 'y.', 'a.'), 'a.'));
});

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
