/**
 * /metrics: every family registered once with prom-client, which checks names and writes the text; the numbers come
 * from one reading of the `MetricsSource`, which all scrapes within a second share. prom-client's own Counter and Histogram are not used: they
 * want to be told of each event, while ours were counted in plain numbers, buckets included, on threads that
 * prom-client knows nothing of. Its registry takes any object with a name and a `get`.
 */
import { createRequire } from 'node:module';
import type { Metric, Registry as PromRegistry } from 'prom-client';
import { metricsAgeMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { eventFamilies } from './event-metrics.js';
import type { Family, Sample } from './exposition.js';
import { cacheFamilies } from './metrics-cache.js';
import { dnsFamilies } from './metrics-dns.js';
import { handoverFamilies, processFamilies } from './metrics-process.js';
import { type MetricsSource, readSource, type Scrape } from './metrics-source.js';
import { upstreamFamilies } from './metrics-upstream.js';

// The registry alone: the whole of prom-client, with collectors that are not used, would take 3 MB and 35 ms more.
const Registry: typeof PromRegistry = createRequire(import.meta.url)('prom-client/lib/registry');

interface Metrics {
  readonly contentType: string;
  /** The exposition, at most a second old: all who ask within that time get the same text. */
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

/** All families, with those of plugins. */
export function allFamilies(ofPlugins: readonly Family<Scrape>[]): readonly Family<Scrape>[] {
  const present = [...core, ...ofPlugins];
  return [...present, ...formerFamilies(present)];
}

/** `failed` is told when a family cannot be read, which is a bug: it is then without samples, and the others are complete. */
export function newMetrics(
  source: MetricsSource,
  families: readonly Family<Scrape>[],
  clock: Clock,
  failed: (error: unknown) => void,
): Metrics {
  const registry = new Registry();
  let latest: { readonly startedMs: number; readonly text: Promise<string> } | null = null;
  let isUnderWay = false;
  /** What the registry writes next of the family that it is asked for. */
  let part: readonly Sample[] = [];
  for (const { name, help, type } of families) {
    const get = () => ({ name, help, type, values: part, aggregator: 'sum' });
    registry.registerMetric({ name, get } as unknown as Metric);
  }

  /** In slices: what else the lane has to do waits for one of them at most. */
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

/** Some 2 µs each. */
const samplesAtOnce = 200;
/** After so long of rendering others have their turn. */
const sliceMs = 1;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The lines behind HELP and TYPE, which stand once. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1);
}

/** By the present name. */
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

/** The families of `present` that had another name, under that. */
export function formerFamilies(present: readonly Family<Scrape>[]): Family<Scrape>[] {
  return present.flatMap(({ name, ...family }) =>
    Object.hasOwn(formerNames, name)
      ? [{ ...family, name: formerNames[name], help: `${family.help} Former name of ${name}.` }]
      : [],
  );
}
