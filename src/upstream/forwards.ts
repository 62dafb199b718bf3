/**
 * The `forward` directives of one server block: which one takes a query, when the next one is asked, resolv.conf files,
 * and one sweep over everything that waits or ages.
 */
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import { atAnswers, flagTc, messageFlags, messageRcode, rcodeNoError, u16 } from '../dns/wire.js';
import { idleSweepPeriodMs, sweepPeriodMs } from '../limits.js';
import type { Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import { doAll, toEach } from '../scheduling/each.js';
import { Flush, type Flushable } from '../scheduling/flush.js';
import type { Ask, FailedOutcome, Outcome, QueryCaller, Request } from './ask.js';
import type { UpstreamDeps, UpstreamStats } from './endpoint.js';
import { Forward } from './forward.js';
import type { Upstream } from './upstream.js';

interface ForwardsDeps extends Omit<UpstreamDeps, 'flush'> {
  readonly log: Log;
  /** The name servers of a resolv.conf, or why there are none. */
  readonly resolvConf: (path: string) => readonly Endpoint[] | { readonly error: string };
}

export interface OneUpstream {
  readonly to: string;
  readonly from: string;
  readonly ask: Ask;
  /** Queries come back from it: not used until the configuration or its resolv.conf changes. */
  loops(): void;
}

/** One upstream of one forward at one moment. */
export interface UpstreamState {
  readonly to: string;
  readonly from: string;
  readonly isTls: boolean;
  readonly isDown: boolean;
  /** It owes answers, or has failed lately. */
  readonly isFailing: boolean;
  readonly isLooping: boolean;
  readonly open: number;
  readonly suspects: number;
  readonly averageMs: number;
  /** Null before the first answer. */
  readonly heardAgoMs: number | null;
}

type OutcomeCallback = (outcome: Outcome) => void;
const stopping: FailedOutcome = { ok: false, why: 'unreachable', text: 'the server is stopping' };

/** In the order of the Corefile. Opens nothing before the first query. */
export class Forwards implements Flushable {
  readonly #deps: ForwardsDeps;
  readonly #flush = new Flush();
  readonly #forwards: readonly Forward[];
  readonly #files = new Map<string, readonly Endpoint[] | { readonly error: string }>();
  /** To be told when the turn ends. */
  #refused: { readonly done: OutcomeCallback; readonly outcome: FailedOutcome }[] = [];
  #sweeper: Timer | null = null;
  #sweepEveryMs = 0;
  readonly #sweeping: Flushable = { flush: () => this.#sweepOrStop() };
  #drained: (() => void) | null = null;
  #isStopped = false;
  #sweepHasThrown = false;

  constructor(configs: readonly ForwardConfig[], deps: ForwardsDeps) {
    this.#deps = deps;
    for (const { to } of configs) {
      for (const target of to) if (target.kind === 'file') this.#read(target.path);
    }
    this.#forwards = configs.map((config) => new Forward(config, { ...deps, flush: this.#flush }, deps.log));
    for (const forward of this.#forwards) this.#setEndpoints(forward);
  }

  /** Queries under way. */
  inflight(): number {
    return this.#forwards.reduce((sum, forward) => sum + forward.inflight, this.#refused.length);
  }

  upstreams(): readonly UpstreamStats[] {
    const nowMs = this.#deps.clock.nowMs();
    return this.#forwards.flatMap((forward) => forward.upstreams.map((upstream) => upstream.reading(nowMs)));
  }

  states(): readonly UpstreamState[] {
    const nowMs = this.#deps.clock.nowMs();
    return this.#forwards.flatMap(({ config, upstreams }) =>
      upstreams.map((upstream) => {
        const { to, isTls, health, rtt } = upstream;
        const { open, suspects, looping } = upstream.reading(nowMs);
        const heardAgoMs = Number.isFinite(rtt.lastHeardMs) ? nowMs - rtt.lastHeardMs : null;
        const state = { isDown: health.isDown, isFailing: health.isFailing, isLooping: looping };
        return { to, from: config.from, isTls, ...state, open, suspects, averageMs: rtt.averageMs, heardAgoMs };
      }),
    );
  }

  /** The upstreams of one forward, as far as they are known. */
  endpoints(config: ForwardConfig): readonly UpstreamEndpoint[] {
    const forward = this.#forwards.find((each) => each.config === config);
    return forward?.upstreams.map(({ endpoint }) => endpoint) ?? [];
  }

  /** Checks which upstreams are our own listeners and send queries back. */
  judgeOwn(): void {
    for (const forward of this.#forwards) forward.judgeOwn();
  }

  /** The upstreams that are not known to loop, for start probes. */
  each(): readonly OneUpstream[] {
    return this.#forwards.flatMap((forward) =>
      forward.upstreams
        .filter(({ stats }) => !stats.looping)
        .map((upstream) => ({
          to: upstream.to,
          from: forward.config.from,
          ask: (request: Request, done: OutcomeCallback) => this.#askOnly(forward, upstream, request, done),
          loops: () => {
            upstream.stats.looping = true;
          },
        })),
    );
  }

  #askOnly(forward: Forward, upstream: Upstream, request: Request, done: OutcomeCallback): void {
    if (this.#isStopped) return this.#refuse(done, stopping);
    forward.askOnly(upstream, request, done);
    this.#keepSweeping(sweepPeriodMs);
  }

  readonly ask = (request: Request, done: OutcomeCallback, late: QueryCaller['late'] = null): void => {
    if (this.#isStopped) return this.#refuse(done, stopping);
    const index = this.#responsible(request, 0);
    if (index < 0) {
      return this.#refuse(done, { ok: false, why: 'nobody', text: 'plugin/forward: no next plugin found' });
    }
    this.#askFrom(index, request, { askedAtMs: request.askedAtMs ?? this.#deps.clock.nowMs(), done, late });
  };

  /** This word says from now on whether workers may ask the one upstream by themselves. */
  tellWorkers(mayAsk: Int32Array): void {
    this.#forwards[0].upstreams[0].stats.tellIn(mayAsk);
  }

  /** The one upstream has answered a worker's query: as if we had asked it. */
  readonly answeredDirectly = (rcode: number, durationMs: number, nowMs: number): void => {
    if (!this.#isStopped) this.#forwards[0].upstreams[0].answeredDirectly(rcode, durationMs, nowMs);
  };

  flush(): void {
    const due = this.#refused;
    this.#refused = [];
    toEach(due, ({ done, outcome }) => done(outcome));
  }

  /** Reads the file again; one that cannot be used changes nothing. */
  resolvConfChanged(path: string): void {
    if (this.#isStopped || !this.#files.has(path)) return;
    this.#read(path);
    toEach(this.#forwards, (forward) => {
      if (forward.config.to.some((target) => target.kind === 'file' && target.path === path)) {
        forward.forgetLoops();
        this.#setEndpoints(forward);
      }
    });
    this.#keepSweeping(sweepPeriodMs);
  }

  /** Stops after the queries under way, then calls `done`, in a later turn. Takes queries until then. */
  drain(done: () => void): void {
    if (this.#isStopped) return queueMicrotask(done);
    this.#drained = done;
    this.#keepSweeping(sweepPeriodMs);
  }

  /** Ends every query, closes every connection; later queries fail. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const nowMs = this.#deps.clock.nowMs();
    this.#keepSweeping(0);
    const drained = this.#drained;
    this.#drained = null;
    doAll(
      () => toEach(this.#forwards, (forward) => forward.stop(nowMs)),
      () => drained?.(),
    );
  }

  /** The index of the first forward from `from` on that takes the name; -1 when there is none. */
  #responsible({ question }: Request, from: number): number {
    for (let index = from; index < this.#forwards.length; index++) {
      if (this.#forwards[index].isResponsible(question)) return index;
    }
    return -1;
  }

  #askFrom(index: number, request: Request, caller: QueryCaller): void {
    const forward = this.#forwards[index];
    if (forward.upstreams.length === 0) {
      return this.#refuse(caller.done, { ok: false, why: 'unreachable', text: this.#whyEmpty(forward) });
    }
    const refusal = forward.ask(request, this.#withNext(index, request, caller));
    if (refusal !== null) return this.#refuse(caller.done, refusal);
    this.#keepSweeping(sweepPeriodMs);
  }

  /** Asks the following forward first where `next` or `next_on_nodata` says so. */
  #withNext(index: number, request: Request, caller: QueryCaller): QueryCaller {
    const { next, nextOnNodata } = this.#forwards[index].config;
    if (next.length === 0 && !nextOnNodata) return caller;
    const following = this.#responsible(request, index + 1);
    if (following < 0) return caller;
    const { askedAtMs, done, late } = caller;
    return {
      askedAtMs,
      done: (outcome) => {
        if (outcome.ok && !this.#isStopped && sendsOn(outcome.message, next, nextOnNodata)) {
          this.#askFrom(following, request, caller);
        } else done(outcome);
      },
      late: (answer) => {
        if (!sendsOn(answer.message, next, nextOnNodata)) late?.(answer);
      },
    };
  }

  #refuse(done: OutcomeCallback, outcome: FailedOutcome): void {
    if (this.#refused.length === 0) this.#flush.add(this);
    this.#refused.push({ done, outcome });
  }

  /** A file that cannot be used leaves its previous servers. */
  #read(path: string): void {
    const read = this.#deps.resolvConf(path);
    const before = this.#files.get(path);
    if (!('error' in read) || before === undefined || 'error' in before) this.#files.set(path, read);
  }

  #setEndpoints(forward: Forward): void {
    const endpoints = forward.config.to.flatMap((target): readonly UpstreamEndpoint[] => {
      if (target.kind === 'endpoint') return [target.endpoint];
      if (target.kind === 'name') return [];
      const read = this.#files.get(target.path)!;
      return 'error' in read ? [] : read;
    });
    forward.setEndpoints(endpoints, this.#deps.clock.nowMs());
  }

  #whyEmpty(forward: Forward): string {
    for (const target of forward.config.to) {
      const read = target.kind === 'file' ? this.#files.get(target.path)! : null;
      if (read !== null && 'error' in read) return read.error;
    }
    return 'no upstreams are configured';
  }

  /** An exception of one query ends with the query. A second sweep that throws stops everything. */
  #sweepOrStop(): void {
    const hasThrown = this.#sweepHasThrown;
    this.#sweepHasThrown = true;
    doAll(
      () => {
        this.#sweep();
        this.#sweepHasThrown = false;
      },
      () => hasThrown && this.#sweepHasThrown && this.stop(),
    );
  }

  #sweep(): void {
    const nowMs = this.#deps.clock.nowMs();
    toEach(this.#forwards, (forward) => forward.sweep(nowMs));
    if (this.#drained !== null && this.inflight() === 0) return this.stop();
    const isBusy = this.#drained !== null || this.#forwards.some((forward) => forward.isBusy(nowMs));
    const isOpen = isBusy || this.#forwards.some((forward) => forward.isOpen(nowMs));
    this.#keepSweeping(isBusy ? sweepPeriodMs : isOpen ? idleSweepPeriodMs : 0);
  }

  /** 0: never. */
  #keepSweeping(everyMs: number): void {
    if (everyMs === this.#sweepEveryMs || (this.#isStopped && everyMs !== 0)) return;
    this.#sweepEveryMs = everyMs;
    this.#sweeper?.stop();
    // At the end of the turn: after a held-up loop, unread answers are not silence.
    this.#sweeper = everyMs === 0 ? null : this.#deps.clock.every(everyMs, () => this.#flush.add(this.#sweeping));
  }
}

/** Whether the next forward is asked after this answer. */
function sendsOn(message: Uint8Array, next: readonly number[], nextOnNodata: boolean): boolean {
  const rcode = messageRcode(message);
  // A cut answer does not say what exists.
  const isNodata = rcode === rcodeNoError && u16(message, atAnswers) === 0 && (messageFlags(message) & flagTc) === 0;
  return next.includes(rcode) || (nextOnNodata && isNodata);
}
