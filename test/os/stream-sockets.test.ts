/**
 * TCP connections that we open: the same expectations for Node's streams and for our own sockets, which nobody above
 * may tell apart; then what only ours could get wrong.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { boundPort, openStreamSocket } from '../../src/os/bound-socket.js';
import type { Endpoint, Stream, StreamEvents } from '../../src/os/network.js';
import { hostAddresses, nodeNetwork } from '../../src/os/node-network.js';
import { streamSockets } from '../../src/os/stream-sockets.js';
import { errors, linux, type SystemCalls } from '../../src/os/system-calls.js';
import { calls, descriptors, eventually, skip } from './loopback-sockets.js';

/** The events of a stream, in order. */
class Recorder implements StreamEvents {
  readonly lines: string[] = [];
  error: NodeJS.ErrnoException | undefined;
  readonly #chunks: Buffer[] = [];
  readonly #waiting = new Map<string, () => void>();

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Resolves when the event has come, also if it came before. */
  async next(event: string): Promise<void> {
    if (!this.lines.includes(event)) await new Promise<void>((resolve) => this.#waiting.set(event, resolve));
  }

  opened(): void {
    this.#add('opened');
  }

  data(bytes: Uint8Array): void {
    this.#chunks.push(Buffer.from(bytes));
    if (this.lines.at(-1) !== 'data') this.#add('data');
  }

  drained(): void {
    this.#add('drained');
  }

  ended(): void {
    this.#add('ended');
  }

  closed(error?: NodeJS.ErrnoException): void {
    this.error = error;
    this.#add('closed');
  }

  #add(line: string): void {
    this.lines.push(line);
    this.#waiting.get(line)?.();
  }
}

type Connect = (to: Endpoint, events: StreamEvents, sourceAddress?: string) => Stream;

interface Far {
  readonly at: Endpoint;
  /** The next connection's other end. */
  accepted(): Promise<Socket>;
  close(): Promise<void>;
}

async function listen(address = '127.0.0.1', accept: (socket: Socket) => void = () => {}): Promise<Far> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    accept(socket);
  });
  server.listen(0, address);
  await once(server, 'listening');
  return {
    at: { address, port: (server.address() as AddressInfo).port },
    accepted: async () => (await once(server, 'connection'))[0] as Socket,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

const closesWithPeer = (socket: Socket): void => void socket.resume().on('end', () => socket.end());

/** A port on which nobody listens: somebody did a moment ago. */
async function nobody(): Promise<Endpoint> {
  const far = await listen();
  await far.close();
  return far.at;
}

const turns = async (count: number): Promise<void> => {
  for (let left = count; left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
};

const quiet = { sendFailed: assert.fail, acceptFailed: assert.fail };
const viaNode = nodeNetwork(quiet);
const viaOurs = nodeNetwork(quiet, { connectStream: streamSockets(calls).connectStream });

/** Streams of ours do not keep a process alive. An hour, so that nothing but their own events wakes the loop. */
let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 3_600_000);
});
after(() => clearInterval(alive));

contract("Node's streams", (...to) => viaNode.connectStream(...to), false);
contract('our own sockets', (...to) => viaOurs.connectStream(...to), skip);

function contract(name: string, connect: Connect, skipped: string | false): void {
  describe(name, { skip: skipped, timeout: 60_000 }, () => {
    opensAndCloses(connect);
    fails(connect);
    carriesMuch(connect);
    isDestroyed(connect);
  });
}

function opensAndCloses(connect: Connect): void {
  test('a connection opens, carries bytes both ways, half-closes and closes', async () => {
    const far = await listen();
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near, '127.0.0.3');
    assert.deepEqual(stream.remote, far.at);
    const bytes = Buffer.from('early');
    stream.write(bytes);
    bytes.fill(0);
    assert.deepEqual(near.lines, []);
    assert.equal(stream.unsentBytes, 5);
    const peer = await accepted;
    assert.equal(peer.remoteAddress, '127.0.0.3');
    assert.equal(String((await once(peer, 'data'))[0]), 'early');
    assert.equal(stream.unsentBytes, 0);
    peer.resume();
    const ended = once(peer, 'end');
    stream.end();
    stream.end();
    stream.write(Buffer.from('not sent any more'));
    await ended;
    peer.end('last');
    await near.next('closed');
    assert.deepEqual(near.lines, ['opened', 'data', 'ended', 'closed']);
    assert.deepEqual([String(near.bytes), near.error], ['last', undefined]);
    stream.write(Buffer.from('nobody is there'));
    stream.destroy();
    await turns(3);
    assert.equal(near.lines.length, 4);
    await far.close();
  });

  test('after FIN we may still write; our end closes it', async () => {
    const far = await listen();
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near);
    const peer = await accepted;
    peer.end('first');
    await near.next('ended');
    await turns(20);
    assert.deepEqual(near.lines, ['opened', 'data', 'ended']);
    stream.write(Buffer.from('after'));
    assert.equal(String((await once(peer, 'data'))[0]), 'after');
    stream.end();
    await near.next('closed');
    assert.equal(near.error, undefined);
    await far.close();
  });

  test('IPv6, with and without a zone', { skip: !hostAddresses().includes('::1') && 'needs IPv6' }, async () => {
    const far = await listen('::1', closesWithPeer);
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near, '::1');
    await near.next('opened');
    assert.equal((await accepted).remoteAddress, '::1');
    stream.destroy();
    const zoned = new Recorder();
    connect({ ...far.at, address: '::1%lo' }, zoned).end();
    await zoned.next('opened');
    await far.close();
  });
}

function fails(connect: Connect): void {
  test('a refused connection: closed, once, with the words of node:net', async () => {
    const at = await nobody();
    const near = new Recorder();
    const stream = connect(at, near);
    stream.write(Buffer.from('?'));
    await near.next('closed');
    stream.destroy();
    await turns(3);
    assert.deepEqual(near.lines, ['closed']);
    const { code, syscall, message } = near.error!;
    assert.deepEqual(
      [code, syscall, message],
      ['ECONNREFUSED', 'connect', `connect ECONNREFUSED 127.0.0.1:${at.port}`],
    );
  });

  test('what fails at once is told afterwards', async () => {
    const unreachable = new Recorder();
    connect({ address: '224.0.0.1', port: 53 }, unreachable);
    const notOurs = new Recorder();
    connect({ address: '127.0.0.1', port: 53 }, notOurs, '192.0.2.1');
    assert.deepEqual([...unreachable.lines, ...notOurs.lines], []);
    await Promise.all([unreachable.next('closed'), notOurs.next('closed')]);
    assert.match(unreachable.error!.message, /^connect ENETUNREACH 224\.0\.0\.1:53/u);
    assert.equal(unreachable.error!.code, 'ENETUNREACH');
    assert.equal(notOurs.error!.message, 'bind EADDRNOTAVAIL 192.0.2.1');
    assert.equal(notOurs.error!.code, 'EADDRNOTAVAIL');
  });

  test('a reset: what came before it, then closed with the error', async () => {
    const far = await listen();
    const near = new Recorder();
    const accepted = far.accepted();
    connect(far.at, near);
    const peer = await accepted;
    peer.write('before');
    await near.next('data');
    peer.resetAndDestroy();
    await near.next('closed');
    assert.deepEqual(near.lines, ['opened', 'data', 'closed']);
    assert.deepEqual([near.error!.code, near.error!.message], ['ECONNRESET', 'read ECONNRESET']);
    await far.close();
  });

  test('a reset after FIN shows when we write', async () => {
    const far = await listen();
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near);
    const peer = await accepted;
    peer.end();
    await near.next('ended');
    peer.resetAndDestroy();
    await once(peer, 'close');
    await turns(20);
    assert.deepEqual(near.lines, ['opened', 'ended']);
    stream.write(Buffer.from('anybody?'));
    assert.deepEqual(near.lines, ['opened', 'ended']);
    await near.next('closed');
    assert.equal(near.error!.message, 'write EPIPE');
    await far.close();
  });
}

/** Bytes that show it when some are missing, twice there or in another order. */
function pattern(bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  for (let index = 0; index < words.length; index++) words[index] = index;
  return Buffer.from(words.buffer);
}

function carriesMuch(connect: Connect): void {
  const muchBytes = 8 * 1024 * 1024;

  test('a peer that does not read: bytes wait, the kernel takes them in order, and the writer is told', async () => {
    const far = await listen('127.0.0.1', (socket) => socket.pause());
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near);
    const peer = await accepted;
    await near.next('opened');
    const sent = pattern(muchBytes);
    for (let at = 0; at < muchBytes; at += 100_000) stream.write(sent.subarray(at, at + 100_000));
    assert.ok(stream.unsentBytes > 0 && stream.unsentBytes <= muchBytes);
    await turns(20);
    assert.deepEqual(near.lines, ['opened']);
    const received: Buffer[] = [];
    peer.on('data', (bytes) => received.push(bytes)).resume();
    await near.next('drained');
    assert.equal(stream.unsentBytes, 0);
    stream.end();
    await once(peer, 'end');
    assert.ok(Buffer.concat(received).equals(sent));
    peer.end();
    await near.next('closed');
    assert.deepEqual(near.lines, ['opened', 'drained', 'ended', 'closed']);
    await far.close();
  });

  test('much from the peer comes whole; none while paused, not even FIN', async () => {
    const far = await listen();
    const near = new Recorder();
    const accepted = far.accepted();
    const stream = connect(far.at, near);
    const peer = await accepted;
    const sent = pattern(muchBytes);
    peer.end(sent);
    await near.next('data');
    stream.pause();
    const before = near.bytes.length;
    await turns(50);
    assert.equal(near.bytes.length, before);
    assert.ok(before < muchBytes && !near.lines.includes('ended'));
    stream.resume();
    await near.next('ended');
    assert.ok(near.bytes.equals(sent));
    stream.destroy();
    await near.next('closed');
    await far.close();
  });
}

function isDestroyed(connect: Connect): void {
  test('destroyed while connecting: closed and nothing else', async () => {
    const far = await listen('127.0.0.1', closesWithPeer);
    const near = new Recorder();
    const stream = connect(far.at, near);
    stream.write(Buffer.from('never'));
    stream.destroy();
    stream.destroy();
    stream.pause();
    stream.resume();
    stream.end();
    assert.deepEqual(near.lines, []);
    await near.next('closed');
    await turns(20);
    assert.deepEqual([near.lines, near.error, stream.unsentBytes > 5], [['closed'], undefined, false]);
    await far.close();
  });

  for (const event of ['opened', 'data', 'drained', 'ended'] as const) {
    test(`destroyed by the receiver of "${event}": closed and nothing else`, async () => {
      const far = await listen('127.0.0.1', (socket) => socket.resume().end('bytes'));
      const near = new Recorder();
      const stream = connect(far.at, near);
      near[event] = () => {
        near.lines.push(`destroyed by ${event}`);
        stream.destroy();
      };
      stream.write(pattern(muchOf(event)));
      await near.next('closed');
      await turns(20);
      assert.deepEqual(near.lines.slice(-2), [`destroyed by ${event}`, 'closed']);
      assert.equal(near.error, undefined);
      await far.close();
    });
  }

  test('a thousand connections that end in every way leave no descriptor', async () => {
    const far = await listen('127.0.0.1', closesWithPeer);
    const refused = await nobody();
    const idle = descriptors();
    for (let round = 0; round < 10; round++) {
      const all = Array.from({ length: 100 }, (_, index) => {
        const near = new Recorder();
        const stream = connect(index % 5 === 0 ? refused : far.at, near, index % 3 === 0 ? '127.0.0.9' : undefined);
        if (index % 5 === 1) stream.destroy();
        if (index % 5 === 2) stream.end();
        if (index % 5 === 3) near.opened = () => stream.destroy();
        if (index % 5 === 4) near.opened = () => stream.end();
        return near;
      });
      await Promise.all(all.map((near) => near.next('closed')));
      for (const { lines } of all) assert.equal(lines.filter((line) => line === 'closed').length, 1);
    }
    // The far ends, and what is closed a turn later.
    for (let tries = 0; descriptors() > idle && tries < 1000; tries++) await turns(10);
    assert.equal(descriptors(), idle);
    await far.close();
  });
}

function muchOf(event: string): number {
  return event === 'drained' ? 8 * 1024 * 1024 : 8;
}

describe('our own sockets, beyond that', { skip, timeout: 60_000 }, () => {
  const tooManyFiles = -24;

  /** What becomes of a connection when one of the system calls fails. */
  async function without(broken: Partial<SystemCalls>): Promise<string | undefined> {
    const far = await listen();
    const idle = descriptors();
    const near = new Recorder();
    streamSockets({ ...calls, ...broken }).connectStream(far.at, near);
    assert.deepEqual(near.lines, []);
    await near.next('closed');
    assert.deepEqual(near.lines, ['closed']);
    assert.ok(descriptors() <= idle + 1, 'only the far end may be open');
    await far.close();
    return near.error?.message.replace(String(far.at.port), 'PORT');
  }

  test('without a descriptor, for the socket or for epoll, the connection fails', async () => {
    assert.equal(await without({ streamSocket: () => tooManyFiles }), 'connect EMFILE 127.0.0.1:PORT');
    assert.equal(await without({ epoll: () => tooManyFiles }), 'connect EMFILE 127.0.0.1:PORT');
    assert.equal(await without({ epollControl: () => -28 }), 'epoll_ctl ENOSPC');
  });

  test('a descriptor that is closed and given away in one turn brings the new stream no event of the old one', async () => {
    const far = await listen();
    const connect = streamSockets(calls).connectStream;
    const [first, second, third] = [new Recorder(), new Recorder(), new Recorder()];
    const peers: Socket[] = [];
    const streams: Stream[] = [];
    for (const near of [first, second]) {
      const accepted = far.accepted();
      streams.push(connect(far.at, near));
      peers.push(await accepted);
      await near.next('opened');
    }
    // Both are ready in the same batch, and the one that is served first closes the other.
    const idle = descriptors();
    for (const [index, near] of [first, second].entries()) {
      near.data = () => {
        near.lines.push('data');
        streams[1 - index].destroy();
        connect(far.at, third);
        assert.equal(descriptors(), idle);
      };
    }
    const accepted = far.accepted();
    for (const peer of peers) peer.write('bytes');
    await third.next('opened');
    await turns(20);
    assert.deepEqual(third.lines, ['opened']);
    assert.equal([...first.lines, ...second.lines].filter((line) => line === 'data').length, 1);
    for (const peer of [...peers, await accepted]) peer.destroy();
    await third.next('ended');
    await far.close();
  });

  test('a peer that keeps small answers together sends the next one as soon as the first is acknowledged', async (t) => {
    // Node.js leaves Nagle's algorithm on: two small writes are one segment, and another that waits.
    const far = await listen('127.0.0.1', (socket) => {
      socket.on('data', () => {
        socket.write('a');
        socket.write('b');
      });
      closesWithPeer(socket);
    });
    const roundMs = async (acknowledges: boolean): Promise<number> => {
      const near = new Recorder();
      const stream = viaOurs.connectStream(far.at, near);
      await near.next('opened');
      const times: number[] = [];
      for (let round = 1; round <= 12; round++) {
        const startedMs = performance.now();
        stream.write(Buffer.from('?'));
        while (near.bytes.length < 2 * round) {
          await turns(1);
          if (acknowledges) stream.acknowledge?.();
        }
        times.push(performance.now() - startedMs);
      }
      stream.destroy();
      await near.next('closed');
      // The kernel acknowledges the first answers of a connection at once.
      return times.slice(-6).toSorted((a, b) => a - b)[3];
    };
    const [late, soon] = [await roundMs(false), await roundMs(true)];
    t.diagnostic(`${late.toFixed(1)} ms, acknowledged at once ${soon.toFixed(1)}`);
    assert.ok(late > 30, `${late} ms`);
    assert.ok(soon < 20, `${soon} ms`);
    await far.close();
  });

  test('a name, which the system must resolve, is left to Node.js', async () => {
    const far = await listen('127.0.0.1', closesWithPeer);
    const network = nodeNetwork(quiet, { connectStream: () => assert.fail('not for names') });
    const near = new Recorder();
    const stream = network.connectStream({ ...far.at, address: 'localhost' }, near);
    await near.next('opened');
    stream.destroy();
    await near.next('closed');
    await far.close();
  });

  /** Runs a script that has `calls`, `connect`, and a server's `port` that answers "?" with "!". */
  function runs(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    const at = (file: string): string => JSON.stringify(new URL(`../../src/os/${file}`, import.meta.url).href);
    const opening = `
      import { createServer } from 'node:net';
      import { loadSystemCalls } from ${at('system-calls.js')};
      import { streamSockets } from ${at('stream-sockets.js')};
      const { calls } = loadSystemCalls();
      const connector = streamSockets(calls).connectStream;
      const server = createServer((socket) => socket.on('data', () => socket.write('!')).unref());
      server.listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const connect = (events) => connector(server.address(), { opened() {}, data() {}, ended() {}, closed() {}, ...events });
      `;
    return spawnSync(process.execPath, ['--input-type=module', '-e', opening + script], { encoding: 'utf8' });
  }

  test('open streams keep no process alive and let it end', () => {
    const { status, stderr } = runs(`
      const stream = connect({ opened() { stream.write(Buffer.from('?')); server.unref(); }, data() {} });
      connect({});
    `);
    assert.equal(status, 0, stderr);
  });

  test("one receiver's exception is an uncaught one, and takes no event from the others", () => {
    const { status, stdout, stderr } = runs(`
      process.on('uncaughtException', (error) => console.log(error.message));
      let left = 2;
      const events = (name) => ({
        opened() { this.stream.write(Buffer.from('?')); },
        data() {
          console.log(name);
          if (--left === 0) setImmediate(() => process.exit(0));
          if (name === 'first') throw new Error('planted');
        },
      });
      for (const name of ['first', 'second']) {
        const receiver = events(name);
        const entry = { opened: () => receiver.opened(), data: () => receiver.data() };
        receiver.stream = connect(entry);
      }
      setTimeout(() => process.exit(1), 5000);
    `);
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trim().split('\n').toSorted(), ['first', 'planted', 'second'], stderr);
  });
});

describe('connections that we accept', { skip, timeout: 60_000 }, () => {
  function accepting(broken: Partial<SystemCalls> = {}) {
    const wish = { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' } as const;
    const fd = openStreamSocket(calls, wish);
    const port = boundPort(calls, fd);
    assert.equal(calls.listen(fd, 511), 0);
    const accepted: { stream: Stream; events: Recorder }[] = [];
    const failures: string[] = [];
    const listener = streamSockets({ ...calls, ...broken }).acceptStreams(
      fd,
      (stream) => {
        const events = new Recorder();
        accepted.push({ stream, events });
        return events;
      },
      (error) => failures.push(error.message),
    );
    const connects = async (): Promise<Socket> => {
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    };
    return { accepted, failures, listener, connects, port };
  }

  test('say who connected, read, write, and end when both sides have', async () => {
    const { accepted, listener, connects } = accepting();
    const far = await connects();
    await eventually(() => accepted.length === 1);
    const [{ stream, events }] = accepted;
    assert.deepEqual(stream.remote, { address: '127.0.0.1', port: far.localPort });
    const noDelay = new Int32Array(1);
    assert.equal(calls.option(stream.fd!, linux.tcpLevel, linux.tcpNoDelay, noDelay), 0);
    assert.notEqual(noDelay[0], 0, 'answers do not wait for acknowledgements');
    far.end('hello');
    await events.next('ended');
    assert.equal(events.bytes.toString(), 'hello');
    stream.write(Buffer.from('bye'));
    stream.end();
    assert.equal(String((await once(far, 'data'))[0]), 'bye');
    await once(far, 'end');
    await events.next('closed');
    assert.equal(events.error, undefined);
    listener.stop();
  });

  test('more at once than are accepted in a turn', async () => {
    const { accepted, listener, connects } = accepting();
    const all = await Promise.all(Array.from({ length: 200 }, connects));
    await eventually(() => accepted.length === 200);
    for (const { stream } of accepted) stream.destroy();
    for (const far of all) far.destroy();
    listener.stop();
  });

  test('after the end of listening those that there are go on, and nobody else comes', async () => {
    const { accepted, listener, connects, port } = accepting();
    const far = await connects();
    await eventually(() => accepted.length === 1);
    listener.stop();
    listener.stop();
    const late = connect({ host: '127.0.0.1', port });
    assert.equal((await once(late, 'error'))[0].code, 'ECONNREFUSED');
    far.write('still');
    await accepted[0].events.next('data');
    accepted[0].stream.destroy();
    far.destroy();
  });

  test('without a descriptor a connection is turned away, and later ones are accepted', async () => {
    let full = 1;
    const { accepted, failures, listener, connects } = accepting({
      accept: (fd, peer) => (full-- > 0 ? errors.tooManyFiles : calls.accept(fd, peer)),
    });
    const turnedAway = await connects();
    turnedAway.on('error', () => {}).resume();
    await once(turnedAway, 'end');
    turnedAway.destroy();
    assert.deepEqual([failures, accepted.length], [['accept EMFILE'], 0]);
    const far = await connects();
    await eventually(() => accepted.length === 1);
    far.destroy();
    accepted[0].stream.destroy();
    listener.stop();
  });
});
