/**
 * The Corefile's grammar: server blocks of directives, which may have blocks of their own. The result is the tree as it was
 * written, with file and line of every part. No directive is known by name here, but in block.ts and directives/.
 */
import { corefileNestingMax } from '../limits.js';
import { type Diagnostic, Findings, type Position, type Written } from './config.js';
import { type Expansion, expandAll, isWord, type Sources } from './imports.js';
import type { Token } from './lexer.js';

/** One line of a block, and the block that it opens. */
export interface Directive {
  readonly name: string;
  /** The names from the server block to here, for messages: `cache`, `cache success`. */
  readonly path: string;
  readonly at: Position;
  readonly arguments: readonly Token[];
  /** Null without a block. */
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
  readonly findings: Findings;
  index: number;
  /** The present directive of the server block is dropped. */
  isTooDeep: boolean;
}

/** The server blocks of a Corefile in pieces, at least one; adds to `warnings`. Throws a ConfigError. */
export function parseCorefile(pieces: readonly Written[], sources: Sources, warnings: Diagnostic[]): Corefile {
  const findings = new Findings(warnings);
  const corefile = readCorefile(pieces, sources, findings);
  findings.refuse(pieces[0].file);
  return corefile;
}

/**
 * The same, going on behind errors: text behind a mistake is read as it was most likely meant. A server block that is never
 * closed is left out, since its end is unknown.
 */
export function readCorefile(pieces: readonly Written[], sources: Sources, findings: Findings): Corefile {
  const { tokens, ...rest } = expandAll(pieces, sources, findings);
  const cursor: Cursor = { tokens, findings, index: 0, isTooDeep: false };
  const blocks: ServerBlock[] = [];
  while (cursor.index < tokens.length) {
    if (skipStrayBrace(cursor)) continue;
    const block = serverBlock(cursor);
    if (block !== null) blocks.push(block);
  }
  return { ...rest, blocks };
}

/** CoreDNS accepts a surplus brace at the end of the file; between blocks it is an error there too. */
function skipStrayBrace(cursor: Cursor): boolean {
  const { tokens, findings, index } = cursor;
  const token = tokens[index];
  if (!isWord(token, '}')) return false;
  const message = 'unmatched }; remove it, or add the missing { above.';
  const isAtEnd = tokens.slice(index).every((rest) => isWord(rest, '}'));
  if (!isAtEnd) findings.error(token.at, message);
  else findings.warnings.push({ at: token.at, message });
  cursor.index = isAtEnd ? tokens.length : index + 1;
  return true;
}

/** Null: the block is dropped. */
function serverBlock(cursor: Cursor): ServerBlock | null {
  const { findings } = cursor;
  const { at } = peek(cursor);
  const { keys, isOpen, isCut } = serverKeys(cursor);
  if (isCut) return null;
  if (keys.length === 0) findings.error(at, 'a server block expects a zone before its {, for example ".:53 {".');
  if (isOpen || isWord(peek(cursor), '{')) {
    const open = isOpen ? cursor.tokens[cursor.index - 1] : next(cursor);
    const directives = directivesToBrace(cursor, open, '');
    return directives === null ? null : { at, keys, directives };
  }
  if (peek(cursor) !== undefined) return { at, keys, directives: directivesWithoutBrace(cursor, at) };
  if (keys.length > 0) {
    findings.error(at, `the zone "${keys[0].text}" has no block; write its directives between { and }.`);
  }
  return null;
}

interface ServerKeys {
  readonly keys: readonly Token[];
  /** The last key ended in the { of the block. */
  readonly isOpen: boolean;
  /** The file ends where another key is expected. */
  readonly isCut: boolean;
}

function serverKeys(cursor: Cursor): ServerKeys {
  const { findings } = cursor;
  const keys: Token[] = [];
  let needsAnother = false;
  while (cursor.index < cursor.tokens.length) {
    const token = peek(cursor);
    if (isWord(token, '{')) {
      if (needsAnother) findings.error(token.at, 'another zone is expected after the comma; remove the comma.');
      break;
    }
    if (isWord(token, '}') || (token.startsLine && keys.length > 0 && !needsAnother)) break;
    next(cursor);
    if (!token.isLiteral && token.text.length > 1 && token.text.endsWith('{')) {
      findings.error(token.at, `a blank is missing before the { of "${token.text}".`);
      keys.push(...splitAtCommas(cursor, { ...token, text: token.text.slice(0, -1) }));
      return { keys, isOpen: true, isCut: false };
    }
    needsAnother = token.text.endsWith(',');
    keys.push(...splitAtCommas(cursor, token));
  }
  const isCut = needsAnother && peek(cursor) === undefined;
  if (isCut) {
    const { at } = cursor.tokens[cursor.index - 1];
    findings.error(at, 'another zone is expected after the comma; the file ends.');
  }
  return { keys, isOpen: false, isCut };
}

function splitAtCommas(cursor: Cursor, token: Token): Token[] {
  const parts = token.text.split(',').filter((part) => part !== '');
  if (parts.length > 1) {
    const message = `"${token.text}" is read as ${parts.length} zones; CoreDNS requires a blank after the comma.`;
    cursor.findings.warnings.push({ at: token.at, message });
  }
  return parts.map((text) => ({ ...token, text }));
}

/** Null: the block is never closed. */
function directivesToBrace(cursor: Cursor, open: Token, path: string): Directive[] | null {
  const directives: Directive[] = [];
  for (;;) {
    const token = peek(cursor);
    if (token === undefined) {
      cursor.findings.error(open.at, 'this block is not closed; add its }.');
      return null;
    }
    if (isWord(token, '}')) {
      next(cursor);
      return directives;
    }
    const read = isWord(token, '{') ? strayBlock(cursor, directives.pop() ?? null) : directive(cursor, path);
    if (read === 'cut') return null;
    if (read !== null) directives.push(read);
  }
}

/** A Corefile of one server may omit its braces; then everything that follows is its directives. */
function directivesWithoutBrace(cursor: Cursor, at: Position): Directive[] {
  const { findings } = cursor;
  const directives: Directive[] = [];
  while (cursor.index < cursor.tokens.length) {
    const token = peek(cursor);
    if (isWord(token, '}')) {
      findings.warnings.push({ at, message: 'the { of this server block is missing; add it at the end of this line.' });
      next(cursor);
      break;
    }
    const read = isWord(token, '{') ? strayBlock(cursor, directives.pop() ?? null) : directive(cursor, '');
    if (read === 'cut') break;
    if (read !== null) directives.push(read);
  }
  return directives;
}

/** A block that begins on a line of its own belongs to the directive above, if that has none. */
function strayBlock(cursor: Cursor, above: Directive | null): Directive | 'cut' | null {
  const open = next(cursor);
  cursor.findings.error(open.at, 'unexpected { in place of a directive; put it at the end of the line above.');
  const block = directivesToBrace(cursor, open, above?.path ?? '');
  if (block === null) return 'cut';
  return above === null ? null : { ...above, block: above.block ?? block };
}

/** `cut`: the file ends in its block. Null: the directive is dropped. */
function directive(cursor: Cursor, parent: string): Directive | 'cut' | null {
  const { findings } = cursor;
  const name = next(cursor);
  const path = parent === '' ? name.text : `${parent} ${name.text}`;
  const words: Token[] = [];
  const read = { name: name.text, path, at: name.at, arguments: words };
  for (;;) {
    const token = peek(cursor);
    if (token === undefined || token.startsLine) return { ...read, block: null };
    if (isWord(token, '}')) {
      findings.error(token.at, `${path}: the } must be on a line of its own.`);
      return { ...read, block: null };
    }
    next(cursor);
    if (isWord(token, '{')) break;
    words.push(token);
  }
  const open = cursor.tokens[cursor.index - 1];
  if (path.split(' ').length > corefileNestingMax) {
    findings.error(open.at, `blocks are nested more than ${corefileNestingMax} deep.`);
    cursor.isTooDeep = true;
    return skipToBrace(cursor) ? null : 'cut';
  }
  const block = directivesToBrace(cursor, open, path);
  if (block === null) return 'cut';
  const after = peek(cursor);
  if (after !== undefined && !after.startsLine) {
    findings.error(after.at, `${path}: "${after.text}" follows a } on its line; put it on the next line.`);
  }
  if (parent === '' && cursor.isTooDeep) {
    cursor.isTooDeep = false;
    return null;
  }
  return { ...read, block };
}

/** Goes behind the brace that closes the block just opened; false if the file ends before. */
function skipToBrace(cursor: Cursor): boolean {
  for (let nesting = 1; nesting > 0; ) {
    const token = next(cursor);
    if (token === undefined) return false;
    if (isWord(token, '{')) nesting++;
    if (isWord(token, '}')) nesting--;
  }
  return true;
}

function peek(cursor: Cursor): Token {
  return cursor.tokens[cursor.index];
}

function next(cursor: Cursor): Token {
  return cursor.tokens[cursor.index++];
}
