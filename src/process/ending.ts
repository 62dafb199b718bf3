/**
 * The end in order: not ready any more, answering for `lameduck`, then answering what is in flight, then everything
 * closed and the node as it was. A step that fails or takes too long is logged and costs the others nothing: link and
 * rules are taken out in any case. Part of the composition root.
 */

import type { Counters } from '../counters.js';
import type { Host } from '../host/host.js';
import { drainDeadlineMs, hostLeaveDeadlineMs, reloadEndMs, stopDeadlineMs, sweepPeriodMs } from '../limits.js';
import type { Listeners } from '../listen/listeners.js';
import type { Workers } from '../listen/workers.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Misses } from '../resolve/miss.js';
import type { Snapshot } from '../takeover/snapshot.js';
import { type Succession, stopCalling } from '../takeover/succession.js';
import type { ActiveConfiguration } from './active-configuration.js';
import type { Endpoints } from './endpoints.js';

/** Everything that has to end. */
export interface EndingDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Pick<Counters, 'count'>;
  readonly watching: Pick<Endpoints, 'stop'> & { readonly readiness: Pick<Endpoints['readiness'], 'stopping'> };
  readonly active: Pick<ActiveConfiguration, 'settle' | 'config' | 'serving'>;
  readonly succession: Pick<Succession, 'leave' | 'left' | 'whenSucceeded' | 'role'> | null;
  readonly forwarder: Pick<Misses, 'waiters'>;
  readonly host: Pick<Host, 'stepAside' | 'leave'>;
  readonly listeners: Pick<Listeners, 'drain'>;
  readonly snapshot: Pick<Snapshot, 'finish'> | null;
  readonly threads: Pick<Workers<unknown, unknown>, 'end'> | null;
}

export interface Ending {
  /** Ends everything, once: later calls give the same promise. It never rejects. */
  stop(): Promise<void>;
  /** From now on nobody is waited for: neither clients nor a successor. What is open is closed all the same. */
  hurry(): void;
}

export function newEnding(deps: EndingDeps): Ending {
  const { clock, log, counters, watching, active, succession, forwarder, host, listeners, snapshot, threads } = deps;
  let stopping: Promise<void> | null = null;
  let isHurried = false;
  const whenHurried: (() => void)[] = [];

  async function run(): Promise<void> {
    await step('readiness', () => watching.readiness.stopping());
    await waiting('reloads', reloadEndMs, () => active.settle(isHurried ? 0 : reloadEndMs));
    const lameduckMs = active.config.health?.lameduckMs ?? 0;
    await step('the handover', () => Promise.race([stopCalling(clock, succession, lameduckMs), hurried()]));
    const endsAtMs = clock.nowMs() + stopDeadlineMs;
    const drainedAtMs = clock.nowMs() + drainDeadlineMs;
    await waiting('clients', drainDeadlineMs, () => nobodyWaits());
    // While we still answer: who is sent elsewhere from now on has lost nothing.
    await step('rules', () => host.stepAside(hostLeaveDeadlineMs));
    await waiting('listeners', drainedAtMs - clock.nowMs(), () => new Promise<void>((done) => listeners.drain(done)));
    await step('upstreams', () => active.serving.stop());
    await step('the snapshot', () => snapshot?.finish());
    await waiting('HTTP listeners', endsAtMs - clock.nowMs(), () => watching.stop());
    await step('answering threads', () => within(endsAtMs - clock.nowMs(), threads?.end()));
    await step('other instances', () => succession?.left());
    await step('interface and firewall rules', () => host.leave(Math.max(0, endsAtMs - clock.nowMs())));
  }

  /** What clients or others take their time for. In a hurry nothing is waited for, but everything is begun. */
  function waiting(what: string, withinMs: number, work: () => Promise<unknown>): Promise<void> {
    return step(what, () => within(isHurried ? 0 : withinMs, Promise.race([work(), hurried()])));
  }

  async function step(what: string, work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      counters.count('panics');
      log.error(`stopping ${what} failed; stopping the rest`, { error: String((error as Error).stack) });
    }
  }

  /** Resolves with the work, or so much later. */
  async function within(ms: number, work: Promise<unknown> | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = clock.after(Math.max(0, ms), resolve);
      Promise.resolve(work)
        .finally(() => timer.stop())
        .then(() => resolve(), reject);
    });
  }

  function hurried(): Promise<void> {
    return new Promise((resolve) => {
      if (isHurried) resolve();
      else whenHurried.push(resolve);
    });
  }

  async function nobodyWaits(): Promise<void> {
    while (forwarder.waiters > 0) await new Promise<void>((resolve) => clock.after(sweepPeriodMs, resolve));
  }

  return {
    stop() {
      stopping ??= run();
      return stopping;
    },
    hurry() {
      isHurried = true;
      for (const resolve of whenHurried.splice(0)) resolve();
    },
  };
}
