/** The running zerohop's side of `zerohop top`: a reading once a second, the first after one second. */
import { topSlowMax, topSlowMs, topSlowShownMs, topTalkersMax } from '../limits.js';
import type { MetricsSource } from '../observe/metrics-source.js';
import type { QueryWatch, WatchedQuery } from '../observe/query-watch.js';
import type { TopTalkers } from '../observe/top.js';
import { type Traffic, TrafficMeter } from '../observe/traffic.js';
import type { Clock } from '../os/clock.js';
import type { ControlHandler } from './server.js';
import { movedSentence } from './tail-serving.js';

/** One value of the answer. */
export interface TopItem {
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly upSeconds: number;
  readonly traffic: Traffic;
  /** Of the last minutes, while traffic is of the last second. */
  readonly talkers: TopTalkers;
  /** The slowest answers since the command began, of the last minute, the slowest first. */
  readonly slow: readonly WatchedQuery[];
  /** False: as many as may are watching queries, so slow answers are not seen. */
  readonly isSlowShown: boolean;
}

export interface TopServingDeps {
  readonly clock: Clock;
  readonly answerWatch: Pick<QueryWatch, 'watch'>;
  readonly source: Pick<MetricsSource, 'pages' | 'zones' | 'upstreams' | 'kernelLane' | 'build' | 'startedAtMs'>;
  readonly top: { talkers(countMax: number): TopTalkers };
  isServing(): boolean;
}

const topPeriodMs = 1_000;
const slowOnly = { name: null, client: null, rcode: null, leastMs: topSlowMs };

export function topHandler({ clock, answerWatch, source, top, isServing }: TopServingDeps): ControlHandler {
  return async (_given, answering) => {
    const slow = new SlowAnswers(clock);
    const watch = () => answerWatch.watch(slowOnly, (queries) => slow.add(queries));
    let watching = watch();
    const meter = new TrafficMeter(source, clock);
    let isReading = true;
    let isOver = false;
    const timer = clock.every(topPeriodMs, () => void read());
    answering.whenGone(end);
    await meter.read();
    isReading = false;

    async function read(): Promise<void> {
      // A reading of very many zones may take longer than a period.
      if (isReading) return;
      isReading = true;
      const traffic = await meter.read();
      isReading = false;
      if (traffic === null || isOver) return;
      // Another that watched may have ended.
      watching ??= watch();
      const { build, startedAtMs } = source;
      const wallMs = clock.wallMs();
      answering.item({
        version: build.version,
        time: new Date(wallMs).toISOString(),
        upSeconds: Math.max(0, Math.round((wallMs - startedAtMs) / 1000)),
        traffic,
        talkers: top.talkers(topTalkersMax),
        slow: slow.slowest(),
        isSlowShown: watching !== null,
      } satisfies TopItem);
      if (isServing()) return;
      end();
      answering.fail('failed', movedSentence);
    }

    function end(): void {
      isOver = true;
      timer.stop();
      watching?.end();
    }
  };
}

class SlowAnswers {
  readonly #clock: Pick<Clock, 'wallMs'>;
  /** The slowest first. */
  #slowest: WatchedQuery[] = [];

  constructor(clock: Pick<Clock, 'wallMs'>) {
    this.#clock = clock;
  }

  add(queries: readonly WatchedQuery[]): void {
    this.#slowest = this.#recent([...this.#slowest, ...queries])
      .sort((one, other) => other.durationMs - one.durationMs)
      .slice(0, topSlowMax);
  }

  slowest(): readonly WatchedQuery[] {
    this.#slowest = this.#recent(this.#slowest);
    return this.#slowest;
  }

  #recent(queries: readonly WatchedQuery[]): WatchedQuery[] {
    const sinceMs = this.#clock.wallMs() - topSlowShownMs;
    return queries.filter(({ atMs }) => atMs >= sinceMs);
  }
}
