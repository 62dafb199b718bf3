/**
 * Expansion of a Corefile: replaces `{$VARIABLE}`, `{%VARIABLE%}` and `import`, and collects `(snippet) { }`. The result
 * is a flat list of tokens; the parser never sees these words.
 */
import path from 'node:path';
import { corefileBytesMax, corefileTokensMax, importDepthMax } from '../limits.js';
import { ConfigError, type Findings, type Position, type Written } from './config.js';
import { lex, type Token } from './lexer.js';

/** The file system, as configuration reads it. */
export interface ConfigFiles {
  /** Throws an Error with one sentence if the file is unreadable or not UTF-8. */
  read(file: string): string;
  /** The bytes belong to the caller, which overwrites secrets. */
  readBytes(file: string): Buffer;
  exists(file: string): boolean;
  /** Names in a folder, in any order; empty without such a folder. */
  list(folder: string): readonly string[];
}

export interface Sources {
  readonly files: ConfigFiles;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Expansion {
  readonly tokens: readonly Token[];
  /** Imported files, and folders of import patterns: to be watched besides the Corefile. */
  readonly imported: readonly string[];
  /** The texts of the imported files, in the order read. */
  readonly importedTexts: readonly string[];
}

interface State {
  readonly sources: Sources;
  readonly tokens: Token[];
  readonly snippets: Map<string, readonly Token[]>;
  readonly imported: Set<string>;
  readonly importedTexts: string[];
  readonly findings: Findings;
  /** Bases of relative imports by file, if not its own folder. */
  readonly importFolders: Map<string, string>;
  nesting: number;
  /** The limit of tokens was reached and reported. */
  isFull: boolean;
}

/** The tokens of the pieces with snippets and imports in place, going on behind errors: a failed import is left out. */
export function expandAll(pieces: readonly Written[], sources: Sources, findings: Findings): Expansion {
  const state: State = {
    sources,
    tokens: [],
    snippets: new Map(),
    imported: new Set(),
    importedTexts: [],
    findings,
    importFolders: new Map(),
    nesting: 0,
    isFull: false,
  };
  for (const { text, file, importFolder, isMade } of pieces) {
    if (importFolder !== undefined) state.importFolders.set(file, importFolder);
    findings.attempt(() => {
      const tokens = tokensOf(state, text, file);
      const placed = isMade ? tokens.map((token) => ({ ...token, at: { file, line: 0 } })) : tokens;
      expandTokens(state, placed, [file]);
    }, undefined);
  }
  return {
    tokens: state.isFull ? [] : state.tokens,
    imported: [...state.imported],
    importedTexts: state.importedTexts,
  };
}

/** Whether the token is this word, and neither quoted nor made from a variable. */
export function isWord(token: Token | undefined, word: '{' | '}' | 'import'): boolean {
  return token !== undefined && token.text === word && !token.isLiteral;
}

function tokensOf(state: State, text: string, file: string): Token[] {
  if (Buffer.byteLength(text) > corefileBytesMax) {
    throw new ConfigError({ file, line: 0 }, `the file is larger than ${corefileBytesMax} bytes; split it.`);
  }
  const failed = (at: Position, sentence: string): void => state.findings.error(at, sentence);
  const tokens: Token[] = [];
  let startsLine = false;
  for (const written of lex(text, file, failed)) {
    const token = withVariables(state, written);
    startsLine ||= token.startsLine;
    // A word of unset variables disappears.
    if (token.text === '' && written.text !== '') continue;
    tokens.push({ ...token, startsLine });
    startsLine = false;
  }
  return tokens;
}

function withVariables(state: State, token: Token): Token {
  const text = token.text.replace(/\{%((?:(?!%\}).)+)%\}|\{\$([^}]+)\}/gsu, (written, percent, dollar) => {
    const { environment } = state.sources;
    const name = percent ?? dollar;
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined) return value;
    warnOfImport(
      state,
      token.at,
      `the variable ${written} is not set and is replaced by nothing; set it or remove it.`,
    );
    return '';
  });
  return text === token.text ? token : { ...token, text, isLiteral: true };
}

/** `chain` names the files and snippets that led here, to detect a loop. */
function expandTokens(state: State, tokens: readonly Token[], chain: readonly string[]): void {
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index];
    if (token.startsLine && isWord(token, 'import')) {
      const end = endOfLine(tokens, index + 1);
      const words = tokens.slice(index + 1, end);
      state.findings.attempt(() => importLine(state, token.at, words, chain), undefined);
      index = end - 1;
      continue;
    }
    const name = state.nesting === 0 ? snippetName(token, tokens[index + 1]) : undefined;
    if (name !== undefined) {
      const end = closingBrace(tokens, index + 1, name);
      if (state.snippets.has(name)) {
        state.findings.error(token.at, `the snippet (${name}) is defined twice; rename one.`);
      } else state.snippets.set(name, tokens.slice(index + 2, end));
      index = end;
      continue;
    }
    if (isWord(token, '{')) state.nesting++;
    if (isWord(token, '}')) state.nesting--;
    if (state.tokens.length >= corefileTokensMax) {
      const sentence = `the imports add up to more than ${corefileTokensMax} words.`;
      if (!state.isFull) state.findings.error(token.at, sentence);
      state.isFull = true;
      return;
    }
    state.tokens.push(token);
  }
}

function importLine(state: State, at: Position, words: readonly Token[], chain: readonly string[]): void {
  if (words.length === 0 || words[0].text === '') {
    throw new ConfigError(at, 'import expects the name of a snippet, a file or a pattern.');
  }
  if (words.length > 1) {
    throw new ConfigError(
      at,
      `unexpected "${words[1].text}": import takes one snippet, file or pattern; arguments for snippets ({args[0]}) ` +
        'are not supported. Write the snippet out, or one import per line.',
    );
  }
  const name = words[0].text;
  if (chain.length > importDepthMax) {
    throw new ConfigError(at, `imports are nested more than ${importDepthMax} deep at "${name}"; flatten them.`);
  }
  const snippet = state.snippets.get(name);
  if (snippet !== undefined) {
    importOnce(state, at, snippet, `(${name})`, chain);
    return;
  }
  for (const file of filesNamed(state, at, name)) {
    state.imported.add(file);
    const text = readImport(state, at, file);
    state.importedTexts.push(text);
    importOnce(state, at, tokensOf(state, text, file), file, chain);
  }
}

function importOnce(
  state: State,
  at: Position,
  tokens: readonly Token[],
  name: string,
  chain: readonly string[],
): void {
  if (chain.includes(name)) {
    throw new ConfigError(at, `import loop: ${[...chain.slice(chain.indexOf(name)), name].join(' → ')}.`);
  }
  const [first, ...rest] = tokens;
  // Imported text begins a line.
  if (first !== undefined) expandTokens(state, [{ ...first, startsLine: true }, ...rest], [...chain, name]);
}

function readImport(state: State, at: Position, file: string): string {
  try {
    return state.sources.files.read(file);
  } catch (error) {
    throw new ConfigError(at, `import cannot read ${file}: ${(error as Error).message}`);
  }
}

/** A file, or the files that match a pattern with one `*` or `?` in its last part, sorted by name. */
function filesNamed(state: State, at: Position, name: string): string[] {
  const wanted = path.resolve(state.importFolders.get(at.file) ?? path.dirname(at.file), name);
  if (!/[*?[\]]/u.test(name)) {
    if (state.sources.files.exists(wanted)) return [wanted];
    const snippets = [...state.snippets.keys()].map((known) => `(${known})`).join(', ');
    throw new ConfigError(
      at,
      `import: no snippet "${name}" and no file ${wanted}; define a snippet above its import` +
        `${snippets === '' ? '' : ` (known: ${snippets})`}.`,
    );
  }
  const folder = path.dirname(wanted);
  const pattern = path.basename(wanted);
  if (/[*?]/u.test(folder) || /[[\]]/u.test(name) || (pattern.match(/[*?]/gu) ?? []).length > 1) {
    throw new ConfigError(at, `import takes a pattern with one * or ? in the file's name, not "${name}".`);
  }
  state.imported.add(folder);
  const shape = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|\\]/gu, '\\$&')
      .replace('*', '.*')
      .replace('?', '.')}$`,
    'su',
  );
  const found = state.sources.files.list(folder).filter((entry) => shape.test(entry) && !hides(entry, pattern));
  if (found.length === 0) warnOfImport(state, at, `import: no file matches ${name}; nothing is imported.`);
  return found.sort().map((entry) => path.join(folder, entry));
}

/** Kubernetes keeps `..data` and dated folders beside a ConfigMap's files; only a pattern with a leading dot matches them. */
function hides(entry: string, pattern: string): boolean {
  return entry.startsWith('.') && !pattern.startsWith('.');
}

function snippetName(token: Token, next: Token | undefined): string | undefined {
  if (!token.startsLine || token.isLiteral || !isWord(next, '{')) return undefined;
  return /^\((.+)\)$/su.exec(token.text)?.[1];
}

/** The index of the brace that closes the one at `open`. */
function closingBrace(tokens: readonly Token[], open: number, name: string): number {
  let nesting = 0;
  for (let index = open; index < tokens.length; index++) {
    if (isWord(tokens[index], '{')) nesting++;
    if (isWord(tokens[index], '}') && --nesting === 0) return index;
  }
  throw new ConfigError(tokens[open].at, `the snippet (${name}) is not closed; add its }.`);
}

function endOfLine(tokens: readonly Token[], from: number): number {
  let end = from;
  while (end < tokens.length && !tokens[end].startsLine) end++;
  return end;
}

function warnOfImport(state: State, at: Position, message: string): void {
  state.findings.warnings.push({ at, message });
}
