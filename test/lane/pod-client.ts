/** The program in a pod (pod-program.ts) as its test sees it: what it can be told, and what it tells. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface AskWish {
  readonly server: string;
  readonly queries: readonly string[];
  /** In flight at once. */
  readonly window: number;
  readonly timeoutMs: number;
}

export interface SteadyWish {
  readonly server: string;
  readonly queries: readonly string[];
  readonly perSecond: number;
  /** What takes longer is late. */
  readonly lateMs: number;
}

export interface SteadyReport {
  readonly sent: number;
  readonly answered: number;
  /** Of these, after more than `lateMs`. */
  readonly late: number;
  readonly firstLate: readonly string[];
  /** Of these, with the extended error of a stale answer. */
  readonly stale: number;
  readonly rcodes: Readonly<Record<string, number>>;
  /** The first few answers to something else than what was asked. */
  readonly wrong: readonly string[];
  /** Not answered so far. */
  readonly lost: number;
  readonly firstLost: readonly string[];
}

export interface StormWish {
  readonly server: string;
  /** Queries with the bytes of the one address that is the answer. */
  readonly names: readonly { readonly query: string; readonly address: string }[];
  /** So many, then it is over. */
  readonly answers: number;
}

export interface StormReport {
  readonly sent: number;
  readonly answers: number;
  readonly wrongCount: number;
  readonly wrong: readonly string[];
}

export type Order = { readonly number: number } & (
  | ({ readonly what: 'ask' | 'ask over TCP' } & AskWish)
  | ({ readonly what: 'begin' } & SteadyWish)
  | { readonly what: 'count' }
  | { readonly what: 'finish'; readonly patienceMs: number }
  | ({ readonly what: 'storm' } & StormWish)
);

type Wish = Order extends infer Each ? (Each extends Order ? Omit<Each, 'number'> : never) : never;

interface Told {
  readonly number: number;
  readonly result?: unknown;
  readonly error?: string;
}

const program = fileURLToPath(new URL('pod-program.js', import.meta.url));
/** For a question that is answered, if it is. */
const patienceMs = 3_000;
/** For one to which no answer is expected. */
const shortMs = 300;

export class PodClient {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (told: Told) => void>();
  #orders = 0;
  /** Questions so far, without those of a stream that goes on. */
  asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (told: Told) => this.#waiting.get(told.number)?.(told));
    child.on('exit', () => {
      for (const [number, tell] of this.#waiting) tell({ number, error: 'the program in the pod has ended' });
    });
  }

  /** Starts it by this command line; it has ended at the latest when this process has. */
  static async start(command: (...words: string[]) => readonly string[]): Promise<PodClient> {
    const [first, ...rest] = command(process.execPath, program);
    const child = spawn(first, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new PodClient(child);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  /** The answers over UDP in the order of the queries, null where none came. */
  ask(server: string, queries: readonly Uint8Array[], { window = 32, timeoutMs = patienceMs } = {}): Promise<Answers> {
    return this.#askBy('ask', { server, queries: queries.map(hex), window, timeoutMs });
  }

  askOverTcp(server: string, queries: readonly Uint8Array[]): Promise<Answers> {
    return this.#askBy('ask over TCP', { server, queries: queries.map(hex), window: 8, timeoutMs: patienceMs });
  }

  /** How many of these it gets an answer to, soon or never. */
  async answered(server: string, queries: readonly Uint8Array[]): Promise<number> {
    const answers = await this.ask(server, queries, { timeoutMs: shortMs });
    return answers.filter((answer) => answer !== null).length;
  }

  /** A resolver library has asked again after two seconds, or soon does. */
  begin(server: string, queries: readonly Uint8Array[], perSecond: number, lateMs = 2_000): Promise<void> {
    return this.#order<void>({ what: 'begin', server, queries: queries.map(hex), perSecond, lateMs });
  }

  count(): Promise<SteadyReport> {
    return this.#order<SteadyReport>({ what: 'count' });
  }

  async finish(withinMs: number): Promise<SteadyReport> {
    const report = await this.#order<SteadyReport>({ what: 'finish', patienceMs: withinMs });
    this.asked += report.sent;
    return report;
  }

  storm(wish: StormWish): Promise<StormReport> {
    return this.#order<StormReport>({ what: 'storm', ...wish });
  }

  async #askBy(what: 'ask' | 'ask over TCP', wish: AskWish): Promise<Answers> {
    this.asked += wish.queries.length;
    const answers = await this.#order<(string | null)[]>({ what, ...wish });
    return answers.map((answer) => (answer === null ? null : Buffer.from(answer, 'hex')));
  }

  async #order<Result>(wish: Wish): Promise<Result> {
    const number = ++this.#orders;
    const told = await new Promise<Told>((resolve) => {
      this.#waiting.set(number, resolve);
      if (this.#child.exitCode !== null) resolve({ number, error: 'the program in the pod has ended' });
      else this.#child.send({ ...wish, number });
    });
    this.#waiting.delete(number);
    if (told.error !== undefined) throw new Error(told.error);
    return told.result as Result;
  }
}

export type Answers = readonly (Buffer | null)[];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
