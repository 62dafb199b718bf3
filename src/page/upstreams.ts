/** What the page shows of each upstream address: its state, and what it has answered between two readings. */
import { durationBucketsSeconds, histogramPlaces } from '../counters.js';
import type { MetricsSource } from '../observe/metrics-source.js';

type ShownState = 'up' | 'down' | 'looping';

/** Of one address, over all server blocks that forward to it. */
interface UpstreamTotals {
  readonly state: ShownState;
  readonly open: number;
  readonly suspects: number;
  readonly failedChecks: number;
  /** Since the start: answers, those with another rcode than NOERROR and NXDOMAIN, and the seconds that all took. */
  readonly answers: number;
  readonly bad: number;
  readonly seconds: number;
}

export type UpstreamsTotals = ReadonlyMap<string, UpstreamTotals>;

export interface UpstreamShown extends Omit<UpstreamTotals, 'answers' | 'bad' | 'seconds'> {
  readonly to: string;
  /** NaN without an answer. */
  readonly rttMs: number;
  readonly answersPerSecond: number;
  /** Since the start. */
  readonly badAnswers: number;
}

const usualRcodes = ['NOERROR', 'NXDOMAIN'];

export function upstreamTotals(stats: ReturnType<MetricsSource['upstreams']>): UpstreamsTotals {
  const all = new Map<string, UpstreamTotals>();
  for (const one of stats) {
    const before = all.get(one.to);
    const state = one.looping ? 'looping' : one.healthy ? 'up' : 'down';
    let [answers, bad, seconds] = [0, 0, 0];
    for (const [rcode, durations] of one.durations) {
      let count = 0;
      for (let place = 0; place <= durationBucketsSeconds.length; place++) count += durations[place];
      answers += count;
      seconds += durations[histogramPlaces.duration - 1];
      if (!usualRcodes.includes(rcode)) bad += count;
    }
    all.set(one.to, {
      state: worst(before?.state ?? 'up', state),
      open: (before?.open ?? 0) + one.open,
      suspects: (before?.suspects ?? 0) + one.suspects,
      failedChecks: (before?.failedChecks ?? 0) + one.healthcheckFailures,
      answers: (before?.answers ?? 0) + answers,
      bad: (before?.bad ?? 0) + bad,
      seconds: (before?.seconds ?? 0) + seconds,
    });
  }
  return all;
}

/** What has happened in these seconds. A reload gives an address new counts: then they are all of it. */
export function upstreamsBetween(before: UpstreamsTotals, now: UpstreamsTotals, seconds: number): UpstreamShown[] {
  return [...now].map(([to, { state, open, suspects, failedChecks, answers, bad, seconds: took }]) => {
    const known = before.get(to);
    const since = known !== undefined && known.answers <= answers ? known : { answers: 0, seconds: 0 };
    const count = answers - since.answers;
    return {
      to,
      state,
      open,
      suspects,
      failedChecks,
      rttMs: count === 0 ? Number.NaN : Math.max(0, (1000 * (took - since.seconds)) / count),
      answersPerSecond: count / seconds,
      badAnswers: bad,
    };
  });
}

function worst(...states: readonly ShownState[]): ShownState {
  if (states.includes('looping')) return 'looping';
  return states.includes('down') ? 'down' : 'up';
}

/** For the history. */
export function rttsOf(shown: readonly UpstreamShown[]): ReadonlyMap<string, number> {
  return new Map(shown.map(({ to, rttMs }) => [to, rttMs]));
}
