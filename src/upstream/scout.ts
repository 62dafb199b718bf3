/**
 * Probes of one upstream address, and the doubt that scouts resolve. A balancer gives each connection, or UDP source
 * port, to one of several endpoints; when one of them is dead, some connections answer and others never do, until the
 * balancer is told. Carriers that have answered since the trouble began are trusted; any other is tried with a probe, a
 * scout, before queries depend on it.
 */
import { flagQr, messageFlags } from '../dns/wire.js';
import { doubtMs, headerBytes, probeTimeoutMs } from '../limits.js';
import type { Request } from './ask.js';
import { type Attempt, type Carrier, type Hedge, notSent, type Sent } from './attempt.js';

const longAgo = Number.NEGATIVE_INFINITY;

interface Probed {
  readonly silentSinceMs: number;
  readonly openedAtMs: number;
}

/** The part of the upstream's round-trip times that tells dead from slow. */
interface ProbeTimes {
  readonly probeWaitMs: number;
  hasAnsweredSince(sentAtMs: number): boolean;
}

/** Of the carriers of one transport. */
export class Doubt {
  readonly #told: () => void;
  /** When the silence of the dead carrier began. */
  #sinceMs = longAgo;
  #untilMs = longAgo;

  /** `told` is called when the doubt begins; `newScout` makes a probe for a new carrier, null beyond the budget. */
  constructor(
    told: () => void,
    readonly newScout: (nowMs: number) => Attempt | null,
  ) {
    this.#told = told;
  }

  /** One carrier is silent since `silentSinceMs` while another has answered: the silent one is dead. */
  began(silentSinceMs: number, nowMs: number): void {
    const isNews = !this.isIn(nowMs);
    if (isNews || silentSinceMs > this.#sinceMs) this.#sinceMs = silentSinceMs;
    this.#untilMs = nowMs + doubtMs;
    if (isNews) this.#told();
  }

  /** A scout sent at `sentAtMs` got no answer. Trusted carriers stay trusted. */
  goesOn(sentAtMs: number, nowMs: number): void {
    if (this.isIn(nowMs)) this.#untilMs = nowMs + doubtMs;
    else this.began(sentAtMs, nowMs);
  }

  /** Whether a carrier that owes only probes is dead: another was answered since, or the probe's time is over. */
  isDeadEnd({ silentSinceMs, openedAtMs }: Probed, rtt: ProbeTimes, nowMs: number): boolean {
    if (nowMs - silentSinceMs < rtt.probeWaitMs) return false;
    if (!rtt.hasAnsweredSince(openedAtMs)) return nowMs - silentSinceMs >= probeTimeoutMs;
    this.goesOn(silentSinceMs, nowMs);
    return true;
  }

  isIn(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** Whether a carrier last heard then may get queries. */
  trusts(lastHeardMs: number, nowMs: number): boolean {
    return !this.isIn(nowMs) || lastHeardMs >= this.#sinceMs;
  }

  /** How an attempt on a carrier last heard then counts as sent. */
  verdict(lastHeardMs: number, hedge: Hedge | null, nowMs: number): Sent {
    if (hedge !== null) return lastHeardMs >= hedge.sinceMs ? 'proven' : 'unproven';
    if (!this.trusts(lastHeardMs, nowMs)) return 'unproven';
    return lastHeardMs === longAgo ? 'new' : 'proven';
  }
}

/** Our own request, as a health check or a scout. As in CoreDNS any answer will do. */
export class Probe implements Attempt {
  // Without OPT: an upstream that rejects OPT is up.
  readonly allowsOpt = false;
  readonly isHedge = false;
  readonly isProbe = true;
  carrier: Carrier | null = null;
  sentAtMs = notSent;

  /** `ended` is called once, unless the probe is abandoned. */
  constructor(
    readonly request: Request,
    readonly startedAtMs: number,
    readonly ended: (probe: Probe, hasAnswer: boolean, nowMs: number) => void,
  ) {}

  accepts(message: Uint8Array): boolean {
    return message.length >= headerBytes && (messageFlags(message) & flagQr) !== 0;
  }

  answered(_message: Uint8Array, nowMs: number): void {
    this.ended(this, true, nowMs);
  }

  lost(_loss: unknown, nowMs: number): void {
    this.ended(this, false, nowMs);
  }
}
