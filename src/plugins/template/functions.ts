/**
 * The functions that templates may call: those of Go's text/template that make sense in a record, and CoreDNS's
 * parseInt. `and` and `or` decide which of their arguments are evaluated at all, so only their arity is here and the
 * rest in go-template.ts. Functions throw an Error with a sentence; the executor says where.
 */
import { formatted } from './format.js';
import { compareTexts, isDictionary, isList, isTrue, printed, typeOf, type Value } from './values.js';

export interface TemplateFunction {
  /** How many arguments it takes, at least and at most. */
  readonly arity: readonly [number, number];
  readonly call: (values: readonly Value[]) => Value;
}

const anyNumber = Number.POSITIVE_INFINITY;

export const templateFunctions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  [
    'and',
    { arity: [1, anyNumber], call: (values) => values.find((value) => !isTrue(value)) ?? values[values.length - 1] },
  ],
  ['eq', { arity: [2, anyNumber], call: ([first, ...others]) => others.some((other) => isEqual(first, other)) }],
  ['ge', { arity: [2, 2], call: ([left, right]) => !isLess(left, right) }],
  ['gt', { arity: [2, 2], call: ([left, right]) => isLess(right, left) }],
  ['index', { arity: [1, anyNumber], call: ([value, ...keys]) => keys.reduce(element, value) }],
  ['le', { arity: [2, 2], call: ([left, right]) => !isLess(right, left) }],
  ['len', { arity: [1, 1], call: ([value]) => BigInt(valueLength(value)) }],
  ['lt', { arity: [2, 2], call: ([left, right]) => isLess(left, right) }],
  ['ne', { arity: [2, 2], call: ([left, right]) => !isEqual(left, right) }],
  ['not', { arity: [1, 1], call: ([value]) => !isTrue(value) }],
  ['or', { arity: [1, anyNumber], call: (values) => values.find(isTrue) ?? values[values.length - 1] }],
  ['parseInt', { arity: [3, 3], call: ([digits, base, bits]) => parseUint(digits, base, bits) }],
  ['print', { arity: [0, anyNumber], call: printedTogether }],
  ['printf', { arity: [1, anyNumber], call: ([format, ...values]) => formatted(stringValue(format), values) }],
  ['println', { arity: [0, anyNumber], call: (values) => `${values.map(printed).join(' ')}\n` }],
  ['slice', { arity: [1, 4], call: ([value, ...bounds]) => part(value, bounds) }],
]);

/** Blanks go between two values of which neither is a string, as fmt.Sprint has it. */
function printedTogether(values: readonly Value[]): string {
  return values.reduce<string>((line, value, at) => {
    const blank = at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string';
    return `${line}${blank ? ' ' : ''}${printed(value)}`;
  }, '');
}

function isEqual(left: Value, right: Value): boolean {
  if (left === null || right === null) return left === right;
  checkComparable(left, right);
  return left === right;
}

function isLess(left: Value, right: Value): boolean {
  checkComparable(left, right);
  if (typeof left === 'string') return compareTexts(left, right as string) < 0;
  if (typeof left === 'bigint' || typeof left === 'number') return left < (right as typeof left);
  throw new Error(`values of type ${typeOf(left)} have no order.`);
}

function checkComparable(left: Value, right: Value): void {
  const wrong = [left, right].find((value) => typeof value === 'object');
  if (wrong !== undefined) throw new Error(`a value of type ${typeOf(wrong)} cannot be compared.`);
  if (typeof left !== typeof right) throw new Error(`${typeOf(left)} cannot be compared with ${typeOf(right)}.`);
}

function element(value: Value, key: Value): Value {
  if (isDictionary(value)) return value.entries.get(stringValue(key)) ?? value.zero;
  const at = wholeOf(key);
  if (typeof value === 'string') {
    const byte = Buffer.from(value).at(Math.max(at, 0));
    if (at >= 0 && byte !== undefined) return BigInt(byte);
  } else if (isList(value)) {
    if (at >= 0 && at < value.length) return value[at];
  } else throw new Error(`a value of type ${typeOf(value)} has no index.`);
  throw new Error(`the index ${at} is out of range.`);
}

/** In bytes for text. */
function valueLength(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isDictionary(value)) return value.entries.size;
  throw new Error(`a value of type ${typeOf(value)} has no length.`);
}

function part(value: Value, bounds: readonly Value[]): Value {
  if (typeof value !== 'string' && !isList(value)) throw new Error(`a value of type ${typeOf(value)} has no slices.`);
  if (typeof value === 'string' && bounds.length === 3)
    throw new Error('a string cannot be sliced with three indexes.');
  const length = valueLength(value);
  const [from = 0, to = length, capacity = length] = bounds.map(wholeOf);
  if (from < 0 || from > to || to > capacity || capacity > length)
    throw new Error(`the indexes ${bounds.join(' ')} are out of range.`);
  return typeof value === 'string' ? Buffer.from(value).toString('utf8', from, to) : value.slice(from, to);
}

/** strconv.ParseUint: digits of a base from 2 to 36, or of the base that a prefix names with 0; no sign. */
function parseUint(digits: Value, baseValue: Value, bitsValue: Value): bigint {
  const written = stringValue(digits);
  const [base, bits] = [wholeOf(baseValue), wholeOf(bitsValue)];
  if (base < 0 || base === 1 || base > 36) throw new Error(`parseInt knows no base ${base}.`);
  if (bits < 0 || bits > 64) throw new Error(`parseInt knows no size of ${bits} bits.`);
  const value = base === 0 ? prefixedValue(written) : digitsValue(written, BigInt(base));
  if (value === undefined) throw new Error(`parseInt cannot read "${written}" in base ${base}.`);
  if (value >= 1n << BigInt(bits === 0 ? 64 : bits)) throw new Error(`"${written}" does not fit in ${bits} bits.`);
  return value;
}

function prefixedValue(written: string): bigint | undefined {
  if (/__|_$|^_/.test(written)) return undefined;
  const plain = written.replaceAll('_', '');
  const prefix = /^0[xX]/.test(plain) ? 16n : /^0[oO]/.test(plain) ? 8n : /^0[bB]/.test(plain) ? 2n : undefined;
  if (prefix !== undefined) return digitsValue(plain.slice(2), prefix);
  return digitsValue(plain, /^0./.test(plain) ? 8n : 10n);
}

function digitsValue(written: string, base: bigint): bigint | undefined {
  if (!/^[0-9a-z]{1,300}$/i.test(written)) return undefined;
  let value = 0n;
  for (const character of written) {
    const digit = BigInt(Number.parseInt(character, 36));
    if (digit >= base) return undefined;
    value = value * base + digit;
  }
  return value;
}

function stringValue(value: Value): string {
  if (typeof value === 'string') return value;
  throw new Error(`a string is expected, not a value of type ${typeOf(value)}.`);
}

function wholeOf(value: Value): number {
  if (typeof value === 'bigint') return Number(value);
  throw new Error(`a whole number is expected, not a value of type ${typeOf(value)}.`);
}
