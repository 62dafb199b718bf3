/**
 * One address that a `forward` may ask: its connections, its UDP sockets, its health. It carries attempts and tells
 * how they ended; whom to ask, and what to do then, is decided by the question.
 */
import {
  oneWayMs,
  optHeardMs,
  scoutRoundMs,
  scoutRoundsMax,
  scoutsAtOnce,
  wayHeardMs,
  withoutOptMs,
} from '../limits.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import { doAll } from '../scheduling/each.js';
import { type Again, type Attempt, notSent, type Sent } from './attempt.js';
import type { Place, Rtt, UpstreamStats } from './endpoint.js';
import { Health, type HealthSettings } from './health.js';
import { Pool } from './pool.js';
import { Doubt, Probe, type Scouting } from './scout.js';
import { UdpSockets } from './udp.js';

export type UpstreamTransport = 'udp' | 'tcp';

/** A try as it was made. */
interface Made {
  readonly transport: UpstreamTransport;
  readonly carriesOpt: boolean;
  readonly testsOpt: boolean;
}

export interface UpstreamSettings {
  readonly health: HealthSettings;
  /** How probes are sent. */
  readonly probeTransport: UpstreamTransport;
  /** Whether one more question of our own may be asked now; it is then paid for. */
  readonly maySpend: (nowMs: number) => boolean;
  /** A connection or port has been found that leads to an endpoint that answers. */
  readonly scoutAnswered: (nowMs: number) => void;
}

/** One that was silent is asked again after this, where no probe tells whether it answers. */
const muteMs = 1_000;
const never = Number.POSITIVE_INFINITY;
/** A measured pace is worth half as much after this time without an answer: it is measured anew. */
const costHalfLifeMs = 10_000;
/** Below it differences are noise. */
const costMsMin = 0.1;
/** One that has just failed is asked when eight others would be. */
const failingCost = 8;

export class Upstream {
  readonly health: Health;
  readonly edns = new Edns();
  readonly #ways = new Ways();
  readonly #log: Log;
  readonly #place: Place;
  readonly #settings: UpstreamSettings;
  readonly #doubts: Readonly<Record<UpstreamTransport, Doubt>>;
  readonly #pool: Pool;
  readonly #udp: UdpSockets;
  /** Tries that are out. */
  #tries = 0;
  /** Since when it has owed an answer and said nothing; `never` where it owes none. */
  #silentSinceMs = never;
  /** The silent tries were given up: until then others are asked first all the same. */
  #muteUntilMs = 0;
  /** Rounds of scouts since it was heard last, and when the next may be sent. */
  #scoutRounds = 0;
  #scoutsAtMs = 0;

  constructor(place: Place, settings: UpstreamSettings, log: Log) {
    this.#place = place;
    this.#settings = settings;
    this.#log = log;
    const doubtOver = (way: string): Doubt =>
      new Doubt(() =>
        log.info(`upstream ${place.to}: some ${way} connections lead to an endpoint that does not answer`),
      );
    this.#doubts = { udp: doubtOver('UDP'), tcp: doubtOver('TCP') };
    this.#pool = new Pool(place, this.#scouting('tcp'));
    this.#udp = new UdpSockets(place, this.#scouting('udp'));
    this.health = new Health(settings.health, {
      stats: place.stats,
      log,
      outages: place.deps.outages,
      heard: (nowMs) => this.#wasHeard(nowMs),
      cameBack: (nowMs) => this.#pool.retireSilent(nowMs),
      probeAnswered: (nowMs) => this.#proven(settings.probeTransport, nowMs),
      // What is answered stays open for questions; a question's own connection would wait behind it.
      sendProbe: (attempt, nowMs) => this.#carriers(settings.probeTransport).scout(attempt, nowMs),
    });
  }

  /** Over TLS there are only streams. */
  get isTls(): boolean {
    return this.#place.tls !== null;
  }

  /** How it is to be asked; `failed` are the ways that brought this question no answer. */
  wayTo(wanted: UpstreamTransport, failed: readonly UpstreamTransport[], nowMs: number): UpstreamTransport {
    if (this.isTls) return 'tcp';
    const usual = this.#ways.usual(wanted, nowMs);
    const isDoubtful = failed.length > 0 && failed.every((way) => way === usual);
    return isDoubtful ? this.#ways.afterSilence(usual, nowMs) : usual;
  }

  /** It has answered in this way a question that got no answer in the ways `failed`. */
  heardBy(way: UpstreamTransport, failed: readonly UpstreamTransport[], nowMs: number): void {
    if (failed.some((other) => other !== way) && this.#ways.learn(way, nowMs)) {
      this.#place.deps.counters.count('upstreamOneWay');
      this.#log.info(
        `upstream ${this.to} answers over ${way.toUpperCase()} only; using only that for ${oneWayMs / 60_000} minutes`,
      );
    }
    this.#ways.heard(way, nowMs);
  }

  /** It has answered this try well: with OPT, or for the want of it. What comes over TCP does not tell what UDP drops. */
  answeredWell({ transport, carriesOpt, testsOpt }: Made, nowMs: number): void {
    const { to, edns } = this;
    if (carriesOpt && transport === 'udp' && edns.heard(nowMs))
      this.#log.info(`upstream ${to} answers queries with OPT again`);
    if (!testsOpt || !edns.learn(nowMs)) return;
    this.#log.info(
      `upstream ${to} answers only queries without OPT; sending none, and trying OPT again every ${withoutOptMs / 60_000} minutes`,
    );
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

  get pace(): Rtt {
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
    const forgottenShare = 2 ** ((this.pace.lastHeardMs - nowMs) / costHalfLifeMs);
    const paceMs = Math.max(costMsMin, this.pace.averageMs * forgottenShare);
    return (1 + this.#tries) * paceMs * (this.health.isFailing ? failingCost : 1);
  }

  /** It owes answers and has said nothing for longer than its pace allows. */
  isSilent(nowMs: number): boolean {
    return this.silentForMs(nowMs) >= this.pace.waitMs;
  }

  /** For how long it has owed answers and said nothing at all, not even to a probe; 0 where it owes none. */
  silentForMs(nowMs: number): number {
    const isMute = this.#tries > 0 || this.health.isProbing || nowMs < this.#muteUntilMs;
    return isMute && this.#silentSinceMs !== never ? nowMs - this.#silentSinceMs : 0;
  }

  /** A try is out to it. */
  tryStarted(nowMs: number): void {
    this.#tries++;
    if (this.#silentSinceMs === never) this.#silentSinceMs = nowMs;
  }

  /** A try of it that was sent then, or not yet, is over, whatever became of it. */
  tryEnded(sentAtMs: number, nowMs: number): void {
    this.#tries--;
    const wasSilent = sentAtMs !== notSent && nowMs - sentAtMs >= this.pace.waitMs && !this.wasHeardSince(sentAtMs);
    if (wasSilent) this.#muteUntilMs = nowMs + muteMs;
    else if (this.#tries === 0 && this.silentForMs(nowMs) === 0) this.#silentSinceMs = never;
  }

  /** Nothing is open and nothing is tried. */
  get isAtRest(): boolean {
    return this.open === 0 && !this.health.isProbing;
  }

  /** It has to be looked after though nothing is asked: something is kept open for the next question, */
  keepsStock(nowMs: number): boolean {
    return this.#pool.keepsStock(nowMs) || this.#udp.keepsStock(nowMs);
  }

  /** and looked for just now, or it is probed. */
  isBusy(nowMs: number): boolean {
    return this.health.isProbing || isShort(this.#pool, nowMs) || isShort(this.#udp, nowMs);
  }

  /** Connections and sockets that are open. */
  get open(): number {
    return this.#pool.size + this.#udp.size;
  }

  /** `again`: what it was sent on before, where it is asked once more. */
  send(attempt: Attempt, transport: UpstreamTransport, nowMs: number, again: Again | null): Sent {
    return this.#carriers(transport).send(attempt, nowMs, again);
  }

  /** Whether something of this transport that may be used has answered since. */
  hasHeard(transport: UpstreamTransport, sinceMs: number, nowMs: number): boolean {
    return this.#carriers(transport).wasHeardSince(sinceMs, nowMs);
  }

  /**
   * Looks for a way to an endpoint that answers: opens some connections, or ports, with a question of our own on each.
   * What is answered is there for questions at once. The pauses between such rounds grow, and they end.
   */
  explore(transports: readonly UpstreamTransport[], nowMs: number): void {
    if (nowMs < this.#scoutsAtMs || this.#scoutRounds >= scoutRoundsMax || this.health.isDown) return;
    this.#scoutsAtMs = nowMs + scoutRoundMs * 2 ** this.#scoutRounds;
    this.#scoutRounds++;
    for (let sent = 0; sent < scoutsAtOnce; sent++) {
      const transport = transports[sent % transports.length];
      const scout = this.#newScout(transport, nowMs);
      if (scout !== null) this.#carriers(transport).scout(scout, nowMs);
    }
  }

  /** What has been silent since then leads nowhere: the same question was answered quickly on something else. */
  doubt(transport: UpstreamTransport, silentSinceMs: number, nowMs: number): void {
    this.#doubts[transport].began(silentSinceMs, nowMs);
  }

  /** It has answered what was sent then. */
  heard(sentAtMs: number, nowMs: number): void {
    this.pace.answered(sentAtMs);
    this.health.answered(nowMs);
  }

  /** It has sent something that answers no question. */
  rejected(why: 'stranger' | 'garbage'): void {
    const { counters } = this.#place.deps;
    counters.count(why === 'stranger' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  }

  /** Whether it has answered anything since. */
  wasHeardSince(timeMs: number): boolean {
    return this.pace.wasHeardSince(timeMs);
  }

  #wasHeard(nowMs: number): void {
    this.pace.heard(nowMs);
    this.#muteUntilMs = 0;
    this.#silentSinceMs = this.#tries > 0 ? nowMs : never;
    this.#scoutRounds = 0;
  }

  #scouting(transport: UpstreamTransport): Scouting {
    return { doubt: this.#doubts[transport], newScout: (nowMs) => this.#newScout(transport, nowMs) };
  }

  #newScout(transport: UpstreamTransport, nowMs: number): Probe | null {
    const { health, maySpend } = this.#settings;
    if (!maySpend(nowMs)) return null;
    this.#place.deps.counters.count('upstreamScouts');
    return new Probe(health.request, nowMs, ({ sentAtMs }, hasAnswer, atMs) => {
      if (!hasAnswer) return;
      this.heard(sentAtMs, atMs);
      this.#proven(transport, atMs);
    });
  }

  /** A question of our own was answered: there is a way for others. */
  #proven(transport: UpstreamTransport, nowMs: number): void {
    this.#ways.heard(transport, nowMs);
    this.#settings.scoutAnswered(nowMs);
  }

  #carriers(transport: UpstreamTransport): Pool | UdpSockets {
    return transport === 'tcp' ? this.#pool : this.#udp;
  }

  sweep(nowMs: number): void {
    doAll(
      () => this.health.sweep(nowMs),
      () => this.#pool.sweep(nowMs),
      () => this.#udp.sweep(nowMs),
    );
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
    doAll(
      () => this.#pool.close(nowMs),
      () => this.#udp.close(),
    );
  }
}

function isShort(carriers: Pool | UdpSockets, nowMs: number): boolean {
  return carriers.keepsStock(nowMs) && !carriers.hasStock(nowMs);
}

/**
 * By which transports it can be reached, found out on the way: some resolvers answer over UDP alone, behind some firewalls
 * only TCP passes. What was found is believed for a while, and then the usual way is tried again.
 */
export class Ways {
  readonly #heardAtMs: Record<UpstreamTransport, number> = {
    udp: Number.NEGATIVE_INFINITY,
    tcp: Number.NEGATIVE_INFINITY,
  };
  #only: UpstreamTransport | null = null;
  #onlyUntilMs = 0;

  /** How to ask: as wanted, unless that is known to lead nowhere. */
  usual(wanted: UpstreamTransport, nowMs: number): UpstreamTransport {
    return this.#only !== null && nowMs < this.#onlyUntilMs ? this.#only : wanted;
  }

  /** How to ask once more, when this way brought no answer: the other way, if this one has never been seen to work lately. */
  afterSilence(way: UpstreamTransport, nowMs: number): UpstreamTransport {
    return nowMs - this.#heardAtMs[way] < wayHeardMs ? way : otherWay(way);
  }

  /** It has answered in this way. */
  heard(way: UpstreamTransport, nowMs: number): void {
    this.#heardAtMs[way] = nowMs;
    if (this.#only !== null && this.#only !== way) this.#only = null;
  }

  /** It has answered in this way a question that the other brought no answer to. True when that is news. */
  learn(only: UpstreamTransport, nowMs: number): boolean {
    if (this.afterSilence(otherWay(only), nowMs) !== only) return false;
    const isNews = this.usual(otherWay(only), nowMs) !== only;
    this.#only = only;
    this.#onlyUntilMs = nowMs + oneWayMs;
    return isNews;
  }
}

function otherWay(way: UpstreamTransport): UpstreamTransport {
  return way === 'udp' ? 'tcp' : 'udp';
}

const past = Number.NEGATIVE_INFINITY;

export class Edns {
  #heardAtMs = past;
  /** When a request has an OPT again; `past` where all have. */
  #triedAgainAtMs = past;

  /** It is known to answer only requests without OPT. */
  get isWithout(): boolean {
    return this.#triedAgainAtMs !== past;
  }

  /** Whether the next request is to have an OPT; the one that is to see whether it is answered by now is this one. */
  nextHasOpt(nowMs: number): boolean {
    if (nowMs < this.#triedAgainAtMs) return false;
    if (this.isWithout) this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }

  /** A request with an OPT has been answered well lately: it is not the OPT that brings silence or a failure. */
  isProven(nowMs: number): boolean {
    return nowMs - this.#heardAtMs < optHeardMs;
  }

  /** A request with an OPT was answered well. True when that is news. */
  heard(nowMs: number): boolean {
    const isNews = this.isWithout;
    this.#heardAtMs = nowMs;
    this.#triedAgainAtMs = past;
    return isNews;
  }

  /** A question was answered well without an OPT, and not with one. True when that is news. */
  learn(nowMs: number): boolean {
    if (this.isWithout || this.isProven(nowMs)) return false;
    this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }
}
