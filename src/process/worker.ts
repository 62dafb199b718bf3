/** The program of a worker thread, started by shared-sockets.ts: its views of the shared cache, its context, the spine. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Blocks } from '../cache/blocks.js';
import { Epochs } from '../cache/epochs.js';
import { FirstHits } from '../cache/first-hits.js';
import { Counters } from '../counters.js';
import { newSlot, type Slot } from '../dns/answer.js';
import type { HashKey } from '../dns/hash.js';
import { rcodeServFail } from '../dns/wire.js';
import { workerSliceNanoseconds } from '../limits.js';
import { LoanTable } from '../listen/loans.js';
import type { Received } from '../listen/message-batch.js';
import { RingWriter } from '../listen/ring.js';
import { SampleWriter } from '../listen/samples.js';
import { TraceWriter } from '../listen/traces.js';
import { OrderNumbers, type Orders, type UnsentBytes, type WorkerStart } from '../listen/worker.js';
import { WorkerLoop } from '../listen/worker-loop.js';
import { systemClock } from '../os/clock.js';
import { kernelRandom } from '../os/kernel-random.js';
import { loadSystemCalls } from '../os/system-calls.js';
import { AskedAgain, DenialCuts, stepOf } from '../resolve/cut.js';
import { answerNow, deferred, originOf } from '../resolve/fast-path.js';
import { edeNoReachableAuthority, Prng, RecentRefreshes, WorkerContext } from '../resolve/worker-context.js';
import type { ZoneTable } from '../resolve/zones.js';
import { DirectAsker } from './direct-asker.js';

/** From shared-sockets.ts, the same for every worker. */
export interface WorkerMemory {
  readonly blocks: SharedArrayBuffer;
  readonly hashKey: HashKey;
  readonly epochs: SharedArrayBuffer;
  /** Null: nobody wants to know. */
  readonly firstHits: SharedArrayBuffer | null;
  readonly ownMark: number;
  /** Whether misses need not all go through the main thread: with several workers each would ask the same questions. */
  readonly asksUpstream: boolean;
  /** Each worker's seed is this plus its index. */
  readonly prngSeed: number;
}

const { index, port, ring, samples, traces, numbers, loans, loansEpoll, wakeFd, first, shared } =
  workerData as WorkerStart<ZoneTable, WorkerMemory>;
const loaded = loadSystemCalls();
if (loaded.calls === null) throw new Error(loaded.why);
const { calls } = loaded;
const counters = new Counters(first.counters);
const epochs = new Epochs(shared.epochs);
const blocks = new Blocks(shared.blocks, shared.hashKey);
if (shared.firstHits !== null) blocks.firstHits = new FirstHits(shared.firstHits);
const context = new WorkerContext(blocks, newSlot(0), counters, 'worker');
context.ownMark = shared.ownMark;
context.dice = new Prng(shared.prngSeed + index);
const cuts = new DenialCuts(context);
const askedOfCuts = new AskedAgain(context);
const recent = new RecentRefreshes();
const clock = systemClock();
const asking = shared.asksUpstream
  ? new DirectAsker({ context, calls, counters, clock, random: kernelRandom(calls) })
  : null;
let answeredAtMs = 0;
/** `refreshDue` is to tell the main thread of the last answer, from a cut: it is to a walk's first step, or was given before. */
let isOfCut = false;
const one = new ArrayBuffer(8);
new BigUint64Array(one)[0] = 1n;
const oneAt = calls.addressOf(one);

const loop = new WorkerLoop<ZoneTable>(
  {
    calls,
    counters,
    ring: new RingWriter(ring, shared.hashKey),
    samples: new SampleWriter(samples),
    traces: new TraceWriter(traces),
    numbers: new OrderNumbers(numbers),
    loans: new LoanTable(loans),
    loansEpoll,
    unsent: (place, bytes) => port.postMessage({ place, bytes } satisfies UnsentBytes),
    asking,
    hashKey: shared.hashKey,
    nowMs: clock.nowMs,
    enter: () => epochs.enter(index),
    leave: () => epochs.leave(index),
    nextOrders: () => receiveMessageOnPort(port)?.message as Orders<ZoneTable> | undefined,
    wakeControlLane: () => void calls.write(wakeFd, oneAt, 8),
    failed: (error) => port.postMessage(String((error as Error).stack)),
    decide: {
      answer(table: ZoneTable, received: Received, slot: Slot): number {
        const { packet, length, family, transport, nowMs } = received;
        context.slot = slot;
        context.family = family;
        context.transport = transport;
        answeredAtMs = nowMs;
        const bytes = answerNow(context, table, packet, length, nowMs);
        if (bytes !== deferred) return bytes;
        // What the worker remembers of the name itself comes first.
        const recently = asking === null ? deferred : asking.answerRecent(received);
        if (recently !== deferred) return recently;
        const cut = cuts.answer(packet, length, nowMs, null);
        if (cut === deferred) return deferred;
        if (askedOfCuts.isAgain(packet) || (table.asksAhead && stepOf(context, packet) === 'first')) {
          isOfCut = true;
          context.refreshDue = true;
        }
        return cut;
      },
      refreshDue() {
        if (!context.refreshDue) return false;
        if (!isOfCut) return recent.isNew(context.block, answeredAtMs);
        isOfCut = false;
        return true;
      },
      origin: (slot) => originOf(context, slot.bytes[3] & 0x0f, answeredAtMs),
      overloaded({ packet }: Received, slot: Slot): number {
        context.slot = slot;
        return context.answerEmpty(packet, rcodeServFail, edeNoReachableAuthority);
      },
    },
  },
  first,
);
// Where the kernel refuses, the worker gets its turn a little later.
calls.setSlice(workerSliceNanoseconds);
loop.run();
