/**
 * Whom one question has asked and whom it asks next: each upstream that is up once, by the policy, then again from
 * the start; when all are down one of them anyway.
 */
import type { Counters } from '../ops/counters.js';
import type { Random } from '../outside/random.js';
import { choose, type Policy } from './policy.js';
import type { Upstream } from './upstream.js';

export interface RoundsSettings {
  readonly policy: Policy;
  /** Ask nobody when all are down. */
  readonly failfastAllUnhealthy: boolean;
}

export interface RoundsWorld {
  readonly random: Random;
  readonly counters: Counters;
}

export class Rounds {
  readonly #upstreams: readonly Upstream[];
  /** Where round_robin begins. */
  readonly #start: number;
  /** A bit for each upstream that was asked in this round. */
  #askedBits = 0;
  #isLastResort = false;

  constructor(upstreams: readonly Upstream[], start: number) {
    this.#upstreams = upstreams;
    this.#start = start;
  }

  /** All are down, and the one that was chosen is asked for want of a better one. */
  get isLastResort(): boolean {
    return this.#isLastResort;
  }

  /** Whether somebody who is up has not been asked in this round. */
  get hasOther(): boolean {
    return (this.#upBits() & ~this.#askedBits) !== 0;
  }

  /** Whose turn it is; null when nobody is to be asked. */
  next(settings: RoundsSettings, { random, counters }: RoundsWorld): Upstream | null {
    const count = this.#upstreams.length;
    const up = this.#upBits();
    if (up === 0) {
      counters.count('forwardHealthcheckBroken');
      this.#isLastResort = true;
      return settings.failfastAllUnhealthy ? null : this.#upstreams[random.below(count)];
    }
    if ((up & ~this.#askedBits) === 0) this.#askedBits = 0;
    const candidates = { bits: up & ~this.#askedBits, count, start: this.#start };
    const index = count === 1 ? 0 : choose(settings.policy, candidates, random);
    this.#askedBits |= 1 << index;
    return this.#upstreams[index];
  }

  #upBits(): number {
    let bits = 0;
    for (let index = 0; index < this.#upstreams.length; index++) {
      if (!this.#upstreams[index].health.isDown) bits |= 1 << index;
    }
    return bits;
  }
}
