/**
 * `npm run fuzz -- --minutes N`: everything in turns, each turn from a seed of its own that is printed before it
 * starts. `SEED=N npm run fuzz` begins with that one, which repeats what it found. Ends with 1 at the first failure.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { seededRandom } from '../simulation/random.js';
import { fuzzCache } from './cache.js';
import { parserRounds } from './parsers.js';
import { fuzzProgram } from './program.js';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  process.stderr.write(`--minutes takes a number above 0, as 10 or 0.5, not "${values.minutes}"\n`);
  process.exit(2);
}
const parserRoundsPerTurn = 100_000;
const programRoundsPerTurn = 100;
const cacheRoundsPerTurn = 100;

const endsAtMs = performance.now() + minutes * 60_000;
const first = process.env['SEED'];
let seed = first === undefined ? randomInt(2 ** 31) : Number(first);
let turns = 0;

try {
  for (; turns === 0 || performance.now() < endsAtMs; turns++, seed = randomInt(2 ** 31)) await turn();
  process.stdout.write(`${turns} turns, nothing found\n`);
} catch (error) {
  process.stdout.write(`${(error as Error).stack}\nfound with SEED=${seed}\n`);
  process.exit(1);
}

async function turn(): Promise<void> {
  process.stdout.write(`SEED=${seed}\n`);
  for (const [name, { round, costs }] of Object.entries(parserRounds)) {
    process.stdout.write(`  ${name}\n`);
    const random = seededRandom(seed);
    for (let left = parserRoundsPerTurn / costs; left > 0; left--) round(random);
  }
  process.stdout.write('  the program\n');
  await fuzzProgram(seed, (round) => round < programRoundsPerTurn);
  process.stdout.write('  the cache\n');
  await fuzzCache(seed, (round) => round < cacheRoundsPerTurn);
}
