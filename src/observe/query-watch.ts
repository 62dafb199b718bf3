/**
 * Queries as they are answered, for `zerohop tail`, `zerohop top` and the live page. While nobody watches, workers tell
 * nothing. While somebody does, workers write what they answer into rings, the main thread adds its own answers, and each
 * watcher gets those that pass its filter, some at a time. Hits beyond `tracedHitsMax` in a period are sampled; reading has
 * a share of the main thread's time; whatever is left out is counted. Answers of the kernel lane are not seen at all.
 *
 *   workers ─> listen/traces ─┐
 *   main thread ──────────────┴─> filters ─> WatchedQuery ─> watchers, each period
 */

import { formatEndpoint, type IpNetwork, isInNetwork } from '../config/addresses.js';
import { clientBytes } from '../config/client-kinds.js';
import type { Transport } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import { fitsGlob, type NameGlob } from '../dns/name-glob.js';
import { rcodeName, typeName, wireToName } from '../dns/names.js';
import { atQuestions, messageRcode, skipPlainName, u16 } from '../dns/wire.js';
import { headerBytes, queryWatchersMax, tracedHitsMax, tracesMax, tracesReadMs, tracesTurnMs } from '../limits.js';
import type { AnswerOrigin, Client } from '../listen/client.js';
import type { ReadTrace, TraceReader } from '../listen/traces.js';
import { endpointOf } from '../os/addresses.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import type { AnswerFacts, AnswerWatch } from '../resolve/worker-context.js';
import { toEach } from '../scheduling/each.js';

/** What a watcher wants to see; all of it must hold. */
export interface WatchFilter {
  readonly name: NameGlob | null;
  readonly client: IpNetwork | null;
  /** The low four bits, as headers have them. */
  readonly rcode: number | null;
  /** 0: hits too, which take next to no time. Above 0, no worker tells hits. */
  readonly leastMs: number;
}

/** One answered query, as programs get it. */
export interface WatchedQuery {
  /** Wall-clock milliseconds since 1970, of the answer. */
  readonly atMs: number;
  readonly client: string;
  /** `169.254.20.10:53`; empty when the listener has closed meanwhile. */
  readonly listener: string;
  readonly transport: 'udp' | 'tcp';
  /** As `wireToName` writes it: printable ASCII, whatever the packet had. */
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly origin: AnswerOrigin;
  /** Of the answer. */
  readonly bytes: number;
  /** 0 for a hit in a worker. */
  readonly durationMs: number;
}

/** Answers that nobody was told of, since the start. */
export interface Untold {
  /** Hits, because only one in so many was told. */
  readonly sampledOut: number;
  /** Because they came faster than they are read. */
  readonly lost: number;
  /** Because the kernel gave them. */
  readonly byKernel: number;
}

interface Watching {
  /** Of this watcher and all others. */
  untold(): Untold;
  /** One hit in so many is told now. */
  readonly hitsOneIn: number;
  end(): void;
}

interface QueryWatchDeps {
  readonly clock: Clock;
  /** One for each worker. */
  readonly traces: readonly TraceReader[];
  /** Our address of a worker's socket; null once it is closed. */
  localOf(socket: number): Endpoint | null;
  /** Answers that the kernel has given so far. */
  byKernel(): number;
}

interface Watcher {
  readonly filter: WatchFilter;
  readonly told: (queries: readonly WatchedQuery[]) => void;
  matched: WatchedQuery[];
}

/** An answer before anything of it is text. */
interface SeenAnswer extends AnswerFacts {
  readonly nowMs: number;
  readonly transport: Transport;
  readonly client: Endpoint;
  readonly local: Endpoint | null;
  /** Its first `known` bytes are those of the answer: all of them, or at least those up to the end of the question. */
  readonly answer: Uint8Array;
  readonly known: number;
}

/** Traces between two looks at the clock. */
const tracesPerLook = 16;

export class QueryWatch implements AnswerWatch {
  readonly #deps: QueryWatchDeps;
  readonly #watchers = new Set<Watcher>();
  #timer: Timer | null = null;
  #areHitsWanted = false;
  /** One hit in so many is told. */
  #oneIn = 1;
  /** Hits of the main thread before the next that is told, and those passed over. */
  #until = 0;
  #sampledOut = 0;
  /** Answers for which a watcher had no place. */
  #lost = 0;
  /** Hits that were told or passed over in this period, but for those of workers that were passed over. */
  #hits = 0;
  #passedOverBefore = 0;
  #next = 0;

  constructor(deps: QueryWatchDeps) {
    this.#deps = deps;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /**
   * From now on `told` gets what passes the filter, every `tracesReadMs`, until `end`. Null: there are
   * `queryWatchersMax` already.
   */
  watch(filter: WatchFilter, told: Watcher['told']): Watching | null {
    if (this.#watchers.size >= queryWatchersMax) return null;
    const watcher: Watcher = { filter, told, matched: [] };
    this.#watchers.add(watcher);
    this.#want();
    const hitsOneIn = (): number => this.#oneIn;
    return {
      untold: () => this.#untold(),
      get hitsOneIn() {
        return hitsOneIn();
      },
      end: () => {
        if (this.#watchers.delete(watcher)) this.#want();
      },
    };
  }

  answered({ bytes }: Slot, { transport, remote, local }: Client, facts: AnswerFacts): void {
    const isAtOnce = facts.origin === 'hit' || facts.origin === 'policy';
    if (isAtOnce && this.#areHitsWanted && this.#passesOver()) return;
    const nowMs = this.#deps.clock.nowMs();
    this.#tell({ ...facts, nowMs, transport, client: remote, local, answer: bytes, known: facts.bytes });
  }

  #passesOver(): boolean {
    this.#hits++;
    if (this.#until > 0) {
      this.#until--;
      this.#sampledOut++;
      return true;
    }
    this.#until = this.#oneIn - 1;
    return false;
  }

  /** Tells the workers what somebody wants to see, which may be nothing. */
  #want(): void {
    const { clock, traces } = this.#deps;
    const filters = [...this.#watchers].map(({ filter }) => filter);
    this.#areHitsWanted = filters.some(({ leastMs }) => leastMs <= 0);
    const others = this.isWatched ? 'told' : 'untold';
    for (const reader of traces) reader.want({ hitsOneIn: this.#areHitsWanted ? this.#oneIn : 0, others });
    if (this.isWatched && this.#timer === null) {
      for (const reader of traces) reader.clear();
      this.#passedOverBefore = this.#passedOver();
      this.#timer = clock.every(tracesReadMs, () => this.#turn());
    }
    if (this.isWatched) return;
    this.#timer?.stop();
    this.#timer = null;
    this.#oneIn = 1;
  }

  #turn(): void {
    const isAll = this.#read();
    this.#adapt(isAll ? 'read' : 'behind');
    toEach([...this.#watchers], (watcher) => {
      const { matched } = watcher;
      if (matched.length === 0) return;
      watcher.matched = [];
      watcher.told(matched);
    });
  }

  /** Reads for `tracesTurnMs` at most; false when something is left. */
  #read(): boolean {
    const { clock, traces } = this.#deps;
    const endsAtMs = clock.nowMs() + tracesTurnMs;
    for (let left = traces.length; left > 0; left--) {
      const reader = traces[this.#next];
      for (let count = 1; ; count++) {
        const trace = reader.next();
        if (trace === null) break;
        this.#traced(trace);
        if (count % tracesPerLook === 0 && clock.nowMs() >= endsAtMs) return false;
      }
      this.#next = (this.#next + 1) % traces.length;
    }
    return true;
  }

  /** One hit in as many as were too many in this period; less at once when reading fell behind, more step by step. */
  #adapt(reading: 'read' | 'behind'): void {
    const passedOver = this.#passedOver();
    const offered = this.#hits + passedOver - this.#passedOverBefore;
    this.#passedOverBefore = passedOver;
    this.#hits = 0;
    const needed = Math.ceil(offered / tracedHitsMax);
    const oneIn = Math.min(oneInMax, Math.max(1, needed, reading === 'behind' ? 2 * this.#oneIn : this.#oneIn >> 1));
    if (oneIn === this.#oneIn) return;
    this.#oneIn = oneIn;
    this.#want();
  }

  #passedOver(): number {
    return this.#deps.traces.reduce((sum, { passedOver }) => sum + passedOver, 0);
  }

  #untold(): Untold {
    const { traces, byKernel } = this.#deps;
    const lost = traces.reduce((sum, reader) => sum + reader.lost, this.#lost);
    return { sampledOut: this.#sampledOut + this.#passedOver(), lost, byKernel: byKernel() };
  }

  #traced(trace: ReadTrace): void {
    if (trace.origin !== 'miss') this.#hits++;
    this.#tell({
      nowMs: trace.atMs,
      transport: trace.transport,
      client: endpointOf(trace.peer),
      local: this.#deps.localOf(trace.socket),
      origin: trace.origin,
      durationMs: trace.durationMs,
      bytes: trace.answerBytes,
      answer: trace.answer,
      known: trace.copied,
    });
  }

  #tell(answered: SeenAnswer): void {
    const nameEnd = nameEndOf(answered);
    // Refused from the header: nobody knows what was asked, and most of these are the self-check's.
    if (nameEnd < 0) return;
    let query: WatchedQuery | null = null;
    for (const { filter, matched } of this.#watchers) {
      if (!passesFilter(filter, answered)) continue;
      if (matched.length >= tracesMax) {
        this.#lost++;
        continue;
      }
      query ??= this.#watchedQuery(answered, nameEnd);
      if (filter.name === null || fitsGlob(query.name, filter.name)) matched.push(query);
    }
  }

  #watchedQuery(answered: SeenAnswer, nameEnd: number): WatchedQuery {
    const { clock } = this.#deps;
    const { nowMs, client, local, transport, answer, origin, bytes, durationMs } = answered;
    return {
      atMs: Math.round(clock.wallMs() - (clock.nowMs() - nowMs)),
      client: client.address,
      listener: local === null ? '' : formatEndpoint(local),
      transport: transport === 0 ? 'udp' : 'tcp',
      name: wireToName(answer, headerBytes),
      type: typeName(u16(answer, nameEnd)),
      rcode: rcodeName(messageRcode(answer)),
      origin,
      bytes,
      durationMs: Math.round(Math.max(0, durationMs) * 1000) / 1000,
    };
  }
}

/** By everything but the name, which is text only for those that pass. */
function passesFilter({ rcode, leastMs, client }: WatchFilter, answered: SeenAnswer): boolean {
  if (rcode !== null && rcode !== messageRcode(answered.answer)) return false;
  if (leastMs > 0 && answered.durationMs < leastMs) return false;
  return client === null || isInNetwork(clientBytes(answered.client.address), client);
}

/** Where the type of the question begins; -1: the message has no question, or no whole one. */
function nameEndOf({ answer, known }: SeenAnswer): number {
  if (known < headerBytes || u16(answer, atQuestions) !== 1) return -1;
  const end = skipPlainName(answer, headerBytes, known);
  return end + 4 <= known ? end : -1;
}

/** So that something is seen however much there is. */
const oneInMax = 1_024;
