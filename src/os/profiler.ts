/**
 * CPU profiles and heap snapshots from V8; the only user of node:inspector and node:v8, loaded on first use. The
 * inspector reaches another thread without its help, between two system calls.
 */
import type { Session } from 'node:inspector/promises';
import type { Readable } from 'node:stream';

export interface Profiler {
  /** Starts a CPU profile of a thread: 0 is this one, 1 the first worker. Null without that thread. */
  record(thread: number): Promise<Recording | null>;
  /** This thread's heap (.heapsnapshot). The thread stops while the snapshot is taken, then sends it. */
  heapSnapshot(): Promise<Readable>;
}

interface Recording {
  /** Stops; the profile (.cpuprofile). Rejects when the thread is gone. */
  finish(): Promise<string>;
}

type Post = (method: 'Profiler.enable' | 'Profiler.start' | 'Profiler.stop' | 'Profiler.disable') => Promise<unknown>;

/** Workers are the threads whose program's URL ends in `program`. */
export function systemProfiler(program: string): Profiler {
  return {
    async record(thread) {
      const inspector = await import('node:inspector/promises');
      const session = new inspector.Session();
      session.connect();
      try {
        const post = thread === 0 ? postHere(session) : await postToWorker(session, program, thread);
        if (post === null) session.disconnect();
        return post === null ? null : await begin(session, post);
      } catch (error) {
        session.disconnect();
        throw error;
      }
    },
    heapSnapshot: async () => (await import('node:v8')).getHeapSnapshot(),
  };
}

async function begin(session: Session, post: Post): Promise<Recording> {
  await post('Profiler.enable');
  await post('Profiler.start');
  return {
    async finish() {
      try {
        const { profile } = (await post('Profiler.stop')) as { readonly profile: unknown };
        await post('Profiler.disable');
        return JSON.stringify(profile);
      } finally {
        session.disconnect();
      }
    },
  };
}

function postHere(session: Session): Post {
  return (method) => session.post(method as 'Profiler.stop');
}

/** Messages to a worker are text inside messages to this thread's inspector. */
async function postToWorker(session: Session, program: string, thread: number): Promise<Post | null> {
  const workers: { readonly sessionId: string; readonly url: string }[] = [];
  const waiting = new Map<number, PromiseWithResolvers>();
  let isGone = false;
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    workers.push({ sessionId, url: workerInfo.url });
  });
  // Existing workers are reported before this resolves, in the order of their start.
  await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const worker = workers.filter(({ url }) => url.endsWith(program)).at(thread - 1);
  if (worker === undefined) return null;
  session.on('NodeWorker.receivedMessageFromWorker', ({ params: { sessionId, message } }) => {
    if (sessionId !== worker.sessionId) return;
    const { id, result, error } = JSON.parse(message);
    const sent = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) sent?.resolve(result);
    else sent?.reject(new Error(error.message));
  });
  session.on('NodeWorker.detachedFromWorker', ({ params: { sessionId } }) => {
    if (sessionId !== worker.sessionId) return;
    isGone = true;
    for (const { reject } of waiting.values()) reject(new Error('the thread has ended'));
  });
  let lastId = 0;
  return (method) =>
    new Promise((resolve, reject) => {
      if (isGone) return reject(new Error('the thread has ended'));
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      const message = JSON.stringify({ id, method });
      session.post('NodeWorker.sendMessageToWorker', { sessionId: worker.sessionId, message }).catch(reject);
    });
}

interface PromiseWithResolvers {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}
