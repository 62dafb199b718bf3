import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PatternNode, parsePattern } from '../../src/config/pattern-tree.js';

/** A node in brackets: characters as the first that they take, anchors as `@`. */
function inWords(node: PatternNode): string {
  switch (node.kind) {
    case 'character':
      return node.table.indexOf(1) === -1 ? '∅' : String.fromCharCode(node.table.indexOf(1));
    case 'place':
      return '@';
    case 'group':
      return `(${node.number} ${inWords(node.inner)})`;
    case 'repeat':
      return `${inWords(node.inner)}{${node.min},${node.max}${node.isLazy ? ' lazy' : ''}}`;
    case 'sequence':
      return node.parts.map(inWords).join('');
    case 'choice':
      return `<${node.parts.map(inWords).join(' or ')}>`;
  }
}

const tree = ({ source, flags }: RegExp) => inWords(parsePattern(source, flags).node);

test('sequences, choices, groups and repetitions are what they look like', () => {
  assert.equal(tree(/ab|c|/u), '<ab or c or >');
  assert.equal(tree(/(a(?:b|c)(?<x>d))/u), '(1 a<b or c>(2 d))');
  assert.equal(tree(/a*b+c?d{2}e{2,}f{2,3}/u), 'a{0,Infinity}b{1,Infinity}c{0,1}d{2,2}e{2,Infinity}f{2,3}');
  assert.equal(tree(/a*?b{1,2}?/u), 'a{0,Infinity lazy}b{1,2 lazy}');
});

test('classes and escapes are one character, anchors none', () => {
  assert.equal(tree(/[b-d]\d[^ -`]\u{65}\.\//u), 'b0\u0000e./');
  assert.equal(tree(/[\]x]\p{Lu}/u), ']A');
  assert.equal(tree(/^a$\b\B(?<![\s\S])(?![\s\S])/u), '@a@@@@@');
});

test('flags count for characters', () => {
  const table = (pattern: RegExp) => {
    const { node } = parsePattern(pattern.source, pattern.flags);
    assert.ok(node.kind === 'sequence' && node.parts[0].kind === 'character');
    const { table: taken } = node.parts[0];
    return (text: string) => taken[text.charCodeAt(0)] === 1;
  };
  assert.deepEqual([table(/a/u)('A'), table(/a/iu)('A')], [false, true]);
  assert.deepEqual([table(/./u)('\n'), table(/./su)('\n')], [false, true]);
});

test('groups are counted, and their names known', () => {
  const { groups, names } = parsePattern('(a)(?:b)(?<c>d)', 'u');
  assert.deepEqual([groups, [...names]], [2, [['c', 2]]]);
});
