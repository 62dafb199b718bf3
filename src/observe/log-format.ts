/**
 * The formats of `log`: text with CoreDNS's `{fields}`, compiled once into a function, so that a query costs the fields of
 * its format only. And the classes and types that CoreDNS gives to answers.
 */
import { className, lowerCaseName, rcodeName, typeName } from '../dns/names.js';
import type { QueryLogRecord } from '../resolve/worker-context.js';

export type FormatLine = (facts: QueryLogRecord) => string;

const commonFormat =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
const wholeFormats: Readonly<Record<string, string>> = {
  '{common}': commonFormat,
  '{combined}': `${commonFormat} "{>opcode}"`,
};

/** Empty values are written as `-`. */
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

/** Plugins' metadata labels, `{/forward/upstream}`; unknown ones are written as `-`, as in CoreDNS. */
const labels: ReadonlyMap<string, FormatLine> = new Map<string, FormatLine>([
  ['forward/upstream', ({ upstream }) => upstream ?? '-'],
  ['log/class', answerClass],
  ['log/type', answerType],
]);

/** A sentence about the first word in braces that is no field, and is written literally; null without one. */
export function checkLogFormat(format: string): string | null {
  for (const [written] of format.matchAll(inBraces)) {
    if (!/^\{>?[A-Za-z]\w*\}$/.test(written) || fields.has(written) || Object.hasOwn(wholeFormats, written)) continue;
    const known = [...fields.keys(), ...Object.keys(wholeFormats)].join(' ');
    return `${written} is not a log format field and is written literally; known fields: ${known}.`;
  }
  return null;
}

/** The innermost pairs of braces. */
const inBraces = /\{[^{}]*\}/g;

/** The function that writes a line of this format. Braces around other text are literal. */
export function compileLogFormat(format: string): FormatLine {
  const text = format.replace(/\{common\}|\{combined\}/g, (name) => wholeFormats[name]);
  const parts: (string | FormatLine)[] = [];
  let end = 0;
  for (const match of text.matchAll(inBraces)) {
    const value = match[0].startsWith('{/') ? labelled(match[0].slice(2, -1)) : fields.get(match[0]);
    if (value === undefined) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(value);
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return (facts) => {
    let line = '';
    for (const part of parts) line += typeof part === 'string' ? part : part(facts);
    return line;
  };
}

function labelled(label: string): FormatLine {
  return labels.get(label) ?? (() => '-');
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Seconds without exponent or trailing zeros, to the nanosecond: `0.0012s`. */
function durationText(ms: number): string {
  return `${(ms / 1000).toFixed(9).replace(/\.?0+$/, '')}s`;
}

// The bits of the header's second word, in CoreDNS's order.
const flagBits = { qr: 0x8000, aa: 0x0400, tc: 0x0200, rd: 0x0100, ra: 0x0080, z: 0x0040, ad: 0x0020, cd: 0x0010 };
const headerFlagNames = Object.entries(flagBits);

function flagsText(flags: number): string {
  let text = '';
  for (const [name, bit] of headerFlagNames) {
    if ((flags & bit) !== 0) text += text === '' ? name : `,${name}`;
  }
  return text;
}

/** The classes of `log { class … }`. */
export type AnswerClass = 'success' | 'denial' | 'error';

const opcodeQuery = 0;
const types = { ns: 2, soa: 6, ixfr: 251, axfr: 252 };
const loggedRcodeNames = { noerror: 0, servfail: 2, nxdomain: 3, notimp: 4 };

/**
 * CoreDNS's classes: `denial` is NXDOMAIN and NODATA, `success` every other NOERROR (including referrals), `error` the rest,
 * with transfers and other opcodes. CoreDNS logs an NXDOMAIN without SOA as an error; its manual does not say so.
 */
export function answerClass(facts: QueryLogRecord): AnswerClass {
  if (isMeta(facts)) return 'error';
  if (facts.rcode === loggedRcodeNames.nxdomain) return 'denial';
  if (facts.rcode !== loggedRcodeNames.noerror) return 'error';
  return facts.answerRecords === 0 && facts.authorityType === types.soa ? 'denial' : 'success';
}

/** The value of CoreDNS's metadata label `log/type`. */
export function answerType(facts: QueryLogRecord): string {
  const { rcode, answerRecords, authorityType } = facts;
  if (isMeta(facts)) return 'META';
  if (rcode === loggedRcodeNames.nxdomain) return 'NXDOMAIN';
  if (rcode === loggedRcodeNames.servfail || rcode === loggedRcodeNames.notimp) return 'SERVERERROR';
  if (rcode !== loggedRcodeNames.noerror) return 'OTHERERROR';
  if (answerRecords > 0) return 'NOERROR';
  if (authorityType === types.soa) return 'NODATA';
  return authorityType === types.ns ? 'DELEGATION' : 'NOERROR';
}

function isMeta({ opcode, type }: QueryLogRecord): boolean {
  return opcode !== opcodeQuery || type === types.axfr || type === types.ixfr;
}
