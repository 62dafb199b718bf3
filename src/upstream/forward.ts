/** One `forward` directive: its upstreams, its queries in flight and its limits. The life of a query is in query.ts. */

import { formatEndpoint } from '../config/addresses.js';
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import { nameToWire } from '../dns/names.js';
import { questionFor } from '../dns/query.js';
import { sameName, typeA, typeAaaa, typeNs } from '../dns/wire.js';
import {
  freeQueriesMax,
  lateQuestionsMax,
  learnedAddressesMax,
  pendingMax,
  queryDeadlineCeilingMs,
  queryDeadlineMs,
  slowDeadlineMs,
  upstreamsPerForwardMax,
} from '../limits.js';
import type { Log } from '../os/log.js';
import { doAll, toEach } from '../scheduling/each.js';
import { asksMuch, Shares } from '../scheduling/shares.js';
import type { FailedOutcome, Outcome, QueryCaller, Request } from './ask.js';
import { loopLoss } from './attempt.js';
import { HedgeBudget } from './budget.js';
import { DiscoveredName, type NameSettings } from './discovery.js';
import { type AddressSettings, Rtt, type UpstreamDeps, UpstreamStats } from './endpoint.js';
import { OwnUpstreams } from './own-upstreams.js';
import { type QueryOwner, type QuerySettings, UpstreamQuery } from './query.js';
import type { UpstreamsToAsk } from './selection.js';
import { Upstream, type UpstreamSettings } from './upstream.js';

/** CoreDNS's default; a longer `read_timeout` moves the deadline. */
const readTimeoutDefaultMs = 2_000;
/** Queries to a removed upstream are over by then. */
const leavingMs = 2 * queryDeadlineCeilingMs;

export class Forward implements QueryOwner {
  readonly config: ForwardConfig;
  readonly settings: QuerySettings;
  readonly deps: UpstreamDeps;
  readonly budget = new HedgeBudget();
  readonly #clients = new Shares();
  readonly #log: Log;
  readonly #responsibility: Responsibility;
  readonly #addressSettings: AddressSettings;
  readonly #own: OwnUpstreams;
  /** Each knows its index. Not a Set, for the reason that PendingTable is not a Map. */
  readonly #queries: UpstreamQuery[] = [];
  /** Objects for queries to come. */
  readonly #free: UpstreamQuery[] = [];
  /** Failed queries that wait for a late answer, the oldest first. */
  readonly #late: UpstreamQuery[] = [];
  /** In the order of fixed addresses, of names, of `endpoints`. */
  upstreams: readonly Upstream[] = [];
  #fixed: readonly UpstreamEndpoint[] = [];
  /** All of them. */
  #toAsk: UpstreamsToAsk = { upstreams: [], learned: 0 };
  readonly #names: readonly DiscoveredName[];
  readonly #endpoints: DiscoveredName | null;
  /** Removed from the configuration, with queries in flight. */
  #leaving: { readonly upstream: Upstream; readonly sinceMs: number }[] = [];
  #askedCount = 0;

  constructor(config: ForwardConfig, deps: UpstreamDeps, log: Log) {
    const deadlineMs = deadlineOf(config);
    const slowMs = Math.max(slowDeadlineMs, deadlineMs);
    this.config = config;
    this.deps = deps;
    this.#log = log;
    this.#responsibility = responsibility(config);
    this.#own = new OwnUpstreams(config, deps.own, log);
    this.settings = { ...config, deadlineMs, slowDeadlineMs: slowMs };
    this.#addressSettings = { ...config, deadlineMs };
    this.#names = config.to.flatMap((target) => (target.kind === 'name' ? [this.#newName(target)] : []));
    this.#endpoints = config.endpoints === null ? null : this.#newName(config.endpoints);
  }

  get inflight(): number {
    return this.#queries.length;
  }

  /** Whether sweeps are due often: a query waits, or an upstream is probed. */
  isBusy(nowMs: number): boolean {
    return this.#queries.length > 0 || this.#all().some((upstream) => upstream.isBusy(nowMs));
  }

  /** Whether sweeps are due now and then: something is open. */
  isOpen(nowMs: number): boolean {
    return (
      this.#leaving.length > 0 || this.upstreams.some((upstream) => upstream.open > 0 || upstream.keepsStock(nowMs))
    );
  }

  isResponsible(question: Uint8Array): boolean {
    return isResponsible(this.#responsibility, question, question.length - 4);
  }

  /** Starts a query, or returns why not, without a call to `done`. Only with at least one upstream. */
  ask(request: Request, caller: QueryCaller): FailedOutcome | null {
    const { concurrentMax } = this.config;
    const has = this.#clients.of(request.client);
    if (concurrentMax > 0 && !this.#isWithinConcurrentMax(has)) {
      this.deps.counters.count('forwardMaxConcurrentRejects');
      return overloadedOutcome(`concurrent queries exceeded maximum ${concurrentMax}`);
    }
    if (this.#queries.length >= pendingMax) return overloadedOutcome(`more than ${pendingMax} queries are waiting`);
    const nowMs = this.deps.clock.nowMs();
    this.#learn(nowMs);
    const upstreams = this.#own.mayAsk(this.upstreams, request.question);
    if (upstreams.length === 0) return { ok: false, why: loopLoss.why, text: loopLoss.text };
    const isAll = upstreams.length === this.upstreams.length;
    this.#start(request, caller, isAll ? this.#toAsk : { upstreams, learned: this.#learnedAmong(upstreams) }, nowMs);
    return null;
  }

  /** A client may have as many queries as are left for others, and always a few. */
  #isWithinConcurrentMax(has: number): boolean {
    const left = this.config.concurrentMax - this.#queries.length;
    return left > 0 && (!asksMuch(has) || has < left);
  }

  #learnedAmong(upstreams: readonly Upstream[]): number {
    const learned = this.upstreams.slice(this.upstreams.length - this.#toAsk.learned);
    return learned.filter((upstream) => upstreams.includes(upstream)).length;
  }

  /** Asks this upstream only, as a start probe does. */
  askOnly(upstream: Upstream, request: Request, done: (outcome: Outcome) => void): void {
    this.#startOwn([upstream], request, done);
  }

  #startOwn(upstreams: readonly Upstream[], request: Request, done: QueryCaller['done']): void {
    const nowMs = this.deps.clock.nowMs();
    this.#start(request, { askedAtMs: nowMs, done, late: null }, { upstreams, learned: 0 }, nowMs);
  }

  /** Looping upstreams are asked again, except those known to be our own listeners. */
  forgetLoops(): void {
    for (const upstream of this.upstreams) upstream.stats.looping = this.#own.isReturning(upstream);
  }

  judgeOwn(): void {
    this.#own.judge(this.upstreams);
  }

  #number(): number {
    const number = this.#askedCount;
    this.#askedCount = (this.#askedCount + 1) % 2 ** 30;
    return number;
  }

  #start(request: Request, caller: QueryCaller, toAsk: UpstreamsToAsk, nowMs: number): void {
    const query = this.#free.pop() ?? new UpstreamQuery(this);
    query.index = this.#queries.length;
    this.#queries.push(query);
    this.#clients.took(request.client);
    query.begin(request, caller, toAsk, this.#number(), nowMs);
  }

  free(query: UpstreamQuery): void {
    if (this.#free.length < freeQueriesMax) this.#free.push(query);
  }

  finished(query: UpstreamQuery): void {
    this.#clients.gave(query.request.client);
    const last = this.#queries.pop()!;
    if (last === query) return;
    last.index = query.index;
    this.#queries[query.index] = last;
  }

  staysForLate(query: UpstreamQuery): void {
    if (this.#late.length >= lateQuestionsMax) this.#late[0].endLate(this.deps.clock.nowMs());
    this.#late.push(query);
  }

  lateEnded(query: UpstreamQuery): void {
    const index = this.#late.indexOf(query);
    if (index >= 0) this.#late.splice(index, 1);
  }

  /** Replaces the fixed addresses. Upstreams that stay keep their connections; removed ones finish their queries. */
  setEndpoints(endpoints: readonly UpstreamEndpoint[], nowMs: number): void {
    this.#fixed = endpoints;
    this.#rebuild(nowMs);
  }

  #rebuild(nowMs: number): void {
    const before = new Map(this.upstreams.map((upstream) => [upstreamKey(upstream.endpoint), upstream]));
    const now = new Map<string, Upstream>();
    const add = (endpoints: readonly UpstreamEndpoint[], upstreamsMax: number): void => {
      for (const endpoint of endpoints) {
        const key = upstreamKey(endpoint);
        if (now.size < upstreamsMax) now.set(key, now.get(key) ?? before.get(key) ?? this.#newUpstream(endpoint));
      }
    };
    add([...this.#fixed, ...this.#names.flatMap(({ endpoints }) => endpoints)], upstreamsPerForwardMax);
    const named = now.size;
    add(this.#endpoints?.endpoints ?? [], named + learnedAddressesMax);
    for (const [key, upstream] of before) {
      if (now.has(key)) continue;
      upstream.retire(nowMs);
      this.#leaving.push({ upstream, sinceMs: nowMs });
    }
    this.upstreams = [...now.values()];
    this.#toAsk = { upstreams: this.upstreams, learned: now.size - named };
    this.deps.own.changed();
  }

  #newName(settings: NameSettings): DiscoveredName {
    return new DiscoveredName(settings, {
      counters: this.deps.counters,
      log: this.#log,
      types: () => [...new Set(this.#fixed.map(({ address }) => (address.includes(':') ? typeAaaa : typeA)))],
      ask: (request, done) => {
        const upstreams = this.upstreams.slice(0, Math.min(this.#fixed.length, this.upstreams.length));
        if (upstreams.length === 0) return false;
        this.#startOwn(upstreams, request, done);
        return true;
      },
      changed: () => this.#rebuild(this.deps.clock.nowMs()),
    });
  }

  #learn(nowMs: number): void {
    if (this.#endpoints === null && this.#names.length === 0) return;
    const learned = this.upstreams.slice(this.#fixed.length);
    const isTrouble = learned.some((upstream) => !upstream.isUp || upstream.isSilent(nowMs));
    for (const name of this.#endpoints === null ? this.#names : [...this.#names, this.#endpoints]) {
      if (isTrouble) name.lookSoon(nowMs);
      name.look(nowMs);
    }
  }

  sweep(nowMs: number): void {
    doAll(
      () => this.#each((query) => query.sweep(nowMs)),
      () => toEach(this.#late.slice(), (query) => query.sweep(nowMs)),
      () => toEach(this.#all(), (upstream) => upstream.sweep(nowMs)),
      () => this.#learn(nowMs),
      () => this.#letGo(nowMs),
    );
  }

  #letGo(nowMs: number): void {
    if (this.#leaving.length === 0) return;
    const gone = this.#leaving.filter(({ sinceMs }) => nowMs - sinceMs >= leavingMs);
    this.#leaving = this.#leaving.filter((one) => !gone.includes(one));
    toEach(gone, ({ upstream }) => upstream.close(nowMs));
  }

  stop(nowMs: number): void {
    const all = this.#all();
    this.#leaving = [];
    doAll(
      () => this.#each((query) => query.cancel('the upstream is no longer in use')),
      () => toEach(this.#late.slice(), (query) => query.endLate(nowMs)),
      () => toEach(all, (upstream) => upstream.close(nowMs)),
    );
  }

  /** From the end: a query that moves into a freed index has been visited. */
  #each(visit: (query: UpstreamQuery) => void): void {
    const queries = this.#queries;
    function* fromTheEnd(): Generator<UpstreamQuery> {
      for (let index = queries.length - 1; index >= 0; index--) {
        if (index < queries.length) yield queries[index];
      }
    }
    toEach(fromTheEnd(), visit);
  }

  #all(): readonly Upstream[] {
    if (this.#leaving.length === 0) return this.upstreams;
    return [...this.upstreams, ...this.#leaving.map(({ upstream }) => upstream)];
  }

  #newUpstream(endpoint: UpstreamEndpoint): Upstream {
    const to = formatEndpoint(endpoint);
    const { tls, transport, failsMax, healthCheck } = this.config;
    const address = {
      endpoint,
      to,
      stats: new UpstreamStats(to),
      rtt: new Rtt(),
      tls: endpoint.overTls ? { ...tls, serverName: endpoint.serverName ?? tls.serverName } : null,
      settings: this.#addressSettings,
      deps: this.deps,
    };
    const settings: UpstreamSettings = {
      health: { failsMax, intervalMs: healthCheck.intervalMs, request: probeRequest(this.config) },
      probeTransport: endpoint.overTls || transport === 'tcp' ? 'tcp' : 'udp',
      maySpend: (nowMs) => this.budget.spendOnScout(nowMs),
      scoutAnswered: (nowMs) => this.#each((query) => query.scoutAnswered(upstream, nowMs)),
    };
    const upstream = new Upstream(address, settings, this.#log);
    return upstream;
  }
}

/** Two TLS server names at one address are two upstreams. */
function upstreamKey(endpoint: UpstreamEndpoint): string {
  const { overTls, serverName = '' } = endpoint;
  return `${formatEndpoint(endpoint)}${overTls ? ` tls ${serverName}` : ''}`;
}

/** A longer `read_timeout` means that clients wait longer, within bounds. */
function deadlineOf({ readTimeoutMs }: ForwardConfig): number {
  if (readTimeoutMs <= readTimeoutDefaultMs) return queryDeadlineMs;
  return Math.min(queryDeadlineCeilingMs, Math.max(queryDeadlineMs, readTimeoutMs));
}

function overloadedOutcome(text: string): FailedOutcome {
  return { ok: false, why: 'overloaded', text };
}

function probeRequest({ healthCheck, transport }: ForwardConfig): Request {
  return {
    question: questionFor(healthCheck.domain, typeNs),
    recursionDesired: healthCheck.recursionDesired,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: transport === 'tcp' ? 'tcp' : 'udp',
  };
}

/** Names in `from` and in none of `except`: wire bytes, compared by label without regard to case (RFC 4343). */
interface Responsibility {
  readonly from: Uint8Array;
  readonly except: readonly Uint8Array[];
}

export function responsibility(names: { readonly from: string; readonly except: readonly string[] }): Responsibility {
  return { from: nameToWire(names.from), except: names.except.map(nameToWire) };
}

export function anyResponsible(all: readonly Responsibility[]): (question: Uint8Array) => boolean {
  return (question) => all.some((one) => isResponsible(one, question, question.length - 4));
}

/** `question` starts with an uncompressed name of `nameBytes`. As in CoreDNS `from` itself cannot be excepted. */
export function isResponsible({ from, except }: Responsibility, question: Uint8Array, nameBytes: number): boolean {
  if (!isNameInZone(question, nameBytes, from)) return false;
  if (except.length === 0 || nameBytes === from.length) return true;
  for (const zone of except) if (isNameInZone(question, nameBytes, zone)) return false;
  return true;
}

function isNameInZone(question: Uint8Array, nameBytes: number, zone: Uint8Array): boolean {
  let at = 0;
  while (nameBytes - at > zone.length) at += question[at] + 1;
  return nameBytes - at === zone.length && sameName(question, at, zone, 0, zone.length);
}
