import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  listed,
  nearest,
  noBlock,
  oneOf,
  oneWord,
  rcode,
  warnOfForeignZones,
  wholeNumber,
  words,
} from '../../src/config/arguments.js';
import { ConfigError, type Diagnostic } from '../../src/config/config.js';
import { type Directive, parseCorefile } from '../../src/config/corefile.js';
import { testOptions } from './options.js';

function directive(text: string): Directive {
  return parseCorefile([{ text: `. {\n${text}\n}\n`, file: 'f' }], testOptions(), []).blocks[0].directives[0];
}
function refused(run: () => unknown, message: string): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.message, message);
    return true;
  });
}

test('a failure names the directive and its place', () => {
  refused(() => fail(directive('cache 30'), 'no.'), 'f:2: cache: no.');
  const option = directive('cache {\nsuccess 1\n}').block?.[0];
  refused(() => fail(option!, 'no.'), 'f:3: cache success: no.');
});
test('too few and too many words', () => {
  assert.deepEqual(
    words(directive('x a b'), 1, 2, 'A [B]').map(({ text }) => text),
    ['a', 'b'],
  );
  refused(() => words(directive('x'), 1, 2, 'A [B]'), 'f:2: x: expects A [B], but has none.');
  refused(() => words(directive('x a'), 2, 2, 'A B'), 'f:2: x: expects A B, but has too few.');
  refused(() => oneWord(directive('x a b'), 'A'), 'f:2: x: expects A; remove "b".');
});
test('a block where none is wanted', () => {
  noBlock(directive('x'));
  refused(() => noBlock(directive('x {\n}')), 'f:2: x: takes no block; remove the { }.');
});
test('whole numbers within bounds', () => {
  const number = (text: string) =>
    wholeNumber(directive(`x ${text}`), directive(`x ${text}`).arguments[0], 'it', 1, 10);
  assert.equal(number('1'), 1);
  assert.equal(number('+10'), 10);
  for (const text of ['0', '11', '-1', '1.5', '0x5', '1e0', 'five', '""', '99999999999999999999']) {
    assert.throws(() => number(text), /it must be a whole number from 1 to 10, not/u, text);
  }
});
test('durations with and without a unit', () => {
  const duration = (text: string) =>
    durationMs(directive(`x ${text}`), directive(`x ${text}`).arguments[0], 'the time');
  assert.equal(duration('30'), 30_000);
  assert.equal(duration('1h30m'), 5_400_000);
  assert.equal(duration('0'), 0);
  for (const text of ['-1s', 'soon', '5x', '""']) {
    assert.throws(() => duration(text), /x: the time must be a duration such as 30s or 500ms: /u, text);
  }
});
test('closed sets of words, and rcodes', () => {
  const choose = (text: string) =>
    oneOf(directive(`x ${text}`), directive(`x ${text}`).arguments[0], 'it', ['a', 'b', 'c']);
  assert.equal(choose('b'), 'b');
  refused(() => choose('B'), 'f:2: x: it must be a, b or c, not "B".');
  assert.equal(rcode(directive('x nxdomain'), directive('x nxdomain').arguments[0]), 3);
  assert.equal(listed([]), '');
  assert.equal(listed(['a']), 'a');
});
test('options go to the reader of their name, in order; others name the nearest', () => {
  const seen: string[] = [];
  const readers = { first: () => seen.push('first'), second: () => seen.push('second') };
  eachOption(directive('x {\nsecond\nfirst\nsecond\n}'), readers);
  eachOption(directive('x'), readers);
  assert.deepEqual(seen, ['second', 'first', 'second']);
  refused(() => eachOption(directive('x {\nfrist\n}'), readers), 'f:3: x: does not know "frist"; did you mean first?');
  refused(
    () => eachOption(directive('x {\nconstructor\n}'), readers),
    'f:3: x: does not know "constructor"; known: first, second.',
  );
});
test('zones above, below and equal to those of the block are no strangers', () => {
  const warnings: Diagnostic[] = [];
  const context: DirectiveContext = {
    zones: ['b.c.'],
    files: testOptions().files,
    interfaceAddresses: () => undefined,
    warn: (at, message) => warnings.push({ at, message }),
  };
  warnOfForeignZones(context, directive('x'), ['c.', 'b.c.', 'a.b.c.', '.']);
  assert.deepEqual(warnings, []);
  warnOfForeignZones(context, directive('x'), ['xb.c.', 'd.']);
  assert.equal(warnings.length, 2);
});

const directiveWords = ['cache', 'forward', 'bind', 'loop', 'log', 'prometheus'];

test('one wrong, missing, surplus or swapped letter is forgiven', () => {
  assert.equal(nearest('cach', directiveWords), 'cache');
  assert.equal(nearest('forwrad', directiveWords), 'forward');
  assert.equal(nearest('Bind', directiveWords), 'bind');
  assert.equal(nearest('promethius', directiveWords), 'prometheus');
  assert.equal(nearest('looop', directiveWords), 'loop');
});
test('a word like no other has none near', () => {
  assert.equal(nearest('kubernetes', directiveWords), undefined);
  assert.equal(nearest('', ['cache']), undefined);
  assert.equal(nearest('x'.repeat(10_000), directiveWords), undefined);
});
