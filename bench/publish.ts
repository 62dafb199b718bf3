/** Where figures are put: JSON for machines, the README's marked place, the chart beside the JSON. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit } from './machine.js';

/** Writes the report and returns where it is. */
export function writeJson(folder: string, report: { readonly at: string; readonly commit: Commit }): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.at.slice(0, 19).replaceAll(':', '')}Z-${report.commit.name}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
  return path;
}

/** Writes the chart and returns where it is. */
export function writeChart(folder: string, chart: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'chart.svg');
  writeFileSync(path, chart);
  return path;
}

const begin = '<!-- bench:begin -->';
const end = '<!-- bench:end -->';

/** The text with what stands between the markers replaced, or null when it has no such place. */
export function withTable(text: string, content: string): string | null {
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) return null;
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

/** Puts the table into the file's marked place; false when there is no file or no place. */
export function writeReadme(path: string, content: string): boolean {
  const text = existsSync(path) ? withTable(readFileSync(path, 'utf8'), content) : null;
  if (text === null) return false;
  writeFileSync(path, text);
  return true;
}
