/**
 * What runs by the clock while a configuration is in force: the first questions to its upstreams, and looks at the
 * resolv.conf files among them, after whose change there are first questions again. Part of the composition root.
 */
import { systemdResolvConf } from '../config/resolv-conf.js';
import { type Look, watchFiles } from '../config/watch.js';
import { resolvConfPeriodMs } from '../limits.js';
import type { Timer } from '../os/clock.js';
import { doAll, toEach } from '../scheduling/each.js';
import type { Generation } from './generation.js';
import { startProbe } from './start-probes.js';

export interface TendingDeps {
  readonly look: Look;
  upstreamAnswered(): void;
}

/** Runs until it is stopped. Whatever it throws, nothing of it runs then. */
export function startTending(serving: Generation, { look, upstreamAnswered }: TendingDeps): Timer {
  const { clock, random, log, loops } = serving.deps;
  const probeWorld = { clock, random, log, loops, answered: upstreamAnswered };
  let probes: Timer[] = [];
  let watch: Timer | null = null;

  function stop(): void {
    watch?.stop();
    for (const timer of probes) timer.stop();
    probes = [];
  }

  function probe(): void {
    for (const timer of probes) timer.stop();
    probes = [];
    toEach(serving.blocks.entries(), ([index, block]) => void probes.push(startProbe(block, index, probeWorld)));
  }

  function changed(): void {
    doAll(() => serving.resolvConfsChanged(), probe);
  }

  try {
    probe();
    // Where everything is made here there is nobody to wait for.
    if (serving.config.blocks.every(({ forwards }) => forwards.length === 0)) upstreamAnswered();
    const files = [...serving.resolvConfs, systemdResolvConf];
    if (files.length > 1) watch = watchFiles(clock, () => files, resolvConfPeriodMs, changed, look);
  } catch (error) {
    stop();
    throw error;
  }
  return { stop };
}
