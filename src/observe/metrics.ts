/**
 * /metrics: every family is registered once with prom-client, which refuses a second one of its name and writes HELP and
 * TYPE; the lines come from one reading of the `MetricsSource`, which all scrapes within a second share. prom-client's
 * Counter and Histogram are not used: they need a call per event, while ours are counted in plain numbers, buckets
 * included, on other threads. Nor does it write the lines: it puts the text of every label together at every scrape.
 */
import { createRequire } from 'node:module';
import type { Metric, Registry as PromRegistry } from 'prom-client';
import { metricsAgeMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { eventFamilies } from './event-metrics.js';
import { type Family, former, sampleLine } from './exposition.js';
import { cacheFamilies } from './metrics-cache.js';
import { conntrackFamilies } from './metrics-conntrack.js';
import { dnsFamilies } from './metrics-dns.js';
import { laneFamilies } from './metrics-lane.js';
import { doctorFamilies, handoverFamilies, processFamilies } from './metrics-process.js';
import { type MetricsSource, Scrape } from './metrics-source.js';
import { upstreamFamilies } from './metrics-upstream.js';

// The registry alone: all of prom-client, with unused collectors, would take 3 MB and 35 ms more.
const Registry: typeof PromRegistry = createRequire(import.meta.url)('prom-client/lib/registry');

interface Metrics {
  readonly contentType: string;
  /** The exposition, at most a second old. */
  text(): Promise<string>;
}

const core: readonly Family<Scrape>[] = [
  ...dnsFamilies,
  ...cacheFamilies,
  ...upstreamFamilies,
  ...handoverFamilies,
  ...eventFamilies,
  ...processFamilies,
  ...laneFamilies,
  ...conntrackFamilies,
  ...doctorFamilies,
];

/** All families, with those of plugins and former names. */
export function allFamilies(ofPlugins: readonly Family<Scrape>[]): readonly Family<Scrape>[] {
  const present = [...core, ...ofPlugins];
  return [...present, ...formerFamilies(present)];
}

/** `failed` receives the error of a family, which is a bug; that family is then empty, and the others are complete. */
export function newMetrics(
  source: MetricsSource,
  families: readonly Family<Scrape>[],
  clock: Clock,
  failed: (error: unknown) => void,
): Metrics {
  const registry = new Registry();
  for (const { name, help, type } of families) {
    const get = () => ({ name, help, type, values: [], aggregator: 'sum' });
    registry.registerMetric({ name, get } as unknown as Metric);
  }
  let heads: readonly string[] | null = null;
  let latest: { readonly startedMs: number; readonly text: Promise<string> } | null = null;
  let isUnderWay = false;

  async function render(): Promise<string> {
    const arrivedMs = clock.nowMs();
    heads ??= await Promise.all(families.map(({ name }) => registry.getSingleMetricAsString(name)));
    await nextTurn();
    const lines = allLines(new Scrape(source, clock.nowMs() - arrivedMs), heads);
    const texts: string[] = [];
    while (source.turns.during('scrape', () => !isTaken(lines, texts))) await nextTurn();
    return texts.join('');
  }

  /** Moves the lines of a slice to `texts`; true when there are no more. */
  function isTaken(lines: Iterator<string, void>, texts: string[]): boolean {
    const slice: string[] = [];
    const endsMs = clock.nowMs() + sliceMs;
    let isOver = false;
    do {
      isOver = !take(lines, linesPerLook, slice);
    } while (!isOver && clock.nowMs() < endsMs);
    // Joined here, or all of a long page would be joined in its last slice.
    texts.push(slice.join(''));
    return isOver;
  }

  function* allLines(scrape: Scrape, heads: readonly string[]): Generator<string, void> {
    for (const [index, { name, samples }] of families.entries()) {
      yield `${heads[index]}\n`;
      try {
        for (const one of samples(scrape)) yield sampleLine(name, one);
      } catch (error) {
        failed(error);
      }
      yield '\n';
    }
  }

  return {
    contentType: registry.contentType,
    text() {
      const nowMs = clock.nowMs();
      if (latest !== null && (isUnderWay || nowMs - latest.startedMs < metricsAgeMs)) return latest.text;
      isUnderWay = true;
      const text = render().finally(() => {
        isUnderWay = false;
      });
      latest = { startedMs: nowMs, text };
      return text;
    },
  };
}

/** A rendering is made in slices of this length, so that other work of the main thread waits for one slice at most. */
const sliceMs = 0.15;
/** Lines between two looks at the clock. */
const linesPerLook = 8;

/** Moves up to `count` lines into `taken`; false when there are no more. */
function take(lines: Iterator<string, void>, count: number, taken: string[]): boolean {
  for (let left = count; left > 0; left--) {
    const { done, value } = lines.next();
    if (done === true) return false;
    taken.push(value);
  }
  return true;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Names before CoreDNS 1.7, by present name, for dashboards and alerts that still use them. */
const formerNames: Readonly<Record<string, string>> = {
  coredns_panics_total: 'coredns_panic_count_total',
  coredns_autopath_success_total: 'coredns_autopath_success_count_total',
  coredns_reload_failed_total: 'coredns_reload_failed_count_total',
  coredns_forward_requests_total: 'coredns_forward_request_count_total',
  coredns_forward_responses_total: 'coredns_forward_response_rcode_count_total',
  coredns_forward_healthcheck_failures_total: 'coredns_forward_healthcheck_failure_count_total',
  coredns_forward_healthcheck_broken_total: 'coredns_forward_healthcheck_broken_count_total',
  coredns_forward_max_concurrent_rejects_total: 'coredns_forward_max_concurrent_reject_count_total',
};

/** Families that only changed their name, under the former one; those with fewer labels are beside the present ones. */
export function formerFamilies(present: readonly Family<Scrape>[]): Family<Scrape>[] {
  return present.flatMap((family) => {
    if (!Object.hasOwn(formerNames, family.name)) return [];
    const renamed = { ...family, name: formerNames[family.name] };
    return [family.isFormer ? renamed : former(family.name, renamed)];
  });
}
