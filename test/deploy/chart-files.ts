/**
 * The files of the chart that are made from others: the README's table of values and the descriptions in the schema from
 * the comments of values.yaml, the icon in Chart.yaml from icon.svg, and copies of the rules, the dashboard and the
 * script that verifies, which a chart cannot read from outside its folder. `npm run chart` writes them; a test compares.
 */
import { parse } from 'yaml';
import { deployed } from './kubernetes.js';

/** A value that users set: a leaf of values.yaml, or an object that is set as a whole. */
export interface ChartValue {
  /** `image.repository` */
  readonly path: string;
  readonly default: unknown;
  /** Its comment, line by line. */
  readonly comment: readonly string[];
}

interface Line {
  readonly indent: number;
  readonly key: string | null;
  readonly comment: string | null;
}

/** All values, in the order of the file. Throws at one without a comment. */
export function chartValues(): ChartValue[] {
  const text = deployed('chart', 'values.yaml');
  const lines = text.split('\n').map(readLine);
  const found: ChartValue[] = [];
  const path: string[] = [];
  let comment: string[] = [];
  let leafIndent = Number.POSITIVE_INFINITY;
  for (const [index, line] of lines.entries()) {
    if (line.comment !== null) comment.push(line.comment);
    else if (line.key === null) comment = [];
    if (line.key === null || line.indent > leafIndent) continue;
    path.splice(line.indent / 2, path.length, line.key);
    leafIndent = isGroup(lines, index) ? Number.POSITIVE_INFINITY : line.indent;
    if (leafIndent === line.indent) found.push(valueAt(path, parse(text), comment));
    comment = [];
  }
  return found;
}

function readLine(line: string): Line {
  const [, spaces, comment, key] = /^( *)(?:# ?(.*)|(\w+):.*|.*)$/.exec(line) ?? [];
  return { indent: spaces.length, key: key ?? null, comment: comment ?? null };
}

/** Whether values inside this one have comments of their own. */
function isGroup(lines: readonly Line[], index: number): boolean {
  const inside = lines.slice(index + 1);
  const end = inside.findIndex(({ indent, key }) => key !== null && indent <= lines[index].indent);
  const own = end < 0 ? inside : inside.slice(0, end);
  return own.some(({ indent, comment }) => comment !== null && indent > lines[index].indent);
}

function valueAt(path: readonly string[], values: unknown, comment: readonly string[]): ChartValue {
  const name = path.join('.');
  if (comment.length === 0) throw new Error(`${name} has no comment in values.yaml`);
  const value = path.reduce((inside, key) => (inside as Record<string, unknown>)[key], values);
  return { path: name, default: value, comment };
}

/** The content of each made file, by its path in deploy/chart/. */
export function madeFiles(): Record<string, string> {
  const values = chartValues();
  return {
    'Chart.yaml': withIcon(deployed('chart', 'Chart.yaml')),
    'README.md': withTable(deployed('chart', 'README.md'), values),
    'values.schema.json': withDescriptions(deployed('chart', 'values.schema.json'), values),
    'files/rules.yaml': deployed('monitoring', 'rules', 'rules.yaml'),
    'files/zerohop.json': deployed('monitoring', 'dashboard', 'zerohop.json'),
    'files/verify.mjs': deployed('verify', 'verify.mjs'),
    'files/doctor.mjs': deployed('verify', 'doctor.mjs'),
  };
}

function withIcon(text: string): string {
  const icon = Buffer.from(deployed('chart', 'icon.svg').trim()).toString('base64');
  return text.replace(/^icon: .*$/m, `icon: data:image/svg+xml;base64,${icon}`);
}

function withTable(text: string, values: readonly ChartValue[]): string {
  const rows = values.map(({ path, default: value, comment }) => {
    return `| \`${path}\` | \`${JSON.stringify(value)}\` | ${paragraph(comment, '<br>').replaceAll('|', '\\|')} |\n`;
  });
  const table = `| value | default | meaning |\n|---|---|---|\n${rows.join('')}`;
  return text.replace(/(<!-- values:begin.*-->\n)[\s\S]*(<!-- values:end -->)/, (_, begin: string, end: string) => {
    return `${begin}${table}${end}`;
  });
}

/** The comment as one line, but for the lines of its lists, which are indented. */
function paragraph(comment: readonly string[], lineEnd: string): string {
  return comment
    .map((line) => (line.startsWith('  ') ? `${lineEnd}${line.trim()}` : ` ${line}`))
    .join('')
    .trim();
}

interface Schema {
  description?: string;
  properties?: Record<string, Schema>;
}

function withDescriptions(text: string, values: readonly ChartValue[]): string {
  const schema = JSON.parse(text) as Schema;
  for (const { path, comment } of values) {
    const property = schemaAt(schema, path);
    if (property === undefined) throw new Error(`${path} is not in values.schema.json`);
    property.description = paragraph(comment, '\n');
  }
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The schema of the value at this path. */
export function schemaAt(schema: Schema, path: string): Schema | undefined {
  return path.split('.').reduce<Schema | undefined>((inside, key) => inside?.properties?.[key], schema);
}
