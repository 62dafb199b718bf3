/**
 * By which transports one upstream can be reached, found out on the way: some resolvers answer over UDP alone, behind
 * some firewalls only TCP passes. What was found is believed for a while, and then the usual way is tried again.
 */
import { oneWayMs, wayHeardMs } from '../limits.js';
import { notSent } from './attempt.js';
import type { Judgement } from './judge.js';

export type Way = 'udp' | 'tcp';

export class Ways {
  readonly #heardAtMs: Record<Way, number> = { udp: Number.NEGATIVE_INFINITY, tcp: Number.NEGATIVE_INFINITY };
  #only: Way | null = null;
  #onlyUntilMs = 0;

  /** How to ask: as wanted, unless that is known to lead nowhere. */
  usual(wanted: Way, nowMs: number): Way {
    return this.#only !== null && nowMs < this.#onlyUntilMs ? this.#only : wanted;
  }

  /** How to ask once more, when this way brought no answer: the other way, if this one has never been seen to work lately. */
  afterSilence(way: Way, nowMs: number): Way {
    return nowMs - this.#heardAtMs[way] < wayHeardMs ? way : otherWay(way);
  }

  /** It has answered in this way. */
  heard(way: Way, nowMs: number): void {
    this.#heardAtMs[way] = nowMs;
    if (this.#only !== null && this.#only !== way) this.#only = null;
  }

  /** It has answered in this way a question that the other brought no answer to. True when that is news. */
  learn(only: Way, nowMs: number): boolean {
    if (this.afterSilence(otherWay(only), nowMs) !== only) return false;
    const isNews = this.usual(otherWay(only), nowMs) !== only;
    this.#only = only;
    this.#onlyUntilMs = nowMs + oneWayMs;
    return isNews;
  }
}

/** A try of one question. */
interface Tried<Upstream> {
  readonly upstream: Upstream;
  readonly transport: Way;
  readonly judgement: Judgement | null;
  readonly sentAtMs: number;
  readonly isDisturbed: boolean;
}

/**
 * How a question with these tries asks this upstream: over TCP what it has cut over UDP, and what somebody guesses the id of
 * there, unless TCP leads nowhere.
 */
export function wayNow<Upstream extends { wayTo(wanted: Way, failed: readonly Way[], nowMs: number): Way }>(
  upstream: Upstream,
  wanted: Way,
  tries: readonly Tried<Upstream>[],
  nowMs: number,
): Way {
  const before = tries.filter((attempt) => attempt.upstream === upstream);
  if (before.some(({ judgement }) => judgement === 'cut')) return 'tcp';
  const isDisturbed = before.some((attempt) => attempt.isDisturbed);
  return upstream.wayTo(isDisturbed ? 'tcp' : wanted, waysTried(before, upstream), nowMs);
}

/** How its upstream had been asked before this try was sent. What was sent with it or later has had less time. */
export function waysBefore<Upstream>(tries: readonly Tried<Upstream>[], attempt: Tried<Upstream>): Way[] {
  if (tries.length === 1) return [];
  const { sentAtMs } = attempt;
  const before = tries.filter((one) => one.sentAtMs !== notSent && one.sentAtMs < sentAtMs);
  return waysTried(before, attempt.upstream);
}

/** How this upstream has been asked in these tries. One that was disturbed had no time to answer. */
export function waysTried<Upstream>(tries: readonly Tried<Upstream>[], upstream: Upstream): Way[] {
  return tries
    .filter((attempt) => attempt.upstream === upstream && !attempt.isDisturbed)
    .map(({ transport }) => transport);
}

function otherWay(way: Way): Way {
  return way === 'udp' ? 'tcp' : 'udp';
}
