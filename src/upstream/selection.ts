/**
 * Which upstream a query is sent to next: each one that is up once, then from the start again; when all are down, any
 * of them. Discovered upstreams come first, by load and round-trip time; those of the Corefile follow, by its policy.
 * Silent upstreams come last; under `sequential`, where the first knows names that others do not, only once they have
 * been silent for read_timeout. Upstreams are bits of a number, the first the lowest: a `forward` has at most fifteen
 * from the Corefile.
 */
import type { Random } from '../os/random.js';
import type { UpstreamDeps } from './endpoint.js';
import type { Upstream } from './upstream.js';

export interface SelectionSettings {
  readonly policy: Policy;
  readonly failfastAllUnhealthy: boolean;
  readonly readTimeoutMs: number;
}

type SelectionDeps = Pick<UpstreamDeps, 'random' | 'counters'>;

/** Whom a query may ask. */
export interface UpstreamsToAsk {
  /** At least one; those of the Corefile before the discovered ones. */
  readonly upstreams: readonly Upstream[];
  /** How many of them were discovered: the last ones. */
  readonly learned: number;
}

/** Of one query; an object is used for one after another. */
export class Selection {
  #upstreams: readonly Upstream[] = [];
  /** For round_robin. */
  #start = 0;
  /** The first ones are from the Corefile, the others discovered. */
  #named = 0;
  /** Asked since the last start over. */
  #askedBits = 0;
  /** All were down at the last choice. */
  hasAskedDown = false;

  /** `start` is where round_robin begins. */
  begin({ upstreams, learned }: UpstreamsToAsk, start: number): void {
    this.#upstreams = upstreams;
    this.#start = start;
    this.#named = upstreams.length - learned;
    this.#askedBits = 0;
    this.hasAskedDown = false;
  }

  /** All were down at the last choice and still are: no other is asked, and the chosen one no more often. */
  get isLastResort(): boolean {
    return this.hasAskedDown && this.#upBits() === 0;
  }

  get allLoop(): boolean {
    return this.#upstreams.every(({ stats }) => stats.looping);
  }

  get isAllNamed(): boolean {
    return this.#named === this.#upstreams.length;
  }

  /** Whether one that is up has not been asked since the last start over. */
  get hasOther(): boolean {
    return (this.#upBits() & ~this.#askedBits) !== 0;
  }

  /** Null when none is to be asked. */
  next(settings: SelectionSettings, deps: SelectionDeps, nowMs: number): Upstream | null {
    const up = this.#upBits();
    if (up === 0) return this.#lastResort(settings, deps);
    this.hasAskedDown = false;
    if ((up & ~this.#askedBits) === 0) this.#askedBits = 0;
    const candidates = up & ~this.#askedBits;
    const index = this.#upstreams.length === 1 ? 0 : this.#choose(candidates, settings, deps, nowMs);
    this.#askedBits |= 1 << index;
    return this.#upstreams[index];
  }

  /** Of those that are up and were not asked since the last start over, the one heard last, if since then. */
  otherHeardSince(timeMs: number): Upstream | null {
    return this.#lastHeard(this.#upBits() & ~this.#askedBits, timeMs);
  }

  /** The same of those that were asked. */
  askedHeardSince(timeMs: number): Upstream | null {
    return this.#lastHeard(this.#upBits() & this.#askedBits, timeMs);
  }

  /** Counts this one as asked. */
  take(upstream: Upstream): Upstream {
    this.#askedBits |= 1 << this.#upstreams.indexOf(upstream);
    return upstream;
  }

  #lastResort({ failfastAllUnhealthy }: SelectionSettings, { random, counters }: SelectionDeps): Upstream | null {
    const left = this.#upstreams.filter(({ stats }) => !stats.looping);
    if (left.length === 0) return null;
    counters.count('forwardHealthcheckBroken');
    this.hasAskedDown = true;
    return failfastAllUnhealthy ? null : left[random.below(left.length)];
  }

  #choose(candidates: number, settings: SelectionSettings, { random }: SelectionDeps, nowMs: number): number {
    const { policy } = settings;
    const heard = candidates & ~this.#silentBits(settings, nowMs);
    const bits = heard === 0 ? candidates : heard;
    const named = bits & ((1 << this.#named) - 1);
    const learned = bits & ~named;
    if (learned !== 0) return this.#cheapest(learned, nowMs);
    return choose(policy, { bits: named, count: this.#named, start: this.#start }, random);
  }

  #cheapest(bits: number, nowMs: number): number {
    let best = -1;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#upstreams.length; index++) {
      if ((bits & (1 << index)) === 0) continue;
      const cost = this.#upstreams[index].cost(nowMs);
      if (cost >= bestCost) continue;
      best = index;
      bestCost = cost;
    }
    return best;
  }

  #lastHeard(bits: number, sinceMs: number): Upstream | null {
    let last: Upstream | null = null;
    for (let index = 0; index < this.#upstreams.length; index++) {
      const upstream = this.#upstreams[index];
      if ((bits & (1 << index)) === 0 || !upstream.rtt.wasHeardSince(sinceMs)) continue;
      if (last === null || upstream.rtt.lastHeardMs > last.rtt.lastHeardMs) last = upstream;
    }
    return last;
  }

  #silentBits({ policy, readTimeoutMs }: SelectionSettings, nowMs: number): number {
    let bits = 0;
    for (let index = 0; index < this.#upstreams.length; index++) {
      const upstream = this.#upstreams[index];
      const isRanked = policy === 'sequential' && index < this.#named;
      const isSilent = isRanked ? upstream.silentForMs(nowMs) >= readTimeoutMs : upstream.isSilent(nowMs);
      if (isSilent) bits |= 1 << index;
    }
    return bits;
  }

  #upBits(): number {
    let bits = 0;
    for (let index = 0; index < this.#upstreams.length; index++) {
      if (this.#upstreams[index].isUp) bits |= 1 << index;
    }
    return bits;
  }
}

export type Policy = 'random' | 'round_robin' | 'sequential';

interface Candidates {
  /** A bit for each upstream that may be asked. */
  readonly bits: number;
  readonly count: number;
  /** Where round_robin begins: the query's number. */
  readonly start: number;
}

/** The index of the upstream to ask; -1 when there is none. */
export function choose(policy: Policy, { bits, count, start }: Candidates, random: Random): number {
  if (bits === 0) return -1;
  if (policy === 'random') return indexOfBit(bits, random.below(bitsIn(bits)));
  const first = policy === 'sequential' ? 0 : start % count;
  for (let step = 0; step < count; step++) {
    const index = (first + step) % count;
    if ((bits & (1 << index)) !== 0) return index;
  }
  return -1;
}

function bitsIn(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}

/** The index of the set bit with `before` set bits below it. */
function indexOfBit(bits: number, before: number): number {
  let left = bits;
  for (let skipped = 0; skipped < before; skipped++) left &= left - 1;
  return 31 - Math.clz32(left & -left);
}
