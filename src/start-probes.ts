/**
 * The first question to each block's upstream, asked by ourselves: its answer makes us ready, and where the block has
 * `loop` the question is one that must not come back. Asked again until somebody answers.
 */
import { nameToWire } from './dns/names.js';
import { setU16, typeSoa } from './dns/wire.js';
import { startProbePeriodMs } from './limits.js';
import type { Clock, Timer } from './outside/clock.js';
import type { Log } from './outside/log.js';
import type { Random } from './outside/random.js';
import type { LoopWatch } from './resolve/loop.js';
import type { BlockAtWork } from './serving.js';

export interface StartProbeWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly loops: LoopWatch;
  /** Some upstream has answered. */
  answered(): void;
}

/** Probes until the block's upstream has answered; `stop` gives up. */
export function startProbe(block: BlockAtWork, world: StartProbeWorld): Timer {
  const { clock } = world;
  const { config } = block;
  let stopped = config.forwards.length === 0;
  let timer: Timer | null = null;

  function ask(): void {
    if (stopped) return;
    const probe = config.loop ? loopProbe(block, world) : null;
    const question = probe?.question ?? soaQuestion(config.zones[0].zone);
    const request = { question, recursionDesired: true, checkingDisabled: false, dnssecOk: false } as const;
    block.forwards.ask({ ...request, clientTransport: 'udp' }, (outcome) => {
      if (probe !== null) world.loops.forget(probe);
      // What comes back from an upstream that loops is our own answer.
      if (block.loops) stopped = true;
      else if (outcome.ok) {
        stopped = true;
        world.answered();
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

function loopProbe(block: BlockAtWork, { random, log, loops }: StartProbeWorld) {
  const { zone } = block.config.zones[0];
  return loops.newProbe(zone, random, () => {
    block.loops = true;
    const { file, line } = block.config.at;
    log.error(
      `${file}:${line}: the upstream of ${zone} sends our questions back to us, so it is not asked any more; ` +
        'write the address of a real resolver in its forward directive, or in the resolv.conf that it names',
      { zone },
    );
  });
}

function soaQuestion(zone: string): Uint8Array {
  const name = nameToWire(zone);
  const question = new Uint8Array(name.length + 4);
  question.set(name);
  setU16(question, name.length, typeSoa);
  setU16(question, name.length + 2, 1);
  return question;
}
