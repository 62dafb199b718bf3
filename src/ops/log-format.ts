/**
 * The formats of `log`: text with `{fields}` as CoreDNS documents them, compiled once into a function, so that a
 * query costs the fields that its format names and nothing else.
 */
import { className, lowerCaseName, rcodeName, typeName } from '../dns/names.js';
import type { QueryFacts } from './query-facts.js';

export type FormatLine = (facts: QueryFacts) => string;

const commonFormat =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
const wholeFormats: Readonly<Record<string, string>> = {
  '{common}': commonFormat,
  '{combined}': `${commonFormat} "{>opcode}"`,
};

/** Fields whose value is empty are written as `-`. */
const fields: ReadonlyMap<string, FormatLine> = new Map<string, FormatLine>([
  ['{remote}', (facts) => bracketed(facts.remote.address)],
  ['{port}', (facts) => String(facts.remote.port)],
  ['{local}', (facts) => bracketed(facts.local.address)],
  ['{type}', (facts) => typeName(facts.type)],
  ['{class}', (facts) => className(facts.class)],
  ['{name}', (facts) => lowerCaseName(facts.name)],
  ['{proto}', (facts) => facts.transport],
  ['{size}', (facts) => String(facts.queryBytes)],
  ['{rcode}', (facts) => rcodeName(facts.rcode)],
  ['{rsize}', (facts) => String(facts.answerBytes)],
  ['{duration}', (facts) => durationText(facts.durationMs)],
  ['{>id}', (facts) => String(facts.id)],
  ['{>opcode}', (facts) => String(facts.opcode)],
  ['{>do}', (facts) => String(facts.dnssecOk)],
  ['{>bufsize}', (facts) => String(facts.bufsizeBytes)],
  ['{>rflags}', (facts) => flagsText(facts.flags) || '-'],
]);

/** What is wrong with a format, in a sentence, or null. */
export function checkLogFormat(format: string): string | null {
  try {
    compileLogFormat(format);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * The function that writes a line of this format. Braces around anything but a word (as in a JSON format) are
 * themselves; a field that does not exist throws an Error whose message says which and what there is instead.
 */
export function compileLogFormat(format: string): FormatLine {
  const text = format.replace(/\{common\}|\{combined\}/g, (name) => wholeFormats[name]);
  const parts: (string | FormatLine)[] = [];
  let end = 0;
  for (const match of text.matchAll(/\{[>/]?[A-Za-z][\w/-]*\}/g)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(fieldNamed(match[0]));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return (facts) => {
    let line = '';
    for (const part of parts) line += typeof part === 'string' ? part : part(facts);
    return line;
  };
}

function fieldNamed(written: string): FormatLine {
  // CoreDNS does not mind the case of the fields that come from the header.
  const field = fields.get(written.startsWith('{>') ? written.toLowerCase() : written);
  if (field !== undefined) return field;
  if (written.startsWith('{/'))
    throw new Error(`The log format's field ${written} is metadata of plugins, which is not supported; take it out.`);
  throw new Error(
    `The log format's field ${written} does not exist; there are ${[...fields.keys()].join(' ')} {common} {combined}.`,
  );
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Seconds without exponent or trailing zeros, to the nanosecond: `0.0012s`. */
function durationText(ms: number): string {
  return `${(ms / 1000).toFixed(9).replace(/\.?0+$/, '')}s`;
}

// The bits of the header's second word, in CoreDNS's order.
const flagNames: readonly (readonly [bit: number, name: string])[] = [
  [0x8000, 'qr'],
  [0x0400, 'aa'],
  [0x0200, 'tc'],
  [0x0100, 'rd'],
  [0x0080, 'ra'],
  [0x0040, 'z'],
  [0x0020, 'ad'],
  [0x0010, 'cd'],
];

function flagsText(flags: number): string {
  let text = '';
  for (const [bit, name] of flagNames) {
    if ((flags & bit) !== 0) text += text === '' ? name : `,${name}`;
  }
  return text;
}
