/**
 * Reads the counts: every ten seconds for the history, and once a second while a page is open. What it gives to pages is
 * relative to earlier readings: the last seconds for the figures, the last two points for the charts.
 */
import { pagePointMs, pageTickMs } from '../limits.js';
import type { MetricsSource } from '../observe/metrics-source.js';
import type { Clock, Timer } from '../os/clock.js';
import { History, rounded, valuesOf } from './history.js';
import { type Point, pointBetween, readTotals, type Totals } from './totals.js';
import { rttsOf, type UpstreamShown, type UpstreamsTotals, upstreamsBetween, upstreamTotals } from './upstreams.js';

export type SampledSource = Pick<MetricsSource, 'pages' | 'upstreams' | 'kernelLane'>;

/** All counts at one moment. */
interface CountsReading {
  readonly nowMs: number;
  readonly totals: Totals;
  readonly upstreams: UpstreamsTotals;
}

/** A place in the charts. */
interface PointShown {
  /** Its end: seconds since 1970. */
  readonly time: number;
  /** As `historyColumns`. */
  readonly values: readonly (number | null)[];
  /** In milliseconds, by upstream. */
  readonly rtts: Readonly<Record<string, number | null>>;
}

/** Of the last seconds. */
interface PresentShown {
  readonly values: readonly (number | null)[];
  readonly upstreams: readonly (Omit<UpstreamShown, 'rttMs'> & { readonly rttMs: number | null })[];
  /** The last complete point; null before the first. */
  readonly complete: PointShown | null;
  /** The seconds since then; null while they are too few to be a point. */
  readonly partial: PointShown | null;
}

/** The figures are those of so many seconds: fewer would make percentiles of a few answers. */
const presentTicks = 5;
/** A point of less time would jump up and down. */
const partialMsMin = 2 * pageTickMs;

export class Sampler {
  readonly history = new History();
  readonly #source: SampledSource;
  readonly #clock: Clock;
  readonly #timer: Timer;
  /** At the end of the last complete point. */
  #last: CountsReading;
  #lastPoint: PointShown | null = null;
  /** The latest last. */
  #recent: CountsReading[] = [];

  constructor(source: SampledSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#last = this.#read();
    this.#timer = clock.every(pagePointMs, () => this.#complete());
  }

  /** Reads the counts; to be called once in `pageTickMs`. */
  present(): PresentShown {
    const now = this.#read();
    const since =
      this.#recent.find(({ nowMs }) => nowMs >= now.nowMs - (presentTicks + 0.5) * pageTickMs) ?? this.#last;
    this.#recent = [...this.#recent.slice(1 - presentTicks), now];
    const { point, upstreams } = whatHappened(since, now);
    const isPoint = now.nowMs - this.#last.nowMs >= partialMsMin;
    return {
      values: valuesOf(point).map(rounded),
      upstreams: upstreams.map((one) => ({
        ...one,
        rttMs: rounded(one.rttMs),
        answersPerSecond: rounded(one.answersPerSecond) ?? 0,
      })),
      complete: this.#lastPoint,
      partial: isPoint ? this.#shownPoint(whatHappened(this.#last, now)) : null,
    };
  }

  stop(): void {
    this.#timer.stop();
  }

  #complete(): void {
    const now = this.#read();
    const { point, upstreams } = whatHappened(this.#last, now);
    this.history.add(this.#clock.wallMs(), point, rttsOf(upstreams));
    this.#lastPoint = this.#shownPoint({ point, upstreams });
    this.#last = now;
  }

  #shownPoint({ point, upstreams }: ReturnType<typeof whatHappened>): PointShown {
    return {
      time: Math.round(this.#clock.wallMs() / 1000),
      values: valuesOf(point).map(rounded),
      rtts: Object.fromEntries(upstreams.map(({ to, rttMs }) => [to, rounded(rttMs)])),
    };
  }

  #read(): CountsReading {
    const { pages, upstreams, kernelLane } = this.#source;
    const totals = readTotals(pages(), kernelLane?.() ?? null);
    return { nowMs: this.#clock.nowMs(), totals, upstreams: upstreamTotals(upstreams()) };
  }
}

function whatHappened(
  before: CountsReading,
  now: CountsReading,
): { readonly point: Point; readonly upstreams: UpstreamShown[] } {
  const seconds = Math.max(1, now.nowMs - before.nowMs) / 1000;
  return {
    point: pointBetween(before.totals, now.totals, seconds),
    upstreams: upstreamsBetween(before.upstreams, now.upstreams, seconds),
  };
}
