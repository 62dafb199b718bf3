/**
 * One `forward` directive at work: its upstreams, the questions that wait, and its limits. It finds upstreams and
 * starts questions; what happens to a question is in question.ts.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import { nameToWire } from '../dns/names.js';
import { classIn, setU16, typeA, typeAaaa, typeNs } from '../dns/wire.js';
import {
  learnedAddressesMax,
  pendingMax,
  queryDeadlineCeilingMs,
  queryDeadlineMs,
  upstreamsPerForwardMax,
} from '../limits.js';
import { doAll, toEach } from '../outside/each.js';
import type { Log } from '../outside/log.js';
import type { Outcome, Request } from './ask.js';
import { AgainBudget } from './budget.js';
import { LearnedName, type NameSettings } from './learned-name.js';
import { Pace } from './pace.js';
import type { PlaceSettings, UpstreamWorld } from './place.js';
import { Question } from './question.js';
import type { Asked, QuestionHome, QuestionSettings } from './question-home.js';
import { isResponsible, type Responsibility, responsibility } from './responsible.js';
import { newUpstreamStats } from './stats.js';
import { Upstream, type UpstreamSettings } from './upstream.js';

/** `read_timeout` as CoreDNS has it when the Corefile does not say. A longer one moves the deadline. */
const readTimeoutDefaultMs = 2_000;
/** Questions that were asked before a change of the upstreams are over by then. */
const leavingMs = 2 * queryDeadlineCeilingMs;

type Refusal = Extract<Outcome, { ok: false }>;

export class Forward implements QuestionHome {
  readonly config: ForwardConfig;
  readonly settings: QuestionSettings;
  readonly world: UpstreamWorld;
  readonly budget = new AgainBudget();
  readonly #log: Log;
  readonly #responsibility: Responsibility;
  readonly #placeSettings: PlaceSettings;
  readonly #upstreamSettings: UpstreamSettings;
  /** Each knows its place. Not a Set, for the reason that PendingTable is not a Map. */
  readonly #questions: Question[] = [];
  /** Those with these addresses, in the order written, then those by name, then those learned by `endpoints`. */
  #upstreams: readonly Upstream[] = [];
  #fixed: readonly UpstreamEndpoint[] = [];
  #learnedCount = 0;
  readonly #names: readonly LearnedName[];
  readonly #endpoints: LearnedName | null;
  /** No longer in the configuration, with what they still owe. */
  #leaving: { readonly upstream: Upstream; readonly sinceMs: number }[] = [];
  #askedCount = 0;

  constructor(config: ForwardConfig, world: UpstreamWorld, log: Log) {
    const deadlineMs = deadlineOf(config);
    this.config = config;
    this.world = world;
    this.#log = log;
    this.#responsibility = responsibility(config);
    this.settings = { ...config, deadlineMs };
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
  get isBusy(): boolean {
    return this.#questions.length > 0 || this.#all().some((upstream) => upstream.health.isProbing);
  }

  /** Connections and sockets that are open. */
  get open(): number {
    return this.#all().reduce((sum, upstream) => sum + upstream.open, this.#leaving.length);
  }

  isResponsible(question: Uint8Array): boolean {
    return isResponsible(this.#responsibility, question, question.length - 4);
  }

  /** Asks, or says why not; `done` is then not called. At least one upstream is there. */
  ask(request: Request, askedAtMs: number, done: (outcome: Outcome) => void): Refusal | null {
    const { concurrentMax } = this.config;
    if (concurrentMax > 0 && this.#questions.length >= concurrentMax) {
      this.world.counters.count('forwardMaxConcurrentRejects');
      return refusal(`concurrent queries exceeded maximum ${concurrentMax}`);
    }
    if (this.#questions.length >= pendingMax) return refusal(`more than ${pendingMax} questions wait`);
    const nowMs = this.world.clock.nowMs();
    this.#learn(nowMs);
    const upstreams = this.#upstreams;
    this.#start({ request, askedAtMs, upstreams, learned: this.#learnedCount, number: this.#number() }, nowMs, done);
    return null;
  }

  /** Asks this upstream and no other, as a probe does. */
  askOnly(upstream: Upstream, request: Request, done: (outcome: Outcome) => void): void {
    const nowMs = this.world.clock.nowMs();
    const upstreams = [upstream];
    this.#start({ request, askedAtMs: nowMs, upstreams, learned: 0, number: this.#number() }, nowMs, done);
  }

  /** Those found to send questions back may be asked again; not those that are ourselves. */
  forgetLoops(): void {
    for (const { stats, endpoint } of this.#upstreams) stats.looping = this.world.isOwn(endpoint);
  }

  #number(): number {
    const number = this.#askedCount;
    this.#askedCount = (this.#askedCount + 1) % 2 ** 30;
    return number;
  }

  #start(asked: Asked, nowMs: number, done: (outcome: Outcome) => void): void {
    const question = new Question(this, asked, done);
    question.place = this.#questions.length;
    this.#questions.push(question);
    question.start(nowMs);
  }

  finished(question: Question): void {
    const last = this.#questions.pop()!;
    if (last === question) return;
    last.place = question.place;
    this.#questions[question.place] = last;
  }

  /** Asks these from now on. Those that stay keep their connections; the others finish what they were asked. */
  setEndpoints(endpoints: readonly UpstreamEndpoint[], nowMs: number): void {
    this.#fixed = endpoints;
    this.#rebuild(nowMs);
  }

  #rebuild(nowMs: number): void {
    const before = new Map(this.#upstreams.map((upstream) => [upstream.to, upstream]));
    const now = new Map<string, Upstream>();
    const add = (endpoints: readonly UpstreamEndpoint[], upstreamsMax: number): void => {
      for (const endpoint of endpoints) {
        const to = formatEndpoint(endpoint);
        if (now.size < upstreamsMax) now.set(to, now.get(to) ?? before.get(to) ?? this.#newUpstream(endpoint, to));
      }
    };
    add([...this.#fixed, ...this.#names.flatMap(({ endpoints }) => endpoints)], upstreamsPerForwardMax);
    const named = now.size;
    add(this.#endpoints?.endpoints ?? [], named + learnedAddressesMax);
    this.#learnedCount = now.size - named;
    for (const [to, upstream] of before) {
      if (now.has(to)) continue;
      upstream.retire(nowMs);
      this.#leaving.push({ upstream, sinceMs: nowMs });
    }
    this.#upstreams = [...now.values()];
  }

  #newName(settings: NameSettings): LearnedName {
    return new LearnedName(settings, {
      counters: this.world.counters,
      log: this.#log,
      types: () => [...new Set(this.#fixed.map(({ address }) => (address.includes(':') ? typeAaaa : typeA)))],
      ask: (request, done) => {
        const upstreams = this.#upstreams.slice(0, Math.min(this.#fixed.length, this.#upstreams.length));
        if (upstreams.length === 0) return false;
        const nowMs = this.world.clock.nowMs();
        this.#start({ request, askedAtMs: nowMs, upstreams, learned: 0, number: this.#number() }, nowMs, done);
        return true;
      },
      changed: () => this.#rebuild(this.world.clock.nowMs()),
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
      () => this.#each((question) => question.cancel('the upstream is no longer asked')),
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

  #newUpstream(endpoint: UpstreamEndpoint, to: string): Upstream {
    const stats = newUpstreamStats(to);
    const place = {
      endpoint,
      to,
      stats,
      pace: new Pace(),
      tls: endpoint.overTls ? this.config.tls : null,
      settings: this.#placeSettings,
      world: this.world,
    };
    stats.looping = this.world.isOwn(endpoint);
    if (stats.looping) {
      const { file, line } = this.config.at;
      this.#log.error(
        `${file}:${line}: the upstream ${to} is this server itself, so it is not asked; ` +
          'write the address of a real resolver in this forward, or in the resolv.conf that it names',
      );
    }
    const settings = this.#upstreamSettings;
    return new Upstream(place, endpoint.overTls ? { ...settings, probeTransport: 'tcp' } : settings, this.#log);
  }
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
