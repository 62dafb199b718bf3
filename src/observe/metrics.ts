/**
 * /metrics: every family is registered once with prom-client, which checks names and writes the text; the numbers come from
 * one reading of the `MetricsSource`, which all scrapes within a second share. prom-client's Counter and Histogram are not
 * used: they need a call per event, while ours are counted in plain numbers, buckets included, on other threads. Its
 * registry takes any object with a name and a `get`.
 */
import { createRequire } from 'node:module';
import type { Metric, Registry as PromRegistry } from 'prom-client';
import { metricsAgeMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { eventFamilies } from './event-metrics.js';
import { type Family, former, type Sample } from './exposition.js';
import { cacheFamilies } from './metrics-cache.js';
import { dnsFamilies } from './metrics-dns.js';
import { handoverFamilies, processFamilies } from './metrics-process.js';
import { type MetricsSource, readSource, type Scrape } from './metrics-source.js';
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
  let latest: { readonly startedMs: number; readonly text: Promise<string> } | null = null;
  let isUnderWay = false;
  /** The samples that the registry writes next. */
  let part: readonly Sample[] = [];
  for (const { name, help, type } of families) {
    const get = () => ({ name, help, type, values: part, aggregator: 'sum' });
    registry.registerMetric({ name, get } as unknown as Metric);
  }

  /** In slices: other work of the main thread waits for one slice at most. */
  async function render(): Promise<string> {
    const arrivedMs = clock.nowMs();
    await nextTurn();
    const scrape = readSource(source, clock.nowMs() - arrivedMs);
    const texts: string[] = [];
    let sliceAtMs = clock.nowMs();
    for (const { name, samples } of families) {
      const values = valuesOf(samples, scrape);
      let at = 0;
      do {
        part = values.slice(at, at + samplesAtOnce);
        const text = await registry.getSingleMetricAsString(name);
        texts.push(at === 0 ? text : withoutHead(text));
        at += samplesAtOnce;
        if (clock.nowMs() - sliceAtMs >= sliceMs) {
          await nextTurn();
          sliceAtMs = clock.nowMs();
        }
      } while (at < values.length);
      texts.push('');
    }
    return texts.join('\n');
  }

  function valuesOf(samples: Family<Scrape>['samples'], scrape: Scrape): readonly Sample[] {
    try {
      return samples(scrape);
    } catch (error) {
      failed(error);
      return [];
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

/** About 2 µs each. */
const samplesAtOnce = 200;
const sliceMs = 1;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The lines behind HELP and TYPE. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1);
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
