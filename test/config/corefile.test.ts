import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, type Diagnostic } from '../../src/config/config.js';
import { type Directive, parseCorefile } from '../../src/config/corefile.js';
import { testOptions } from './options.js';

function parse(text: string) {
  const warnings: Diagnostic[] = [];
  const { blocks } = parseCorefile([{ text, file: 'f' }], testOptions(), warnings);
  return {
    warnings: warnings.map(({ at, message }) => `${at.line}: ${message}`),
    blocks: blocks.map(({ at, keys, directives }) => ({
      line: at.line,
      keys: keys.map((key) => key.text),
      directives: directives.map(outline),
    })),
  };
}

/** `name arguments { … }` on one line. */
function outline({ name, arguments: words, block }: Directive): string {
  const line = [name, ...words.map(({ text }) => text)].join(' ');
  return block === null ? line : `${line} { ${block.map(outline).join('; ')} }`;
}

test('blocks, keys, directives, nested blocks', () => {
  const { blocks, warnings } = parse('a b:53 {\n errors\n x 1 {\n  y 2 {\n   z\n  }\n  w\n }\n}\n\n. {\n}\n');
  assert.deepEqual(blocks, [
    { line: 1, keys: ['a', 'b:53'], directives: ['errors', 'x 1 { y 2 { z }; w }'] },
    { line: 11, keys: ['.'], directives: [] },
  ]);
  assert.deepEqual(warnings, []);
});
test('keys after a comma may stand on the next line', () => {
  assert.deepEqual(parse('a, b,\nc d {\n}\n').blocks[0].keys, ['a', 'b', 'c', 'd']);
});
test('keys in one word are taken apart at commas, which CoreDNS does not do', () => {
  const { blocks, warnings } = parse('a,b {\n}\n');
  assert.deepEqual(blocks[0].keys, ['a', 'b']);
  assert.match(warnings[0], /^1: "a,b" is read as 2 zones/u);
});
test('the brace may stand below the keys', () =>
  assert.deepEqual(parse('a\n{\n errors\n}\n').blocks[0].directives, ['errors']));
test('an empty block may be closed on its line', () =>
  assert.deepEqual(parse('. {\n cache { }\n}\n').blocks[0].directives, ['cache {  }']));
test('the first directive may follow the brace', () =>
  assert.deepEqual(parse('. { errors\n log\n}\n').blocks[0].directives, ['errors', 'log']));
test('quoted braces are words', () =>
  assert.deepEqual(parse('. {\n log "{" "}"\n}\n').blocks[0].directives, ['log { }']));
test('one server may leave its braces out', () => {
  const { blocks, warnings } = parse('.:53\nerrors\ncache {\n success 1\n}\n');
  assert.deepEqual(blocks, [{ line: 1, keys: ['.:53'], directives: ['errors', 'cache { success 1 }'] }]);
  assert.deepEqual(warnings, []);
});
test('a missing { is a warning, as CoreDNS goes on', () => {
  const { blocks, warnings } = parse('a\n errors\n}\nb {\n}\n');
  assert.deepEqual(
    blocks.map(({ keys }) => keys),
    [['a'], ['b']],
  );
  assert.deepEqual(warnings, ['1: the { of this server block is missing; add it at the end of this line.']);
});
test('braces too many at the end are a warning', () => {
  const { blocks, warnings } = parse('. {\n}\n}\n}\n');
  assert.equal(blocks.length, 1);
  assert.match(warnings[0], /^3: unmatched \}/u);
});
test('an empty text has no blocks', () => assert.deepEqual(parse('# nothing\n').blocks, []));
test('a path names where a nested directive is', () => {
  const { blocks } = parseCorefile([{ text: '. {\n a {\n  b {\n   c\n  }\n }\n}\n', file: 'f' }], testOptions(), []);
  assert.equal(blocks[0].directives[0].block?.[0].block?.[0].path, 'a b c');
});
test('any words make blocks or a ConfigError', () => {
  const word = fc.constantFrom('a', '.', '{', '}', '\n', '\n', 'import', '(s)', 's', ',', '"{"', 'a{');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 25 }), (words) => {
      try {
        parse(words.join(' '));
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
