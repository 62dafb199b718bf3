/** The documentation as the tests read it: pages, their fenced blocks, their tables. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from '../corpus/repository.js';

export interface Page {
  /** From the repository's root: `docs/PROTOCOL.md`. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block. */
export interface Fenced {
  readonly page: string;
  readonly line: number;
  /** The word behind the opening fence. */
  readonly language: string;
  readonly text: string;
}

export const pages: readonly Page[] = [...markdownIn('.', false), ...markdownIn('.github'), ...markdownIn('docs')].map(
  (path) => ({
    path,
    text: readFileSync(repositoryPath(path), 'utf8'),
  }),
);

function markdownIn(folder: string, recursive = true): string[] {
  const files = readdirSync(repositoryPath(folder), { recursive, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => join(folder, file));
}

/** The text of one page. */
export function page(path: string): string {
  const found = pages.find((each) => each.path === path);
  if (found === undefined) throw new Error(`there is no page ${path}`);
  return found.text;
}

/** A block of commands, under a heading. */
export interface Block {
  readonly page: string;
  readonly text: string;
}

/** The `sh` blocks under this heading of a page, up to the next of its level or above. */
export function blocksUnder(path: string, heading: string): Block[] {
  const blocks = [...section(page(path), heading).matchAll(/^```sh\n([\s\S]*?)^```$/gm)];
  return blocks.map(([, text]) => ({ page: path, text }));
}

/** All fenced blocks in this language. */
export function fenced(language: string): Fenced[] {
  return pages.flatMap(({ path, text }) =>
    [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
      .filter(([, written]) => written === language)
      .map((match) => ({
        page: path,
        line: text.slice(0, match.index).split('\n').length,
        language,
        text: match[2],
      })),
  );
}

/** The part of a page under this heading, up to the next of its level or above. */
export function section(text: string, heading: string): string {
  const level = heading.indexOf(' ');
  const start = text.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`there is no heading "${heading}"`);
  const behind = text.slice(start + heading.length + 2);
  const end = behind.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end < 0 ? behind : behind.slice(0, end);
}

/** The rows of the tables in a text whose first column has this title, as the cells of each. */
export function tableRows(text: string, title: string): string[][] {
  const rows: string[][] = [];
  let isWanted = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) isWanted = false;
    else if (isWanted) rows.push(cells(line));
    else if (cells(line)[0] === title) isWanted = true;
  }
  return rows.filter(([first]) => !/^-+$/.test(first));
}

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
}

/** What stands in backticks. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
}

/** All of src/, as one text. */
export function sourceText(): string {
  const files = readdirSync(repositoryPath('src'), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(repositoryPath('src', file), 'utf8'))
    .join('\n');
}
