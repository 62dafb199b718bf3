import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, type Diagnostic, Findings, type Written } from '../../src/config/config.js';
import { expandAll, type Sources } from '../../src/config/imports.js';
import { corefileTokensMax, importDepthMax } from '../../src/limits.js';
import { testOptions } from './options.js';

/** The tokens of the pieces with snippets and imports put in place; adds to `warnings`. Throws a ConfigError. */
function expand(pieces: readonly Written[], sources: Sources, warnings: Diagnostic[]): ReturnType<typeof expandAll> {
  const findings = new Findings(warnings);
  const expansion = expandAll(pieces, sources, findings);
  findings.refuse(pieces[0].file);
  return expansion;
}

function expandIn(text: string, files: Readonly<Record<string, string>> = {}) {
  const warnings: Diagnostic[] = [];
  const { tokens, imported } = expand([{ text, file: '/etc/Corefile' }], testOptions(files), warnings);
  return {
    words: tokens.map((token) => token.text).join(' '),
    places: tokens.map(({ at }) => `${at.file}:${at.line}`),
    imported,
    warnings: warnings.map(({ at, message }) => `${at.line}: ${message}`),
    tokens,
  };
}

test('a snippet stands where it is imported, and nowhere else', () => {
  const { words, places } = expandIn('(common) {\n  errors\n  log\n}\n. {\n  import common\n  loop\n}\n');
  assert.equal(words, '. { errors log loop }');
  assert.deepEqual(places.slice(2, 5), ['/etc/Corefile:2', '/etc/Corefile:3', '/etc/Corefile:7']);
});
test('a snippet may import another, and hold blocks', () => {
  const text = '(a) {\n errors {\n  stacktrace\n }\n}\n(b) {\n import a\n log\n}\n. {\n import b\n}\n';
  assert.equal(expandIn(text).words, '. { errors { stacktrace } log }');
});
test('a snippet may be imported inside the block of a directive', () => {
  const text = '(sizes) {\n success 1\n}\n. {\n cache {\n  import sizes\n }\n}\n';
  assert.equal(expandIn(text).words, '. { cache { success 1 } }');
});
test('what is imported starts a line even if its first word did not', () => {
  const { tokens } = expandIn('(a) { errors\n}\n. {\n import a\n}\n');
  assert.equal(tokens[2].startsLine, true);
});
test('the word import among arguments is an argument', () => {
  assert.equal(expandIn('. {\n log import\n}\n').words, '. { log import }');
});
test('a quoted import is a word', () => assert.equal(expandIn('"import" x').words, 'import x'));
test('files are found beside the file that imports them, and know their own lines', () => {
  const files = { '/etc/zones/a.conf': 'import b.conf\n', '/etc/zones/b.conf': '\nerrors\n' };
  const { words, places, imported } = expandIn('. {\n import zones/a.conf\n}\n', files);
  assert.equal(words, '. { errors }');
  assert.equal(places[2], '/etc/zones/b.conf:2');
  assert.deepEqual(imported, ['/etc/zones/a.conf', '/etc/zones/b.conf']);
});
test('a snippet defined in an imported file can be used after it', () => {
  assert.equal(expandIn('import s\n. {\n import x\n}\n', { '/etc/s': '(x) {\n errors\n}\n' }).words, '. { errors }');
});
test('a snippet comes before a file of the same name', () => {
  assert.equal(expandIn('(s) {\n a\n}\nimport s\n', { '/etc/s': 'b' }).words, 'a');
});
test('patterns take files in order of names, without hidden ones, and their folder is watched', () => {
  const files = { '/etc/c/2.conf': 'two', '/etc/c/10.conf': 'ten', '/etc/c/x.txt': 'no', '/etc/c/.h.conf': 'no' };
  const { words, imported } = expandIn('import /etc/c/*.conf\n', files);
  assert.equal(words, 'ten two');
  assert.deepEqual(imported, ['/etc/c', '/etc/c/10.conf', '/etc/c/2.conf']);
  assert.equal(expandIn('import c/?.conf\n', files).words, 'two');
});
test('a pattern without files is a warning', () => {
  const { words, warnings, imported } = expandIn('. {\n}\nimport custom/*.server\n');
  assert.equal(words, '. { }');
  assert.deepEqual(warnings, ['3: import: no file matches custom/*.server; nothing is imported.']);
  assert.deepEqual(imported, ['/etc/custom']);
});
test('variables are put in place, in both spellings, inside words and quotes', () => {
  const { words, warnings } = expandIn('bind {$LOCAL}\nforward . {%CLUSTER_DNS%}:53 "{$LOCAL} {$CLUSTER_DNS}"\n');
  assert.equal(words, 'bind 169.254.20.10 forward . 10.96.0.10:53 169.254.20.10 10.96.0.10');
  assert.deepEqual(warnings, []);
});
test('a variable that is not set, or empty, is nothing; the first is a warning', () => {
  const { tokens, warnings } = expandIn('a {$MISSING}{%GONE%}\nb {$EMPTY} c{$MISSING}d\ne "{$EMPTY}" "" f\n');
  assert.deepEqual(
    tokens.map(({ text }) => text),
    ['a', 'b', 'cd', 'e', '', 'f'],
    'only what was written as nothing is an empty word',
  );
  assert.equal(warnings.length, 3);
  assert.match(warnings[0], /^1: the variable \{\$MISSING\} is not set/u);
});
test('what stands behind nothing begins the line in its place', () => {
  const { tokens } = expandIn('{$EMPTY} cache 30\n{$EMPTY}\n{$EMPTY} {%EMPTY%} loop {$EMPTY}\nlog\n');
  assert.deepEqual(
    tokens.map(({ text, startsLine }) => [text, startsLine]),
    [
      ['cache', true],
      ['30', false],
      ['loop', true],
      ['log', true],
    ],
  );
});
test('a value is not looked through for more variables, and is never a brace', () => {
  const sources = { ...testOptions(), environment: { A: '{$B}', B: 'b', OPEN: '{' } };
  const { tokens } = expand([{ text: '{$A} {$OPEN}', file: 'f' }], sources, []);
  assert.deepEqual(
    tokens.map(({ text, isLiteral }) => [text, isLiteral]),
    [
      ['{$B}', true],
      ['{', true],
    ],
  );
});
test('braces that name nothing stay as they are', () => {
  assert.equal(expandIn('log {$} {%%} {remote} {$A').words, 'log {$} {%%} {remote} {$A');
});
test('imports nested too deep are refused', () => {
  const files = Object.fromEntries(
    Array.from({ length: importDepthMax + 2 }, (_, level) => [`/etc/f${level}`, `import f${level + 1}\n`]),
  );
  assert.throws(() => expandIn('import f0\n', files), /nested more than 16 deep/u);
});
test('snippets that double at every step end at a bound', () => {
  const doubling = Array.from({ length: importDepthMax - 1 }, (_, level) =>
    level === 0
      ? `(s0) {\n${'x '.repeat(64)}\n}\n`
      : `(s${level}) {\n import s${level - 1}\n import s${level - 1}\n}\n`,
  );
  assert.throws(
    () => expandIn(`${doubling.join('')}import s${importDepthMax - 2}\n`),
    (error) => error instanceof ConfigError && error.message.includes(String(corefileTokensMax)),
  );
});
