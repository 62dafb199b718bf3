/**
 * One upstream of a `forward`: its connections, UDP sockets and health, and which transport and OPT work with it. It
 * carries attempts; the query decides which upstream to ask, and what follows.
 */
import { observeDuration } from '../counters.js';
import { rcodeName } from '../dns/names.js';
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
import { type Attempt, type Hedge, noTime, notSent, type Sent } from './attempt.js';
import { durationsOf, type Rtt, type UpstreamAddress, type UpstreamStats } from './endpoint.js';
import { Health, type HealthSettings } from './health.js';
import { Pool } from './pool.js';
import { Doubt, Probe } from './scout.js';
import { UdpSockets } from './udp.js';

export type UpstreamTransport = 'udp' | 'tcp';

export interface UpstreamSettings {
  readonly health: HealthSettings;
  readonly probeTransport: UpstreamTransport;
  /** Takes one scout from the budget; false when there is none. */
  readonly maySpend: (nowMs: number) => boolean;
  /** A scout or probe has reached an endpoint that answers. */
  readonly scoutAnswered: (nowMs: number) => void;
}

/** After this a silent upstream is asked again, if no probe shows earlier that it answers. */
const muteMs = 1_000;
/** A measured round-trip time halves in weight after this time without an answer. */
const costHalfLifeMs = 10_000;
/** Differences below are noise. */
const costMsMin = 0.1;
/** One that has just failed is asked when eight others would be. */
const failingCost = 8;

export class Upstream {
  readonly endpoint: Endpoint;
  readonly to: string;
  readonly stats: UpstreamStats;
  readonly rtt: Rtt;
  readonly isTls: boolean;
  readonly health: Health;
  readonly edns = new Edns();
  readonly #transports = new Transports();
  readonly #log: Log;
  readonly #address: UpstreamAddress;
  readonly #settings: UpstreamSettings;
  readonly #doubts: Readonly<Record<UpstreamTransport, Doubt>>;
  readonly #pool: Pool;
  readonly #udp: UdpSockets;
  #attempts = 0;
  /** Since when it has owed an answer and said nothing; `never` where it owes none. */
  #silentSinceMs = noTime;
  /** Silent attempts were abandoned: until then other upstreams go first all the same. */
  #muteUntilMs = 0;
  /** Since it was heard last, and when the next scouts may go. */
  #scoutBatches = 0;
  #scoutsAtMs = 0;

  constructor(address: UpstreamAddress, settings: UpstreamSettings, log: Log) {
    this.#address = address;
    this.endpoint = address.endpoint;
    this.to = address.to;
    this.stats = address.stats;
    this.rtt = address.rtt;
    this.isTls = address.tls !== null;
    this.#settings = settings;
    this.#log = log;
    this.#doubts = { udp: this.#newDoubt('udp'), tcp: this.#newDoubt('tcp') };
    this.#pool = new Pool(address, this.#doubts.tcp);
    this.#udp = new UdpSockets(address, this.#doubts.udp);
    this.health = new Health(settings.health, {
      stats: address.stats,
      log,
      outages: address.deps.outages,
      heard: (nowMs) => this.#wasHeard(nowMs),
      cameBack: (nowMs) => this.#pool.retireSilent(nowMs),
      probeAnswered: (nowMs) => this.#proven(settings.probeTransport, nowMs),
      // On a connection of its own, because a query's would hold it up; it stays open for queries.
      sendProbe: (attempt, nowMs) => this.#carriers(settings.probeTransport).scout(attempt, nowMs),
    });
  }

  /** The transport to use; `failed` are those that brought this query no answer. */
  transportFor(wanted: UpstreamTransport, failed: readonly UpstreamTransport[], nowMs: number): UpstreamTransport {
    if (this.isTls) return 'tcp';
    const usual = this.#transports.usual(wanted, nowMs);
    const isDoubtful = failed.length > 0 && failed.every((transport) => transport === usual);
    return isDoubtful ? this.#transports.afterSilence(usual, nowMs) : usual;
  }

  /** An answer came over this transport to a query that had none over those in `failed`. */
  heardBy(transport: UpstreamTransport, failed: readonly UpstreamTransport[], nowMs: number): void {
    if (failed.some((other) => other !== transport) && this.#transports.learn(transport, nowMs)) {
      this.#address.deps.counters.count('upstreamOneWay');
      this.#log.info(
        `upstream ${this.to} answers over ${transport.toUpperCase()} only; using only that for ${oneWayMs / 60_000} minutes`,
      );
    }
    this.#transports.heard(transport, nowMs);
  }

  /** The attempt was answered well. An answer over TCP does not show what is dropped over UDP. */
  answeredWell(how: { transport: UpstreamTransport; carriesOpt: boolean; testsOpt: boolean }, nowMs: number): void {
    const { to, edns } = this;
    if (how.carriesOpt && how.transport === 'udp' && edns.heard(nowMs))
      this.#log.info(`upstream ${to} answers queries with OPT again`);
    if (!how.testsOpt || !edns.learn(nowMs)) return;
    this.#log.info(
      `upstream ${to} answers only queries without OPT; sending none, and trying OPT again every ${withoutOptMs / 60_000} minutes`,
    );
  }

  /** The statistics, with the gauges of this moment. */
  reading(nowMs: number): UpstreamStats {
    this.stats.open = this.open;
    this.stats.suspects = this.#pool.suspects(nowMs);
    return this.stats;
  }

  get isUp(): boolean {
    return !this.stats.looping && !this.health.isDown;
  }

  /** Estimated time for another query, by round-trip time, load and failures; comparable between upstreams. */
  cost(nowMs: number): number {
    const forgottenShare = 2 ** ((this.rtt.lastHeardMs - nowMs) / costHalfLifeMs);
    const rttMs = Math.max(costMsMin, this.rtt.averageMs * forgottenShare);
    return (1 + this.#attempts) * rttMs * (this.health.isFailing ? failingCost : 1);
  }

  /** Owes answers and has been silent for longer than they take. */
  isSilent(nowMs: number): boolean {
    return this.silentForMs(nowMs) >= this.rtt.waitMs;
  }

  /** How long it has owed answers without any sign of life; 0 where it owes none. */
  silentForMs(nowMs: number): number {
    const isMute = this.#attempts > 0 || this.health.isProbing || nowMs < this.#muteUntilMs;
    return isMute && this.#silentSinceMs !== noTime ? nowMs - this.#silentSinceMs : 0;
  }

  attemptStarted(nowMs: number): void {
    this.#attempts++;
    if (this.#silentSinceMs === noTime) this.#silentSinceMs = nowMs;
  }

  /** `sentAtMs` may be `notSent`. */
  attemptEnded(sentAtMs: number, nowMs: number): void {
    this.#attempts--;
    const wasSilent = sentAtMs !== notSent && nowMs - sentAtMs >= this.rtt.waitMs && !this.rtt.wasHeardSince(sentAtMs);
    if (wasSilent) this.#muteUntilMs = nowMs + muteMs;
    else if (this.#attempts === 0 && this.silentForMs(nowMs) === 0) this.#silentSinceMs = noTime;
  }

  /** Sweeps are needed between queries: something is kept open. */
  keepsStock(nowMs: number): boolean {
    return this.#pool.keepsStock(nowMs) || this.#udp.keepsStock(nowMs);
  }

  /** Sweeps are due often: it is probed, or too few trusted carriers are open. */
  isBusy(nowMs: number): boolean {
    return this.health.isProbing || isShort(this.#pool, nowMs) || isShort(this.#udp, nowMs);
  }

  /** Open connections and sockets. */
  get open(): number {
    return this.#pool.size + this.#udp.size;
  }

  send(attempt: Attempt, transport: UpstreamTransport, nowMs: number, hedge: Hedge | null): Sent {
    return this.#carriers(transport).send(attempt, nowMs, hedge);
  }

  /** Whether a carrier of this transport that the client's hedge may use has answered since. */
  hasHeard(transport: UpstreamTransport, client: string | undefined, hedge: Hedge, nowMs: number): boolean {
    return this.#carriers(transport).wasHeardFor(client, hedge, nowMs);
  }

  /** Sends scouts on new connections or ports, for queries to use. Pauses grow, and the number is limited. */
  explore(transports: readonly UpstreamTransport[], nowMs: number): void {
    if (nowMs < this.#scoutsAtMs || this.#scoutBatches >= scoutRoundsMax || this.health.isDown) return;
    this.#scoutsAtMs = nowMs + scoutRoundMs * 2 ** this.#scoutBatches;
    this.#scoutBatches++;
    for (let sent = 0; sent < scoutsAtOnce; sent++) {
      const transport = transports[sent % transports.length];
      const scout = this.#newScout(transport, nowMs);
      if (scout !== null) this.#carriers(transport).scout(scout, nowMs);
    }
  }

  /** A carrier silent since then is dead: the same query was answered quickly on another. */
  doubt(transport: UpstreamTransport, silentSinceMs: number, nowMs: number): void {
    this.#doubts[transport].began(silentSinceMs, nowMs);
  }

  /** What was sent at this time was answered. */
  heard(sentAtMs: number, nowMs: number): void {
    this.rtt.answered(sentAtMs);
    this.health.answered(nowMs);
  }

  /** A worker's query was answered, over a connection of the worker's own. */
  answeredDirectly(rcode: number, durationMs: number, nowMs: number): void {
    this.stats.reused[1]++;
    observeDuration(durationsOf(this.stats, rcodeName(rcode)), 0, durationMs / 1000);
    this.rtt.took(durationMs);
    this.#transports.heard('tcp', nowMs);
    this.heard(nowMs - durationMs, nowMs);
  }

  rejected(why: 'stranger' | 'garbage'): void {
    const { counters } = this.#address.deps;
    counters.count(why === 'stranger' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  }

  #wasHeard(nowMs: number): void {
    this.stats.answered();
    this.rtt.heard(nowMs);
    this.#muteUntilMs = 0;
    this.#silentSinceMs = this.#attempts > 0 ? nowMs : noTime;
    this.#scoutBatches = 0;
  }

  #newDoubt(transport: UpstreamTransport): Doubt {
    const text = `some ${transport.toUpperCase()} connections lead to an endpoint that does not answer`;
    return new Doubt(
      () => this.#log.info(`upstream ${this.to}: ${text}`),
      (nowMs) => this.#newScout(transport, nowMs),
    );
  }

  #newScout(transport: UpstreamTransport, nowMs: number): Probe | null {
    const { health, maySpend } = this.#settings;
    if (!maySpend(nowMs)) return null;
    this.#address.deps.counters.count('upstreamScouts');
    return new Probe(health.request, nowMs, ({ sentAtMs }, hasAnswer, atMs) => {
      if (!hasAnswer) return;
      this.heard(sentAtMs, atMs);
      this.#proven(transport, atMs);
    });
  }

  #proven(transport: UpstreamTransport, nowMs: number): void {
    this.#transports.heard(transport, nowMs);
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

  /** Takes nothing new; what is in flight ends by itself. */
  retire(nowMs: number): void {
    this.health.stop(nowMs);
    this.#pool.retire(nowMs);
    this.#udp.retire();
  }

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

/** Some resolvers answer over UDP only, some firewalls pass TCP only. A finding holds for a while. */
export class Transports {
  #heardOverUdpAtMs = Number.NEGATIVE_INFINITY;
  #heardOverTcpAtMs = Number.NEGATIVE_INFINITY;
  #only: UpstreamTransport | null = null;
  #onlyUntilMs = 0;

  /** The wanted transport, unless only the other works. */
  usual(wanted: UpstreamTransport, nowMs: number): UpstreamTransport {
    return this.#only !== null && nowMs < this.#onlyUntilMs ? this.#only : wanted;
  }

  /** After silence over this transport: the other one, unless this one has worked lately. */
  afterSilence(transport: UpstreamTransport, nowMs: number): UpstreamTransport {
    const heardAtMs = transport === 'udp' ? this.#heardOverUdpAtMs : this.#heardOverTcpAtMs;
    return nowMs - heardAtMs < wayHeardMs ? transport : otherTransport(transport);
  }

  heard(transport: UpstreamTransport, nowMs: number): void {
    if (transport === 'udp') this.#heardOverUdpAtMs = nowMs;
    else this.#heardOverTcpAtMs = nowMs;
    if (this.#only !== null && this.#only !== transport) this.#only = null;
  }

  /** An answer came where the other transport brought none. True when that is a new finding. */
  learn(only: UpstreamTransport, nowMs: number): boolean {
    if (this.afterSilence(otherTransport(only), nowMs) !== only) return false;
    const isNews = this.usual(otherTransport(only), nowMs) !== only;
    this.#only = only;
    this.#onlyUntilMs = nowMs + oneWayMs;
    return isNews;
  }
}

function otherTransport(transport: UpstreamTransport): UpstreamTransport {
  return transport === 'udp' ? 'tcp' : 'udp';
}

const past = Number.NEGATIVE_INFINITY;

/**
 * Whether requests may have an OPT: some servers and firewalls drop such queries, refuse them or garble the answer. A
 * finding holds until a request with OPT is answered well; one is sent now and then to see (RFC 6891 6.2.2).
 */
export class Edns {
  #heardAtMs = past;
  /** When an OPT is sent again; `past`: always. */
  #triedAgainAtMs = past;

  /** Answers only requests without OPT, as far as known. */
  get isWithout(): boolean {
    return this.#triedAgainAtMs !== past;
  }

  /** Whether the next request has an OPT; true once per interval to test whether OPT works by now. */
  nextHasOpt(nowMs: number): boolean {
    if (nowMs < this.#triedAgainAtMs) return false;
    if (this.isWithout) this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }

  /** A request with OPT was answered well lately: OPT causes neither silence nor failures. */
  isProven(nowMs: number): boolean {
    return nowMs - this.#heardAtMs < optHeardMs;
  }

  /** A request with OPT was answered well. True when that is news. */
  heard(nowMs: number): boolean {
    const isNews = this.isWithout;
    this.#heardAtMs = nowMs;
    this.#triedAgainAtMs = past;
    return isNews;
  }

  /** A query was answered well without OPT, and not with one. True when that is news. */
  learn(nowMs: number): boolean {
    if (this.isWithout || this.isProven(nowMs)) return false;
    this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }
}
