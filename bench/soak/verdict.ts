/** What a soak has shown, in a few lines: what was lost and who counted it, hits with and without a main thread. */
import { median } from '../load/statistics.js';
import type { SoakResult, Stretch } from './run.js';

export interface SoakVerdict {
  readonly lost: number;
  /** Lost, and neither the kernel nor zerohop has counted it. */
  readonly uncounted: number;
  /** Answers with another rcode than NOERROR. */
  readonly failed: number;
  /** The medians of the stretches; null when there was none of the kind. */
  readonly free: StretchesText;
  readonly blocked: StretchesText;
  /** The last third against the third in the middle, when the cache has long been full. */
  readonly grownBytes: number;
}

interface StretchesText {
  readonly hitsP50Ms: number;
  readonly hitsP99Ms: number;
  readonly controlWorstMs: number;
}

export function verdictOf({ stretches, traffic, losses }: SoakResult): SoakVerdict {
  const all = Object.values(traffic);
  const lost = all.reduce((sum, each) => sum + each.lost, 0);
  const third = Math.floor(stretches.length / 3);
  const bytes = stretches.map(({ anonymousBytes }) => anonymousBytes);
  return {
    lost,
    uncounted: Math.max(0, lost - losses.kernel - losses.dropped - losses.unsent),
    failed: all.reduce((sum, each) => sum + each.failed, 0),
    free: ofStretches(stretches, 'free'),
    blocked: ofStretches(stretches, 'blocked'),
    grownBytes: third === 0 ? 0 : median(bytes.slice(-third)) - median(bytes.slice(third, 2 * third)),
  };
}

function ofStretches(stretches: readonly Stretch[], control: Stretch['control']): StretchesText {
  const its = stretches.filter((stretch) => stretch.control === control);
  const hits = its.flatMap(({ hitsMs }) => (hitsMs === null ? [] : [hitsMs]));
  return {
    hitsP50Ms: median(hits.map(({ p50 }) => p50)),
    hitsP99Ms: median(hits.map(({ p99 }) => p99)),
    controlWorstMs: median(its.map(({ controlWorstMs }) => controlWorstMs)),
  };
}

/** Markdown. */
export function soakText(result: SoakResult): string {
  const { seconds, traffic, scrapes, reloads, losses, stretches } = result;
  const verdict = verdictOf(result);
  const line = (control: Stretch['control']): string => {
    const { hitsP50Ms, hitsP99Ms, controlWorstMs } = verdict[control];
    return `| ${control} | ${hitsP50Ms.toFixed(3)} | ${hitsP99Ms.toFixed(3)} | ${controlWorstMs.toFixed(0)} |`;
  };
  const kinds = Object.entries(traffic).map(
    ([name, { sent, lost, failed }]) => `| ${name} | ${sent.toLocaleString('en-US')} | ${lost} | ${failed} |`,
  );
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return `${seconds} s of everything at once, ${scrapes} scrapes, ${reloads} reloads that took 200 ms to read.

| questions | sent | lost | not NOERROR |
|---|--:|--:|--:|
${kinds.join('\n')}

Lost: ${verdict.lost}; counted: ${losses.kernel} by the kernel for want of room in a socket, ${losses.dropped} dropped and \
${losses.unsent} not sent by zerohop; uncounted: ${verdict.uncounted}.

| main thread | hits p50, ms | hits p99, ms | slowest TCP answer, ms |
|---|--:|--:|--:|
${line('free')}
${line('blocked')}

Anonymous memory: ${megabytes(stretches[0]?.anonymousBytes ?? 0)} MB in the first stretch, \
${megabytes(stretches.at(-1)?.anonymousBytes ?? 0)} MB in the last; the last third against the middle one: \
${verdict.grownBytes < 0 ? '' : '+'}${megabytes(verdict.grownBytes)} MB.`;
}
