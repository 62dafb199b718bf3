/**
 * How commands write for people: escaped, since names come from packets and could steer a terminal; in at most 80 columns;
 * in color on a terminal alone. And JSON for programs, in ASCII.
 */

/** Columns of a terminal that nobody has widened. */
export const textColumns = 80;

export interface TextStyle {
  readonly isColored: boolean;
}

const colorCodes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Color = keyof typeof colorCodes;

/** The text as it is without colors. */
export function colored(text: string, color: Color, { isColored }: TextStyle): string {
  return isColored && text !== '' ? `\x1b[${colorCodes[color]}m${text}\x1b[0m` : text;
}

/**
 * Without anything that a terminal would obey: control characters, those that change the direction of writing or take no
 * room, and halves of characters become `\u{…}`.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\u2028\u2029]/gu, escapedCharacter);
}

function escapedCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** In ASCII, so that no terminal obeys it, and nobody has to guess an encoding. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[^\x20-\x7e\n]/gu, (character) =>
    [...Array(character.length).keys()].map((at) => unitEscape(character.charCodeAt(at))).join(''),
  );
}

function unitEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

/** The words in lines of at most `columns`, but for a longer word; all lines but the first begin with `indent` blanks. */
export function wrappedText(text: string, { columns = textColumns, indent = 0 } = {}): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined) lines.push(word);
    else if (last.length + 1 + word.length > columns) lines.push(`${' '.repeat(indent)}${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

/** Rows in columns two blanks apart, each column as wide as its widest cell, the last one as it is. */
export function columnsOf(rows: readonly (readonly string[])[], indent = 0): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length);
    });
  }
  return rows.map((row) => {
    const cells = row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at])));
    return `${' '.repeat(indent)}${cells.join('  ')}`.trimEnd();
  });
}

/** `1 entry`, `2 entries`, `12,345 entries`. */
export function quantity(count: number, one: string, several = `${one}s`): string {
  return `${groupedDigits(count)} ${count === 1 ? one : several}`;
}

/** `12,345`. */
export function groupedDigits(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** `0 s`, `12 s`, `3 min 20 s`, `5 h 3 min`, `12 d 4 h`: the two largest units; no fraction of a second. */
export function spanText(seconds: number): string {
  if (seconds < 1) return '0 s';
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const;
  const first = units.findIndex(([length]) => seconds >= length);
  const parts = units.slice(first, first + 2).map(([length, name], at) => {
    const within = at === 0 ? seconds : seconds % units[first][0];
    return [Math.floor(within / length), name] as const;
  });
  return parts
    .filter(([count], at) => at === 0 || count > 0)
    .map(([count, name]) => `${count} ${name}`)
    .join(' ');
}

/** `0.4 ms`, `12 ms`, `1.2 s`. */
export function latencyText(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `512 kB`, `3.4 MiB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`;
  const mebibytes = bytes / (1024 * 1024);
  return mebibytes < 10 ? `${mebibytes.toFixed(1)} MiB` : `${groupedDigits(mebibytes)} MiB`;
}
