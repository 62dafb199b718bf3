/** Puts a worker's own way upstream together: what may be asked (resolve/), over which connections (upstream/). */
import type { Counters } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import type { Asker, DirectAsking, RowsEnded } from '../listen/asking.js';
import type { Received } from '../listen/message-batch.js';
import type { Clock } from '../os/clock.js';
import type { Random } from '../os/random.js';
import type { SystemCalls } from '../os/system-calls.js';
import { DirectAnswers, directAsksOf, mayAskDirectly } from '../resolve/direct.js';
import { deferred } from '../resolve/fast-path.js';
import { DeferredLately, JoinedRows, noMoreRows } from '../resolve/joined-rows.js';
import type { WorkerContext } from '../resolve/worker-context.js';
import type { ZoneTable } from '../resolve/zones.js';
import { DirectConnections } from '../upstream/direct.js';

interface DirectAskerDeps {
  readonly context: WorkerContext;
  readonly calls: SystemCalls;
  readonly counters: Counters;
  readonly random: Random;
  readonly clock: Pick<Clock, 'nowMs' | 'wallMs'>;
}

/** What a worker asks by itself. Its memory is made with the first plain miss: most workers of a small node have none. */
export class DirectAsker implements DirectAsking<ZoneTable> {
  readonly #deps: DirectAskerDeps;
  #answers: DirectAnswers | null = null;
  #mayAsk = false;
  readonly #deferredLately = new DeferredLately();

  constructor(deps: DirectAskerDeps) {
    this.#deps = deps;
  }

  /** The context has deferred the packet: answers it if its answer is on its way to the cache; else `deferred`. */
  answerRecent({ packet, length, nowMs }: Received): number {
    const { context, clock } = this.#deps;
    this.#mayAsk = mayAskDirectly(context, packet, length);
    if (!this.#mayAsk) return deferred;
    this.#answers ??= new DirectAnswers(context, clock);
    const bytes = this.#answers.answerRecent(packet, length, nowMs);
    if (bytes === deferred) this.#mayAsk = !this.#deferredLately.has(this.#answers.hash, nowMs);
    return bytes;
  }

  mayAsk(): boolean {
    return this.#mayAsk;
  }

  deferred({ nowMs }: Received): void {
    this.#deferredLately.add(this.#answers!.hash, nowMs);
  }

  open(ended: RowsEnded): Asker<ZoneTable> {
    return new OpenAsker(this.#deps, this.#answers!, this.#deferredLately, ended);
  }

  answer(
    row: number,
    { packet, length, family }: Received,
    came: Parameters<DirectAnswers['answer']>[4],
    slot: Slot,
  ): number {
    const answers = this.#answers!;
    const bytes = answers.answer(row, packet, length, family, came, slot);
    if (bytes === deferred) this.#deferredLately.add(answers.hashOf(row), came.nowMs);
    return bytes;
  }

  get wasTrouble(): boolean {
    return this.#answers!.wasTrouble;
  }

  get isUrgent(): boolean {
    return this.#answers!.isUrgent;
  }

  forCache(): Uint8Array {
    return this.#answers!.forCache();
  }
}

class OpenAsker implements Asker<ZoneTable>, RowsEnded {
  readonly #context: WorkerContext;
  readonly #answers: DirectAnswers;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #deferredLately: DeferredLately;
  readonly #ended: RowsEnded;
  readonly #connections: DirectConnections;
  readonly #joined = new JoinedRows();

  constructor(deps: DirectAskerDeps, answers: DirectAnswers, deferredLately: DeferredLately, ended: RowsEnded) {
    this.#context = deps.context;
    this.#clock = deps.clock;
    this.#answers = answers;
    this.#deferredLately = deferredLately;
    this.#ended = ended;
    this.#connections = new DirectConnections(deps, this);
  }

  get sweepAtMs(): number {
    return this.#connections.sweepAtMs;
  }

  get owed(): number {
    return this.#connections.owed;
  }

  follow(tables: readonly ZoneTable[]): void {
    this.#answers.clear();
    this.#connections.follow(directAsksOf(tables.flatMap(({ byBytes }) => byBytes.flat())));
  }

  ask(row: number, { packet, nowMs }: Received): boolean {
    const { zone, query, counters } = this.#context;
    const { hash } = this.#answers;
    if (this.#joined.join(row, hash)) {
      counters.count('coalesced');
      this.#answers.began(row, 'joined');
      return true;
    }
    if (!this.#connections.ask(row, zone!.asks!, packet, query.questionEnd, nowMs)) return false;
    this.#joined.ask(row, hash);
    this.#answers.began(row, 'asked');
    return true;
  }

  answered(row: number, message: Uint8Array, durationMs: number): boolean {
    const waiting = this.#joined.end(row);
    const isUseful = this.#ended.answered(row, message, durationMs);
    this.#endEach(waiting, (one) => this.#ended.answered(one, message, durationMs));
    return isUseful;
  }

  givenUp(row: number): void {
    const waiting = this.#joined.end(row);
    this.#deferredLately.add(this.#answers.hashOf(row), this.#clock.nowMs());
    this.#ended.givenUp(row);
    this.#endEach(waiting, (one) => this.#ended.givenUp(one));
  }

  /** Ends the rows that wait, from this one on; each may be used again by then. */
  #endEach(waiting: number, end: (row: number) => void): void {
    for (let row = waiting; row !== noMoreRows; ) {
      const next = this.#joined.after(row);
      end(row);
      row = next;
    }
  }

  flush(nowMs: number): void {
    this.#connections.flush(nowMs);
  }

  watch(entries: Int32Array, at: number): number {
    return this.#connections.watch(entries, at);
  }

  read(entries: Int32Array, at: number, nowMs: number): void {
    this.#connections.read(entries, at, nowMs);
  }

  sweep(nowMs: number): void {
    this.#connections.sweep(nowMs);
  }

  giveUpAll(): void {
    this.#connections.giveUpAll();
  }
}
