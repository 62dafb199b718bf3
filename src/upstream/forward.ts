/**
 * One `forward` directive at work: its upstreams, the questions that wait, and its limits. It finds upstreams and
 * starts questions; what happens to a question is in question.ts.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { ForwardConfig } from '../config/config.js';
import { nameToWire } from '../dns/names.js';
import { classIn, setU16, typeNs } from '../dns/wire.js';
import { pendingMax, queryDeadlineCeilingMs, queryDeadlineMs, upstreamsPerForwardMax } from '../limits.js';
import type { Log } from '../outside/log.js';
import type { Endpoint } from '../outside/network.js';
import type { Outcome, Request } from './ask.js';
import { AgainBudget } from './budget.js';
import { Pace } from './pace.js';
import type { PlaceSettings, UpstreamWorld } from './place.js';
import { Question } from './question.js';
import type { QuestionHome, QuestionSettings } from './question-home.js';
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
  readonly #questions = new Set<Question>();
  #upstreams: readonly Upstream[] = [];
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
    return this.#questions.size;
  }

  /** Whether an upstream may still be needed soon: it is asked, or looked after. */
  get isBusy(): boolean {
    return this.#questions.size > 0 || this.#all().some((upstream) => upstream.health.isProbing);
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
    if (concurrentMax > 0 && this.#questions.size >= concurrentMax) {
      this.world.counters.count('forwardMaxConcurrentRejects');
      return refusal(`concurrent queries exceeded maximum ${concurrentMax}`);
    }
    if (this.#questions.size >= pendingMax) return refusal(`more than ${pendingMax} questions wait`);
    const number = this.#askedCount;
    this.#askedCount = (this.#askedCount + 1) % 2 ** 30;
    const question = new Question(this, { request, askedAtMs, upstreams: this.#upstreams, number }, done);
    this.#questions.add(question);
    question.start(this.world.clock.nowMs());
    return null;
  }

  finished(question: Question): void {
    this.#questions.delete(question);
  }

  /** Asks these from now on. Those that stay keep their connections; the others finish what they were asked. */
  setEndpoints(endpoints: readonly Endpoint[], nowMs: number): void {
    const before = new Map(this.#upstreams.map((upstream) => [upstream.to, upstream]));
    const now = new Map<string, Upstream>();
    for (const endpoint of endpoints) {
      const to = formatEndpoint(endpoint);
      if (now.size < upstreamsPerForwardMax)
        now.set(to, now.get(to) ?? before.get(to) ?? this.#newUpstream(endpoint, to));
    }
    for (const [to, upstream] of before) {
      if (now.has(to)) continue;
      upstream.retire(nowMs);
      this.#leaving.push({ upstream, sinceMs: nowMs });
    }
    this.#upstreams = [...now.values()];
  }

  sweep(nowMs: number): void {
    for (const question of this.#questions) question.sweep(nowMs);
    for (const upstream of this.#all()) upstream.sweep(nowMs);
    if (this.#leaving.length === 0) return;
    this.#leaving = this.#leaving.filter(({ upstream, sinceMs }) => {
      const isGone = nowMs - sinceMs >= leavingMs;
      if (isGone) upstream.close(nowMs);
      return !isGone;
    });
  }

  /** Ends every question and closes every connection. */
  stop(nowMs: number): void {
    for (const question of this.#questions) question.cancel('the upstream is no longer asked');
    for (const upstream of this.#all()) upstream.close(nowMs);
    this.#leaving = [];
  }

  #all(): readonly Upstream[] {
    if (this.#leaving.length === 0) return this.#upstreams;
    return [...this.#upstreams, ...this.#leaving.map(({ upstream }) => upstream)];
  }

  #newUpstream(endpoint: Endpoint, to: string): Upstream {
    const stats = newUpstreamStats(to);
    const place = { endpoint, to, stats, pace: new Pace(), settings: this.#placeSettings, world: this.world };
    return new Upstream(place, this.#upstreamSettings, this.#log);
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
