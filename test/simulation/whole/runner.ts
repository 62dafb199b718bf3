/**
 * Runs seeds in a thread beside the test, one at a time, and gives up on one that does not come to its end: a loop
 * that never ends would keep the test's own thread from noticing. There, too, promises cost a third of what they do
 * under the test runner, which follows each of them. What the thread does is runner-thread.ts.
 */
import { Worker } from 'node:worker_threads';
import { Chronicle } from './chronicle.js';

export interface RunnerStart {
  readonly chronicle: SharedArrayBuffer;
  /** Every line of the chronicle is printed as well. */
  readonly isAloud: boolean;
}

/** How a run ended: null is well, else a sentence. */
export interface RunEnded {
  readonly failure: string | null;
}

export class SeedRunner {
  readonly #chronicle = new Chronicle();
  readonly #program: URL;
  readonly #isAloud: boolean;
  #thread: Worker | null = null;

  /** `program` is the thread's, which answers each seed with a `RunEnded`. */
  constructor(program: URL, options: { readonly isAloud: boolean }) {
    this.#program = program;
    this.#isAloud = options.isAloud;
  }

  /** Null when the run of this seed ended well within `withinMs`; else what went wrong, and what went before it. */
  async run(seed: number, withinMs: number): Promise<string | null> {
    this.#chronicle.clear();
    const failure = await this.#run(seed, withinMs);
    if (failure === null) return null;
    const before = this.#chronicle.last().map((line) => `  ${line}`);
    return [`seed ${seed} (repeat with SEED=${seed}): ${failure}`, 'before that:', ...before].join('\n');
  }

  /** Ends the thread, whatever it does. */
  async end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }

  async #run(seed: number, withinMs: number): Promise<string | null> {
    this.#thread ??= this.#newThread();
    const thread = this.#thread;
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(timer);
        thread.off('message', ended).off('error', gone).off('exit', gone);
      };
      const ended = ({ failure }: RunEnded) => {
        over();
        resolve(failure);
      };
      const failed = (why: string) => {
        over();
        void this.end().then(() => resolve(why));
      };
      const gone = (why: unknown) => failed(`its thread is gone: ${why}`);
      const timer = setTimeout(() => failed(`it has not come to its end within ${withinMs} ms`), withinMs);
      thread.on('message', ended).on('error', gone).on('exit', gone);
      thread.postMessage(seed);
    });
  }

  #newThread(): Worker {
    const workerData: RunnerStart = { chronicle: this.#chronicle.memory, isAloud: this.#isAloud };
    return new Worker(this.#program, { workerData });
  }
}
