/** Where figures are put: JSON for machines, marked places of the README and docs/FIGURES.md, the chart beside the JSON. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit } from './machine.js';
import type { Report } from './report.js';
import { costsTable, shortTables } from './tables.js';

/** What is written was measured at this time and commit. */
export interface Dated {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commit: Commit;
}

/** Writes the report and returns where it is. */
export function writeJson(folder: string, report: Dated): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.at.slice(0, 19).replaceAll(':', '')}Z-${report.commit.name}.json`);
  writeFileSync(path, `${compact(JSON.stringify(report, null, 1))}\n`);
  return path;
}

/** One sample, one line: an object with no array in it and nothing deeper than one level. Strings have no newlines. */
function compact(json: string): string {
  return json.replace(/\{(?:[^{}[\]]|\{[^{}[\]]*\})*\}/g, (object) => object.replace(/\n\s*/g, ' '));
}

/** Writes a file beside the JSON and returns where it is. */
export function writeBeside(folder: string, name: 'chart.svg' | 'promises.md', text: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A place in a page: between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
export type Place = 'bench' | 'node-cache' | 'costs' | 'soak' | 'walks' | 'watched';

/** The text with what stands between the markers replaced, or null when it has no such place. */
export function withContent(text: string, place: Place, content: string): string | null {
  const begin = `<!-- ${place}:begin -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(`<!-- ${place}:end -->`, from);
  if (from < 0 || to < 0) return null;
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

/** Puts the content into the page's marked place; false when there is no page or no place. */
export function writePlace(path: string, place: Place, content: string): boolean {
  const text = existsSync(path) ? withContent(readFileSync(path, 'utf8'), place, content) : null;
  if (text === null) return false;
  writeFileSync(path, text);
  return true;
}

/** What a page shows of a report. */
export interface Shown {
  /** From the repository's root. */
  readonly page: string;
  readonly place: Place;
  readonly content: string;
}

/** Reports with node-cache have places of their own: its program is not in Debian, so most runs are without it. */
export function shownOf(report: Report): readonly Shown[] {
  const figures = 'docs/FIGURES.md';
  if (!hasNodeCache(report)) {
    const picture = '![CPU per answer of each server](../bench/results/chart.svg)';
    return [{ page: figures, place: 'bench', content: `${picture}\n\n${shortTables(report)}` }];
  }
  return [
    { page: figures, place: 'node-cache', content: shortTables(report) },
    { page: 'README.md', place: 'costs', content: costsTable(report) },
  ];
}

/** Whether node-cache is one of the servers. */
export function hasNodeCache({ workloads }: Report): boolean {
  return workloads.some(({ servers }) => servers.some(({ name }) => name === 'node-cache'));
}
