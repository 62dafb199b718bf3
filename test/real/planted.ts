/** Modules for NODE_OPTIONS' --import that make the program under test throw where it has no reason to. */

/** Nothing in the main thread catches it; every `everyMs` from SIGUSR2 on, so that its start takes as long as it takes. */
export function throwInControlLane(everyMs: number): string {
  return moduleOf(`
    const begin = () => setInterval(() => { throw new Error('planted'); }, ${everyMs}).unref();
    if (isMainThread) process.once('SIGUSR2', begin);`);
}

/** A worker throws in its loop, outside of any packet, so long after it began; the next one as well. */
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

/**
 * The process gets the signal while its first module that is not about signals is read, and goes on so much later. A
 * thread of Node.js's own sends it, as the main thread waits for that module.
 */
export function signalWhileLoading(signal: NodeJS.Signals, pauseMs: number): string {
  const hook = `export async function load(url, context, next) {
    if (url.includes('/limits-')) {
      process.kill(process.pid, '${signal}');
      await new Promise((resolve) => setTimeout(resolve, ${pauseMs}));
    }
    return next(url, context);
  }`;
  return moduleOf(`
    import { register } from 'node:module';
    if (isMainThread) register('data:text/javascript;base64,${Buffer.from(hook).toString('base64')}');`);
}

function moduleOf(code: string): string {
  const text = `import { isMainThread } from 'node:worker_threads'; ${code}`;
  return `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
}
