/**
 * A stand-in for the cluster DNS that answers as a test tells it, byte by byte, which no real server can be made to
 * do. TCP on a free port of 127.0.0.1.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { framed, newFrames, type Place } from './packets.js';

export interface StandIn extends Place {
  /** Queries that have come in. */
  readonly asked: number;
  close(): void;
}

/** Starts one, on the port of one that is gone if it is given; `answer` gives the messages to send back, now or later. */
export async function startStandIn(
  answer: (query: Buffer) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>,
  onPort = 0,
): Promise<StandIn> {
  let asked = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on(
      'data',
      newFrames(async (query) => {
        asked += 1;
        for (const message of await answer(query)) socket.write(framed(message));
      }),
    );
  });
  server.listen(onPort, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    address: '127.0.0.1',
    port,
    get asked() {
      return asked;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const addressRecord = Buffer.from('c00c000100010000001e00040a010203', 'hex');

/** A good answer to any question: NOERROR, and one address if the question is for A or ANY. */
export function goodAnswer(query: Buffer): Buffer {
  const end = questionEnd(query);
  const type = query.readUInt16BE(end - 4);
  const records = type === 1 || type === 255 ? [addressRecord] : [];
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8080 | (query.readUInt16BE(2) & 0x0110), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

/** The offset behind the question of a message whose first name has no pointer. */
export function questionEnd(message: Uint8Array): number {
  let at = 12;
  while (message[at] !== 0) at += message[at] + 1;
  return at + 5;
}
