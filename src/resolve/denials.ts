/**
 * What denials lead to beyond their answers: cuts to learn (learned-cuts.ts) and walks to run ahead of (walks.ts). Both
 * ask within budgets, as a refresh does: for the cache, and joined by clients that come meanwhile. The main thread's.
 */
import type { Blocks } from '../cache/blocks.js';
import type { Counters } from '../counters.js';
import { messageRcode, rcodeNoError, rcodeNxDomain } from '../dns/wire.js';
import { askedAheadPerSecondMax, extraQuestionsPerSecondMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Outcome } from '../upstream/ask.js';
import { ExtraQuestions } from './extra-questions.js';
import { LearnedCuts } from './learned-cuts.js';
import type { OwnDenials } from './own-denials.js';
import type { Pending, Waiter } from './pending.js';
import type { Route } from './route.js';
import { SearchDomains } from './search-domains.js';
import { Walks } from './walks.js';
import type { ServedZone } from './zones.js';

interface DenialsDeps {
  readonly clock: Clock;
  readonly blocks: Blocks;
  readonly counters: Counters;
  readonly routes: { get(zone: ServedZone): Route | undefined };
  readonly own: Pick<OwnDenials, 'cut'>;
  /** Asks for the cache alone; false: it is being asked, or there is no room. Keeps the question. */
  misses(): { askFor(zone: ServedZone, question: Uint8Array, nowMs: number): boolean };
}

export class Denials {
  readonly #forCuts = new ExtraQuestions(extraQuestionsPerSecondMax);
  readonly #forWalks = new ExtraQuestions(askedAheadPerSecondMax);
  readonly #clock: Clock;
  readonly #domains = new SearchDomains();
  readonly #cuts: LearnedCuts;
  readonly #walks: Walks;
  readonly #own: Pick<OwnDenials, 'cut'>;

  constructor(deps: DenialsDeps) {
    const { clock, misses, own } = deps;
    const ask = (zone: ServedZone, question: Uint8Array) => misses().askFor(zone, question, clock.nowMs());
    const domains = this.#domains;
    this.#clock = clock;
    this.#own = own;
    this.#cuts = new LearnedCuts({ ...deps, domains, ask, budget: this.#forCuts });
    const exists = (zone: ServedZone, question: Uint8Array) => this.#cuts.isKnownToExist(zone, question);
    this.#walks = new Walks({ ...deps, domains, exists, ask, budget: this.#forWalks });
  }

  /** Learned cuts in force. */
  get cutsHeld(): number {
    return this.#cuts.held;
  }

  /** A client's query has missed, and is asked upstream. */
  missed(): void {
    this.#forCuts.missed();
    this.#forWalks.missed();
  }

  /** What is asked in place of a client's question: see `LearnedCuts.missed`. */
  inPlaceOf(zone: ServedZone, question: Uint8Array): Uint8Array | null {
    return this.#cuts.missed(zone, question);
  }

  /** An upstream's outcome, which is cached by now, and who has waited for it. Borrows all. */
  answered({ zone, question, key }: Pending, waiters: readonly Waiter[], outcome: Outcome): void {
    // With DO or CD it is another cached answer.
    if (key !== 0) return;
    const rcode = outcome.ok ? messageRcode(outcome.message) : null;
    const clients = waiters.reduce((count, { ours }) => (ours === null ? count + 1 : count), 0);
    this.#walks.answered(zone, question, clients);
    this.#cuts.answered(zone, question, rcode);
    if (clients === 0) return;
    if (rcode === rcodeNxDomain) this.denied(zone, question);
    else if (rcode === rcodeNoError) this.exists(zone, question);
  }

  /** A client's question has an answer that denies no name. Borrows the question. */
  exists(zone: ServedZone, question: Uint8Array): void {
    this.#cuts.exists(zone, question);
  }

  /** A client's question was denied, and the denial is cached. Borrows the question. */
  denied(zone: ServedZone, question: Uint8Array): void {
    if (!zone.isCut) return;
    this.#domains.denied(zone, question, this.#clock.nowMs());
    this.#cuts.denied(zone, question);
    this.#walks.denied(zone, question);
  }

  /** A client's question was answered from a cut. */
  cut(zone: ServedZone, question: Uint8Array): void {
    this.#walks.denied(zone, question);
    this.#own.cut(zone, question);
  }

  /** Other zones may be served now. */
  clear(): void {
    this.#domains.clear();
    this.#cuts.clear();
    this.#walks.clear();
  }
}
