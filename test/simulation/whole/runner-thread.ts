/** The thread of runner.ts: runs the story of each seed that it is sent, and says how it ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../random.js';
import { Chronicle } from './chronicle.js';
import type { RunEnded, RunnerStart } from './runner.js';
import { simulate } from './story.js';

const { chronicle, isAloud } = workerData as RunnerStart;
const lines = new Chronicle(chronicle);

function note(line: string): void {
  lines.note(line);
  if (isAloud) process.stdout.write(`${line}\n`);
}

parentPort?.on('message', async (seed: number) => {
  let failure: string | null = null;
  try {
    await simulate(seededRandom(seed), note);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const ended: RunEnded = { failure };
  parentPort?.postMessage(ended);
});
