/**
 * One client that does harm, in a process of its own until it is ended: `attackCommand` is its command line.
 */
import { connect, type Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import type { Place } from '../real/packets.js';

/** What it does. */
export interface Attack extends Place {
  readonly connections: number;
  /**
   * `pipelines` sends `text` as fast as it is taken, and reads; `deaf` sends and does not read; `opens` opens
   * connections as fast as it can, sends `text` on each and resets the oldest.
   */
  readonly kind: 'pipelines' | 'deaf' | 'opens';
  /** In base64. Six zeros in it become other digits each time. */
  readonly text: string;
}

export function attackCommand(attack: Attack): string[] {
  return [process.execPath, new URL(import.meta.url).pathname, JSON.stringify(attack)];
}

/** So many bytes at once, about. */
const burstBytes = 64 * 1024;
let written = 0;

function sends({ address, port, kind, text }: Attack): void {
  const piece = Buffer.from(text, 'base64');
  const burst = Buffer.concat(Array.from({ length: Math.ceil(burstBytes / piece.length) }, () => piece));
  const digits: number[] = [];
  for (let at = burst.indexOf('000000'); at >= 0; at = burst.indexOf('000000', at + 6)) digits.push(at);
  const open = (): void => {
    const socket = connect(port, address).on('error', () => {});
    const write = (): void => {
      do {
        for (const at of digits) burst.write(String(++written % 1_000_000).padStart(6, '0'), at);
        // The socket keeps what the kernel does not take.
      } while (!socket.destroyed && socket.write(digits.length === 0 ? burst : Buffer.from(burst)));
    };
    socket.on('drain', write);
    // One that is thrown out comes back.
    socket.on('close', () => setTimeout(open, 10));
    if (kind === 'pipelines') socket.resume();
    write();
  };
  open();
}

/** Ten connections in each turn of its loop. */
function opens({ address, port, connections, text }: Attack): void {
  const open: Socket[] = [];
  const turn = (): void => {
    for (let count = 0; count < 10; count++) {
      const socket = connect(port, address).on('error', () => {});
      socket.resume().write(Buffer.from(text, 'base64'));
      open.push(socket);
      if (open.length > connections) open.shift()!.resetAndDestroy();
    }
    setImmediate(turn);
  };
  turn();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const attack: Attack = JSON.parse(process.argv[2]);
  if (attack.kind === 'opens') opens(attack);
  else for (let count = 0; count < attack.connections; count++) sends(attack);
}
