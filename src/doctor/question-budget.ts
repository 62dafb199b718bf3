/**
 * The questions of one run of the doctor, counted in the one place that all of them pass: a network that refuses to send
 * more. A cluster DNS in trouble must not get more trouble from the search for its cause.
 */
import type { Endpoint, Network, Stream } from '../os/network.js';

/** The `code` of the error that a refused question ends with. */
export const overBudgetCode = 'EDQUOT';

export class QuestionBudget {
  #left: number;
  #refused = 0;

  constructor(questionsMax: number) {
    this.#left = questionsMax;
  }

  get left(): number {
    return this.#left;
  }

  /** Questions that were not sent. */
  get refused(): number {
    return this.#refused;
  }

  take(): boolean {
    if (this.#left === 0) {
      this.#refused++;
      return false;
    }
    this.#left--;
    return true;
  }
}

/** The same network, in which each datagram and each TCP connection counts as one question. Nothing listens in it. */
export function countedNetwork(network: Network, budget: QuestionBudget): Network {
  return {
    hostAddresses: () => network.hostAddresses?.() ?? [],
    openDatagrams: () => Promise.reject(budgetRefusal()),
    listenStreams: () => Promise.reject(budgetRefusal()),
    connectPath: (path, events) => network.connectPath(path, events),
    connectDatagrams(to, events, sourceAddress) {
      const socket = network.connectDatagrams(to, events, sourceAddress);
      return {
        local: socket.local,
        close: () => socket.close(),
        send(bytes, at) {
          if (budget.take()) socket.send(bytes, at);
          else queueMicrotask(() => events.error(budgetRefusal()));
        },
      };
    },
    connectStream(to, events, sourceAddress, tls) {
      if (budget.take()) return network.connectStream(to, events, sourceAddress, tls);
      queueMicrotask(() => events.closed(budgetRefusal()));
      return closedStream(to);
    },
  };
}

function budgetRefusal(): NodeJS.ErrnoException {
  return Object.assign(new Error('the questions of this run are used up'), { code: overBudgetCode });
}

function closedStream(remote: Endpoint): Stream {
  const nothing = (): void => {};
  return { remote, unsentBytes: 0, write: nothing, pause: nothing, resume: nothing, end: nothing, destroy: nothing };
}
