/**
 * The end of the program: not ready, answering for `lameduck`, answering what is in flight, then closing everything and
 * restoring the node. A step that fails or takes too long is logged and does not stop the others: interface and rules are
 * removed in any case.
 */
import type { ControlServer } from '../control/server.js';
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
import type { ProcessDoctor } from './doctor-run.js';
import type { Endpoints } from './endpoints.js';
import type { LaneAtWork } from './kernel-lane.js';

export interface EndingDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Pick<Counters, 'count'>;
  readonly watching: Pick<Endpoints, 'stop'> & { readonly readiness: Pick<Endpoints['readiness'], 'stopping'> };
  readonly active: Pick<ActiveConfiguration, 'finish' | 'config' | 'generation'>;
  readonly succession: Pick<Succession, 'leave' | 'left' | 'whenSucceeded' | 'role'> | null;
  readonly misses: Pick<Misses, 'waiters'>;
  readonly host: Pick<Host, 'stepAside' | 'leave'>;
  readonly listeners: Pick<Listeners, 'drain'>;
  readonly snapshot: Pick<Snapshot, 'finish'> | null;
  readonly lane: Pick<LaneAtWork, 'end'> | null;
  readonly threads: Pick<Workers<unknown, unknown>, 'end'> | null;
  readonly control: Pick<ControlServer, 'end'> | null;
  readonly doctor?: Pick<ProcessDoctor, 'stop'> | null;
}

export interface Ending {
  /** Not ready at once, answers for `lameduck`, then what is in flight; never rejects. Later calls return the same promise. */
  stop(): Promise<void>;
  /** A stop, now or later, waits neither for clients nor for a successor. What is open is closed all the same. */
  hurry(): void;
}

export function newEnding(deps: EndingDeps): Ending {
  const { clock, log, counters, watching, active, succession, misses, host, listeners, snapshot, lane, threads } = deps;
  const { control, doctor } = deps;
  let stopping: Promise<void> | null = null;
  let isHurried = false;
  const whenHurried: (() => void)[] = [];

  async function run(): Promise<void> {
    await step('readiness', () => watching.readiness.stopping());
    await step('the doctor', () => doctor?.stop());
    await waiting('reloads', reloadEndMs, () => active.finish(isHurried ? 0 : reloadEndMs));
    const lameduckMs = active.config.health?.lameduckMs ?? 0;
    await step('the handover', () => Promise.race([stopCalling(clock, succession, lameduckMs), hurried()]));
    const endsAtMs = clock.nowMs() + stopDeadlineMs;
    const drainedAtMs = clock.nowMs() + drainDeadlineMs;
    await waiting('clients', drainDeadlineMs, () => nobodyWaits());
    // While we still answer, so that a client sent elsewhere loses no query.
    await step('rules', () => host.stepAside(hostLeaveDeadlineMs));
    // While we still answer what it leaves to us.
    await step('the kernel lane', () => lane?.end());
    await waiting('listeners', drainedAtMs - clock.nowMs(), () => new Promise<void>((done) => listeners.drain(done)));
    await step('upstreams', () => active.generation.stop());
    await step('the snapshot', () => snapshot?.finish());
    await waiting('HTTP listeners', endsAtMs - clock.nowMs(), () => watching.stop());
    await step('workers', () => within(clock, endsAtMs - clock.nowMs(), threads?.end()));
    await step('the control socket', () => control?.end());
    await step('other instances', () => succession?.left());
    await step('interface and firewall rules', () => host.leave(Math.max(0, endsAtMs - clock.nowMs())));
  }

  /** A step that clients or others delay. After `hurry` it is begun, but not waited for. */
  function waiting(what: string, withinMs: number, work: () => Promise<unknown>): Promise<void> {
    return step(what, () => within(clock, isHurried ? 0 : withinMs, Promise.race([work(), hurried()])));
  }

  async function step(what: string, work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      counters.count('panics');
      log.error(`stopping ${what} failed; stopping the rest`, { error: String((error as Error).stack) });
    }
  }

  function hurried(): Promise<void> {
    return new Promise((resolve) => {
      if (isHurried) resolve();
      else whenHurried.push(resolve);
    });
  }

  async function nobodyWaits(): Promise<void> {
    while (misses.waiters > 0) await new Promise<void>((resolve) => clock.after(sweepPeriodMs, resolve));
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

/** Resolves with the work, or after `ms`. */
export async function within(clock: Clock, ms: number, work: Promise<unknown> | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(Math.max(0, ms), resolve);
    Promise.resolve(work)
      .finally(() => timer.stop())
      .then(() => resolve(), reject);
  });
}
