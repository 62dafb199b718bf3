/**
 * coredns_cache_*: what the caches hold and how often they could answer, by server and by the cache's zones. The
 * counters are there from the start, at 0.
 */
import { zonePlaces } from '../counters.js';
import { type Family, groupByLabels, type Sample, sample } from './exposition.js';
import type { Scrape, StoreSize, StoreSizes } from './metrics-source.js';

const kinds = ['success', 'denial'] as const;

export const cacheFamilies: readonly Family<Scrape>[] = [
  {
    name: 'coredns_cache_entries',
    help: 'The number of elements in the cache.',
    type: 'gauge',
    samples: (scrape) => perKind(scrape, ({ entries }) => entries),
  },
  {
    name: 'coredns_cache_size',
    help: 'The number of elements in all caches of a server. Former name of coredns_cache_entries.',
    type: 'gauge',
    samples: (scrape) =>
      groupByLabels(scrape.source.stores(), ({ server }) => ({ server })).flatMap(({ labels, members }) =>
        kinds.map((type) =>
          sample(
            { ...labels, type },
            sumOf(members, type, ({ entries }) => entries),
          ),
        ),
      ),
  },
  {
    name: 'coredns_cache_hits_total',
    help: 'The count of cache hits.',
    type: 'counter',
    samples: (scrape) =>
      scrape.cached.flatMap(({ labels: { server, zones }, numbers }) => [
        sample({ server, type: 'success', zones, view: '' }, numbers[zonePlaces.hitsSuccess]),
        sample({ server, type: 'denial', zones, view: '' }, numbers[zonePlaces.hitsDenial]),
      ]),
  },
  perCache('requests_total', 'The count of cache requests.', zonePlaces.cacheRequests),
  perCache(
    'misses_total',
    'The count of cache misses. Deprecated, derive misses from cache hits/requests counters.',
    zonePlaces.misses,
  ),
  perCache('prefetch_total', 'The number of times the cache has prefetched a cached item.', zonePlaces.prefetches),
  perCache(
    'drops_total',
    'The number of responses that are not cached, because they answer another question. Always 0; kept for compatibility.',
    zonePlaces.drops,
  ),
  perCache('served_stale_total', 'The number of requests served from stale cache entries.', zonePlaces.servedStale),
  {
    name: 'coredns_cache_evictions_total',
    help: 'The count of cache evictions.',
    type: 'counter',
    samples: (scrape) => perKind(scrape, ({ evictions }) => evictions),
  },
];

function perCache(suffix: string, help: string, place: number): Family<Scrape> {
  return {
    name: `coredns_cache_${suffix}`,
    help,
    type: 'counter',
    samples: (scrape) => scrape.cached.map(({ labels, numbers }) => sample({ ...labels, view: '' }, numbers[place])),
  };
}

function perKind(scrape: Scrape, read: (size: StoreSize) => number): Sample[] {
  return groupByLabels(scrape.source.stores(), ({ server, zones }) => ({ server, zones })).flatMap(
    ({ labels: { server, zones }, members }) =>
      kinds.map((type) => sample({ server, type, zones, view: '' }, sumOf(members, type, read))),
  );
}

function sumOf(stores: readonly StoreSizes[], kind: (typeof kinds)[number], read: (size: StoreSize) => number): number {
  return stores.reduce((sum, store) => sum + read(store[kind]), 0);
}
