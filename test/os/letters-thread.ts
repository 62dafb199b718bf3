/** The program of a worker in tests: as src/process/worker.ts, with letters in the place of DNS. */

import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Counters } from '../../src/counters.js';
import { LoanTable } from '../../src/listen/loans.js';
import { RingWriter } from '../../src/listen/ring.js';
import { SampleWriter } from '../../src/listen/samples.js';
import { TraceWriter } from '../../src/listen/traces.js';
import { OrderNumbers, type Orders, type UnsentBytes, type WorkerStart } from '../../src/listen/worker.js';
import { WorkerLoop } from '../../src/listen/worker-loop.js';
import { systemClock } from '../../src/os/clock.js';
import { loadSystemCalls, type SystemCalls } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { LetterAsker } from './letter-asker.js';
import { letters } from './letters.js';

const { port, ring, samples, traces, numbers, loans, loansEpoll, wakeFd, first } = workerData as WorkerStart<
  string,
  null
>;
const calls = loadSystemCalls().calls as SystemCalls;
const counters = new Counters(first.counters);
const one = new ArrayBuffer(8);
new BigUint64Array(one)[0] = 1n;
const oneAt = calls.addressOf(one);
new WorkerLoop<string>(
  {
    ...{ calls, counters, hashKey: hashKey() },
    asking: new LetterAsker(calls, () => 'yes'),
    decide: letters(() => process.exit(3)),
    ring: new RingWriter(ring, hashKey()),
    samples: new SampleWriter(samples),
    traces: new TraceWriter(traces),
    numbers: new OrderNumbers(numbers),
    loans: new LoanTable(loans),
    loansEpoll,
    unsent: (place, bytes) => port.postMessage({ place, bytes } satisfies UnsentBytes),
    nowMs: systemClock().nowMs,
    enter: () => counters.count('coalesced'),
    leave: () => {},
    nextOrders: () => receiveMessageOnPort(port)?.message as Orders<string> | undefined,
    wakeControlLane: () => void calls.write(wakeFd, oneAt, 8),
    failed: (error) => port.postMessage(String(error)),
  },
  first,
).run();
