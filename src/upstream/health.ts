/**
 * Whether one upstream is up. Nobody is probed while all is well: the first failure starts probes, one after another,
 * until something answers. Failures in a row make it down; any answer, to a probe or to a question, makes it up
 * again. As in CoreDNS an answer of any kind will do, so a probe asks for what every server has something to say to.
 */
import { probeTimeoutMs, sweepPeriodMs } from '../limits.js';
import type { Log } from '../os/log.js';
import type { Request } from './ask.js';
import type { Attempt } from './attempt.js';
import { Probe } from './scout.js';

export interface HealthSettings {
  /** 0: never down, never probed. */
  readonly failsMax: number;
  readonly intervalMs: number;
  /** What a probe asks. */
  readonly request: Request;
}

interface HealthDeps {
  /** Part of the endpoint's statistics. */
  readonly stats: { readonly to: string; healthy: boolean; healthcheckFailures: number };
  readonly log: Log;
  /** For which other forwards it is down. */
  readonly outages: Outages;
  /** It has answered something, a probe or a question. */
  heard(nowMs: number): void;
  /** It was down and is up again; told after `heard`. */
  cameBack(nowMs: number): void;
  /** A probe was answered; told after `heard` and `cameBack`. */
  probeAnswered(nowMs: number): void;
  /** Sends a probe, apart from the questions: what they are stuck in must not hold it up. */
  sendProbe(attempt: Attempt, nowMs: number): void;
}

const never = Number.POSITIVE_INFINITY;

export class Health {
  readonly #settings: HealthSettings;
  readonly #deps: HealthDeps;
  #fails = 0;
  #lastFailMs = Number.NEGATIVE_INFINITY;
  /** Those that are out, the oldest first. */
  readonly #probes: Probe[] = [];
  #nextProbeAtMs = never;

  constructor(settings: HealthSettings, deps: HealthDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get isDown(): boolean {
    return !this.#deps.stats.healthy;
  }

  /** Something failed, and nothing has been answered since. */
  get isFailing(): boolean {
    return this.#fails > 0;
  }

  get isProbing(): boolean {
    return this.#probes.length > 0 || this.#nextProbeAtMs !== never;
  }

  /** It owes answers and is silent: time to look. */
  suspect(nowMs: number): void {
    if (this.#settings.failsMax === 0 || this.isProbing) return;
    this.#nextProbeAtMs = nowMs;
    this.#sendProbe(nowMs);
  }

  /** A question or a probe failed. Those that fail together, with one connection say, are one failure. */
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

  /** It has answered something. */
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

  /** It is not asked any more, and so nobody knows. */
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
    // Linux sends a SYN that was dropped again after a second. Once the upstream is down, a second probe beside the
    // first finds out within the interval that it is back.
    const probesMax = this.isDown ? 2 : 1;
    if (this.#probes.length < probesMax && nowMs >= this.#nextProbeAtMs) this.#sendProbe(nowMs);
  }

  /** Ends the probes. */
  stop(nowMs: number): void {
    this.#nextProbeAtMs = never;
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

export class Outages {
  readonly #forwardsOf = new Map<string, number>();

  /** For one more forward it is down. True when it is the first. */
  began(to: string): boolean {
    const forwards = this.#forwardsOf.get(to) ?? 0;
    this.#forwardsOf.set(to, forwards + 1);
    return forwards === 0;
  }

  /** For one of those it is down no more. True when that was the last. */
  ended(to: string): boolean {
    const left = this.#forwardsOf.get(to)! - 1;
    if (left > 0) this.#forwardsOf.set(to, left);
    else this.#forwardsOf.delete(to);
    return left === 0;
  }
}
