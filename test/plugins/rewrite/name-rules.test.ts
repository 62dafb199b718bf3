import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Pattern } from '../../../src/config/pattern.js';
import { byPattern, matches, renamed } from '../../../src/plugins/rewrite/name-rules.js';

const regex = (source: string) => ({ how: 'regex' as const, pattern: new Pattern(source) });
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
    assert.equal(byPattern(new Pattern('(a)|(b)'), '{0}-{1}-{2}.', 'b.'), 'b--b.');
    assert.equal(byPattern(new Pattern('a'), '{7}.', 'a.'), '{7}.');
  });

  it('closes a name once', () =>
    assert.equal(byPattern(new Pattern(String.raw`^a\.(.*)`), 'b.{1}.', 'a.test.'), 'b.test.'));

  it('leaves a name that it does not match', () => assert.equal(byPattern(new Pattern('x'), 'y.', 'a.'), 'a.'));
});
