/**
 * Bytes on real sockets: a client that sends what it is told, over UDP or TCP, and keeps every message that comes
 * back until somebody asks for it. It knows an id when it sees one and nothing else of DNS.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { connect, createServer } from 'node:net';

export interface Client {
  send(message: Uint8Array): void;
  /** Waits for a message with this id, takes it out and gives it. */
  receive(id: number): Promise<Buffer>;
  /** Messages that nobody has taken. */
  left(): readonly Buffer[];
  /** Throws away what nobody has taken. */
  forget(): void;
  close(): void;
}

/** Longer than any answer may take: SERVFAIL comes after two seconds. */
const receiveWithinMs = 5_000;

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** A client; `from` is its own address where that matters. */
export async function openUdp({ address, port }: Place, from?: string): Promise<Client> {
  const socket = createSocket('udp4');
  if (from !== undefined) {
    socket.bind(0, from);
    await once(socket, 'listening');
  }
  socket.connect(port, address);
  await once(socket, 'connect');
  const inbox = newInbox();
  socket.on('message', (message) => inbox.put(message));
  socket.on('error', (error) => inbox.fail(error));
  return { ...inbox, send: (message) => socket.send(message), close: () => socket.close() };
}

export async function openTcp({ address, port }: Place): Promise<Client> {
  const socket = connect(port, address);
  await once(socket, 'connect');
  const inbox = newInbox();
  const frames = newFrames((message) => inbox.put(message));
  socket.on('data', frames);
  socket.on('error', (error) => inbox.fail(error));
  socket.on('close', () => inbox.fail(new Error('the connection was closed')));
  return { ...inbox, send: (message) => socket.write(framed(message)), close: () => socket.destroy() };
}

/** A message with its length in front (RFC 1035 4.2.2). */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a stream's chunks into messages. */
export function newFrames(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      take(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
  };
}

/** Messages that came, and those who wait for one. */
function newInbox() {
  const messages: Buffer[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  let failure: Error | undefined;
  return {
    put(message: Buffer): void {
      messages.push(message);
      news.emit('news');
    },
    fail(error: Error): void {
      failure ??= error;
      news.emit('news');
    },
    left: (): readonly Buffer[] => messages,
    forget(): void {
      messages.length = 0;
    },
    async receive(id: number): Promise<Buffer> {
      const late = AbortSignal.timeout(receiveWithinMs);
      for (;;) {
        const index = messages.findIndex((message) => message.length >= 2 && message.readUInt16BE(0) === id);
        if (index >= 0) return messages.splice(index, 1)[0];
        if (failure !== undefined) throw failure;
        await once(news, 'news', { signal: late }).catch(() => {
          throw new Error(`no answer with id ${id} within ${receiveWithinMs} ms`);
        });
      }
    },
  };
}

/**
 * A port of 127.0.0.1 that is free for TCP and UDP. It is below those that Linux gives to sockets without a port of their
 * own (32768 and up), so only another call may take it before the caller does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const tcp = createServer();
    const udp = createSocket('udp4');
    try {
      await listening(tcp, () => tcp.listen(port, '127.0.0.1'));
      await listening(udp, () => udp.bind(port, '127.0.0.1'));
      return port;
    } catch {
      // Another program has it.
    } finally {
      await new Promise<void>((resolve) => tcp.close(() => resolve()));
      udp.close();
    }
  }
}

/** Rejects where the port is taken. */
function listening(socket: EventEmitter, listen: () => void): Promise<unknown> {
  const heard = once(socket, 'listening');
  listen();
  return heard;
}
