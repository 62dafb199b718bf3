/**
 * /debug/pprof: CPU profiles and heap snapshots over HTTP, for `pprof`. One at a time, each bounded in time and size, and
 * ended early when the endpoint closes. The paths are Go's, the formats V8's; the page at /debug/pprof/ explains them.
 */
import { pipeline, Transform } from 'node:stream';
import { heapSnapshotBytesMax, heapSnapshotSendMs, profileSecondsMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import type { Ends } from '../os/proc.js';
import type { Profiler } from '../os/profiler.js';
import type { Asked, HttpAnswer, HttpRoutes } from './http.js';

interface Pprof {
  /** For one endpoint of `pprof`. */
  routes(at: Endpoint): HttpRoutes;
  /** Ends the profile in progress, which is answered as it is, or cuts the snapshot. */
  stop(): void;
}

/** As in Go. */
const profileSecondsDefault = 30;
const json = 'application/json';

/**
 * `mayAsk` are the allowed users of this host; `userOfPeer` gives null for a remote peer, and `too many` if the host has
 * too many connections to find out.
 */
export interface Askers {
  readonly mayAsk: readonly number[];
  userOfPeer(ends: Ends): Promise<number | null | 'too many'>;
}

/**
 * A snapshot contains queries and clients, so it is for the node's root and our own user. An address other than loopback
 * and all addresses was chosen for remote access, and is open.
 */
export function newPprof(clock: Clock, profiler: Profiler, { mayAsk, userOfPeer }: Askers): Pprof {
  /** Ends the profile or snapshot in progress; null: none. */
  let end: (() => void) | null = null;
  let stops = 0;

  async function profile({ query }: Asked): Promise<HttpAnswer> {
    const seconds = numberIn(query, 'seconds', profileSecondsDefault, profileSecondsMax);
    const thread = numberIn(query, 'thread', 0, Number.MAX_SAFE_INTEGER);
    if (!(seconds > 0)) return refusal(400, `seconds must be a number above 0, up to ${profileSecondsMax}.`);
    if (!Number.isInteger(thread)) return refusal(400, 'thread must be 0 (the main thread) or a thread number.');
    if (end !== null) return busy;
    let isOver = false;
    end = () => {
      isOver = true;
    };
    try {
      const recording = await profiler.record(thread);
      if (recording === null) return refusal(404, `there is no worker ${thread}.`);
      if (!isOver) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(seconds * 1000, resolve);
          end = () => {
            timer.stop();
            resolve();
          };
        });
      }
      return { status: 200, body: await recording.finish(), contentType: json };
    } finally {
      end = null;
    }
  }

  async function heap(): Promise<HttpAnswer> {
    if (end !== null) return busy;
    let bytes = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        if (bytes > heapSnapshotBytesMax) done(new Error(`the snapshot has more than ${heapSnapshotBytesMax} bytes`));
        else done(null, chunk);
      },
    });
    const cut = (): void => void counted.destroy(new Error('the snapshot is cut'));
    end = cut;
    const timer = clock.after(heapSnapshotSendMs, cut);
    counted.once('close', () => {
      timer.stop();
      end = null;
    });
    try {
      pipeline(await profiler.heapSnapshot(), counted, () => {});
    } catch (error) {
      counted.destroy();
      throw error;
    }
    return { status: 200, body: '', rest: counted, contentType: json };
  }

  const index = async (): Promise<HttpAnswer> => ({ status: 200, body: page });
  const pages = {
    '/debug/pprof': index,
    '/debug/pprof/': index,
    '/debug/pprof/profile': profile,
    '/debug/pprof/heap': heap,
  };
  /** One lookup at a time: each occupies a thread of libuv's pool. */
  let looking: Promise<unknown> = Promise.resolve();
  const guarded = (answer: (asked: Asked) => Promise<HttpAnswer>) => async (asked: Asked) => {
    const before = stops;
    const found = looking.then(() => userOfPeer(asked));
    looking = found.catch(() => {});
    const user = await found;
    // A profile that begins after `stop` would not be ended.
    if (stops !== before) return refusal(503, 'this address is being closed.');
    if (user === 'too many') return unknown;
    return user !== null && mayAsk.includes(user) ? answer(asked) : forbidden;
  };
  return {
    routes: ({ address }) => {
      if (!/^(?:::1?|0\.0\.0\.0|127\..*)$/.test(address)) return pages;
      return Object.fromEntries(Object.entries(pages).map(([path, answer]) => [path, guarded(answer)]));
    },
    stop() {
      stops += 1;
      end?.();
    },
  };
}

const forbidden = refusal(403, 'profiles are only for root on this node; connect as root, to an address of the node.');
const unknown = refusal(
  503,
  'profiles are only for root on this node, which has too many TCP connections to find the owner of this one; retry with fewer connections.',
);
const busy = refusal(503, 'another profile or snapshot is in progress; only one at a time.');

function refusal(status: number, sentence: string): HttpAnswer {
  return { status, body: `${sentence}\n` };
}

/** NaN for other text, negative numbers and those above `most`. */
function numberIn(query: URLSearchParams, name: string, byDefault: number, most: number): number {
  const text = query.get(name);
  if (text === null) return byDefault;
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return value <= most ? value : Number.NaN;
}

const page = `CPU and memory profiles of zerohop.

  /debug/pprof/profile?seconds=30            CPU time of the main thread (misses, TCP, health, metrics)
  /debug/pprof/profile?seconds=30&thread=1   of the first worker (hits over UDP)
  /debug/pprof/heap                          JavaScript heap of the main thread

The formats are V8's, not Go's: "go tool pprof" does not read them. Save and load into Chrome DevTools:

  curl -o a.cpuprofile 'http://localhost:6053/debug/pprof/profile?seconds=10'    panel Performance
  curl -o a.heapsnapshot http://localhost:6053/debug/pprof/heap                  panel Memory

A profile takes up to ${profileSecondsMax} seconds and a few percent of the thread. A snapshot blocks the main thread
for some 100 ms per 10 MB: misses wait, cache hits do not. The cache
itself is shared memory, not heap. Only one runs at a time. A snapshot contains the names of queries.
`;
