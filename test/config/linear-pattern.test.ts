import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LinearPattern, linearOf } from '../../src/config/linear-pattern.js';
import { translatePattern } from '../../src/config/regular-expression.js';

const byV8 = (pattern: RegExp, text: string) => {
  const groups = pattern.exec(text);
  return groups === null ? null : [...groups];
};

describe('a pattern matched side by side', () => {
  const patterns = [
    '(.*)-(us-west-1)\\.example\\.org',
    '(.*)\\.coredns\\.rocks',
    '^api\\.(dev|stage)\\.(.+?)\\.?$',
    '^(a+)+$',
    '(?i)^WEB([0-9]{1,3})?\\.',
    '(a|ab)(c|bcd)(d*)',
    'x*',
    '(x*)*y',
    '\\bweb\\b',
    '\\Bb',
    '\\Aa.*\\.\\z',
    '[^.]+\\.(?P<zone>[a-z.]{2,})',
    '[[:alpha:]_-]+\\d?',
    '(?s)a.b',
    '(?m)^b$',
    '\\x61\\.|\\Q.*\\E',
    'a{2}b{0,2}c{1,}',
    'a??b+?',
    '',
    '|a',
    '\\pL+/\\S\\w\\W',
  ];
  const texts = [
    'ftp-us-west-1.example.org.',
    'a.coredns.rocks.',
    'api.stage.example.org.',
    'aaaaaaaaaaaaaaaaaaaaaa!',
    'aaaa',
    'Web12.example.',
    'abcd',
    'xxy',
    'my-web.test.',
    'a\nb',
    '.*',
    'aabbcc',
    'abbb',
    '',
    'x/ab.',
  ];
  for (const written of patterns) {
    it(`finds what V8 finds: ${written}`, () => {
      const pattern = translatePattern(written);
      for (const text of texts) assert.deepEqual(new LinearPattern(pattern).exec(text), byV8(pattern, text), text);
    });
  }

  it('finds what V8 finds, whatever is written', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '\\w',
      '\\.',
      '(a)',
      '(b|a)',
      '(?:ab|a)',
      '(a|)',
      '^',
      '$',
      '\\b',
    );
    const sign = fc.constantFrom('', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}');
    const part = fc.tuple(atom, sign).map(([one, how]) => (/^[\^$]|^\\b/.test(one) ? one : one + how));
    const written = fc
      .array(part, { maxLength: 6, size: 'max' })
      .chain((parts) => fc.constantFrom(parts.join(''), parts.join('|')));
    fc.assert(
      fc.property(written, fc.stringMatching(/^[ab.]{0,9}$/u), (source, text) => {
        const pattern = new RegExp(source, 'u');
        const [whole, ...groups] = new LinearPattern(pattern).exec(text) ?? [];
        const [expected, ...others] = byV8(pattern, text) ?? [];
        assert.equal(whole, expected);
        // Go keeps a group of an earlier turn of a repetition, V8 forgets it.
        if (!/\)[*+?{]/.test(source)) assert.deepEqual(groups, others);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes no longer for a name that is made for it', () => {
    const label = '-'.repeat(63);
    const name = `${[label, label, label, '-'.repeat(60)].join('.')}.`;
    const started = performance.now();
    for (const written of ['(.*)-(.*)-(.*)-(.*)\\.x', '^(-+)+$', '((-*)*)*x']) {
      assert.equal(new LinearPattern(translatePattern(written)).exec(name), null);
    }
    assert.ok(performance.now() - started < 2_000, 'V8 takes minutes');
  });

  it('is made once for a pattern, and not for one that repeats too much', () => {
    const pattern = /a/u;
    assert.equal(linearOf(pattern), linearOf(pattern));
    assert.throws(() => linearOf(/(?:a{200}){100}/u), /^Error: it repeats too much; write it shorter\.$/u);
  });

  it('knows the names of groups', () => {
    const { names } = new LinearPattern(translatePattern('(a)(?P<one>b)(?:c)(?P<two>d)'));
    assert.deepEqual(
      [...names],
      [
        ['one', 2],
        ['two', 3],
      ],
    );
  });

  it('matches no character outside Latin-1', () => assert.equal(new LinearPattern(/^.$/u).exec('α'), null));
});
