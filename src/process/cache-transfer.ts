/** Gives cached answers to other instances and takes theirs. Part of the composition root. */
import type { BlockRef } from '../cache/blocks.js';
import type { Cache } from '../cache/cache.js';
import type { Counters } from '../counters.js';
import { newsMax } from '../limits.js';
import type { Turns } from '../observe/turns.js';
import type { Clock } from '../os/clock.js';
import { Adopter, type AdoptingZone } from '../resolve/cacheability.js';
import { digestOf } from '../resolve/zone-plan.js';
import { EntriesReader, endingOf, type Held, writeEntries } from '../takeover/entries.js';
import type { Warmth } from '../takeover/succession.js';
import type { Generation } from './generation.js';

interface CacheTransferDeps {
  readonly cache: Cache;
  readonly clock: Clock;
  readonly generation: () => Generation;
  readonly counters: Pick<Counters, 'count'>;
  readonly turns: Pick<Turns, 'during'>;
}

interface CacheTransfer extends Warmth {
  /** For an answer just cached, which other instances may want. */
  kept(ref: BlockRef): void;
  /** For an answer about to be dropped because a newer one has ended it. */
  ended(ref: BlockRef): void;
}

export function newCacheTransfer({ cache, clock, generation, counters, turns }: CacheTransferDeps): CacheTransfer {
  const adopter = new Adopter(cache);
  let news: (BlockRef | Held)[] = [];
  let named: { readonly of: Generation; readonly zones: NamedZones } | null = null;

  function zones(): NamedZones {
    const now = generation();
    if (named?.of !== now) named = { of: now, zones: namedZones(now) };
    return named.zones;
  }

  function chunksOf(slices: Iterable<readonly (BlockRef | Held)[]>): Iterator<Uint8Array> {
    const zoneName = (zoneId: number): string | null => zones().names.get(zoneId) ?? null;
    const wrote = (): void => counters.count('entriesGiven');
    return writeEntries({ blocks: cache.blocks, holds: (ref) => cache.holds(ref), zoneName, wrote }, slices);
  }

  /** The times of one chunk are one reading of the clocks. */
  function adoptAll(chunk: Uint8Array, laterMs: number): boolean {
    const reader = new EntriesReader();
    if (!reader.begin(chunk)) return false;
    const ours = reader.zones.map((zone) => zones().zones.get(zone));
    const moment = { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
    while (reader.next()) {
      const zone = ours[reader.zone];
      reader.storedAtMs += laterMs;
      if (zone !== undefined && adopter.adopt(zone, reader, moment) === 'kept') counters.count('entriesTaken');
    }
    return reader.isWhole;
  }

  return {
    kept(ref) {
      if (news.length < newsMax) news.push(ref);
    },
    ended(ref) {
      if (news.length < newsMax) news.push(endingOf(cache.blocks, ref, clock.nowMs()));
    },
    everything: () => chunksOf(cache.refs()),
    news() {
      const these = news;
      news = [];
      return () => chunksOf([these]);
    },
    take: (chunk, laterMs = 0) => turns.during('takeover', () => adoptAll(chunk, laterMs)),
  };
}

type NamedZones = ReturnType<typeof namedZones>;

/** Zones with a cache by zone, port and a digest of the settings that make answers: the same name in every process. */
function namedZones(generation: Generation) {
  const names = new Map<number, string>();
  const zones = new Map<string, AdoptingZone>();
  const texts = generation.deps.numberings.cache.texts();
  for (const { zoneId, block, cache } of generation.listeners.flatMap((listener) => listener.zones)) {
    const { store, cached } = generation.blocks[block];
    if (cache === null || store === null || cached.keep === null) continue;
    const name = `${texts[zoneId]} ${digestOf(generation.madeIn(zoneId) ?? '')}`;
    names.set(zoneId, name);
    zones.set(name, { zoneId, store, keep: cached.keep, staleMaxMs: cache.staleMaxMs });
  }
  return { names, zones };
}
