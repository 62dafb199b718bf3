/**
 * Go's fmt.Printf for the values of templates: verbs, flags, width and precision. As in Go a verb that does not fit
 * its value is no error but a remark in the text (`%!d(string=hi)`), which no record survives. Explicit argument
 * indexes and `*` are remarked in the same way.
 */
import { templateOutputCharactersMax } from '../../limits.js';
import { isList, noValue, printed, shortestFloat, signedExponent, typeOf, type Value } from './values.js';

interface FormatDirective {
  readonly flags: string;
  readonly width: number;
  /** Null when the directive has none. */
  readonly precision: number | null;
  readonly verb: string;
}

/** The text of a format and its values. Throws an Error when a width asks for more than a template may write. */
export function formatted(format: string, values: readonly Value[]): string {
  let used = 0;
  const text = format.replace(
    /%(?:([-+# 0]*)(\d*)(?:\.(\d*))?(.)|.*$)/gsu,
    (whole, flags: string | undefined, width: string, precision: string | undefined, verb: string) => {
      if (flags === undefined) return '%!(NOVERB)';
      if (verb === '%') return '%';
      if (verb === '*' || verb === '[') return `%!${verb}(unsupported ${whole})`;
      if (used >= values.length) return `%!${verb}(MISSING)`;
      const directive = {
        flags,
        width: boundedDigits(width),
        precision: precision === undefined ? null : boundedDigits(precision),
        verb,
      };
      return padded(verbText(values[used++], directive), directive);
    },
  );
  if (used >= values.length) return text;
  const extra = values.slice(used).map((value) => (value === null ? '<nil>' : `${typeOf(value)}=${printed(value)}`));
  return `${text}%!(EXTRA ${extra.join(', ')})`;
}

function boundedDigits(digits: string): number {
  const value = Number(digits);
  if (value > templateOutputCharactersMax) throw new Error(`printf is asked for a width or precision of ${digits}.`);
  return value;
}

function verbText(value: Value, directive: FormatDirective): string {
  const { verb } = directive;
  if (verb === 'T') return value === null ? '<nil>' : typeOf(value);
  if (verb === 'v' && (typeof value !== 'number' || directive.precision === null)) return plain(value, directive);
  if (isList(value)) return `[${value.map((one) => verbText(one, directive)).join(' ')}]`;
  const text =
    typeof value === 'string'
      ? stringVerb(value, directive)
      : typeof value === 'bigint'
        ? wholeVerb(value, directive)
        : typeof value === 'number'
          ? floatVerb(value, directive)
          : typeof value === 'boolean' && verb === 't'
            ? String(value)
            : null;
  if (text !== null) return text;
  return value === null || value === noValue ? `%!${verb}(<nil>)` : `%!${verb}(${typeOf(value)}=${printed(value)})`;
}

/** `%v`: as printed, numbers with their sign where `+` asks for it. */
function plain(value: Value, { flags }: FormatDirective): string {
  const text = value === noValue ? '<nil>' : printed(value);
  const numeric = typeof value === 'bigint' || typeof value === 'number';
  return numeric && flags.includes('+') && !/^[+-]/.test(text) ? `+${text}` : text;
}

function stringVerb(value: string, { verb, precision, flags }: FormatDirective): string | null {
  const cut = precision === null ? value : [...value].slice(0, precision).join('');
  if (verb === 's') return cut;
  if (verb === 'q') return flags.includes('#') && !cut.includes('`') ? `\`${cut}\`` : JSON.stringify(cut);
  if (verb !== 'x' && verb !== 'X') return null;
  const bytes = Buffer.from(value).subarray(0, precision ?? undefined);
  const hex = bytes.toString('hex').replace(flags.includes(' ') ? /(?!^)(?=(..)+$)/g : /$^/g, ' ');
  return verb === 'X' ? hex.toUpperCase() : hex;
}

const bases: Readonly<Record<string, number>> = { d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const prefixes: Readonly<Record<string, string>> = { b: '0b', o: '0', x: '0x', X: '0X' };

function wholeVerb(value: bigint, { verb, precision, flags, width }: FormatDirective): string | null {
  if (verb === 'c' || verb === 'q' || verb === 'U') return runeVerb(value, verb);
  const base = bases[verb];
  if (base === undefined) return null;
  const magnitude = (value < 0n ? -value : value).toString(base);
  const sign = value < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const prefix = verb === 'O' ? '0o' : flags.includes('#') ? (prefixes[verb] ?? '') : '';
  // Zeros fill the width after sign and prefix, unless a precision says how many digits there are.
  const zeros = precision ?? (flags.includes('0') && !flags.includes('-') ? width - sign.length - prefix.length : 0);
  const digits = (verb === 'X' ? magnitude.toUpperCase() : magnitude).padStart(zeros, '0');
  return `${sign}${prefix}${digits}`;
}

function runeVerb(value: bigint, verb: string): string {
  const code = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value < 0xe000n) ? Number(value) : 0xfffd;
  if (verb === 'U') return `U+${value.toString(16).toUpperCase().padStart(4, '0')}`;
  return verb === 'c' ? String.fromCodePoint(code) : `'${String.fromCodePoint(code)}'`;
}

function floatVerb(value: number, { verb, precision, flags, width }: FormatDirective): string | null {
  const magnitude = Math.abs(value);
  const text = Number.isFinite(value) ? floatDigits(magnitude, verb, precision) : shortestFloat(magnitude);
  if (text === null) return null;
  const sign = value < 0 || Object.is(value, -0) ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const zeros = flags.includes('0') && !flags.includes('-') ? width - sign.length : 0;
  return `${sign}${text.padStart(zeros, '0')}`;
}

function floatDigits(magnitude: number, verb: string, precision: number | null): string | null {
  const digits = Math.min(precision ?? 6, 100);
  if (verb === 'f' || verb === 'F') return magnitude.toFixed(digits);
  if (verb === 'e' || verb === 'E') {
    const text = magnitude
      .toExponential(digits)
      .replace(/e(.*)$/, (_, power: string) => `e${signedExponent(Number(power))}`);
    return verb === 'E' ? text.toUpperCase() : text;
  }
  if (verb !== 'g' && verb !== 'G' && verb !== 'v') return null;
  const significant = Math.max(1, digits);
  const text =
    precision === null
      ? shortestFloat(magnitude)
      : shortestFloat(Number(magnitude.toPrecision(significant)), significant);
  return verb === 'G' ? text.toUpperCase() : text;
}

function padded(text: string, { flags, width }: FormatDirective): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  // Go 1.23 and later pad text with blanks even where zeros are asked for.
  return ' '.repeat(missing) + text;
}
