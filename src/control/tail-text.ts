/** How `zerohop tail` writes: a line for each query, and one for what was left out. */
import type { WatchedQuery } from '../observe/query-watch.js';
import type { TailItem } from './tail-serving.js';
import { type Color, colored, groupedDigits, latencyText, printable, type TextStyle } from './text.js';

interface TailStyle extends TextStyle {
  /** Long names are cut for it; infinite where nobody looks. */
  readonly columns: number;
}

const rcodeColors: Readonly<Record<string, Color>> = { NOERROR: 'green', NXDOMAIN: 'yellow' };

/** `18:06:54.123 10.244.0.7 web.example. A NOERROR hit 0 ms`, in UTC; it fits the columns if all but the name does. */
export function tailLine(query: WatchedQuery, style: TailStyle): string {
  const { atMs, client, transport, name, type, rcode, origin, durationMs } = query;
  const [before, behind] = [
    [new Date(atMs).toISOString().slice(11, 23), client],
    [type, rcode, transport === 'tcp' ? `${origin}, tcp` : origin, durationMs === 0 ? '0 ms' : latencyText(durationMs)],
  ].map((words) => words.map(printable));
  const room = style.columns - [...before, ...behind].join(' ').length - 1;
  const shown = shortened(printable(name), Math.max(nameColumnsLeast, room));
  behind[1] = colored(behind[1], rcodeColors[rcode] ?? 'red', style);
  return [colored(before[0], 'dim', style), before[1], shown, ...behind].join(' ');
}

const nameColumnsLeast = 12;

/** The beginning and the end of a text that is longer, with an ellipsis between them. */
export function shortened(text: string, columns: number): string {
  if (text.length <= columns) return text;
  const end = Math.floor((columns - 1) / 2);
  return `${text.slice(0, columns - 1 - end)}…${text.slice(text.length - end)}`;
}

/** One sentence; empty if nothing was left out. */
export function untoldText({ untold }: TailItem): string {
  if (untold === null) return '';
  const parts = [
    [untold.sampledOut, `hits were sampled out (one in ${groupedDigits(untold.hitsOneIn)} is shown)`],
    [untold.lost, 'answers came faster than they were read'],
    [untold.unread, 'were dropped because this command reads too slowly'],
    [untold.byKernel, 'were given by the kernel, which shows none'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, what]) => `${groupedDigits(count)} ${what}`);
  return said.length === 0 ? '' : `not shown: ${said.join('; ')}.`;
}
