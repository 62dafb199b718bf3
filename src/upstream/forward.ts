/**
 * One `forward` directive at work: its upstreams, the questions that wait, and its limits. It finds upstreams and
 * starts questions; what happens to a question is in query.ts.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import { nameToWire } from '../dns/names.js';
import { classIn, sameName, setU16, typeA, typeAaaa, typeNs } from '../dns/wire.js';
import {
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
import type { Outcome, Request } from './ask.js';
import { loopLoss } from './attempt.js';
import { AgainBudget } from './budget.js';
import { DiscoveredName, type NameSettings } from './discovery.js';
import { newUpstreamStats, type PlaceSettings, Rtt, type UpstreamDeps } from './endpoint.js';
import { OwnUpstreams } from './own-upstreams.js';
import { type Asked, Question, type QuestionHome, type QuestionSettings } from './query.js';
import { Upstream, type UpstreamSettings } from './upstream.js';

/** `read_timeout` as CoreDNS has it when the Corefile does not say. A longer one moves the deadline. */
const readTimeoutDefaultMs = 2_000;
/** Questions that were asked before a change of the upstreams are over by then. */
const leavingMs = 2 * queryDeadlineCeilingMs;

type Refusal = Extract<Outcome, { ok: false }>;
/** Who asks, and since when. */
export type Asking = Pick<Asked, 'askedAtMs' | 'done' | 'late'>;

export class Forward implements QuestionHome {
  readonly config: ForwardConfig;
  readonly settings: QuestionSettings;
  readonly deps: UpstreamDeps;
  readonly budget = new AgainBudget();
  readonly #clients = new Shares();
  readonly #log: Log;
  readonly #responsibility: Responsibility;
  readonly #placeSettings: PlaceSettings;
  readonly #upstreamSettings: Omit<UpstreamSettings, 'scoutAnswered'>;
  readonly #own: OwnUpstreams;
  /** Each knows its place. Not a Set, for the reason that PendingTable is not a Map. */
  readonly #questions: Question[] = [];
  /** Those that have failed and take the answer that may still come, the oldest first. */
  readonly #late: Question[] = [];
  /** Those with these addresses, in the order written, then those by name, then those learned by `endpoints`. */
  #upstreams: readonly Upstream[] = [];
  #fixed: readonly UpstreamEndpoint[] = [];
  #learnedCount = 0;
  readonly #names: readonly DiscoveredName[];
  readonly #endpoints: DiscoveredName | null;
  /** No longer in the configuration, with what they still owe. */
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
    this.#placeSettings = { ...config, deadlineMs };
    this.#names = config.to.flatMap((target) => (target.kind === 'name' ? [this.#newName(target)] : []));
    this.#endpoints = config.endpoints === null ? null : this.#newName(config.endpoints);
    this.#upstreamSettings = {
      probeTransport: config.transport === 'tcp' ? 'tcp' : 'udp',
      health: {
        failsMax: config.failsMax,
        intervalMs: config.healthCheck.intervalMs,
        request: probeRequest(config),
      },
      maySpend: (nowMs) => this.budget.spendOnScout(nowMs),
    };
  }

  get upstreams(): readonly Upstream[] {
    return this.#upstreams;
  }

  /** Questions under way. */
  get inflight(): number {
    return this.#questions.length;
  }

  /** Whether an upstream may still be needed soon: it is asked, or looked after. */
  isBusy(nowMs: number): boolean {
    return this.#questions.length > 0 || this.#all().some((upstream) => upstream.isBusy(nowMs));
  }

  /** Whether something is open, or kept for the next question, so that time does something to it. */
  isOpen(nowMs: number): boolean {
    return (
      this.#leaving.length > 0 || this.#upstreams.some((upstream) => upstream.open > 0 || upstream.keepsStock(nowMs))
    );
  }

  isResponsible(question: Uint8Array): boolean {
    return isResponsible(this.#responsibility, question, question.length - 4);
  }

  /** Asks, or says why not; `done` is then not called. At least one upstream is there. */
  ask(request: Request, asking: Asking): Refusal | null {
    const { concurrentMax } = this.config;
    const has = this.#clients.of(request.client);
    if (concurrentMax > 0 && !this.#isWithinConcurrentMax(has)) {
      this.deps.counters.count('forwardMaxConcurrentRejects');
      return refusal(`concurrent queries exceeded maximum ${concurrentMax}`);
    }
    if (this.#questions.length >= pendingMax) return refusal(`more than ${pendingMax} queries are waiting`);
    const nowMs = this.deps.clock.nowMs();
    this.#learn(nowMs);
    const upstreams = this.#own.mayAsk(this.#upstreams, request.question);
    if (upstreams.length === 0) return { ok: false, why: loopLoss.why, text: loopLoss.text };
    const left = this.#upstreams.length - upstreams.length;
    const learned = left === 0 ? this.#learnedCount : this.#learnedAmong(upstreams);
    // By name: V8 takes 4 µs for a spread here, a tenth of what the whole question costs.
    const { askedAtMs, done, late } = asking;
    this.#start({ request, askedAtMs, upstreams, learned, number: this.#number(), done, late }, nowMs);
    return null;
  }

  /** Whether a client with so many questions may have another one: as many as are left for others, and a few always. */
  #isWithinConcurrentMax(has: number): boolean {
    const left = this.config.concurrentMax - this.#questions.length;
    return left > 0 && (!asksMuch(has) || has < left);
  }

  #learnedAmong(upstreams: readonly Upstream[]): number {
    const learned = this.#upstreams.slice(this.#upstreams.length - this.#learnedCount);
    return learned.filter((upstream) => upstreams.includes(upstream)).length;
  }

  /** Asks this upstream and no other, as a probe does. */
  askOnly(upstream: Upstream, request: Request, done: (outcome: Outcome) => void): void {
    const nowMs = this.deps.clock.nowMs();
    const upstreams = [upstream];
    this.#start(this.#plain(request, upstreams, nowMs, done), nowMs);
  }

  /** A question of our own. */
  #plain(request: Request, upstreams: Asked['upstreams'], askedAtMs: number, done: Asked['done']): Asked {
    return { request, askedAtMs, upstreams, learned: 0, number: this.#number(), done, late: null };
  }

  /** Those found to send questions back may be asked again; not those of our own of which that is known. */
  forgetLoops(): void {
    for (const upstream of this.#upstreams) upstream.stats.looping = this.#own.isReturning(upstream);
  }

  /** Finds out anew which of its upstreams are ourselves and lead back. */
  judgeOwn(): void {
    this.#own.judge(this.#upstreams);
  }

  #number(): number {
    const number = this.#askedCount;
    this.#askedCount = (this.#askedCount + 1) % 2 ** 30;
    return number;
  }

  #start(asked: Asked, nowMs: number): void {
    const question = new Question(this, asked);
    question.place = this.#questions.length;
    this.#questions.push(question);
    this.#clients.took(question.request.client);
    question.start(nowMs);
  }

  finished(question: Question): void {
    this.#clients.gave(question.request.client);
    const last = this.#questions.pop()!;
    if (last === question) return;
    last.place = question.place;
    this.#questions[question.place] = last;
  }

  staysForLate(question: Question): void {
    if (this.#late.length >= lateQuestionsMax) this.#late[0].endLate(this.deps.clock.nowMs());
    this.#late.push(question);
  }

  lateEnded(question: Question): void {
    const index = this.#late.indexOf(question);
    if (index >= 0) this.#late.splice(index, 1);
  }

  /** Asks these from now on. Those that stay keep their connections; the others finish what they were asked. */
  setEndpoints(endpoints: readonly UpstreamEndpoint[], nowMs: number): void {
    this.#fixed = endpoints;
    this.#rebuild(nowMs);
  }

  #rebuild(nowMs: number): void {
    const before = new Map(this.#upstreams.map((upstream) => [keyOf(upstream.endpoint), upstream]));
    const now = new Map<string, Upstream>();
    const add = (endpoints: readonly UpstreamEndpoint[], upstreamsMax: number): void => {
      for (const endpoint of endpoints) {
        const key = keyOf(endpoint);
        if (now.size < upstreamsMax) now.set(key, now.get(key) ?? before.get(key) ?? this.#newUpstream(endpoint));
      }
    };
    add([...this.#fixed, ...this.#names.flatMap(({ endpoints }) => endpoints)], upstreamsPerForwardMax);
    const named = now.size;
    add(this.#endpoints?.endpoints ?? [], named + learnedAddressesMax);
    this.#learnedCount = now.size - named;
    for (const [key, upstream] of before) {
      if (now.has(key)) continue;
      upstream.retire(nowMs);
      this.#leaving.push({ upstream, sinceMs: nowMs });
    }
    this.#upstreams = [...now.values()];
    this.deps.own.changed();
  }

  #newName(settings: NameSettings): DiscoveredName {
    return new DiscoveredName(settings, {
      counters: this.deps.counters,
      log: this.#log,
      types: () => [...new Set(this.#fixed.map(({ address }) => (address.includes(':') ? typeAaaa : typeA)))],
      ask: (request, done) => {
        const upstreams = this.#upstreams.slice(0, Math.min(this.#fixed.length, this.#upstreams.length));
        if (upstreams.length === 0) return false;
        const nowMs = this.deps.clock.nowMs();
        this.#start(this.#plain(request, upstreams, nowMs, done), nowMs);
        return true;
      },
      changed: () => this.#rebuild(this.deps.clock.nowMs()),
    });
  }

  /** Keeps the addresses behind names up to date. */
  #learn(nowMs: number): void {
    if (this.#endpoints === null && this.#names.length === 0) return;
    const learned = this.#upstreams.slice(this.#fixed.length);
    const isTrouble = learned.some((upstream) => !upstream.isUp || upstream.isSilent(nowMs));
    for (const name of this.#endpoints === null ? this.#names : [...this.#names, this.#endpoints]) {
      if (isTrouble) name.lookSoon(nowMs);
      name.look(nowMs);
    }
  }

  sweep(nowMs: number): void {
    doAll(
      () => this.#each((question) => question.sweep(nowMs)),
      () => toEach(this.#late.slice(), (question) => question.sweep(nowMs)),
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

  /** Ends every question and closes every connection. */
  stop(nowMs: number): void {
    const all = this.#all();
    this.#leaving = [];
    doAll(
      () => this.#each((question) => question.cancel('the upstream is no longer in use')),
      () => toEach(this.#late.slice(), (question) => question.endLate(nowMs)),
      () => toEach(all, (upstream) => upstream.close(nowMs)),
    );
  }

  /** From the end on: whoever takes the place of one that ends on the way has been seen. */
  #each(visit: (question: Question) => void): void {
    const questions = this.#questions;
    function* fromTheEnd(): Generator<Question> {
      for (let place = questions.length - 1; place >= 0; place--) {
        if (place < questions.length) yield questions[place];
      }
    }
    toEach(fromTheEnd(), visit);
  }

  #all(): readonly Upstream[] {
    if (this.#leaving.length === 0) return this.#upstreams;
    return [...this.#upstreams, ...this.#leaving.map(({ upstream }) => upstream)];
  }

  #newUpstream(endpoint: UpstreamEndpoint): Upstream {
    const to = formatEndpoint(endpoint);
    const { tls } = this.config;
    const place = {
      endpoint,
      to,
      stats: newUpstreamStats(to),
      pace: new Rtt(),
      tls: endpoint.overTls ? { ...tls, serverName: endpoint.serverName ?? tls.serverName } : null,
      settings: this.#placeSettings,
      deps: this.deps,
    };
    const { probeTransport, ...settings } = this.#upstreamSettings;
    const upstream: Upstream = new Upstream(
      place,
      {
        ...settings,
        probeTransport: endpoint.overTls ? 'tcp' : probeTransport,
        scoutAnswered: (nowMs) => this.#each((question) => question.scoutAnswered(upstream, nowMs)),
      },
      this.#log,
    );
    return upstream;
  }
}

/** What tells upstreams apart: two names in certificates at one address are two. */
function keyOf(endpoint: UpstreamEndpoint): string {
  const { overTls, serverName = '' } = endpoint;
  return `${formatEndpoint(endpoint)}${overTls ? ` tls ${serverName}` : ''}`;
}

/** A `read_timeout` that was raised is a client's patience that was raised, within bounds. */
function deadlineOf({ readTimeoutMs }: ForwardConfig): number {
  if (readTimeoutMs <= readTimeoutDefaultMs) return queryDeadlineMs;
  return Math.min(queryDeadlineCeilingMs, Math.max(queryDeadlineMs, readTimeoutMs));
}

function refusal(text: string): Refusal {
  return { ok: false, why: 'overloaded', text };
}

function probeRequest({ healthCheck, transport }: ForwardConfig): Request {
  const name = nameToWire(healthCheck.domain);
  const question = new Uint8Array(name.length + 4);
  question.set(name);
  setU16(question, name.length, typeNs);
  setU16(question, name.length + 2, classIn);
  return {
    question,
    recursionDesired: healthCheck.recursionDesired,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: transport === 'tcp' ? 'tcp' : 'udp',
  };
}

interface Responsibility {
  readonly from: Uint8Array;
  readonly except: readonly Uint8Array[];
}

/** From names as the configuration has them. */
export function responsibility(names: { readonly from: string; readonly except: readonly string[] }): Responsibility {
  return { from: nameToWire(names.from), except: names.except.map(nameToWire) };
}

/** Whether one of these is responsible for the name that a question starts with. */
export function anyResponsible(all: readonly Responsibility[]): (question: Uint8Array) => boolean {
  return (question) => all.some((one) => isResponsible(one, question, question.length - 4));
}

/** `question` starts with an uncompressed name of `nameBytes`. As in CoreDNS `from` itself cannot be excepted. */
export function isResponsible({ from, except }: Responsibility, question: Uint8Array, nameBytes: number): boolean {
  if (!isInZone(question, nameBytes, from)) return false;
  if (except.length === 0 || nameBytes === from.length) return true;
  for (const zone of except) if (isInZone(question, nameBytes, zone)) return false;
  return true;
}

function isInZone(question: Uint8Array, nameBytes: number, zone: Uint8Array): boolean {
  let at = 0;
  while (nameBytes - at > zone.length) at += question[at] + 1;
  return nameBytes - at === zone.length && sameName(question, at, zone, 0, zone.length);
}
