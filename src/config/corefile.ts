/**
 * The Corefile's grammar: server blocks of directives, which may have blocks of their own. It gives the tree as it
 * was written, every part with its file and line, and knows no directive by name: what the words mean is decided in
 * block.ts and directives/.
 */
import { corefileNestingMax } from '../limits.js';
import type { Diagnostic, Position } from './config.js';
import { ConfigError } from './error.js';
import { type Expansion, expand, isWord, type Sources, type Written } from './imports.js';
import type { Token } from './lexer.js';

/** One line of a block, with the block that its line opens. */
export interface Directive {
  readonly name: string;
  /** The names from the server block to here, for messages: `cache`, `cache success`. */
  readonly path: string;
  readonly at: Position;
  readonly arguments: readonly Token[];
  /** Null when no block is opened. */
  readonly block: readonly Directive[] | null;
}

export interface ServerBlock {
  readonly at: Position;
  readonly keys: readonly Token[];
  readonly directives: readonly Directive[];
}

export interface Corefile extends Omit<Expansion, 'tokens'> {
  readonly blocks: readonly ServerBlock[];
}

interface Cursor {
  readonly tokens: readonly Token[];
  readonly warnings: Diagnostic[];
  index: number;
}

/** The server blocks of a Corefile, in one piece or more; adds to `warnings`. Throws a ConfigError. */
export function parseCorefile(pieces: readonly Written[], sources: Sources, warnings: Diagnostic[]): Corefile {
  const { tokens, ...rest } = expand(pieces, sources, warnings);
  const cursor: Cursor = { tokens, warnings, index: 0 };
  const blocks: ServerBlock[] = [];
  while (cursor.index < tokens.length) {
    if (skipStrayBraces(cursor)) break;
    blocks.push(serverBlock(cursor));
  }
  return { ...rest, blocks };
}

/** CoreDNS takes a brace too many at the end of the file; between blocks it is an error there too. */
function skipStrayBraces(cursor: Cursor): boolean {
  const token = peek(cursor);
  if (!isWord(token, '}')) return false;
  const message = 'a } closes nothing; take it out, or look for a { that is missing above.';
  if (!cursor.tokens.slice(cursor.index).every((rest) => isWord(rest, '}'))) throw new ConfigError(token.at, message);
  cursor.warnings.push({ at: token.at, message });
  return true;
}

function serverBlock(cursor: Cursor): ServerBlock {
  const { at } = peek(cursor);
  const keys = serverKeys(cursor);
  if (keys.length === 0) throw new ConfigError(at, 'a server block expects a zone before its {, for example ".:53 {".');
  if (isWord(peek(cursor), '{')) {
    const open = next(cursor);
    return { at, keys, directives: directivesToBrace(cursor, open, '') };
  }
  if (peek(cursor) === undefined) {
    throw new ConfigError(at, `the zone "${keys[0].text}" has no block; write its directives between { and }.`);
  }
  return { at, keys, directives: directivesWithoutBrace(cursor, at) };
}

function serverKeys(cursor: Cursor): Token[] {
  const keys: Token[] = [];
  let needsAnother = false;
  while (cursor.index < cursor.tokens.length) {
    const token = peek(cursor);
    if (isWord(token, '{')) {
      if (needsAnother)
        throw new ConfigError(token.at, 'another zone is expected after the comma; take the comma out.');
      return keys;
    }
    if (isWord(token, '}') || (token.startsLine && keys.length > 0 && !needsAnother)) return keys;
    next(cursor);
    if (!token.isLiteral && token.text.length > 1 && token.text.endsWith('{')) {
      throw new ConfigError(token.at, `a blank is missing before the { of "${token.text}".`);
    }
    needsAnother = token.text.endsWith(',');
    keys.push(...splitAtCommas(cursor, token));
  }
  const { at } = cursor.tokens[cursor.index - 1];
  if (needsAnother) throw new ConfigError(at, 'another zone is expected after the comma; the file ends.');
  return keys;
}

function splitAtCommas(cursor: Cursor, token: Token): Token[] {
  const parts = token.text.split(',').filter((part) => part !== '');
  if (parts.length > 1) {
    const message = `"${token.text}" is read as ${parts.length} zones; CoreDNS wants a blank after the comma.`;
    cursor.warnings.push({ at: token.at, message });
  }
  return parts.map((text) => ({ ...token, text }));
}

function directivesToBrace(cursor: Cursor, open: Token, path: string): Directive[] {
  const directives: Directive[] = [];
  for (;;) {
    const token = peek(cursor);
    if (token === undefined)
      throw new ConfigError(open.at, 'the block that is opened here is never closed; add its }.');
    if (isWord(token, '}')) {
      next(cursor);
      return directives;
    }
    directives.push(directive(cursor, path));
  }
}

/** A Corefile of one server may leave its braces out; then all that follows is its directives. */
function directivesWithoutBrace(cursor: Cursor, at: Position): Directive[] {
  const directives: Directive[] = [];
  while (cursor.index < cursor.tokens.length) {
    if (isWord(peek(cursor), '}')) {
      cursor.warnings.push({ at, message: 'the { of this server block is missing; add it at the end of this line.' });
      next(cursor);
      break;
    }
    directives.push(directive(cursor, ''));
  }
  return directives;
}

function directive(cursor: Cursor, parent: string): Directive {
  const name = next(cursor);
  if (isWord(name, '{'))
    throw new ConfigError(name.at, 'a { stands where a directive is expected; put it at the end of the line above.');
  const path = parent === '' ? name.text : `${parent} ${name.text}`;
  const words: Token[] = [];
  for (;;) {
    const token = peek(cursor);
    if (token === undefined || token.startsLine)
      return { name: name.text, path, at: name.at, arguments: words, block: null };
    if (isWord(token, '}')) {
      throw new ConfigError(token.at, `${path}: the } must stand on a line of its own.`);
    }
    next(cursor);
    if (isWord(token, '{')) break;
    words.push(token);
  }
  const open = cursor.tokens[cursor.index - 1];
  if (path.split(' ').length > corefileNestingMax) {
    throw new ConfigError(open.at, `blocks are nested more than ${corefileNestingMax} deep; no directive needs that.`);
  }
  const block = directivesToBrace(cursor, open, path);
  const after = peek(cursor);
  if (after !== undefined && !after.startsLine) {
    throw new ConfigError(after.at, `${path}: "${after.text}" follows a } on its line; put it on the next line.`);
  }
  return { name: name.text, path, at: name.at, arguments: words, block };
}

function peek(cursor: Cursor): Token {
  return cursor.tokens[cursor.index];
}

function next(cursor: Cursor): Token {
  return cursor.tokens[cursor.index++];
}
