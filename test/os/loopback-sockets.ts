/** Real sockets of 127.0.0.1 for the tests of the worker, and the system calls for them. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Groups } from '../../src/os/reuseport-groups.js';
import { loadSystemCalls, type SystemCalls } from '../../src/os/system-calls.js';

const loaded = loadSystemCalls();
/** Without Linux or koffi these tests have nothing to test. */
export const skip = loaded.calls === null ? loaded.why : false;
export const calls = loaded.calls as SystemCalls;
/** Groups of our own, in which nobody is steered anywhere. */
export const newGroups = (): Groups => new Groups({ calls, cannotSteer() {} });

/** Open ones of this process. */
export const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Waits for other threads: until it holds, at most a couple of seconds, which only a failure takes. */
export async function eventually(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 400, 'it has not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Client {
  readonly port: number;
  send(text: string | Uint8Array, port: number): Promise<void>;
  /** The next datagram as text, with the address it came from. */
  receive(): Promise<string>;
  receiveFrom(): Promise<{ text: string; address: string; port: number }>;
  close(): void;
}

export async function openClient(address = '127.0.0.1'): Promise<Client> {
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  const arrived: { text: string; address: string; port: number }[] = [];
  const waiting: ((message: { text: string; address: string; port: number }) => void)[] = [];
  socket.on('message', (bytes, from) => {
    const message = { text: bytes.toString('latin1'), address: from.address, port: from.port };
    const next = waiting.shift();
    if (next === undefined) arrived.push(message);
    else next(message);
  });
  const receiveFrom: Client['receiveFrom'] = () => {
    const message = arrived.shift();
    return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
  };
  return {
    port: socket.address().port,
    send: (text, port) =>
      new Promise((resolve, reject) =>
        socket.send(Buffer.from(text as string, 'latin1'), port, address, (error) =>
          error ? reject(error) : resolve(),
        ),
      ),
    receive: async () => (await receiveFrom()).text,
    receiveFrom,
    close: () => socket.close(),
  };
}
