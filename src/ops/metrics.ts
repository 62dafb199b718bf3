/**
 * /metrics: every family registered once with prom-client, which checks names and writes the text; the numbers come
 * from one reading of the `MetricsSource` per scrape. prom-client's own Counter and Histogram are not used: they
 * want to be told of each event, while ours were counted in plain numbers, buckets included, on threads that
 * prom-client knows nothing of. Its registry takes any object with a name and a `get`.
 */
import { createRequire } from 'node:module';
import type { Metric, Registry as PromRegistry } from 'prom-client';
import type { Clock } from '../outside/clock.js';
import { eventFamilies } from './event-metrics.js';
import type { Family } from './exposition.js';
import { aclFamilies } from './metrics-acl.js';
import { autopathFamilies } from './metrics-autopath.js';
import { cacheFamilies } from './metrics-cache.js';
import { dnsFamilies } from './metrics-dns.js';
import { dns64Families } from './metrics-dns64.js';
import { formerFamilies } from './metrics-former.js';
import { handoverFamilies } from './metrics-handover.js';
import { hostsFamilies } from './metrics-hosts.js';
import { processFamilies } from './metrics-process.js';
import { type MetricsSource, readSource, type Scrape } from './metrics-source.js';
import { templateFamilies } from './metrics-template.js';
import { upstreamFamilies } from './metrics-upstream.js';

// The registry alone: the whole of prom-client, with collectors that are not used, would take 3 MB and 35 ms more.
const Registry: typeof PromRegistry = createRequire(import.meta.url)('prom-client/lib/registry');

export interface Metrics {
  readonly contentType: string;
  /** The exposition of this moment. */
  text(): Promise<string>;
}

const present: readonly Family<Scrape>[] = [
  ...dnsFamilies,
  ...cacheFamilies,
  ...upstreamFamilies,
  ...templateFamilies,
  ...hostsFamilies,
  ...aclFamilies,
  ...autopathFamilies,
  ...handoverFamilies,
  ...dns64Families,
  ...eventFamilies,
  ...processFamilies,
];
const families: readonly Family<Scrape>[] = [...present, ...formerFamilies(present)];

/** Names of all families, for dashboards' and alerts' tests. */
export const familyNames: readonly string[] = families.map(({ name }) => name);

/** `failed` is told when a family cannot be read, which is a bug: it is then without samples, and the others are complete. */
export function newMetrics(source: MetricsSource, clock: Clock, failed: (error: unknown) => void): Metrics {
  const registry = new Registry();
  let scrape: Scrape | null = null;
  for (const { name, help, type, samples } of families) {
    // get() of all families runs within one turn of registry.metrics(), so they all see one reading.
    const get = () => ({ name, help, type, values: valuesOf(samples), aggregator: 'sum' });
    registry.registerMetric({ name, get } as unknown as Metric);
  }

  function valuesOf(samples: Family<Scrape>['samples']): ReturnType<typeof samples> {
    try {
      return scrape === null ? [] : samples(scrape);
    } catch (error) {
      failed(error);
      return [];
    }
  }

  return {
    contentType: registry.contentType,
    async text() {
      const arrivedMs = clock.nowMs();
      await new Promise((resolve) => setImmediate(resolve));
      scrape = readSource(source, clock.nowMs() - arrivedMs);
      return registry.metrics();
    },
  };
}
