/**
 * Whether we answer: each of our UDP listeners gets a question that it must answer from the packet alone
 * (dns/own-question.ts), so that neither cache nor cluster DNS can make us look ill. This is the truth behind
 * /health: a process whose sockets are dead is not healthy because its HTTP server lives.
 */
import { ownQuestion } from '../dns/own-question.js';
import { headerBytes, selfQueryTimeoutMs, selfQueryTries } from '../limits.js';
import type { Clock, Timer } from '../outside/clock.js';
import { doAll, toEach } from '../outside/each.js';
import type { Endpoint, Network } from '../outside/network.js';
import type { Random } from '../outside/random.js';

export type Health =
  | { readonly healthy: true }
  /** `reason` is one sentence. */
  | { readonly healthy: false; readonly reason: string };

export interface SelfCheckWorld {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  /** By which our listeners know what we ask. */
  readonly ownMark: number;
}

/** A function that checks all listeners; calls while a check is under way share it. */
export function newSelfCheck(world: SelfCheckWorld, listeners: () => readonly Endpoint[]): () => Promise<Health> {
  let underWay: Promise<Health> | null = null;
  return () => {
    underWay ??= checkAll(world, listeners())
      // A socket that cannot be opened (no descriptors left) is ill health, not the end of the process.
      .catch((error: Error): Health => ({ healthy: false, reason: `We cannot ask ourselves: ${error.message}.` }))
      .finally(() => {
        underWay = null;
      });
    return underWay;
  };
}

async function checkAll(world: SelfCheckWorld, listeners: readonly Endpoint[]): Promise<Health> {
  if (listeners.length === 0) return { healthy: false, reason: 'No listener is up.' };
  const answers = await Promise.all(listeners.map((listener) => answersOnAny(world, reachable(listener))));
  const silent = listeners.filter((_, index) => !answers[index]).map(endpointText);
  if (silent.length === 0) return { healthy: true };
  return {
    healthy: false,
    reason: `No answer to our own question on ${silent.join(', ')} within ${selfQueryTimeoutMs} ms.`,
  };
}

/** Where a listener can be asked; one that listens on all addresses of both families, at either loopback. */
function reachable({ address, port }: Endpoint): Endpoint[] {
  if (address === '0.0.0.0') return [{ address: '127.0.0.1', port }];
  if (address !== '::') return [{ address, port }];
  return [
    { address: '::1', port },
    { address: '127.0.0.1', port },
  ];
}

/** True as soon as one of the places has answered, false when the time is up. */
function answersOnAny(world: SelfCheckWorld, places: readonly Endpoint[]): Promise<boolean> {
  return new Promise((resolve) => {
    const question = ownQuestion(world.random.below(0x1_0000), world.ownMark);
    const timers: Timer[] = [];
    let finished = false;
    const finish = (answered: boolean): void => {
      if (finished) return;
      finished = true;
      for (const timer of timers) timer.stop();
      doAll(
        () => toEach(sockets, (socket) => socket.close()),
        () => resolve(answered),
      );
    };
    const sockets = places.map((place) =>
      world.network.connectDatagrams(place, {
        datagram: (bytes) => {
          if (isAnswer(bytes, question)) finish(true);
        },
        // Nobody listens, for now: a thread may be starting again on this socket. The time limit decides.
        error: () => undefined,
      }),
    );
    const ask = (): void => {
      for (const [index, socket] of sockets.entries()) socket.send(question, places[index]);
    };
    // A socket's receive queue that is full loses packets of a busy and healthy server.
    timers.push(world.clock.every(selfQueryTimeoutMs / selfQueryTries, ask));
    timers.push(world.clock.after(selfQueryTimeoutMs, () => finish(false)));
    ask();
  });
}

const responseBit = 0x80;
const opcodeBits = 0x78;

function isAnswer(bytes: Uint8Array, question: Uint8Array): boolean {
  return (
    bytes.length >= headerBytes &&
    bytes[0] === question[0] &&
    bytes[1] === question[1] &&
    (bytes[2] & responseBit) !== 0 &&
    (bytes[2] & opcodeBits) === question[2]
  );
}

function endpointText({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
