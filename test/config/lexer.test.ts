import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../src/config/config.js';
import { lex } from '../../src/config/lexer.js';

const texts = (text: string) => lex(text, 'f').map((token) => token.text);
const lines = (text: string) => lex(text, 'f').map((token) => token.at.line);
const starts = (text: string) => lex(text, 'f').map((token) => token.startsLine);

test('blanks of all kinds separate', () => assert.deepEqual(texts('a\tb  c\u00a0d\ne'), ['a', 'b', 'c', 'd', 'e']));
test('nothing gives nothing', () => assert.deepEqual(texts(' \n\t\r\n'), []));
test('comments end with their line, also in the middle of a word', () => {
  assert.deepEqual(texts('a #b c\nd#e\n#f\ng'), ['a', 'd', 'g']);
});
test('a comment at the end of the file needs no line end', () => assert.deepEqual(texts('a # b'), ['a']));
test('a byte order mark and CRLF are not part of words', () => {
  assert.deepEqual(texts('\ufeffa b\r\nc\r\n'), ['a', 'b', 'c']);
  assert.deepEqual(lines('\ufeffa b\r\nc\r\n'), [1, 1, 2]);
});
test('quotes hold blanks, comments and line ends', () => {
  assert.deepEqual(texts('"a b" "#c" "d\r\ne" f'), ['a b', '#c', 'd\ne', 'f']);
});
test('only a quote is escaped by a backslash', () => {
  assert.deepEqual(texts(String.raw`"a\"b" "\d\\" c\"d`), ['a"b', String.raw`\d\\`, String.raw`c\"d`]);
});
test('an empty quote is an empty word', () => assert.deepEqual(texts('a ""'), ['a', '']));
test('a quote inside a word is a character', () => assert.deepEqual(texts('a"b c"d'), ['a"b', 'c"d']));
test('a quote ends its word', () => assert.deepEqual(texts('"a"b'), ['a', 'b']));
test('words after a quote over lines have the right line and do not start one', () => {
  assert.deepEqual(lines('a "b\nc" d\ne'), [1, 1, 2, 3]);
  assert.deepEqual(starts('a "b\nc" d\ne'), [true, false, false, true]);
});
test('quoted words are literal, others are not', () => {
  assert.deepEqual(
    lex('"{" {', 'f').map((token) => token.isLiteral),
    [true, false],
  );
});
test('an open quote is an error on the line where it opens', () => {
  assert.throws(
    () => lex('a\n "b\nc', 'f'),
    (error) => error instanceof ConfigError && error.at.line === 2,
  );
});
test('any text gives tokens in order of lines, or a ConfigError', () => {
  const piece = fc.constantFrom('a', '"', '\\', '#', '{', '}', ' ', '\n', '\r\n', '{$X}', '\ufeff', 'é');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      try {
        const tokens = lex(text, 'f');
        tokens.forEach((token, index) => {
          const before = tokens[index - 1];
          assert.ok(before === undefined || before.at.line <= token.at.line);
          assert.ok(token.at.line <= text.split('\n').length);
          assert.ok(token.isLiteral || /^\S+$/u.test(token.text));
        });
      } catch (error) {
        assert.ok(error instanceof ConfigError);
      }
    }),
  );
});
