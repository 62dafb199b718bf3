/**
 * Whether one upstream is up. No probes are sent while all is well: the first failure starts them, one after another,
 * until something is answered. Failures in a row mark the upstream down; any answer, to a probe or a query and of any
 * rcode, marks it up (as in CoreDNS).
 */
import { probeTimeoutMs, sweepPeriodMs } from '../limits.js';
import type { Log } from '../os/log.js';
import type { Request } from './ask.js';
import { type Attempt, noTime } from './attempt.js';
import { Probe } from './scout.js';

export interface HealthSettings {
  /** 0: never down, never probed. */
  readonly failsMax: number;
  readonly intervalMs: number;
  readonly request: Request;
}

interface HealthDeps {
  /** Part of the upstream's statistics. */
  readonly stats: { readonly to: string; healthy: boolean; healthcheckFailures: number };
  readonly log: Log;
  readonly outages: Outages;
  /** Called for each answer, to a probe or a query. */
  heard(nowMs: number): void;
  /** Called after `heard`, if the upstream was down. */
  cameBack(nowMs: number): void;
  /** Called last, after the answer to a probe. */
  probeAnswered(nowMs: number): void;
  /** Sends a probe apart from queries, which may be stuck. */
  sendProbe(attempt: Attempt, nowMs: number): void;
}

export class Health {
  readonly #settings: HealthSettings;
  readonly #deps: HealthDeps;
  #fails = 0;
  #lastFailMs = Number.NEGATIVE_INFINITY;
  /** Unanswered, the oldest first. */
  readonly #probes: Probe[] = [];
  #nextProbeAtMs = noTime;

  constructor(settings: HealthSettings, deps: HealthDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get isDown(): boolean {
    return !this.#deps.stats.healthy;
  }

  /** Failures without an answer since. */
  get isFailing(): boolean {
    return this.#fails > 0;
  }

  get isProbing(): boolean {
    return this.#probes.length > 0 || this.#nextProbeAtMs !== noTime;
  }

  /** It owes answers and is silent: sends a probe. */
  suspect(nowMs: number): void {
    if (this.#settings.failsMax === 0 || this.isProbing) return;
    this.#nextProbeAtMs = nowMs;
    this.#sendProbe(nowMs);
  }

  /** A query or probe failed. Failures within one interval, such as those of one connection, count once. */
  failed(nowMs: number): void {
    const { failsMax, intervalMs } = this.#settings;
    if (failsMax === 0) return;
    if (nowMs - this.#lastFailMs >= intervalMs - sweepPeriodMs) {
      this.#lastFailMs = nowMs;
      this.#fails++;
      if (this.#fails > failsMax && this.#deps.stats.healthy) this.#goDown();
    }
    this.suspect(nowMs);
  }

  answered(nowMs: number): void {
    this.#deps.heard(nowMs);
    this.#fails = 0;
    this.#lastFailMs = Number.NEGATIVE_INFINITY;
    if (this.isProbing) this.stop(nowMs);
    const { stats, log, outages } = this.#deps;
    if (stats.healthy) return;
    stats.healthy = true;
    if (outages.ended(stats.to)) log.info(`upstream ${stats.to} is up again`, { to: stats.to });
    this.#deps.cameBack(nowMs);
  }

  /** The upstream is no longer used, so its state is unknown. */
  forget(): void {
    const { stats, outages } = this.#deps;
    if (!stats.healthy) outages.ended(stats.to);
    stats.healthy = true;
  }

  sweep(nowMs: number): void {
    const [oldest] = this.#probes;
    if (oldest !== undefined && nowMs - oldest.startedAtMs >= probeTimeoutMs) {
      this.#probes.shift();
      oldest.carrier?.abandon(oldest, nowMs);
      this.#probeFailed(nowMs);
    }
    // Linux resends a dropped SYN after a second. With a second probe a recovery is found within the interval.
    const probesMax = this.isDown ? 2 : 1;
    if (this.#probes.length < probesMax && nowMs >= this.#nextProbeAtMs) this.#sendProbe(nowMs);
  }

  stop(nowMs: number): void {
    this.#nextProbeAtMs = noTime;
    for (const probe of this.#probes.splice(0)) probe.carrier?.abandon(probe, nowMs);
  }

  #sendProbe(nowMs: number): void {
    this.#nextProbeAtMs = nowMs + this.#settings.intervalMs;
    const probe = new Probe(this.#settings.request, nowMs, this.#ended);
    this.#probes.push(probe);
    this.#deps.sendProbe(probe, nowMs);
  }

  readonly #ended = (probe: Probe, hasAnswer: boolean, nowMs: number): void => {
    const index = this.#probes.indexOf(probe);
    if (index < 0) return;
    this.#probes.splice(index, 1);
    if (!hasAnswer) return this.#probeFailed(nowMs);
    this.answered(nowMs);
    this.#deps.probeAnswered(nowMs);
  };

  #probeFailed(nowMs: number): void {
    this.#deps.stats.healthcheckFailures++;
    this.failed(nowMs);
  }

  #goDown(): void {
    const { stats, log, outages } = this.#deps;
    stats.healthy = false;
    if (outages.began(stats.to))
      log.warn(`upstream ${stats.to} is down after ${this.#fails} failures`, { to: stats.to, failures: this.#fails });
  }
}

/** Addresses that are down, over all forwards and reloads: each forward finds out, the log says it once. */
export class Outages {
  readonly #forwardsOf = new Map<string, number>();

  /** One more forward finds it down; true for the first. */
  began(to: string): boolean {
    const forwards = this.#forwardsOf.get(to) ?? 0;
    this.#forwardsOf.set(to, forwards + 1);
    return forwards === 0;
  }

  /** One forward less finds it down; true for the last. */
  ended(to: string): boolean {
    const left = this.#forwardsOf.get(to)! - 1;
    if (left > 0) this.#forwardsOf.set(to, left);
    else this.#forwardsOf.delete(to);
    return left === 0;
  }
}
