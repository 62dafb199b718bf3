/** Where figures are put: JSON for machines, the README's marked place, the chart beside the JSON. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit } from './machine.js';

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

/** Writes the chart and returns where it is. */
export function writeChart(folder: string, chart: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'chart.svg');
  writeFileSync(path, chart);
  return path;
}

/** A place in the README: between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
export type Place = 'bench' | 'soak';

/** The text with what stands between the markers replaced, or null when it has no such place. */
export function withContent(text: string, place: Place, content: string): string | null {
  const begin = `<!-- ${place}:begin -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(`<!-- ${place}:end -->`, from);
  if (from < 0 || to < 0) return null;
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

/** Puts the content into the file's marked place; false when there is no file or no place. */
export function writeReadme(path: string, place: Place, content: string): boolean {
  const text = existsSync(path) ? withContent(readFileSync(path, 'utf8'), place, content) : null;
  if (text === null) return false;
  writeFileSync(path, text);
  return true;
}
