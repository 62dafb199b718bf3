/** What a configuration at work needs, all of it in memory, for the tests of the composition's parts. */
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { CacheWork, type GenerationDeps } from '../../src/process/generation.js';
import { LoopWatch } from '../../src/resolve/loop.js';
import { Numbering, ReusableNumbering } from '../../src/resolve/zone-plan.js';
import { Outages } from '../../src/upstream/health.js';
import { hashKey } from '../dns/hash-key.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

export interface GenerationFixture {
  readonly clock: ManualClock;
  readonly counters: Counters;
  /** What was logged: `level: message`. */
  readonly lines: readonly string[];
  readonly world: GenerationDeps;
}

export function newGenerationFixture(): GenerationFixture {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const counters = new Counters(countersMemory(1));
  const lines: string[] = [];
  const say = (level: string) => (text: string) => void lines.push(`${level}: ${text}`);
  const world: GenerationDeps = {
    ...{ network: new MemoryNetwork(clock, random), clock, random, counters },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    cache: new Cache(new Blocks(cacheMemory(), hashKey())),
    cacheWork: new CacheWork(clock),
    numberings: { cache: new Numbering(), counters: new ReusableNumbering((ordinal) => counters.clearZone(ordinal)) },
    following: () => () => true,
    loops: new LoopWatch(),
    outages: new Outages(),
    queryLogOutput() {},
    routes: new WeakMap(),
    readPieces: async () => undefined,
    look: { stat: () => undefined },
    resolvConfs: { read: () => ({ error: 'none' }) },
    subqueryIn: () => () => {},
    lookUpIn: () => () => {},
  };
  return { clock, counters, lines, world };
}
