/**
 * The part of Go's text/template that CoreDNS's `template` documents and people use in it. A source is compiled when
 * the configuration is read; running it walks the nodes, within bounds on steps and output, and has no way to reach
 * anything but the data it is given. What goes wrong while it runs is thrown as an Error that says where: the
 * question is then answered SERVFAIL.
 */
import { templateOutputCharactersMax, templateStepsMax } from '../../limits.js';
import { type TemplateFunction, templateFunctions } from './functions.js';
import { templateError } from './lexer.js';
import { type Operand, type Pipe, parseTemplate, type TemplateCommand, type TemplateNode } from './parser.js';
import {
  isDictionary,
  isList,
  isMethod,
  isStructure,
  isTrue,
  noValue,
  printed,
  type Structure,
  sortedKeys,
  typeOf,
  type Value,
} from './values.js';

/** One run of a template. */
interface Run {
  readonly source: string;
  readonly data: Structure;
  output: string;
  steps: number;
  /** Innermost last. */
  readonly variables: { readonly name: string; value: Value }[];
}

const functionNames: ReadonlySet<string> = new Set(templateFunctions.keys());

/** Thrown within a run only, past the nodes that a `break` or `continue` leaves out. */
const jumps = { break: Symbol('break'), continue: Symbol('continue') } as const;

/**
 * The template as a function of its data, which become `.` and `$`. Throws an Error that says where in the template
 * what is wrong, or what is not supported; the function throws one when it cannot go on.
 */
export function compileGoTemplate(source: string): (data: Structure) => string {
  const nodes = parseTemplate(source, functionNames);
  return (data) => {
    const run: Run = { source, data, output: '', steps: 0, variables: [{ name: '$', value: data }] };
    runNodes(run, nodes, data);
    return run.output;
  };
}

function runNodes(run: Run, nodes: readonly TemplateNode[], dot: Value): void {
  const outside = run.variables.length;
  for (const node of nodes) {
    if (node.kind === 'text') writeNodes(run, node.text, 0);
    else if (node.kind === 'jump') throw jumps[node.to];
    else runAction(run, node, dot);
  }
  run.variables.length = outside;
}

function runAction(run: Run, node: Exclude<TemplateNode, { kind: 'text' | 'jump' }>, dot: Value): void {
  step(run, node.at);
  const outside = run.variables.length;
  if (node.kind === 'range') {
    runRange(run, node, dot);
    run.variables.length = outside;
    return;
  }
  const value = pipeValue(run, node.pipe, dot);
  if (node.kind === 'action') {
    // An action that declares prints nothing, and its variable lives on to the end of the block.
    if (node.pipe.variables.length === 0) writeNodes(run, printed(value), node.at);
    return;
  }
  if (isTrue(value)) runNodes(run, node.body, node.kind === 'with' ? value : dot);
  else runNodes(run, node.otherwise, dot);
  run.variables.length = outside;
}

function runRange(run: Run, node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>, dot: Value): void {
  const { variables, assigns } = node.pipe;
  const over = pipeValue(run, { ...node.pipe, variables: [] }, dot);
  const inside = run.variables.length;
  let rounds = 0;
  for (const [key, value] of pairsOf(run, over, node.at)) {
    rounds++;
    step(run, node.at);
    // One variable is the element; of two the first is the index or key.
    const values = variables.length === 2 ? [key, value] : [value];
    variables.forEach((name, at) => {
      bind(run, name, values[at], assigns);
    });
    try {
      runNodes(run, node.body, value);
    } catch (jump) {
      if (jump === jumps.break) break;
      if (jump !== jumps.continue) throw jump;
    } finally {
      run.variables.length = inside;
    }
  }
  if (rounds === 0) runNodes(run, node.otherwise, dot);
}

function* pairsOf(run: Run, over: Value, at: number): Generator<readonly [Value, Value]> {
  if (over === null || over === noValue) return;
  if (typeof over === 'bigint') for (let round = 0n; round < over; round++) yield [round, round];
  else if (isList(over)) for (let index = 0; index < over.length; index++) yield [BigInt(index), over[index]];
  else if (isDictionary(over)) for (const key of sortedKeys(over)) yield [key, over.entries.get(key) as Value];
  else throw templateError(run.source, at, `there is no range over a value of type ${typeOf(over)}.`);
}

function bind(run: Run, name: string, value: Value, assigns: boolean): void {
  if (!assigns) run.variables.push({ name, value });
  else (run.variables.findLast((variable) => variable.name === name) as { value: Value }).value = value;
}

function pipeValue(run: Run, pipe: Pipe, dot: Value): Value {
  let value: Value | undefined;
  for (const command of pipe.commands) value = commandValue(run, command, dot, value);
  for (const name of pipe.variables) bind(run, name, value as Value, pipe.assigns);
  return value as Value;
}

/** `piped` is the value of the command before, which becomes the last argument; undefined for the first. */
function commandValue(run: Run, command: TemplateCommand, dot: Value, piped: Value | undefined): Value {
  step(run, command.at);
  const [first, ...operands] = command.operands;
  if (first.kind === 'function') return callFunction(run, first, operands, dot, piped);
  const target = operandValue(run, first, dot);
  if (operands.length === 0 && piped === undefined) {
    return isMethod(target) ? callMethod(run, first.at, target, []) : target;
  }
  if (!isMethod(target))
    throw templateError(run.source, first.at, 'an argument follows something that is not a function.');
  return callMethod(run, first.at, target, [...operands.map((one) => argument(run, one, dot)), ...given(piped)]);
}

function callMethod(
  run: Run,
  at: number,
  method: { parameters: number; call: (texts: string[]) => Value },
  values: Value[],
): Value {
  if (values.length !== method.parameters || !values.every((value) => typeof value === 'string'))
    throw templateError(run.source, at, `the method takes ${method.parameters} string.`);
  return method.call(values);
}

function callFunction(
  run: Run,
  named: Operand & { name: string },
  operands: readonly Operand[],
  dot: Value,
  piped: Value | undefined,
): Value {
  const called = templateFunctions.get(named.name) as TemplateFunction;
  const [least, most] = called.arity;
  const count = operands.length + given(piped).length;
  if (count < least || count > most) {
    const wanted =
      least === most ? `${least}` : most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`;
    throw templateError(run.source, named.at, `${named.name} takes ${wanted} arguments, not ${count}.`);
  }
  if (named.name === 'and' || named.name === 'or') {
    for (const operand of operands) {
      const value = argument(run, operand, dot);
      // The last value is the result whatever it is, and it may be the piped one.
      if (isTrue(value) === (named.name === 'or')) return value;
      if (piped === undefined && operand === operands[operands.length - 1]) return value;
    }
    return piped as Value;
  }
  const values = [...operands.map((operand) => argument(run, operand, dot)), ...given(piped)];
  let result: Value;
  try {
    result = called.call(values);
  } catch (error) {
    throw templateError(run.source, named.at, `${named.name}: ${(error as Error).message}`);
  }
  // Text that is never written must not grow without end either.
  if (typeof result === 'string') checkLength(run, result.length, named.at);
  return result;
}

function given(piped: Value | undefined): Value[] {
  return piped === undefined ? [] : [piped === noValue ? null : piped];
}

function argument(run: Run, operand: Operand, dot: Value): Value {
  const value =
    operand.kind === 'function' ? callFunction(run, operand, [], dot, undefined) : operandValue(run, operand, dot);
  if (isMethod(value)) return callMethod(run, operand.at, value, []);
  return value === noValue ? null : value;
}

function operandValue(run: Run, operand: Operand, dot: Value): Value {
  step(run, operand.at);
  let value = baseValue(run, operand, dot);
  for (const field of operand.fields) value = fieldOf(run, value, field, operand.at);
  return value;
}

function baseValue(run: Run, operand: Operand, dot: Value): Value {
  if (operand.kind === 'dot') return dot;
  if (operand.kind === 'literal') return operand.value;
  if (operand.kind === 'pipe') return pipeValue(run, operand.pipe, dot);
  if (operand.kind === 'variable') {
    return (run.variables.findLast(({ name }) => name === operand.name) as { value: Value }).value;
  }
  return null;
}

function fieldOf(run: Run, value: Value, field: string, at: number): Value {
  if (isDictionary(value)) return value.entries.get(field) ?? noValue;
  if (isStructure(value)) {
    if (Object.hasOwn(value.fields, field)) return value.fields[field];
    const names = Object.keys(value.fields).map((name) => `.${name}`);
    throw templateError(run.source, at, `${value.name} has no field .${field}; it has ${names.join(' ')}.`);
  }
  throw templateError(run.source, at, `a value of type ${typeOf(value)} has no field .${field}.`);
}

function writeNodes(run: Run, text: string, at: number): void {
  checkLength(run, run.output.length + text.length, at);
  run.output += text;
}

function checkLength(run: Run, characters: number, at: number): void {
  if (characters > templateOutputCharactersMax)
    throw templateError(run.source, at, `it makes more than ${templateOutputCharactersMax} characters.`);
}

function step(run: Run, at: number): void {
  if (++run.steps > templateStepsMax)
    throw templateError(run.source, at, `it takes more than ${templateStepsMax} steps.`);
}
