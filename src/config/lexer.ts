/**
 * From a Corefile's text to tokens, as in Caddyfile v1: blanks separate, `#` comments to the end of the line, a token that
 * starts with a quote ends at the next quote without a backslash before it. The lexer knows lines, but no blocks.
 */
import { ConfigError, type Position } from './config.js';

export interface Token {
  readonly text: string;
  readonly at: Position;
  /** Whether it is the first token of its line. */
  readonly startsLine: boolean;
  /** Written in quotes or made from a variable: never a brace, a comma-separated list or `import`. */
  readonly isLiteral: boolean;
}

/**
 * The tokens of `text`, which may have a byte order mark and CRLF. An open quote is reported to `failed`; if that returns,
 * the quote ends with its line, as no other quote follows. If the open quote may be an earlier one, there are no tokens:
 * it is unknown which text is quoted.
 */
export function lex(
  text: string,
  file: string,
  failed: (at: Position, sentence: string) => void = refuseText,
): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineOfLast = 0;
  /** The first line of the first quote that contains a line end. */
  let lineOfLong = 0;
  let at = text.startsWith('\ufeff') ? 1 : 0;

  function push(content: string, isLiteral: boolean): void {
    tokens.push({ text: content, at: { file, line }, startsLine: line !== lineOfLast, isLiteral });
    lineOfLast = line;
  }

  while (at < text.length) {
    const character = text[at];
    if (character === '\n') {
      line++;
      at++;
    } else if (isBlank(character)) {
      at++;
    } else if (character === '#') {
      at = indexOrEnd(text, '\n', at);
    } else if (character === '"') {
      const closing = closingQuote(text, at + 1);
      if (closing < 0) {
        const perhaps = lineOfLong === 0 ? '' : `, perhaps of the quote that starts on line ${lineOfLong}`;
        failed({ file, line }, `unclosed quote; add the closing "${perhaps}.`);
        if (lineOfLong !== 0) return [];
      }
      const end = closing < 0 ? indexOrEnd(text, '\n', at) : closing;
      const quoted = text.slice(at + 1, end);
      push(quoted.replaceAll('\r\n', '\n').replaceAll('\\"', '"'), true);
      if (lineOfLong === 0 && quoted.includes('\n')) lineOfLong = line;
      line += countLines(quoted);
      lineOfLast = line;
      at = closing < 0 ? end : end + 1;
    } else {
      const start = at;
      while (at < text.length && text[at] !== '#' && !isBlank(text[at])) at++;
      push(text.slice(start, at), false);
    }
  }
  return tokens;
}

function refuseText(at: Position, sentence: string): never {
  throw new ConfigError(at, sentence);
}

function isBlank(character: string): boolean {
  return /\s/u.test(character);
}

function indexOrEnd(text: string, sought: string, from: number): number {
  const index = text.indexOf(sought, from);
  return index < 0 ? text.length : index;
}

/** A backslash escapes a quote; before other characters it is a backslash. */
function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '"') return at;
    if (text[at] === '\\') at++;
  }
  return -1;
}

function countLines(text: string): number {
  return text.split('\n').length - 1;
}
