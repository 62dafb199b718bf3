/**
 * The structure of a Go text/template, from its tokens: text, actions, if/with/range with their else, pipelines.
 * Everything that Go finds out when it parses is found out here: unknown functions, undefined variables, blocks
 * without end. Templates that define or call templates are refused, because a record needs none.
 */
import { templateDepthMax } from '../../limits.js';
import { type TemplateToken, templateError, templateTokens } from './lexer.js';

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe; readonly at: number }
  | { readonly kind: 'jump'; readonly to: 'break' | 'continue' }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
      readonly at: number;
    };

export interface Pipe {
  /** Variables that receive the value, with their `$`; two only in a `range`. */
  readonly variables: readonly string[];
  /** `=` rather than `:=`. */
  readonly assigns: boolean;
  /** Each gets the value of the one before as its last argument. */
  readonly commands: readonly TemplateCommand[];
}

export interface TemplateCommand {
  readonly at: number;
  /** The first says what is done, the others are its arguments. */
  readonly operands: readonly Operand[];
}

export type Operand = { readonly at: number; readonly fields: readonly string[] } & (
  | { readonly kind: 'dot' | 'nil' }
  | { readonly kind: 'literal'; readonly value: string | bigint | number | boolean }
  | { readonly kind: 'variable' | 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe }
);

/** What a parse knows while it goes on. */
interface Parser {
  readonly source: string;
  readonly tokens: readonly TemplateToken[];
  readonly functions: ReadonlySet<string>;
  next: number;
  /** Variables in scope, with their `$`. */
  variables: string[];
  /** Blocks and parentheses around the present token. */
  depth: number;
  /** `range` blocks around it. */
  loops: number;
}

/** The template's nodes. Throws an Error that says where in the template what is wrong. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): readonly TemplateNode[] {
  const parser: Parser = {
    source,
    tokens: templateTokens(source),
    functions,
    next: 0,
    variables: ['$'],
    depth: 0,
    loops: 0,
  };
  const { nodes, closedBy } = parsedNodes(parser);
  if (closedBy.kind !== 'end') throw syntaxError(parser, closedBy, `unexpected {{ ${wordOf(closedBy)} }}.`);
  return nodes;
}

/** Nodes up to an `else`, an `end` or the end of the template, which has been taken. */
function parsedNodes(parser: Parser): { nodes: TemplateNode[]; closedBy: TemplateToken } {
  const nodes: TemplateNode[] = [];
  for (;;) {
    const token = takeToken(parser);
    if (token.kind === 'end' || isIdentifier(token, 'else') || isIdentifier(token, 'end'))
      return { nodes, closedBy: token };
    if (token.kind === 'text') nodes.push({ kind: 'text', text: token.text });
    else if (token.kind === 'word' && isBlock(token.text)) nodes.push(controlBlock(parser, token, token.text));
    else if (isIdentifier(token, 'break') || isIdentifier(token, 'continue')) nodes.push(jumpOf(parser, token));
    else if (token.kind === 'word' && ['define', 'template', 'block'].includes(token.text))
      throw syntaxError(parser, token, `{{ ${token.text} }} is not supported in templates of records.`);
    else {
      parser.next--;
      nodes.push({ kind: 'action', pipe: pipeOf(parser, 'close', 1), at: token.at });
    }
  }
}

function isBlock(word: string): word is 'if' | 'with' | 'range' {
  return word === 'if' || word === 'with' || word === 'range';
}

function controlBlock(parser: Parser, opening: TemplateToken, kind: 'if' | 'with' | 'range'): TemplateNode {
  const outside = parser.variables.length;
  enter(parser, opening);
  const pipe = pipeOf(parser, 'close', kind === 'range' ? 2 : 1);
  const inside = parser.variables.length;
  if (kind === 'range') parser.loops++;
  const body = parsedNodes(parser);
  if (kind === 'range') parser.loops--;
  parser.variables.length = inside;
  const otherwise = isIdentifier(body.closedBy, 'else') ? elseOf(parser, opening, kind) : [];
  if (body.closedBy.kind === 'end') throw syntaxError(parser, opening, `{{ ${kind} }} has no {{ end }}.`);
  if (isIdentifier(body.closedBy, 'end')) takeClose(parser);
  parser.variables.length = outside;
  parser.depth--;
  return { kind, pipe, body: body.nodes, otherwise, at: opening.at };
}

/** What follows `else`; an `else if` is a block of its own that shares the `end`. */
function elseOf(parser: Parser, opening: TemplateToken, kind: 'if' | 'with' | 'range'): readonly TemplateNode[] {
  const token = takeToken(parser);
  if (kind !== 'range' && isIdentifier(token, kind)) return [controlBlock(parser, token, kind)];
  if (token.kind !== 'close') throw syntaxError(parser, token, `unexpected ${wordOf(token)} after else.`);
  const { nodes, closedBy } = parsedNodes(parser);
  if (closedBy.kind === 'end') throw syntaxError(parser, opening, `{{ ${kind} }} has no {{ end }}.`);
  if (!isIdentifier(closedBy, 'end')) throw syntaxError(parser, closedBy, 'a second {{ else }}.');
  takeClose(parser);
  return nodes;
}

function jumpOf(parser: Parser, token: TemplateToken): TemplateNode {
  const to = isIdentifier(token, 'break') ? 'break' : 'continue';
  if (parser.loops === 0) throw syntaxError(parser, token, `{{ ${to} }} outside of a {{ range }}.`);
  takeClose(parser);
  return { kind: 'jump', to };
}

/** A pipeline and what closes it. */
function pipeOf(parser: Parser, closing: 'close' | ')', variablesMax: number): Pipe {
  const { variables, assigns } = declarationOf(parser, variablesMax);
  const commands: TemplateCommand[] = [];
  for (;;) {
    const { command, closedBy } = commandNode(parser, commands.length > 0);
    commands.push(command);
    if (isSymbol(closedBy, '|')) continue;
    if (closing === 'close' ? closedBy.kind !== 'close' : !isSymbol(closedBy, ')'))
      throw syntaxError(parser, closedBy, closing === 'close' ? 'unexpected ")".' : 'a "(" is not closed.');
    // A variable is known only after its own declaration.
    if (!assigns) parser.variables.push(...variables);
    return { variables, assigns, commands };
  }
}

/** `$x :=`, `$x =`, `$i, $x :=` at the beginning of a pipeline. */
function declarationOf(parser: Parser, variablesMax: number): { variables: string[]; assigns: boolean } {
  const variables: string[] = [];
  const first = parser.next;
  for (;;) {
    const variable = takeToken(parser);
    const after = variable.kind === 'variable' ? takeToken(parser) : variable;
    if (variable.kind !== 'variable' || !(isSymbol(after, ':=') || isSymbol(after, '=') || isSymbol(after, ','))) {
      if (variables.length > 0) throw syntaxError(parser, after, 'a variable and := belong after the comma.');
      parser.next = first;
      return { variables: [], assigns: false };
    }
    variables.push(variable.text);
    if (variables.length > variablesMax) throw syntaxError(parser, variable, 'too many variables are declared.');
    if (isSymbol(after, ',')) continue;
    const assigns = isSymbol(after, '=');
    const unknown = assigns ? variables.find((name) => !parser.variables.includes(name)) : undefined;
    if (unknown !== undefined) throw syntaxError(parser, variable, `the variable ${unknown} is not defined.`);
    return { variables, assigns };
  }
}

function commandNode(parser: Parser, piped: boolean): { command: TemplateCommand; closedBy: TemplateToken } {
  const operands: Operand[] = [];
  const { at } = parser.tokens[parser.next];
  for (;;) {
    const token = takeToken(parser);
    if (token.kind === 'close' || isSymbol(token, '|') || isSymbol(token, ')')) {
      checkCommand(parser, operands, token, piped);
      return { command: { at, operands }, closedBy: token };
    }
    if (operands.length > 0 && !token.spaced)
      throw syntaxError(parser, token, `a blank is missing before ${wordOf(token)}.`);
    operands.push(operandOf(parser, token));
  }
}

function checkCommand(parser: Parser, operands: readonly Operand[], closing: TemplateToken, piped: boolean): void {
  if (operands.length === 0) throw syntaxError(parser, closing, 'a value is missing.');
  const [first] = operands;
  const inert = first.fields.length === 0 && (first.kind === 'literal' || first.kind === 'nil' || first.kind === 'dot');
  if (first.kind === 'nil' && first.fields.length === 0) throw syntaxError(parser, closing, 'nil is not a command.');
  if (inert && (piped || operands.length > 1))
    throw syntaxError(parser, closing, 'an argument follows something that is not a function.');
}

function operandOf(parser: Parser, token: TemplateToken): Operand {
  const operand = termOf(parser, token);
  const fields = [...operand.fields];
  let next = parser.tokens[parser.next];
  while (next.kind === 'field' && !next.spaced) {
    fields.push(next.text);
    parser.next++;
    next = parser.tokens[parser.next];
  }
  if (fields.length > 0 && (operand.kind === 'literal' || operand.kind === 'nil' || operand.kind === 'function'))
    throw syntaxError(parser, token, `.${fields[0]} follows ${wordOf(token)}, which has no fields.`);
  return { ...operand, fields };
}

function termOf(parser: Parser, token: TemplateToken): Operand {
  const { at } = token;
  const fields: readonly string[] = [];
  if (token.kind === 'string') return { kind: 'literal', value: token.text, at, fields };
  if (token.kind === 'number') return { kind: 'literal', value: token.value, at, fields };
  if (token.kind === 'field') return { kind: 'dot', at, fields: [token.text] };
  if (isSymbol(token, '.')) return { kind: 'dot', at, fields };
  if (isSymbol(token, '(')) return parenthesisOf(parser, token);
  if (token.kind === 'variable') {
    if (parser.variables.includes(token.text)) return { kind: 'variable', name: token.text, at, fields };
    throw syntaxError(parser, token, `the variable ${token.text} is not defined.`);
  }
  if (token.kind === 'word') {
    if (token.text === 'nil') return { kind: 'nil', at, fields };
    if (token.text === 'true' || token.text === 'false')
      return { kind: 'literal', value: token.text === 'true', at, fields };
    if (parser.functions.has(token.text)) return { kind: 'function', name: token.text, at, fields };
    throw syntaxError(
      parser,
      token,
      `no function is called ${token.text}; there are ${[...parser.functions].join(' ')}.`,
    );
  }
  throw syntaxError(parser, token, `unexpected ${wordOf(token)}.`);
}

function parenthesisOf(parser: Parser, opening: TemplateToken): Operand {
  enter(parser, opening);
  const pipe = pipeOf(parser, ')', 1);
  parser.depth--;
  return { kind: 'pipe', pipe, at: opening.at, fields: [] };
}

function enter(parser: Parser, token: TemplateToken): void {
  if (++parser.depth > templateDepthMax) throw syntaxError(parser, token, `nested more than ${templateDepthMax} deep.`);
}

function takeToken(parser: Parser): TemplateToken {
  return parser.tokens[parser.next++];
}

function takeClose(parser: Parser): void {
  const token = takeToken(parser);
  if (token.kind !== 'close') throw syntaxError(parser, token, `unexpected ${wordOf(token)}.`);
}

function isIdentifier(token: TemplateToken, text: string): boolean {
  return token.kind === 'word' && token.text === text;
}

function isSymbol(token: TemplateToken, text: string): boolean {
  return token.kind === 'symbol' && token.text === text;
}

/** The token as it may stand in a sentence. */
function wordOf(token: TemplateToken): string {
  if (token.kind === 'number') return String(token.value);
  if (!('text' in token)) return token.kind === 'close' ? '}}' : 'the end';
  return token.kind === 'field' ? `.${token.text}` : token.text;
}

function syntaxError(parser: Parser, token: TemplateToken, message: string): Error {
  return templateError(parser.source, token.at, message);
}
