/**
 * CPU per answer as bars, an SVG that GitHub shows in the README: a group per work and rate, a bar per server, ours in
 * colour. Every group has a scale of its own, because a miss costs ten times a hit; so the numbers stand at the bars.
 */
import { rateText } from './load/workloads.js';
import type { ServerFigures, WorkloadFigures } from './report.js';

const width = 860;
const labelWidth = 150;
const barWidthMax = width - labelWidth - 130;
const barHeight = 16;
const barGap = 4;
const titleHeight = 26;
const groupGap = 14;
const legendHeight = 34;

/** Null when there is nothing to draw. */
export function chart(workloads: readonly WorkloadFigures[]): string | null {
  if (workloads.length === 0) return null;
  const groups: string[] = [];
  let y = legendHeight;
  for (const workload of workloads) {
    groups.push(group(workload, y));
    y += titleHeight + workload.servers.length * (barHeight + barGap) + groupGap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" \
font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="CPU per answer of each server">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="22" fill="#333333">Microseconds of CPU per answer (dark: user, light: system); shorter is better</text>
${groups.join('\n')}
</svg>
`;
}

function group({ title, rate, servers }: WorkloadFigures, top: number): string {
  const most = Math.max(...servers.map((server) => server.microsecondsPerAnswer.median));
  const heading = `<text x="12" y="${top + 16}" font-weight="bold" fill="#111111">${escaped(`${title}, ${rateText(rate)}`)}</text>`;
  const bars = servers.map((server, index) =>
    bar(server, {
      top: top + titleHeight + index * (barHeight + barGap),
      scale: barWidthMax / most,
      isOurs: index === 0,
    }),
  );
  return [heading, ...bars].join('\n');
}

interface BarPlace {
  readonly top: number;
  /** Pixels per microsecond. */
  readonly scale: number;
  readonly isOurs: boolean;
}

function bar(server: ServerFigures, { top, scale, isOurs }: BarPlace): string {
  const [dark, light] = isOurs ? ['#0b6e4f', '#5fbf9b'] : ['#7a8794', '#c3cad1'];
  const total = server.microsecondsPerAnswer.median;
  const user = server.userMicrosecondsPerAnswer * scale;
  const system = Math.max(0, total * scale - user);
  const middle = top + barHeight - 4;
  const rectangle = (x: number, long: number, fill: string): string =>
    `<rect x="${x.toFixed(1)}" y="${top}" width="${long.toFixed(1)}" height="${barHeight}" fill="${fill}"/>`;
  return [
    `<text x="${labelWidth - 8}" y="${middle}" text-anchor="end" fill="#333333">${escaped(server.name)}</text>`,
    rectangle(labelWidth, user, dark),
    rectangle(labelWidth + user, system, light),
    `<text x="${(labelWidth + total * scale + 6).toFixed(1)}" y="${middle}" fill="#333333">${total.toFixed(2)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
