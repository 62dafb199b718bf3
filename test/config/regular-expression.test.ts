import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Directive } from '../../src/config/corefile.js';
import { readPattern, translatePattern } from '../../src/config/regular-expression.js';

const matches = (pattern: string, text: string) => translatePattern(pattern).test(text);

test('Go names groups with a P', () => {
  const pattern = translatePattern('^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]test[.]$');
  assert.deepEqual({ ...pattern.exec('ip-1-22.test.')?.groups }, { a: '1', b: '22' });
  assert.equal(pattern.flags, 'u');
  assert.equal(translatePattern('(?<a>x)').exec('x')?.groups?.['a'], 'x');
});
test('flags at the start', () => {
  assert.ok(matches('(?i)ABC', 'xabcx'));
  assert.equal(translatePattern('(?is)a.b').flags, 'isu');
  assert.ok(matches('(?m)^b$', 'a\nb\nc'));
});
test('characters that JavaScript wants escaped and Go does not', () => {
  assert.ok(matches('^{x}]$', '{x}]'));
  assert.ok(matches('^a{2,3}$', 'aaa'));
  assert.ok(matches('^a{,3}$', 'a{,3}'));
  assert.ok(matches(String.raw`^a\-b\_\:\"\ $`, 'a-b_:" '));
  assert.ok(matches(String.raw`^[\w-]+$`, 'a-b'));
  assert.ok(matches(String.raw`^[a-c\-x]+$`, 'b-x'));
  assert.ok(!matches('^[a-c]+$', '-'));
  assert.ok(matches('^[]a]+$', ']a'));
  assert.ok(matches('^[^]a]$', 'b'));
  assert.ok(matches('^[-a]+$', '-a'));
  assert.ok(matches('^[a-]+$', '-a'));
  assert.ok(matches('^[$.(){}|/[]+$', '$.(){}|/['));
});
test('escapes that are spelled otherwise', () => {
  assert.ok(matches(String.raw`\Aab\z`, 'ab'));
  assert.ok(!matches(String.raw`(?m)\Ab`, 'a\nb'));
  assert.ok(matches(String.raw`^\Qa.b*\E+$`, 'a.b**'));
  assert.ok(matches(String.raw`^\x41\x{1F600}\101\a$`, 'A😀A\x07'));
  assert.ok(matches(String.raw`^\pL\p{Greek}\P{Nd}\p{^Nd}$`, 'éαxy'));
  assert.ok(matches('^[[:alpha:][:digit:]_-]+$', 'aZ9_-'));
  assert.ok(matches(String.raw`^[[:punct:]]+$`, '!-[\\]^{~'));
  assert.ok(!matches(String.raw`\s`, '\v\u00a0'));
  assert.ok(matches(String.raw`^[\s\S]$`, ' '));
  assert.ok(matches(String.raw`^[\d.]+\b`, '10.0'));
});
test('patterns from CoreDNS documentation keep their meaning', () => {
  const ip = translatePattern('(^|[.])ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$');
  assert.equal(ip.exec('ip-10-1-2-3.example.')?.groups?.['d'], '3');
  assert.ok(matches(String.raw`^(.*)\.svc\.cluster\.local\.$`, 'a.b.svc.cluster.local.'));
  assert.ok(matches('.* i/o timeout$', 'read udp: i/o timeout'));
});
test('what Go has not, or we have not, is refused with a sentence', () => {
  for (const pattern of [
    '(?=a)',
    '(?!a)',
    '(?<=a)',
    '(?<!a)',
    String.raw`(a)\1`,
    String.raw`\k`,
    '(a',
    'a)',
    '[a',
    '*a',
    'a**',
  ]) {
    assert.throws(() => translatePattern(pattern), /\.$/u, pattern);
  }
  for (const pattern of [
    '(?U)a+',
    'a(?i)b',
    '(?i:a)b',
    String.raw`a\C`,
    '[[:word',
    '[[:^alpha:]]',
    String.raw`a\Z`,
    'a\\',
  ]) {
    assert.throws(() => translatePattern(pattern), /\.$/u, pattern);
  }
});
test('a literal in \\Q \\E matches itself and nothing else', () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.includes('\\E') && !text.endsWith('\\')),
      (text) => {
        assert.equal(translatePattern(`^\\Q${text}\\E$`).exec(text)?.[0], text);
      },
    ),
  );
});
test('any text becomes a pattern or an Error', () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    '?',
    'P<a>',
    '[',
    ']',
    '^',
    '-',
    '\\',
    'Q',
    'x',
    '{',
    '}',
    '1',
    ',',
    '*',
    ':',
    'é',
    '.',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        assert.ok(translatePattern(pieces.join('')) instanceof RegExp);
      } catch (error) {
        assert.equal((error as Error).constructor, Error, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
test('repetition of repetition is warned of, a single one is not', () => {
  const directive: Directive = { name: 'match', path: 'match', at: { file: 'f', line: 1 }, arguments: [], block: null };
  const warned = (text: string) => {
    const warnings: string[] = [];
    const token = { text, at: directive.at, startsLine: false, isLiteral: false };
    readPattern(token, directive, (message) => warnings.push(message));
    return warnings.length === 1;
  };
  for (const text of ['(a+)+', '((ab)*c*)*', '(?:x+){2,}', '(a(b*))+']) assert.ok(warned(text), text);
  for (const text of ['(ab)+', 'a+b+', '(a{1,3}[.]){3}', '(a+)?', '([+*])+', String.raw`(\+\*)+`, '.*']) {
    assert.ok(!warned(text), text);
  }
});
