/**
 * coredns_cache_*: entries, hits and misses by server and by the cache's zones. The counters exist from the start, at 0.
 */
import { zonePlaces } from '../counters.js';
import {
  counter,
  type Family,
  former,
  gauge,
  groupByLabels,
  inParts,
  joinLabels,
  type Labels,
  labelText,
  noView,
  sample,
  sum,
} from './exposition.js';
import type { Scrape, StoreSize } from './metrics-source.js';

const kinds = ['success', 'denial'] as const;

export const cacheFamilies: readonly Family<Scrape>[] = [
  perKind('gauge', 'coredns_cache_entries', 'The number of elements in the cache.', ({ entries }) => entries),
  former(
    'coredns_cache_entries',
    gauge('coredns_cache_size', 'The number of elements in all caches of a server.', ({ source }) =>
      groupByLabels(source.stores(), ({ server }) => labelText({ server })).flatMap(({ labels, members }) =>
        kinds.map((type) =>
          sample(
            joinLabels(labels, `type="${type}"`),
            sum(members, (stores) => stores[type].entries),
          ),
        ),
      ),
    ),
  ),
  counter('coredns_cache_hits_total', 'The count of cache hits.', ({ cached }) =>
    inParts(cached, (cache) => {
      const of = { server: cache.first.server, zones: cache.first.cacheZones ?? '' };
      return [
        sample(kindLabels(of, 'success'), cache.at(zonePlaces.hitsSuccess)),
        sample(kindLabels(of, 'denial'), cache.at(zonePlaces.hitsDenial)),
      ];
    }),
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
  perCache(
    'zerohop_nxdomain_cut_answers_total',
    'Queries answered because a name above the queried one does not exist; also counted as hits of type denial.',
    zonePlaces.cutAnswers,
  ),
  perKind('counter', 'coredns_cache_evictions_total', 'The count of cache evictions.', ({ evictions }) => evictions),
];

function perCache(name: string, help: string, place: number): Family<Scrape> {
  return counter(name, help, ({ cached }) =>
    inParts(cached, (cache) => [sample(joinLabels(cache.labels, noView), cache.at(place))]),
  );
}

function perKind(
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  read: (size: StoreSize) => number,
): Family<Scrape> {
  const samples = ({ stores }: Scrape) =>
    inParts(stores, ({ members }) =>
      kinds.map((kind) =>
        sample(
          kindLabels(members[0], kind),
          sum(members, (sizes) => read(sizes[kind])),
        ),
      ),
    );
  return { name, help, type, samples };
}

function kindLabels({ server, zones }: Record<'server' | 'zones', string>, type: (typeof kinds)[number]): Labels {
  return labelText({ server, type, zones, view: '' });
}
