/** The event loop of this thread: the end of each of its turns, and the time that it has spent waiting. */
import type { Timer } from './clock.js';

export interface EventLoop {
  /** Milliseconds that the loop has waited for events since the thread started. */
  idleMs(): number;
  /** Calls `ended` once in each turn, after the sockets that were ready are read. Wakes nothing. */
  eachTurn(ended: () => void): Timer;
}

export function systemEventLoop(): EventLoop {
  return {
    idleMs: () => performance.nodeTiming.idleTime,
    eachTurn(ended) {
      let isStopped = false;
      // Node.js runs an immediate without a reference in the next turn, but does not begin one for it.
      const arm = (): void => void setImmediate(run).unref();
      const run = (): void => {
        if (isStopped) return;
        arm();
        ended();
      };
      arm();
      return {
        stop() {
          isStopped = true;
        },
      };
    },
  };
}
