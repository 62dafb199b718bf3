/** Modules for NODE_OPTIONS' --import that make the program under test throw where it has no reason to. */

/** Nothing in the control lane catches it; every `everyMs` from SIGUSR2 on, so that its start takes as long as it takes. */
export function throwInControlLane(everyMs: number): string {
  return moduleOf(`
    const begin = () => setInterval(() => { throw new Error('planted'); }, ${everyMs}).unref();
    if (isMainThread) process.once('SIGUSR2', begin);`);
}

/** An answering thread throws in its loop, outside of any packet, so long after it began; the next one as well. */
export function throwInThreads(afterMs: number): string {
  return moduleOf(`
    if (!isMainThread) {
      const { load } = Atomics;
      const endsAt = performance.now() + ${afterMs};
      Atomics.load = (...of) => {
        if (performance.now() > endsAt && new Error().stack.includes('issued')) throw new Error('planted');
        return load(...of);
      };
    }`);
}

function moduleOf(code: string): string {
  const text = `import { isMainThread } from 'node:worker_threads'; ${code}`;
  return `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
}
