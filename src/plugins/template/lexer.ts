/**
 * The tokens of a Go text/template: the text between actions, and the words within `{{ … }}`. Trim markers and
 * comments are dealt with here; what the words mean together is for template-parser.ts.
 */

export type TemplateToken = {
  /** Where it begins in the source, in characters from 0. */
  readonly at: number;
  /** Whether white space (or the opening `{{`) comes before it: `.A .B` are two operands, `.A.B` is one. */
  readonly spaced: boolean;
} & (
  | { readonly kind: 'text' | 'word' | 'field' | 'variable' | 'string'; readonly text: string }
  | { readonly kind: 'number'; readonly value: bigint | number }
  | { readonly kind: 'symbol'; readonly text: '.' | '|' | '(' | ')' | ',' | '=' | ':=' }
  | { readonly kind: 'close' | 'end' }
);

/** An error that says where in the template something is wrong and what. */
export function templateError(source: string, at: number, message: string): Error {
  const before = source.slice(0, at).split('\n');
  const place = `${before.length > 1 ? `line ${before.length}, ` : ''}column ${before[before.length - 1].length + 1}`;
  return new Error(`Template "${source.length > 80 ? `${source.slice(0, 80)}…` : source}", ${place}: ${message}`);
}

/**
 * The tokens of the template: `text` outside actions, and for each action its words and a `close`; the last token is
 * `end`. Throws an Error that says where on what Go's templates do not know.
 */
export function templateTokens(source: string): TemplateToken[] {
  const tokens: TemplateToken[] = [];
  let at = 0;
  let trimStart = false;
  for (;;) {
    const open = source.indexOf('{{', at);
    const trimEnd = open !== -1 && /^-\s/.test(source.slice(open + 2, open + 4));
    let text = source.slice(at, open === -1 ? source.length : open);
    if (trimStart) text = text.replace(/^[ \t\r\n]+/, '');
    if (trimEnd) text = text.replace(/[ \t\r\n]+$/, '');
    if (text !== '') tokens.push({ kind: 'text', text, at, spaced: true });
    if (open === -1) break;
    const inside = open + (trimEnd ? 4 : 2);
    const end = commentEnd(source, inside) ?? actionTokens(source, inside, tokens);
    trimStart = source.startsWith('-', end);
    at = end + (trimStart ? 3 : 2);
  }
  tokens.push({ kind: 'end', at: source.length, spaced: true });
  return tokens;
}

/** Where the comment's closing delimiter (or its trim marker) begins; undefined when the action is no comment. */
function commentEnd(source: string, inside: number): number | undefined {
  if (!source.startsWith('/*', inside)) return undefined;
  const end = source.indexOf('*/', inside + 2);
  if (end === -1) throw templateError(source, inside, 'the comment is not closed with */.');
  const close = /^(\s-)?\}\}/.exec(source.slice(end + 2, end + 6));
  if (close === null) throw templateError(source, end, 'a comment must end right before the closing }}.');
  return end + 2 + (close[1] === undefined ? 0 : 1);
}

/** Adds the tokens of one action; returns where its closing delimiter (or the `-` of its trim marker) begins. */
function actionTokens(source: string, inside: number, tokens: TemplateToken[]): number {
  let at = inside;
  let spaced = true;
  for (;;) {
    const blank = /[ \t\r\n]*/y;
    blank.lastIndex = at;
    const blanks = (blank.exec(source) as RegExpExecArray)[0].length;
    at += blanks;
    spaced ||= blanks > 0;
    if (source.startsWith('}}', at) || (blanks > 0 && source.startsWith('-}}', at))) {
      tokens.push({ kind: 'close', at, spaced });
      return at;
    }
    if (at >= source.length) throw templateError(source, inside, 'the action is not closed with }}.');
    at = oneToken(source, at, spaced, tokens);
    spaced = false;
  }
}

const patterns: readonly (readonly [
  RegExp,
  (text: string, source: string, at: number) => Omit<TemplateToken, 'at' | 'spaced'>,
])[] = [
  [/"(?:[^"\\\n]|\\.)*"/y, (text, source, at) => ({ kind: 'string', text: unquoted(text.slice(1, -1), source, at) })],
  [/`[^`]*`/y, (text) => ({ kind: 'string', text: text.slice(1, -1).replaceAll('\r', '') })],
  [/'(?:[^'\\\n]|\\.)+'/y, (text, source, at) => ({ kind: 'number', value: runeOf(text.slice(1, -1), source, at) })],
  [/[+-]?\.?[0-9](?:[eE][+-]|[\w.])*/y, (text, source, at) => ({ kind: 'number', value: numberOf(text, source, at) })],
  [/\.[\p{L}_][\p{L}\p{Nd}_]*/uy, (text) => ({ kind: 'field', text: text.slice(1) })],
  [/\$[\p{L}\p{Nd}_]*/uy, (text) => ({ kind: 'variable', text })],
  [/[\p{L}_][\p{L}\p{Nd}_]*/uy, (text) => ({ kind: 'word', text })],
  [/:=|[.|(),=]/y, (text) => ({ kind: 'symbol', text: text as '.' })],
];

function oneToken(source: string, at: number, spaced: boolean, tokens: TemplateToken[]): number {
  for (const [pattern, make] of patterns) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) continue;
    tokens.push({ ...make(text, source, at), at, spaced } as TemplateToken);
    return at + text.length;
  }
  if ('"`\''.includes(source[at])) throw templateError(source, at, `the ${source[at]} has no closing partner.`);
  throw templateError(source, at, `"${String.fromCodePoint(source.codePointAt(at) as number)}" does not belong here.`);
}

/** Go's whole numbers are 64 bits; with a dot or an exponent they are floating point. */
function numberOf(text: string, source: string, at: number): bigint | number {
  const digits = text.replace(/^[+-]/, '');
  const negative = text.startsWith('-');
  const grouped = /(^|[^0-9a-fA-FxXoObB])_|__|_$/.test(digits) ? digits : digits.replaceAll('_', '');
  if (/^(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)$/.test(grouped)) {
    const magnitude = BigInt(grouped.replace(/^0+(?=[0-7]+$)/, '0o'));
    const value = negative ? -magnitude : magnitude;
    if (value !== BigInt.asIntN(64, value)) throw templateError(source, at, `${text} overflows int.`);
    return value;
  }
  if (/[.eE]/.test(grouped) && /^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(grouped)) {
    const value = negative ? -Number(grouped) : Number(grouped);
    if (Number.isFinite(value)) return value;
  }
  throw templateError(source, at, `"${text}" is not a number.`);
}

/** A character constant is the number of its code point. */
function runeOf(text: string, source: string, at: number): bigint {
  const characters = [...unquoted(text, source, at)];
  if (characters.length !== 1) throw templateError(source, at, `'${text}' is not one character.`);
  return BigInt(characters[0].codePointAt(0) as number);
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** Go's escapes in an interpreted string. Bytes above 0x7f by number are refused: alone they are no text. */
function unquoted(text: string, source: string, at: number): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gsu, (whole, escaped: string) => {
    const simple = simpleEscapes[escaped];
    if (simple !== undefined) return simple;
    const octal = /^[0-7]{3}$/.test(escaped);
    const code =
      escaped.length === 1 ? Number.NaN : Number.parseInt(octal ? escaped : escaped.slice(1), octal ? 8 : 16);
    const max = octal || escaped.startsWith('x') ? 0x7f : 0x10ffff;
    if (code <= max && !(code >= 0xd800 && code <= 0xdfff)) return String.fromCodePoint(code);
    throw templateError(source, at, `"${whole}" is not an escape that is known here.`);
  });
}
