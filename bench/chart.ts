/**
 * CPU per answer as bars, an SVG that docs/FIGURES.md shows: a group per work and rate, in two columns, a bar per
 * server, ours in colour. Every group has a scale of its own, because a miss costs ten times a hit; so the numbers
 * stand at the bars.
 */
import { rateText } from './load/workloads.js';
import type { ServerFigures, WorkloadFigures } from './report.js';

const width = 960;
const columnWidth = width / 2;
const labelWidth = 140;
const barWidthMax = columnWidth - labelWidth - 70;
const barHeight = 15;
const barGap = 4;
const titleHeight = 26;
const groupGap = 14;
const legendHeight = 34;

/** Null when there is nothing to draw. */
export function chart(workloads: readonly WorkloadFigures[]): string | null {
  if (workloads.length === 0) return null;
  const bottoms = [legendHeight, legendHeight];
  const groups = workloads.map((workload) => {
    const column = bottoms[0] <= bottoms[1] ? 0 : 1;
    const top = bottoms[column];
    bottoms[column] += titleHeight + workload.servers.length * (barHeight + barGap) + groupGap;
    return group(workload, { left: column * columnWidth, top });
  });
  const height = Math.max(...bottoms);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" \
font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="CPU per answer of each server">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="22" fill="#333333">Microseconds of CPU per answer (dark: user, light: system); shorter is better</text>
${groups.join('\n')}
</svg>
`;
}

interface Place {
  readonly left: number;
  readonly top: number;
}

function group({ title, rate, servers }: WorkloadFigures, { left, top }: Place): string {
  const most = Math.max(...servers.map((server) => server.microsecondsPerAnswer.median));
  const words = escaped(`${title}, ${rateText(rate)}`);
  const heading = `<text x="${left + 12}" y="${top + 16}" font-weight="bold" fill="#111111">${words}</text>`;
  const bars = servers.map((server, index) =>
    bar(server, {
      left: left + labelWidth,
      top: top + titleHeight + index * (barHeight + barGap),
      scale: barWidthMax / most,
      isOurs: index === 0,
    }),
  );
  return [heading, ...bars].join('\n');
}

interface BarPlace extends Place {
  /** Pixels per microsecond. */
  readonly scale: number;
  readonly isOurs: boolean;
}

function bar(server: ServerFigures, { left, top, scale, isOurs }: BarPlace): string {
  const [dark, light] = isOurs ? ['#0b6e4f', '#5fbf9b'] : ['#7a8794', '#c3cad1'];
  const total = server.microsecondsPerAnswer.median;
  const user = server.userMicrosecondsPerAnswer * scale;
  const system = Math.max(0, total * scale - user);
  const middle = top + barHeight - 3;
  const rectangle = (x: number, long: number, fill: string): string =>
    `<rect x="${x.toFixed(1)}" y="${top}" width="${long.toFixed(1)}" height="${barHeight}" fill="${fill}"/>`;
  return [
    `<text x="${left - 8}" y="${middle}" text-anchor="end" fill="#333333">${escaped(server.name)}</text>`,
    rectangle(left, user, dark),
    rectangle(left + user, system, light),
    `<text x="${(left + total * scale + 6).toFixed(1)}" y="${middle}" fill="#333333">${total.toFixed(2)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
