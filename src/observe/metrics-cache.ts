/**
 * coredns_cache_*: entries, hits and misses by server and by the cache's zones. The counters exist from the start, at 0.
 */
import { zonePlaces } from '../counters.js';
import { counter, type Family, former, gauge, groupByLabels, type Sample, sample, sum } from './exposition.js';
import type { Scrape, StoreSize } from './metrics-source.js';

const kinds = ['success', 'denial'] as const;

export const cacheFamilies: readonly Family<Scrape>[] = [
  gauge('coredns_cache_entries', 'The number of elements in the cache.', (scrape) =>
    perKind(scrape, ({ entries }) => entries),
  ),
  former(
    'coredns_cache_entries',
    gauge('coredns_cache_size', 'The number of elements in all caches of a server.', (scrape) =>
      groupByLabels(scrape.source.stores(), ({ server }) => ({ server })).flatMap(({ labels, members }) =>
        kinds.map((type) =>
          sample(
            { ...labels, type },
            sum(members, (stores) => stores[type].entries),
          ),
        ),
      ),
    ),
  ),
  counter('coredns_cache_hits_total', 'The count of cache hits.', (scrape) =>
    scrape.cached.flatMap(({ labels: { server, zones }, numbers }) => [
      sample({ server, type: 'success', zones, view: '' }, numbers[zonePlaces.hitsSuccess]),
      sample({ server, type: 'denial', zones, view: '' }, numbers[zonePlaces.hitsDenial]),
    ]),
  ),
  perCache('coredns_cache_requests_total', 'The count of cache requests.', zonePlaces.cacheRequests),
  perCache(
    'coredns_cache_misses_total',
    'The count of cache misses. Deprecated, derive misses from cache hits/requests counters.',
    zonePlaces.misses,
  ),
  perCache(
    'coredns_cache_prefetch_total',
    'The number of times the cache has prefetched a cached item.',
    zonePlaces.prefetches,
  ),
  perCache(
    'coredns_cache_drops_total',
    'The number of responses that are not cached, because they answer another question. Always 0; kept for compatibility.',
    zonePlaces.drops,
  ),
  perCache(
    'coredns_cache_served_stale_total',
    'The number of requests served from stale cache entries.',
    zonePlaces.servedStale,
  ),
  counter('coredns_cache_evictions_total', 'The count of cache evictions.', (scrape) =>
    perKind(scrape, ({ evictions }) => evictions),
  ),
];

function perCache(name: string, help: string, place: number): Family<Scrape> {
  return counter(name, help, ({ cached }) =>
    cached.map(({ labels, numbers }) => sample({ ...labels, view: '' }, numbers[place])),
  );
}

function perKind(scrape: Scrape, read: (size: StoreSize) => number): Sample[] {
  return groupByLabels(scrape.source.stores(), ({ server, zones }) => ({ server, zones })).flatMap(
    ({ labels: { server, zones }, members }) =>
      kinds.map((type) =>
        sample(
          { server, type, zones, view: '' },
          sum(members, (stores) => read(stores[type])),
        ),
      ),
  );
}
