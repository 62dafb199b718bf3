/**
 * One address that a `forward` may ask: its connections, its UDP sockets, its health. It carries attempts and tells
 * how they ended; whom to ask, and what to do then, is decided by the question.
 */
import { oneWayMs } from '../limits.js';
import { doAll } from '../outside/each.js';
import type { Log } from '../outside/log.js';
import type { Endpoint } from '../outside/network.js';
import { type Attempt, type Carrier, notSent } from './attempt.js';
import { Connection, type ConnectionOwner } from './connection.js';
import { Health, type HealthSettings } from './health.js';
import type { Pace } from './pace.js';
import type { Place } from './place.js';
import { Pool } from './pool.js';
import { newUpstreamStats, type UpstreamStats } from './stats.js';
import { UdpSockets } from './udp.js';
import { type Way, Ways } from './ways.js';

export type UpstreamTransport = 'udp' | 'tcp';

export interface UpstreamSettings {
  readonly health: HealthSettings;
  /** How probes are sent. */
  readonly probeTransport: UpstreamTransport;
}

/** One that was silent is asked again after this, should no probe have told sooner. */
const muteMs = 1_000;
/** A measured pace is worth half as much after this time without an answer: it is measured anew. */
const costHalfLifeMs = 10_000;
/** Below it differences are noise. */
const costMsMin = 0.1;
/** One that has just failed is asked when eight others would be. */
const failingCost = 8;

export class Upstream {
  readonly health: Health;
  readonly #ways = new Ways();
  readonly #log: Log;
  readonly #place: Place;
  readonly #pool: Pool;
  readonly #udp: UdpSockets;
  #lastHeardMs = Number.NEGATIVE_INFINITY;
  /** Tries that are out, and since when there has been one. */
  #tries = 0;
  #owesSinceMs = 0;
  /** A try was given up without a word from it; until then others are asked first. */
  #muteUntilMs = 0;
  /** A probe's own connection or socket. */
  #probing: ProbeCarrier | null = null;

  constructor(place: Place, settings: UpstreamSettings, log: Log) {
    this.#place = place;
    this.#log = log;
    this.#pool = new Pool(place);
    this.#udp = new UdpSockets(place);
    this.health = new Health(settings.health, {
      stats: place.stats,
      log,
      outages: place.world.outages,
      heard: () => {
        this.#muteUntilMs = 0;
      },
      sendProbe: (attempt, nowMs) => {
        this.#probing?.close(nowMs);
        this.#probing = settings.probeTransport === 'tcp' ? probeByTcp(place, nowMs) : probeByUdp(place);
        this.#probing.send(attempt, nowMs);
      },
    });
  }

  /** Over TLS there are only streams. */
  get isTls(): boolean {
    return this.#place.tls !== null;
  }

  /** How it is to be asked; `failed` are the ways that brought this question no answer. */
  wayTo(wanted: Way, failed: readonly Way[], nowMs: number): Way {
    if (this.isTls) return 'tcp';
    const usual = this.#ways.usual(wanted, nowMs);
    const isDoubtful = failed.length > 0 && failed.every((way) => way === usual);
    return isDoubtful ? this.#ways.afterSilence(usual, nowMs) : usual;
  }

  /** It has answered in this way a question that got no answer in the ways `failed`. */
  heardBy(way: Way, failed: readonly Way[], nowMs: number): void {
    if (failed.some((other) => other !== way) && this.#ways.learn(way, nowMs)) {
      this.#place.world.counters.count('upstreamOneWay');
      this.#log.info(
        `${this.to} answers over ${way.toUpperCase()} only; it is asked so for ${oneWayMs / 60_000} minutes`,
      );
    }
    this.#ways.heard(way, nowMs);
  }

  get endpoint(): Endpoint {
    return this.#place.endpoint;
  }

  get to(): string {
    return this.#place.to;
  }

  get stats(): UpstreamStats {
    return this.#place.stats;
  }

  /** Its numbers, with those of this moment. */
  reading(nowMs: number): UpstreamStats {
    const { stats } = this.#place;
    stats.open = this.open;
    stats.suspects = this.#pool.suspects(nowMs);
    return stats;
  }

  get pace(): Pace {
    return this.#place.pace;
  }

  /** Whether it may be asked at all: it does not send our questions back to us, and counts as up. */
  get isUp(): boolean {
    return !this.stats.looping && !this.health.isDown;
  }

  /** Tries that it has not answered yet. */
  get tries(): number {
    return this.#tries;
  }

  /** How long another question would take, in a measure of its own: its pace, what it has to do, and its failures. */
  cost(nowMs: number): number {
    const forgottenShare = 2 ** ((this.#lastHeardMs - nowMs) / costHalfLifeMs);
    const paceMs = Math.max(costMsMin, this.pace.averageMs * forgottenShare);
    return (1 + this.#tries) * paceMs * (this.health.isFailing ? failingCost : 1);
  }

  /** It owes answers and has said nothing for longer than its pace allows. */
  isSilent(nowMs: number): boolean {
    if (nowMs < this.#muteUntilMs) return true;
    if (this.#tries === 0) return false;
    return nowMs - Math.max(this.#owesSinceMs, this.#lastHeardMs) >= this.pace.waitMs;
  }

  /** A try is out to it. */
  tryStarted(nowMs: number): void {
    if (this.#tries++ === 0) this.#owesSinceMs = nowMs;
  }

  /** A try of it that was sent then, or not yet, is over, whatever became of it. */
  tryEnded(sentAtMs: number, nowMs: number): void {
    this.#tries--;
    if (sentAtMs === notSent || nowMs - sentAtMs < this.pace.waitMs || this.wasHeardSince(sentAtMs)) return;
    this.#muteUntilMs = nowMs + muteMs;
  }

  /** Nothing is open and nothing is tried. */
  get isAtRest(): boolean {
    return this.#pool.size === 0 && this.#udp.size === 0 && !this.health.isProbing && this.#probing === null;
  }

  /** Connections and sockets that are open. */
  get open(): number {
    return this.#pool.size + this.#udp.size;
  }

  /** False when too many wait already. The attempt does not go to the connection `except`. */
  send(attempt: Attempt, transport: UpstreamTransport, nowMs: number, except: Carrier | null): boolean {
    return transport === 'tcp' ? this.#pool.send(attempt, nowMs, except) : this.#udp.send(attempt, nowMs);
  }

  /** It has answered something. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
    this.health.answered(nowMs);
  }

  /** It has sent something that answers no question. */
  rejected(why: 'stranger' | 'garbage'): void {
    const { counters } = this.#place.world;
    counters.count(why === 'stranger' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  }

  /** Whether it has answered anything since. */
  wasHeardSince(timeMs: number): boolean {
    return this.#lastHeardMs >= timeMs;
  }

  sweep(nowMs: number): void {
    doAll(
      () => this.#sweepProbe(nowMs),
      () => this.#pool.sweep(nowMs),
      () => this.#udp.sweep(nowMs),
    );
  }

  #sweepProbe(nowMs: number): void {
    this.health.sweep(nowMs);
    const probing = this.#probing;
    if (probing === null || this.health.isProbing) return probing?.sweep(nowMs);
    this.#probing = null;
    probing.close(nowMs);
  }

  /** It is asked nothing new; what is in flight ends in its own time. */
  retire(nowMs: number): void {
    this.health.stop(nowMs);
    this.#pool.retire(nowMs);
    this.#udp.retire();
  }

  /** Drops everything. */
  close(nowMs: number): void {
    this.health.stop(nowMs);
    this.health.forget();
    const probing = this.#probing;
    this.#probing = null;
    doAll(
      () => probing?.close(nowMs),
      () => this.#pool.close(nowMs),
      () => this.#udp.close(),
    );
  }
}

interface ProbeCarrier {
  send(attempt: Attempt, nowMs: number): void;
  sweep(nowMs: number): void;
  close(nowMs: number): void;
}

const nobody: ConnectionOwner = { answered() {}, closed() {} };

function probeByTcp(place: Place, nowMs: number): ProbeCarrier {
  return new Connection(place, nobody, nowMs);
}

function probeByUdp(place: Place): ProbeCarrier {
  // A probe is no request of a client: it does not count as one that reused or opened a socket.
  return new UdpSockets({ ...place, stats: newUpstreamStats(place.to) });
}
