/**
 * The `forward` directives of one server block: which of them a question is for, when the next one is asked instead,
 * the resolv.conf files among their upstreams, and the one sweep over everything that waits or grows old.
 */
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import type { Counters } from '../counters.js';
import { atAnswers, flagTc, messageFlags, messageRcode, rcodeNoError, u16 } from '../dns/wire.js';
import { idleSweepPeriodMs, sweepPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Random } from '../os/random.js';
import { doAll, toEach } from '../scheduling/each.js';
import { type AtTurnEnd, Turn } from '../scheduling/flush.js';
import type { Ask, Outcome, Request } from './ask.js';
import type { OwnWays, UpstreamStats } from './endpoint.js';
import { type Asking, Forward } from './forward.js';
import type { Outages } from './health.js';
import type { Upstream } from './upstream.js';

interface ForwardsDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly log: Log;
  readonly outages: Outages;
  readonly own: OwnWays;
  /** The name servers of a resolv.conf, or a sentence on why there are none. */
  readonly resolvConf: (path: string) => readonly Endpoint[] | { readonly error: string };
}

export interface Forwards {
  readonly ask: Ask;
  upstreams(): readonly UpstreamStats[];
  /** Each upstream that is not known to loop, to be asked for itself. */
  each(): readonly OneUpstream[];
  /** The upstreams of one of its forwards as far as they are known. */
  endpoints(forward: ForwardConfig): readonly UpstreamEndpoint[];
  /** Finds out anew which upstreams are ourselves and lead back. */
  judgeOwn(): void;
  /** Reads the file again and asks what it lists from now on; a file that cannot be used changes nothing. */
  resolvConfChanged(path: string): void;
  /** Questions under way. */
  inflight(): number;
  /** Stops once every question under way is answered, then calls `done`, in a later turn. Questions are still taken. */
  drain(done: () => void): void;
  /** Ends every question, closes every connection. What is asked afterwards fails. */
  stop(): void;
}

/** One upstream of one forward. */
export interface OneUpstream {
  readonly to: string;
  /** The zone of its forward. */
  readonly from: string;
  readonly ask: Ask;
  /** It sends our questions back to us: it is not asked any more, until the configuration or its resolv.conf changes. */
  loops(): void;
}

/** Starts the forwards of one server block, in the order written. Nothing is opened before something is asked. */
export function startForwards(configs: readonly ForwardConfig[], deps: ForwardsDeps): Forwards {
  const block = new BlockForwards(configs, deps);
  return {
    ask: (request, done, late) => block.ask(request, done, late ?? null),
    upstreams: () => block.upstreams(),
    each: () => block.each(),
    endpoints: (forward) => block.endpoints(forward),
    judgeOwn: () => block.judgeOwn(),
    resolvConfChanged: (path) => block.resolvConfChanged(path),
    inflight: () => block.inflight,
    drain: (done) => block.drain(done),
    stop: () => block.stop(),
  };
}

type Done = (outcome: Outcome) => void;
type Refusal = Extract<Outcome, { ok: false }>;
const stopping: Refusal = { ok: false, why: 'unreachable', text: 'the server is stopping' };

class BlockForwards implements AtTurnEnd {
  readonly #deps: ForwardsDeps;
  readonly #turn = new Turn();
  readonly #forwards: readonly Forward[];
  readonly #files = new Map<string, readonly Endpoint[] | { readonly error: string }>();
  /** Refused at once, told when the turn ends. */
  #refused: { readonly done: Done; readonly outcome: Refusal }[] = [];
  #sweeper: Timer | null = null;
  #sweepEveryMs = 0;
  readonly #sweeping: AtTurnEnd = { turnEnded: () => this.#sweepOrStop() };
  #drained: (() => void) | null = null;
  #isStopped = false;
  /** The last sweep threw. */
  #sweepHasThrown = false;

  constructor(configs: readonly ForwardConfig[], deps: ForwardsDeps) {
    this.#deps = deps;
    for (const { to } of configs) {
      for (const target of to) if (target.kind === 'file') this.#read(target.path);
    }
    this.#forwards = configs.map((config) => new Forward(config, { ...deps, turn: this.#turn }, deps.log));
    for (const forward of this.#forwards) this.#setEndpoints(forward);
  }

  get inflight(): number {
    return this.#forwards.reduce((sum, forward) => sum + forward.inflight, this.#refused.length);
  }

  upstreams(): readonly UpstreamStats[] {
    const nowMs = this.#deps.clock.nowMs();
    return this.#forwards.flatMap((forward) => forward.upstreams.map((upstream) => upstream.reading(nowMs)));
  }

  endpoints(config: ForwardConfig): readonly UpstreamEndpoint[] {
    const forward = this.#forwards.find((each) => each.config === config);
    return forward?.upstreams.map(({ endpoint }) => endpoint) ?? [];
  }

  judgeOwn(): void {
    for (const forward of this.#forwards) forward.judgeOwn();
  }

  each(): readonly OneUpstream[] {
    return this.#forwards.flatMap((forward) =>
      forward.upstreams
        .filter(({ stats }) => !stats.looping)
        .map((upstream) => ({
          to: upstream.to,
          from: forward.config.from,
          ask: (request: Request, done: Done) => this.#askOnly(forward, upstream, request, done),
          loops: () => {
            upstream.stats.looping = true;
          },
        })),
    );
  }

  #askOnly(forward: Forward, upstream: Upstream, request: Request, done: Done): void {
    if (this.#isStopped) return this.#refuse(done, stopping);
    forward.askOnly(upstream, request, done);
    this.#keepSweeping(sweepPeriodMs);
  }

  ask(request: Request, done: Done, late: Asking['late']): void {
    if (this.#isStopped) return this.#refuse(done, stopping);
    const index = this.#responsible(request, 0);
    if (index < 0) {
      return this.#refuse(done, { ok: false, why: 'nobody', text: 'plugin/forward: no next plugin found' });
    }
    this.#askFrom(index, request, { askedAtMs: request.askedAtMs ?? this.#deps.clock.nowMs(), done, late });
  }

  turnEnded(): void {
    const due = this.#refused;
    this.#refused = [];
    toEach(due, ({ done, outcome }) => done(outcome));
  }

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

  drain(done: () => void): void {
    if (this.#isStopped) return queueMicrotask(done);
    this.#drained = done;
    this.#keepSweeping(sweepPeriodMs);
  }

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

  /** The first forward from this index on that is for the name; -1 when there is none. */
  #responsible({ question }: Request, from: number): number {
    for (let index = from; index < this.#forwards.length; index++) {
      if (this.#forwards[index].isResponsible(question)) return index;
    }
    return -1;
  }

  #askFrom(index: number, request: Request, asking: Asking): void {
    const forward = this.#forwards[index];
    if (forward.upstreams.length === 0) {
      return this.#refuse(asking.done, { ok: false, why: 'unreachable', text: this.#whyEmpty(forward) });
    }
    const refusal = forward.ask(request, this.#withNext(index, request, asking));
    if (refusal !== null) return this.#refuse(asking.done, refusal);
    this.#keepSweeping(sweepPeriodMs);
  }

  /** The same, or what looks first whether the following forward is to be asked instead. */
  #withNext(index: number, request: Request, asking: Asking): Asking {
    const { next, nextOnNodata } = this.#forwards[index].config;
    if (next.length === 0 && !nextOnNodata) return asking;
    const following = this.#responsible(request, index + 1);
    if (following < 0) return asking;
    const { askedAtMs, done, late } = asking;
    return {
      askedAtMs,
      done: (outcome) => {
        if (outcome.ok && !this.#isStopped && sendsOn(outcome.message, next, nextOnNodata)) {
          this.#askFrom(following, request, asking);
        } else done(outcome);
      },
      late: (answer) => {
        if (!sendsOn(answer.message, next, nextOnNodata)) late?.(answer);
      },
    };
  }

  #refuse(done: Done, outcome: Refusal): void {
    if (this.#refused.length === 0) this.#turn.add(this);
    this.#refused.push({ done, outcome });
  }

  /** Reads a resolv.conf; one that cannot be used leaves what it said before. */
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

  /** One question's exception is over with the question. A second sweep that throws would go on so: everything stops. */
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
    if (this.#drained !== null && this.inflight === 0) return this.stop();
    const isBusy = this.#drained !== null || this.#forwards.some((forward) => forward.isBusy(nowMs));
    const isOpen = isBusy || this.#forwards.some((forward) => forward.isOpen(nowMs));
    this.#keepSweeping(isBusy ? sweepPeriodMs : isOpen ? idleSweepPeriodMs : 0);
  }

  /** Sweeps every so often; 0 is not at all. */
  #keepSweeping(everyMs: number): void {
    if (everyMs === this.#sweepEveryMs || (this.#isStopped && everyMs !== 0)) return;
    this.#sweepEveryMs = everyMs;
    this.#sweeper?.stop();
    // After what has arrived is read: when the loop was held up, answers that lie there are no silence.
    this.#sweeper = everyMs === 0 ? null : this.#deps.clock.every(everyMs, () => this.#turn.add(this.#sweeping));
  }
}

/** Whether an answer is of those for which the next forward is asked. */
function sendsOn(message: Uint8Array, next: readonly number[], nextOnNodata: boolean): boolean {
  const rcode = messageRcode(message);
  // What was cut says nothing of what there is.
  const isNodata = rcode === rcodeNoError && u16(message, atAnswers) === 0 && (messageFlags(message) & flagTc) === 0;
  return next.includes(rcode) || (nextOnNodata && isNodata);
}
