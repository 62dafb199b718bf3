/** Counts as the packet path makes them, for tests of the page. */
import { type Counters, observeDuration, rcodesCounted, zonePlaces } from '../../src/counters.js';

interface Answers {
  readonly zone?: number;
  /** A place in `answerers`. */
  readonly by: number;
  readonly rcode?: number;
  readonly seconds?: number;
  /** How the cache took part. */
  readonly cache?: 'hit' | 'stale hit' | 'stale after a wait';
}

/** So many answers of one kind. */
export function answered(
  page: Counters,
  times: number,
  { zone = 0, by, rcode = 0, seconds = 0, cache }: Answers,
): void {
  const base = page.zoneBase(zone);
  page.zones[base + zonePlaces.responses + by * rcodesCounted + rcode] += times;
  for (let time = 0; time < times; time++) observeDuration(page.zones, base + zonePlaces.duration, seconds);
  if (cache === 'hit' || cache === 'stale hit') page.zones[base + zonePlaces.hitsSuccess] += times;
  if (cache === 'stale hit' || cache === 'stale after a wait') page.zones[base + zonePlaces.servedStale] += times;
  if (cache === 'stale after a wait') page.countTimes('stalePatience', times);
}
