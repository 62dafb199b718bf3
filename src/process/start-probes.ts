/**
 * The first queries to each block's upstreams, until one is answered: it makes us ready. With `loop` each upstream gets
 * a probe of its own, which must not come back. A change of a resolv.conf starts them again.
 */
import { systemdResolvConf } from '../config/resolv-conf.js';
import { type Look, watchFiles } from '../config/watch.js';
import { isInZone } from '../dns/names.js';
import { questionFor } from '../dns/query.js';
import { typeSoa } from '../dns/wire.js';
import { resolvConfPeriodMs, startProbePeriodMs } from '../limits.js';
import type { Timer } from '../os/clock.js';
import { doAll, toEach } from '../scheduling/each.js';
import type { Ask } from '../upstream/ask.js';
import type { OneUpstream } from '../upstream/forwards.js';
import type { BlockAtWork, Generation, GenerationDeps } from './generation.js';

type StartProbeDeps = Pick<GenerationDeps, 'clock' | 'random' | 'log' | 'loops'> & { answered(): void };

/** `over` is called with each outcome and tells whether to probe on. */
interface Probing {
  readonly ask: Ask;
  next(): { readonly question: Uint8Array; over(): 'goes on' | 'is over' };
}

/** Probes until the upstreams of this block, the configuration's `index`th, have answered, or until it is stopped. */
export function startProbe(block: BlockAtWork, index: number, deps: StartProbeDeps): Timer {
  const { config, forwards } = block;
  if (config.forwards.length === 0) return { stop() {} };
  const probings = config.loop
    ? forwards.each().map((upstream) => loopProbing(block, index, upstream, deps))
    : [readyProbing(block)];
  const timers = probings.map((probing) => probe(probing, deps));
  return { stop: () => toEach(timers, (timer) => timer.stop()) };
}

function probe(probing: Probing, { clock, answered }: StartProbeDeps): Timer {
  let stopped = false;
  let timer: Timer | null = null;

  function ask(): void {
    if (stopped) return;
    const { question, over } = probing.next();
    const request = { question, recursionDesired: true, checkingDisabled: false, dnssecOk: false } as const;
    probing.ask({ ...request, clientTransport: 'udp' }, (outcome) => {
      // The answer from an upstream that loops is our own.
      if (over() === 'is over') stopped = true;
      else if (outcome.ok) {
        stopped = true;
        answered();
      } else if (!stopped) timer = clock.after(startProbePeriodMs, ask);
    });
  }

  timer = clock.after(0, ask);
  return {
    stop() {
      stopped = true;
      timer?.stop();
    },
  };
}

function readyProbing({ config, forwards }: BlockAtWork): Probing {
  return {
    ask: forwards.ask,
    next: () => ({ question: questionFor(config.zones[0].zone, typeSoa), over: () => 'goes on' }),
  };
}

function loopProbing({ config }: BlockAtWork, block: number, upstream: OneUpstream, deps: StartProbeDeps): Probing {
  const { random, log, loops } = deps;
  const { zone } = config.zones[0];
  // The forward must serve the name, or the upstream may have no reason to forward it.
  const below = isInZone(zone, upstream.from) ? zone : upstream.from;
  let isLoop = false;
  const found = (): void => {
    isLoop = true;
    upstream.loops();
    const { file, line } = config.at;
    log.error(
      `${file}:${line}: upstream ${upstream.to} of ${zone} sends our queries back to us, so it is no longer ` +
        'used; write the address of a real resolver in its forward or resolv.conf',
      { zone, to: upstream.to },
    );
  };
  return {
    ask: upstream.ask,
    next() {
      const loopProbe = loops.newProbe({ block, zone: below }, random, found);
      return {
        question: loopProbe.question,
        over() {
          loops.forget(loopProbe);
          return isLoop ? 'is over' : 'goes on';
        },
      };
    },
  };
}

export interface ProbingDeps {
  readonly look: Look;
  upstreamAnswered(): void;
}

/** Probes and watches resolv.conf files until it is stopped. If it throws, nothing is left running. */
export function startProbing(generation: Generation, { look, upstreamAnswered }: ProbingDeps): Timer {
  const deps = { ...generation.deps, answered: upstreamAnswered };
  const probes: Timer[] = [];
  let watch: Timer | null = null;

  function stopProbes(): void {
    for (const timer of probes.splice(0)) timer.stop();
  }

  function stop(): void {
    watch?.stop();
    stopProbes();
  }

  function probe(): void {
    stopProbes();
    toEach(generation.blocks.entries(), ([index, block]) => void probes.push(startProbe(block, index, deps)));
  }

  const changed = () => doAll(() => generation.resolvConfsChanged(), probe);
  try {
    probe();
    // Without upstreams there is nothing to wait for.
    if (generation.config.blocks.every(({ forwards }) => forwards.length === 0)) upstreamAnswered();
    const files = [...generation.resolvConfs, systemdResolvConf];
    if (files.length > 1) watch = watchFiles(deps.clock, () => files, resolvConfPeriodMs, changed, look);
  } catch (error) {
    stop();
    throw error;
  }
  return { stop };
}
