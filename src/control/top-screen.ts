/**
 * How `zerohop top` looks: one reading as lines that fit the columns, and for a screen the rows: sections get shorter
 * before they are left out. Only text; what draws it is process/watch-running.ts.
 */
import { queryWatchersMax } from '../limits.js';
import type { Traffic, UpstreamTraffic } from '../observe/traffic.js';
import { shortened } from './tail-text.js';
import { type Color, colored, groupedDigits, latencyText, printable, spanText, type TextStyle } from './text.js';
import type { TopItem } from './top-serving.js';

interface ScreenStyle extends TextStyle {
  readonly columns: number;
  /** Infinite where nothing is cut. */
  readonly rows: number;
}

/** Lines of a section without its heading, and those that it may shrink to. */
interface ScreenSection {
  readonly heading: string;
  readonly lines: readonly string[];
  readonly linesLeast: number;
}

/** Columns that every terminal is taken to have. */
const columnsLeast = 40;
/** A line is as wide on a wide terminal, so that numbers stay beside their names. */
const columnsMost = 120;

export function topScreen(item: TopItem, style: ScreenStyle): readonly string[] {
  const columns = Math.max(columnsLeast, Math.min(style.columns, columnsMost));
  const wide = { ...style, columns };
  const head = headLines(item, wide);
  const sections = [
    zoneSection(item.traffic, wide),
    upstreamSection(item.traffic, wide),
    talkerSection(item, wide),
    slowSection(item, wide),
  ].filter(({ lines }) => lines.length > 0);
  const shown = fitted(sections, style.rows - head.length);
  return [
    ...head,
    ...shown.flatMap(({ heading, lines }) => ['', colored(shortened(heading, columns), 'bold', style), ...lines]),
  ];
}

/** Takes lines from the longest section until all fit, then whole sections from the last. */
function fitted(sections: readonly ScreenSection[], rows: number): readonly ScreenSection[] {
  const left = sections.map((section) => ({ ...section }));
  const taken = (): number => left.reduce((sum, { lines }) => sum + 2 + lines.length, 0);
  while (taken() > rows && left.length > 0) {
    const longest = left.reduce((one, other) => (spare(other) > spare(one) ? other : one));
    if (spare(longest) > 0) longest.lines = longest.lines.slice(0, -1);
    else left.pop();
  }
  return left;
}

function spare({ lines, linesLeast }: ScreenSection): number {
  return lines.length - linesLeast;
}

function headLines({ version, time, upSeconds, traffic }: TopItem, style: ScreenStyle): string[] {
  const { perSecond, p50Ms, p99Ms, hitRatio, stalePerSecond, kernelPerSecond, rcodes, addresses } = traffic;
  const name = `zerohop ${printable(version)}, up ${spanText(upSeconds)}`;
  const clock = `${time.slice(11, 19)} UTC`;
  const first = `${name}${clock.padStart(Math.max(clock.length + 1, style.columns - name.length))}`;
  const numbers = [
    `${rateText(perSecond)} queries/s`,
    `hits ${ratioText(hitRatio)}`,
    `p50 ${topTimeText(p50Ms)}`,
    `p99 ${topTimeText(p99Ms)}`,
    ...(stalePerSecond > 0 ? [`stale ${rateText(stalePerSecond)}/s`] : []),
    ...(kernelPerSecond > 0 ? [`by the kernel ${rateText(kernelPerSecond)}/s`] : []),
  ];
  const answers = rcodes.map(({ rcode, perSecond: each }) => `${printable(rcode)} ${rateText(each)}/s`);
  const asked = addresses.map(({ address, perSecond: each }) => `${listenerText(address)} ${rateText(each)}/s`);
  return [
    colored(shortened(first, style.columns), 'bold', style),
    ...packed(numbers, style),
    ...labelledList('Answers', answers, style),
    ...labelledList('Asked at', asked, style),
  ];
}

function labelledList(label: string, parts: readonly string[], style: ScreenStyle): string[] {
  return parts.length === 0 ? [] : packed([`${label}:`, ...parts], style).slice(0, linesOfList);
}

const linesOfList = 2;

/** The parts in lines of at most `columns`, two blanks between them. */
function packed(parts: readonly string[], { columns }: ScreenStyle): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + part.length <= columns) lines[lines.length - 1] = `${last}  ${part}`;
    else lines.push(shortened(part, columns));
  }
  return lines;
}

function zoneSection({ zones }: Traffic, style: ScreenStyle): ScreenSection {
  const asked = zones.filter(({ zone, perSecond }) => zone !== 'dropped' || perSecond > 0);
  const rows = asked.map(({ zone, perSecond, hitRatio, p50Ms, p99Ms }) => ({
    name: printable(zone),
    cells: [rateText(perSecond), ratioText(hitRatio), topTimeText(p50Ms), topTimeText(p99Ms)],
    color: null,
  }));
  const lines = rowLines(rows, style, zoneWidths);
  return { heading: headingLine('ZONE', ['QUERIES/S', 'HITS', 'P50', 'P99'], style, zoneWidths), lines, linesLeast: 2 };
}

const zoneWidths = [10, 8, 10, 10];

function upstreamSection({ upstreams }: Traffic, style: ScreenStyle): ScreenSection {
  const rows = upstreams.map((upstream) => ({
    name: printable(upstream.address),
    cells: [
      upstream.state,
      rateText(upstream.perSecond),
      topTimeText(upstream.p50Ms),
      topTimeText(upstream.p99Ms),
      String(upstream.connections),
      String(upstream.suspects),
    ],
    color: upstreamColor(upstream),
  }));
  const headings = ['STATE', 'ANSWERS/S', 'P50', 'P99', 'OPEN', 'SUSPECT'];
  const lines = rowLines(rows, style, upstreamWidths);
  return { heading: headingLine('UPSTREAM', headings, style, upstreamWidths), lines, linesLeast: 2 };
}

const upstreamWidths = [8, 10, 10, 10, 5, 8];

function upstreamColor({ state, suspects }: UpstreamTraffic): Color | null {
  if (state !== 'up') return 'red';
  return suspects > 0 ? 'yellow' : null;
}

interface TableRow {
  readonly name: string;
  readonly cells: readonly string[];
  readonly color: Color | null;
}

/** Numbers at the right, names in what is left. */
function rowLines(rows: readonly TableRow[], style: ScreenStyle, widths: readonly number[]): string[] {
  return rows.map(({ name, cells, color }) => {
    const line = tableLine(name, cells, style, widths);
    return color === null ? line : colored(line, color, style);
  });
}

/** On a narrow terminal the last columns are left out. */
function tableLine(
  name: string,
  cells: readonly string[],
  { columns }: ScreenStyle,
  widths: readonly number[],
): string {
  const room = columns - nameColumnsLeastOfTable;
  let used = 0;
  const shown = cells.filter((_, at) => {
    used += widths[at];
    return used <= room;
  });
  const numbers = shown.map((cell, at) => cell.padStart(widths[at])).join('');
  const nameColumns = columns - numbers.length;
  return `${shortened(name, nameColumns - 1).padEnd(nameColumns)}${numbers}`;
}

const nameColumnsLeastOfTable = 16;

function headingLine(name: string, cells: readonly string[], style: ScreenStyle, widths: readonly number[]): string {
  return tableLine(name, cells, style, widths);
}

/** Names at the left, clients at the right; on a narrow terminal names alone. */
function talkerSection({ talkers }: TopItem, style: ScreenStyle): ScreenSection {
  const { names, clients, seconds, perSample } = talkers;
  const how = perSample === 1 ? 'every query counted' : `one query in ${perSample.toFixed(1)} counted`;
  const clientColumns = style.columns < talkerColumnsLeast ? 0 : clientColumnsOfTable;
  const nameColumns = style.columns - clientColumns - (clientColumns === 0 ? 0 : 2);
  const title = `TOP NAMES of ${spanText(seconds)} (${how})`;
  const right = clientColumns === 0 ? '' : `  ${'TOP CLIENTS'.padStart(countColumns + 12)}`;
  const heading = `${shortened(title, nameColumns).padEnd(nameColumns)}${right}`.trimEnd();
  const count = clientColumns === 0 ? names.length : Math.max(names.length, clients.length);
  const lines = Array.from({ length: count }, (_, at) => {
    const [name, client] = [names[at], clients[at]];
    const left = name === undefined ? '' : countLine(name.count, `${printable(name.name)} ${name.type}`, nameColumns);
    if (clientColumns === 0 || client === undefined) return left;
    return `${left.padEnd(nameColumns)}  ${countLine(client.count, printable(client.client), clientColumns)}`;
  });
  return { heading, lines, linesLeast: 3 };
}

const talkerColumnsLeast = 70;
const clientColumnsOfTable = 28;
const countColumns = 10;

function countLine(count: number, what: string, columns: number): string {
  return `${groupedDigits(count).padStart(countColumns)} ${shortened(what, columns - countColumns - 1)}`;
}

function slowSection({ slow, isSlowShown }: TopItem, style: ScreenStyle): ScreenSection {
  const heading = 'SLOWEST of the last minute, since this command began';
  if (!isSlowShown) return { heading, lines: [shortened(slowUnseen, style.columns)], linesLeast: 1 };
  const lines = slow.map(({ durationMs, name, type, rcode, origin, client }) => {
    const time = latencyText(durationMs).padStart(countColumns);
    const rest = ` ${type} ${rcode} ${origin} ${client}`;
    const room = style.columns - time.length - 1 - rest.length;
    return shortened(
      `${time} ${shortened(printable(name), Math.max(slowNameLeast, room))}${printable(rest)}`,
      style.columns,
    );
  });
  return { heading, lines, linesLeast: 1 };
}

const slowUnseen = `not shown: ${queryWatchersMax} commands and pages are watching queries; end one of them`;

const slowNameLeast = 12;

function listenerText(address: string): string {
  return address === '::' ? 'any address' : printable(address);
}

/** `1,234`, `12.3` below 100. */
function rateText(perSecond: number): string {
  return perSecond >= 100 ? groupedDigits(perSecond) : String(Math.round(perSecond * 10) / 10);
}

function ratioText(ratio: number | null): string {
  return ratio === null ? '-' : `${(ratio * 100).toFixed(1)} %`;
}

/** The first bucket of the histogram ends at a quarter of a millisecond. */
function topTimeText(ms: number | null): string {
  if (ms === null) return '-';
  return ms <= firstBucketMs ? '<0.25 ms' : latencyText(ms);
}

const firstBucketMs = 0.25;
