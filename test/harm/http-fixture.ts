/** Clients of HTTP ports that do not behave: they run in a process of their own, in a pod where there is one. */
import { once } from 'node:events';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import type { Place } from '../real/packets.js';

/** What each connection does. */
export interface Holding extends Place {
  readonly connections: number;
  /** Sent when the connection is there, and again and again. */
  readonly first: string;
  readonly again: string;
  readonly everyMs: number;
  /** Whether it reads what comes. */
  readonly reads: boolean;
}

/** Keeps so many connections open; one that is closed is opened anew at the next turn. */
export function hold({ address, port, connections, first, again, everyMs, reads }: Holding): { stop(): void } {
  const sockets: Socket[] = [];
  const open = (): Socket => {
    const socket = connect(port, address, () => socket.write(first));
    socket.on('error', () => undefined);
    return reads ? socket.resume() : socket.pause();
  };
  const turn = (): void => {
    for (let index = 0; index < connections; index++) {
      const socket = sockets[index];
      if (socket === undefined || socket.destroyed) sockets[index] = open();
      else socket.write(again);
    }
  };
  turn();
  const timer = setInterval(turn, everyMs);
  return {
    stop() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The status of a page on a fresh connection; 0 when there is no answer within a second. */
export function probe({ address, port }: Place, path: string): Promise<number> {
  return new Promise((resolve) => {
    const request = get({ host: address, port, path, agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', () => resolve(0));
    });
    request.once('timeout', () => request.destroy(new Error('late')));
    request.once('error', () => resolve(0));
  });
}

/** The command line that holds connections until it is ended. */
export function holdingCommand(wish: Holding): string[] {
  return [process.execPath, new URL(import.meta.url).pathname, JSON.stringify(wish)];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const holding = hold(JSON.parse(process.argv[2]));
  await once(process, 'SIGTERM');
  holding.stop();
}
