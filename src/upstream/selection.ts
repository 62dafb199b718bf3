/**
 * Whom one question has asked and whom it asks next: each upstream that is up once, then again from the start; when
 * all are down one of them anyway. Those whose addresses were learned come first, the one first that has least to do
 * and answers fastest; those that the Corefile names come after them, by its policy. One that owes answers and is
 * silent comes after those that are not; under `sequential`, where the first knows what others do not, only once it has
 * been silent for read_timeout.
 */
import type { Counters } from '../counters.js';
import type { Random } from '../os/random.js';
import type { Upstream } from './upstream.js';

export interface RoundsSettings {
  readonly policy: Policy;
  /** Ask nobody when all are down. */
  readonly failfastAllUnhealthy: boolean;
  readonly readTimeoutMs: number;
}

interface RoundsDeps {
  readonly random: Random;
  readonly counters: Counters;
}

export class Rounds {
  readonly #upstreams: readonly Upstream[];
  /** Where round_robin begins. */
  readonly #start: number;
  /** Upstreams that the Corefile names: the first ones. */
  readonly #named: number;
  /** A bit for each upstream that was asked in this round. */
  #askedBits = 0;
  #isLastResort = false;

  /** The last `learned` of the upstreams were learned. */
  constructor(upstreams: readonly Upstream[], start: number, learned = 0) {
    this.#upstreams = upstreams;
    this.#start = start;
    this.#named = upstreams.length - learned;
  }

  /** All are down, and were when the one that was asked last was chosen: no other is asked, and that one no more often. */
  get isLastResort(): boolean {
    return this.#isLastResort && this.#upBits() === 0;
  }

  /** The one that was asked last was down, as all were. */
  get hasAskedDown(): boolean {
    return this.#isLastResort;
  }

  /** Whoever is asked sends the question back to us. */
  get allLoop(): boolean {
    return this.#upstreams.every(({ stats }) => stats.looping);
  }

  /** The Corefile names all of them, none was learned. */
  get isAllNamed(): boolean {
    return this.#named === this.#upstreams.length;
  }

  /** Whether somebody who is up has not been asked in this round. */
  get hasOther(): boolean {
    return (this.#upBits() & ~this.#askedBits) !== 0;
  }

  /** Whose turn it is; null when nobody is to be asked. */
  next(settings: RoundsSettings, deps: RoundsDeps, nowMs: number): Upstream | null {
    const up = this.#upBits();
    if (up === 0) return this.#lastResort(settings, deps);
    this.#isLastResort = false;
    if ((up & ~this.#askedBits) === 0) this.#askedBits = 0;
    const candidates = up & ~this.#askedBits;
    const index = this.#upstreams.length === 1 ? 0 : this.#choose(candidates, settings, deps, nowMs);
    this.#askedBits |= 1 << index;
    return this.#upstreams[index];
  }

  #lastResort({ failfastAllUnhealthy }: RoundsSettings, { random, counters }: RoundsDeps): Upstream | null {
    const left = this.#upstreams.filter(({ stats }) => !stats.looping);
    if (left.length === 0) return null;
    counters.count('forwardHealthcheckBroken');
    this.#isLastResort = true;
    return failfastAllUnhealthy ? null : left[random.below(left.length)];
  }

  #choose(candidates: number, settings: RoundsSettings, { random }: RoundsDeps, nowMs: number): number {
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

  #silentBits({ policy, readTimeoutMs }: RoundsSettings, nowMs: number): number {
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
  /** How many upstreams there are. */
  readonly count: number;
  /** Where round_robin begins to look: the number of the question. */
  readonly start: number;
}

/** The index of the upstream to ask, or -1 when none may be asked. */
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

/** The index of the set bit that has `before` set bits below it. */
function indexOfBit(bits: number, before: number): number {
  let left = bits;
  for (let skipped = 0; skipped < before; skipped++) left &= left - 1;
  return 31 - Math.clz32(left & -left);
}
