/**
 * The upstream behind the server under test: UDP and TCP on one port of 127.0.0.1, where each test says what is
 * answered about the names below a label of its own. It keeps what it was asked, byte by byte.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { framed, newFrames, type Place } from '../real/packets.js';
import { address, response } from './answers.js';
import { readMessage } from './message.js';

export interface AskedUpstream {
  readonly query: Buffer;
  readonly transport: 'udp' | 'tcp';
  /** Where it came from: a socket, and for TCP also which connection. */
  readonly port: number;
}

/** Gives the bytes to send back, in order; none is silence. */
export type Script = (asked: AskedUpstream) => Buffer | readonly Buffer[];

export interface ScriptedUpstream extends Place {
  /** From now on names that begin with this label are answered so. */
  scripts(label: string, script: Script): void;
  /** What came about names that begin with this label, oldest first. */
  asked(label: string): readonly AskedUpstream[];
  close(): void;
}

/** A name without a script has the address 192.0.2.1. */
const good: Script = ({ query }) => response(query, { answers: [address(1)] });

/** Opens it on a free port. */
export async function openScripted(): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>();
  const asked = new Map<string, AskedUpstream[]>();
  const sockets = new Set<Socket>();

  const answersTo = (one: AskedUpstream): readonly Buffer[] => {
    const label = firstLabel(one.query);
    asked.set(label, [...(asked.get(label) ?? []), one]);
    const said = (scripts.get(label) ?? good)(one);
    return Buffer.isBuffer(said) ? [said] : said;
  };

  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const port = socket.remotePort ?? 0;
    const answer = (query: Buffer) => {
      for (const message of answersTo({ query, transport: 'tcp', port })) socket.write(framed(message));
    };
    socket.on('data', newFrames(answer));
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => {
    for (const message of answersTo({ query, transport: 'udp', port: from.port })) udp.send(message, from.port);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');

  return {
    address: '127.0.0.1',
    port,
    scripts: (label, script) => void scripts.set(label, script),
    asked: (label) => asked.get(label) ?? [],
    close() {
      tcp.close();
      udp.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function firstLabel(query: Buffer): string {
  return readMessage(query).questions[0].name.split('.')[0].toLowerCase();
}
