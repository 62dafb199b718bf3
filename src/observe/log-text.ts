/**
 * The log for people: a line of JSON becomes `TIME LEVEL message key=value`. Names and errors in it come from packets and
 * from other programs, so whatever could move the cursor, break the line or reverse the text is written as an escape.
 */

const levelColors: Readonly<Record<string, string>> = {
  debug: '\u001b[2m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};
const dim = '\u001b[2m';
const colorEnd = '\u001b[0m';

/** Takes a line as pino writes it, with its end. */
export function logText(line: string, isColored: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const colored = (text: string, color: string): string => (isColored ? `${color}${text}${colorEnd}` : text);
  const label = colored(String(level).toUpperCase().padEnd(5), levelColors[String(level)] ?? '');
  const values = Object.entries(fields).map(
    ([name, value]) => ` ${colored(`${escaped(name)}=`, dim)}${fieldText(value)}`,
  );
  return `${colored(String(time), dim)} ${label} ${escaped(String(msg))}${values.join('')}\n`;
}

/** In quotes where it would otherwise be unclear what belongs to the value. */
function fieldText(value: unknown): string {
  const text = Array.isArray(value) ? value.join(',') : String(value);
  return /^[^\s"=]+$/u.test(text) ? escaped(text) : escaped(JSON.stringify(text));
}

/** Control characters, characters without shape such as those that change the direction of text, and line separators. */
const dangerous = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(text: string): string {
  return text.replace(
    dangerous,
    (character) => shortEscapes[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}
