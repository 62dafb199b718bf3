import assert from 'node:assert/strict';
import { test } from 'node:test';
import { templateError, templateTokens } from '../../../src/plugins/template/lexer.js';

/** Each token in one word; a `_` in front of those that have no blank before them. */
function shown(source: string): string {
  return templateTokens(source)
    .map((token) => {
      const value =
        'text' in token
          ? `:${token.text}`
          : 'value' in token
            ? `:${String(token.value)}${typeof token.value === 'bigint' ? 'n' : ''}`
            : '';
      return `${token.spaced ? '' : '_'}${token.kind}${value}`;
    })
    .join(' ');
}

test('text and actions alternate, the end is last', () => {
  assert.equal(shown(''), 'end');
  assert.equal(shown('a{{.B}}c'), 'text:a field:B _close text:c end');
  assert.equal(shown('{{}}{{}}'), 'close close end');
  assert.equal(shown('a }} { b'), 'text:a }} { b end');
});

test('blanks before a token are known, because .A .B and .A.B differ', () => {
  assert.equal(shown('{{ .A.B .C }}'), 'field:A _field:B field:C close end');
  assert.equal(shown('{{ (.A).B }}'), 'symbol:( _field:A _symbol:) _field:B close end');
  assert.equal(shown('{{ $x.A := . }}'), 'variable:$x _field:A symbol::= symbol:. close end');
});

test('strings, characters, numbers and words have their values', () => {
  assert.equal(shown('{{ "a\\tb" `\\t` }}'), 'string:a\tb string:\\t close end');
  assert.equal(shown("{{ 'x' '\\'' '\\u00e9' }}"), 'number:120n number:39n number:233n close end');
  assert.equal(
    shown('{{ 1 -0x10 1.0 .5e3 0o7 1_0 }}'),
    'number:1n number:-16n number:1 number:500 number:7n number:10n close end',
  );
  assert.equal(shown('{{ if $ nil _a\u00e9 }}'), 'word:if variable:$ word:nil word:_a\u00e9 close end');
  assert.equal(shown('{{ a|b,c=d }}'), 'word:a _symbol:| _word:b _symbol:, _word:c _symbol:= _word:d close end');
});

test('a trim marker needs its blank, else it is a sign', () => {
  assert.equal(shown('a  {{- 1 -}}  b'), 'text:a number:1n close text:b end');
  assert.equal(shown('a  {{-1}}  b'), 'text:a   number:-1n _close text:  b end');
  assert.equal(shown('  {{- /* x */ -}}  '), 'end');
});

test('an error names line, column and a long template only in part', () => {
  assert.equal(templateError('ab\ncd', 4, 'it is wrong.').message, 'Template "ab\ncd", line 2, column 2: it is wrong.');
  assert.match(templateError('x'.repeat(200), 0, 'no.').message, /^Template "x{80}…", column 1: no\.$/);
});
