import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pattern } from '../../src/config/pattern.js';

const matches = (source: string, text: string) => new Pattern(source).test(text);

test('Go names groups with a P, or since 1.22 without', () => {
  const pattern = new Pattern('^ip-(?P<a>[0-9]+)-([0-9]+)-(?<c>[0-9]+)[.]test[.]$');
  assert.deepEqual(pattern.exec('ip-1-22-3.test.'), ['ip-1-22-3.test.', '1', '22', '3']);
  assert.deepEqual(
    [...pattern.names],
    [
      ['a', 1],
      ['c', 3],
    ],
  );
  assert.equal(pattern.groups, 3);
  assert.equal(pattern.exec('ip-1-22.test.'), null);
});

test('a group that took no part is undefined, one that is empty is not; the first of several ways counts', () => {
  assert.deepEqual(new Pattern('(a)|(b*)c').exec('c'), ['c', undefined, '']);
  assert.deepEqual(new Pattern('(a|ab)(c|bcd)(d*)').exec('abcd'), ['abcd', 'a', 'bcd', '']);
  assert.deepEqual(new Pattern('a+?').exec('xaa'), ['a']);
  assert.deepEqual(new Pattern('').exec('x'), ['']);
});

test('flags, at the start and elsewhere', () => {
  assert.ok(matches('(?i)ABC', 'xabcx'));
  assert.ok(matches('(?m)^b$', 'a\nb\nc'));
  assert.ok(matches('(?s)a.b', 'a\nb'));
  assert.ok(!matches('a.b', 'a\nb'));
  assert.deepEqual(
    ['aB', 'AB'].map((text) => matches('^a(?i)b', text)),
    [true, false],
  );
  assert.deepEqual(
    ['Ab', 'AB'].map((text) => matches('^(?i:a)b', text)),
    [true, false],
  );
  assert.deepEqual(new Pattern('(?U)a+').exec('aa'), ['a']);
});

test('brackets, braces and escapes as Go reads them', () => {
  assert.ok(matches('^{x}]$', '{x}]'));
  assert.ok(matches('^a{2,3}$', 'aaa'));
  assert.ok(matches('^a{,3}$', 'a{,3}'));
  assert.ok(matches(String.raw`^a\-b\_\:\"\ $`, 'a-b_:" '));
  assert.ok(matches(String.raw`^[\w-]+$`, 'a-b'));
  assert.ok(matches(String.raw`^[a-c\-x]+$`, 'b-x'));
  assert.ok(matches('^[]a]+$', ']a'));
  assert.ok(matches('^[^]a]$', 'b'));
  assert.ok(matches('^[$.(){}|/[]+$', '$.(){}|/['));
  assert.ok(matches(String.raw`\Aab\z`, 'ab'));
  assert.ok(!matches(String.raw`(?m)\Ab`, 'a\nb'));
  assert.ok(matches(String.raw`^\Qa.b*\E+$`, 'a.b**'));
  assert.ok(matches(String.raw`^\x41\x{1F600}\101\a$`, 'A😀A\x07'));
  assert.ok(matches(String.raw`^\pL\p{Greek}\P{Nd}\p{^Nd}$`, 'éαxy'));
  assert.ok(matches('^[[:alpha:][:digit:]_-]+$', 'aZ9_-'));
  assert.ok(!matches('^[[:^alpha:]]$', 'a'));
  assert.ok(!matches(String.raw`\s`, '\v\u00a0'));
  assert.ok(matches(String.raw`^[\d.]+\b`, '10.0'));
});

test('patterns from CoreDNS documentation keep their meaning', () => {
  const ip = new Pattern('(^|[.])ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$');
  assert.deepEqual(ip.exec('ip-10-1-2-3.example.'), ['ip-10-1-2-3.example.', '', '1', '2', '3']);
  assert.ok(matches(String.raw`^(.*)\.svc\.cluster\.local\.$`, 'a.b.svc.cluster.local.'));
  assert.ok(matches('.* i/o timeout$', 'read udp: i/o timeout'));
});

test('what is no pattern to Go is refused with a sentence', () => {
  const none = ['(?=a)', '(?!a)', '(?<=a)', '(?<!a)', String.raw`(a)\1`, String.raw`\k`, '(a', 'a)', '[a', '*a', 'a**'];
  for (const source of [...none, String.raw`a\C`, '[[:word', String.raw`a\Z`, 'a\\', 'a{1001}', '(?P<a>b)(?P<a>c)']) {
    assert.throws(() => new Pattern(source), { constructor: Error, message: /^[a-z].*\.$/u }, source);
  }
  assert.throws(() => new Pattern(`(${'ab'.repeat(200)}){30}`), /^Error: too many repetitions; shorten it\.$/u);
});

test('any text becomes a pattern or an Error', () => {
  const piece = fc.constantFrom(
    ...['(', ')', '?', 'P<a>', '[', ']', '^', '-', '\\', 'Q', 'x', '{', '}', '1', ',', '*', ':', 'é'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        assert.ok(new Pattern(pieces.join('')).exec('x-1') !== undefined);
      } catch (error) {
        assert.equal((error as Error).constructor, Error, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('it finds what V8 finds, where both have the same syntax', () => {
  const atoms = ['a', 'b', '.', '[ab]', '[^a]', '\\w', '\\.', '(a)', '(b|a)', '(?:ab|a)', '^', '$', '\\b'];
  const signs = ['', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}'];
  const part = fc
    .tuple(fc.constantFrom(...atoms), fc.constantFrom(...signs))
    .map(([atom, sign]) => (/^[\^$]|^\\b/u.test(atom) ? atom : atom + sign));
  const written = fc
    .array(part, { maxLength: 6, size: 'max' })
    .chain((parts) => fc.constantFrom(parts.join(''), parts.join('|')));
  fc.assert(
    fc.property(written, fc.stringMatching(/^[ab.]{0,9}$/u), (source, text) => {
      const [whole, ...groups] = new Pattern(source).exec(text) ?? [];
      const [expected, ...others] = new RegExp(source, 'u').exec(text) ?? [];
      assert.equal(whole, expected);
      // Go keeps a group of an earlier turn of a repetition, V8 forgets it.
      if (!/\)[*+?{]/u.test(source)) assert.deepEqual(groups, others);
    }),
    { numRuns: 1_000 },
  );
});

test('memory does not grow with the names it has been matched with', () => {
  const patterns = Array.from({ length: 10 }, () => new Pattern('^.*-.{14}x$'));
  const before = process.memoryUsage().heapUsed;
  let seed = 1;
  for (let times = 0; times < 300; times++) {
    let name = '';
    for (let at = 0; at < 250; at++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      name += 'ab-x'[seed >>> 30];
    }
    for (const pattern of patterns) pattern.test(name);
  }
  assert.ok(process.memoryUsage().heapUsed - before < 40e6, 'an automaton for each keeps 80 MB');
});
