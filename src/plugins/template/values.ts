/**
 * The values of a Go text/template and how Go tells them apart, prints and compares them: whole numbers are bigint,
 * floating point is number, so that `eq 1 1.0` is the error that it is in Go. It executes nothing.
 */

export type Value = string | bigint | number | boolean | null | NoValue | List | Dictionary | Structure | Method;

/** What the absent key of a map is as a field; it prints as `<no value>`. */
export const noValue: NoValue = { absent: true };

interface NoValue {
  readonly absent: true;
}

type List = readonly Value[];

/** A map from text to values of one type; `zero` is what an absent key gives to `index`. */
export interface Dictionary {
  readonly entries: ReadonlyMap<string, Value>;
  readonly zero: Value;
}

/** A struct: its fields in order, each known by name. */
export interface Structure {
  readonly name: string;
  readonly fields: Readonly<Record<string, Value>>;
}

/** A method of a struct that takes so many texts. */
export interface Method {
  readonly parameters: number;
  readonly call: (texts: readonly string[]) => Value;
}

export function isList(value: Value): value is List {
  return Array.isArray(value);
}

export function isDictionary(value: Value): value is Dictionary {
  return typeof value === 'object' && value !== null && 'entries' in value && 'zero' in value;
}

export function isStructure(value: Value): value is Structure {
  return typeof value === 'object' && value !== null && 'fields' in value;
}

export function isMethod(value: Value): value is Method {
  return typeof value === 'object' && value !== null && 'call' in value;
}

/** The type as error messages name it. */
export function typeOf(value: Value): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'float64';
  if (typeof value === 'boolean') return 'bool';
  if (isList(value)) return 'slice';
  if (isDictionary(value)) return 'map';
  if (isStructure(value)) return value.name;
  return value !== null && isMethod(value) ? 'method' : 'nil';
}

/** Go's truth: false, 0, nil and whatever is empty are false. */
export function isTrue(value: Value): boolean {
  if (typeof value !== 'object') return Boolean(value);
  if (isList(value)) return value.length > 0;
  if (isDictionary(value)) return value.entries.size > 0;
  return value !== null && value !== noValue;
}

/** The value as an action prints it, which is how Go's fmt.Print does. */
export function printed(value: Value): string {
  if (value === null) return '<nil>';
  if (value === noValue) return '<no value>';
  if (typeof value === 'number') return shortestFloat(value);
  if (typeof value !== 'object') return String(value);
  if (isList(value)) return `[${value.map(printed).join(' ')}]`;
  if (isDictionary(value)) {
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${printed(value.entries.get(key) as Value)}`)
      .join(' ')}]`;
  }
  return isStructure(value) ? `{${plainFields(value).map(printed).join(' ')}}` : '<method>';
}

/** The keys as `range` visits them, by their bytes. */
export function sortedKeys(dictionary: Dictionary): string[] {
  return [...dictionary.entries.keys()].sort(compareTexts);
}

/** By bytes, as Go compares strings; UTF-16 would put some characters elsewhere. */
export function compareTexts(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** The shortest text that reads back as the number (%v); with an exponent from 10 to this power on. */
export function shortestFloat(value: number, exponentFrom = 6): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= exponentFrom)) return `${mantissa}e${signedExponent(power)}`;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('e') ? value.toFixed(mantissa.replace(/\D/g, '').length - 1 - power) : text;
}

/** An exponent with its sign and at least two digits, as Go and C write it. */
export function signedExponent(power: number): string {
  return `${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

function plainFields(structure: Structure): Value[] {
  return Object.values(structure.fields).filter((value) => !isMethod(value));
}
