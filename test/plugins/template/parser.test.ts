import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Operand, type Pipe, parseTemplate, type TemplateNode } from '../../../src/plugins/template/parser.js';

const functions = new Set(['f', 'g']);

/** The structure with everything in brackets. */
function shown(source: string): string {
  return nodes(parseTemplate(source, functions));
}

function nodes(all: readonly TemplateNode[]): string {
  return all.map(nodeText).join('');
}

function nodeText(node: TemplateNode): string {
  if (node.kind === 'text') return node.text;
  if (node.kind === 'jump') return `[${node.to}]`;
  if (node.kind === 'action') return `[${pipe(node.pipe)}]`;
  const otherwise = node.otherwise.length === 0 ? '' : `!${nodes(node.otherwise)}`;
  return `<${node.kind} ${pipe(node.pipe)}:${nodes(node.body)}${otherwise}>`;
}

function pipe({ variables, assigns, commands }: Pipe): string {
  const declared = variables.length === 0 ? '' : `${variables.join(',')}${assigns ? '=' : ':='}`;
  return declared + commands.map(({ operands }) => operands.map(operandText).join(' ')).join('|');
}

function operandText(operand: Operand): string {
  const fields = operand.fields.map((field) => `.${field}`).join('');
  if (operand.kind === 'literal') return JSON.stringify(String(operand.value));
  if (operand.kind === 'pipe') return `(${pipe(operand.pipe)})${fields}`;
  if ('name' in operand) return operand.name + fields;
  return operand.kind + fields;
}

test('commands, arguments and pipelines', () => {
  assert.equal(shown('a{{ f .A "b" $ . nil }}'), 'a[f dot.A "b" $ dot nil]');
  assert.equal(shown('{{ f | g 1 | f }}'), '[f|g "1"|f]');
  assert.equal(shown('{{ (f (g .)).A.B }}'), '[(f (g dot)).A.B]');
  assert.equal(shown('{{ .A.B }}'), '[dot.A.B]');
  assert.equal(shown('{{ true }}'), '["true"]');
});

test('blocks nest, and else if is a block of its own', () => {
  assert.equal(shown('{{ if .A }}a{{ else if .B }}b{{ else }}c{{ end }}d'), '<if dot.A:a!<if dot.B:b!c>>d');
  assert.equal(
    shown('{{ with f }}{{ range . }}{{ break }}{{ end }}{{ else with g }}x{{ end }}'),
    '<with f:<range dot:[break]>!<with g:x>>',
  );
  assert.equal(shown('{{ range . }}a{{ else }}b{{ end }}'), '<range dot:a!b>');
});

test('declarations and assignments', () => {
  assert.equal(shown('{{ $x := 1 }}{{ $x = f $x }}{{ $x }}'), '[$x:="1"][$x=f $x][$x]');
  assert.equal(shown('{{ range $i, $x := . }}{{ f $i $x }}{{ end }}'), '<range $i,$x:=dot:[f $i $x]>');
  assert.equal(shown('{{ f ($x := 1) }}{{ $x }}'), '[f ($x:="1")][$x]');
});

test('a variable is unknown behind its block', () => {
  for (const source of [
    '{{ with $x := . }}{{ end }}{{ $x }}',
    '{{ range $x := . }}{{ end }}{{ $x }}',
    '{{ if . }}{{ $x := 1 }}{{ else }}{{ $x }}{{ end }}',
  ]) {
    assert.throws(() => parseTemplate(source, functions), /\$x is not defined/, source);
  }
});

test('functions are those that it is told of', () => {
  assert.throws(() => parseTemplate('{{ h }}', functions), /no function is called h; there are f g\./);
  assert.throws(() => parseTemplate('{{ f }}', new Set()), /no function is called f/);
});
