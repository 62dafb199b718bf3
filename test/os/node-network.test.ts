/** The real sockets, on loopback. A test waits for events, never for time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type DatagramEvents,
  type Endpoint,
  type Listener,
  type Stream,
  type StreamEvents,
  unsentBytesHigh,
} from '../../src/os/network.js';
import { nodeNetwork } from '../../src/os/node-network.js';

const failures: string[] = [];
const network = nodeNetwork({
  sendFailed: (error) => failures.push(String(error.code)),
  acceptFailed: (error) => failures.push(`accept ${error.code}`),
});
const loopback: Endpoint = { address: '127.0.0.1', port: 0 };

/** What happened, in order, and a promise for the next time it matches. */
class Log {
  readonly lines: string[] = [];
  readonly #waiting: { found(line: string): boolean; resolve(line: string): void }[] = [];

  add(line: string): void {
    this.lines.push(line);
    const index = this.#waiting.findIndex((one) => one.found(line));
    if (index >= 0) this.#waiting.splice(index, 1)[0].resolve(line);
  }

  next(prefix: string): Promise<string> {
    return new Promise((resolve) => this.#waiting.push({ found: (line) => line.startsWith(prefix), resolve }));
  }
}

function datagramEvents(log: Log): DatagramEvents {
  return {
    datagram: (bytes, from) => log.add(`${Buffer.from(bytes)} from ${from.address}`),
    error: (error) => log.add(`error ${error.code}`),
  };
}

function streamEvents(log: Log): StreamEvents & { bytes: number } {
  return {
    bytes: 0,
    opened: () => log.add('opened'),
    data(bytes) {
      this.bytes += bytes.length;
      log.add(`data ${Buffer.from(bytes)}`);
    },
    drained: () => log.add('drained'),
    ended: () => log.add('ended'),
    closed: (error) => log.add(error === undefined ? 'closed' : `closed ${error.code}`),
  };
}

interface Accepted {
  readonly listener: Listener;
  readonly log: Log;
  readonly events: StreamEvents & { bytes: number };
  stream(): Stream;
}

async function listen(at: Endpoint = loopback): Promise<Accepted> {
  const log = new Log();
  const events = streamEvents(log);
  let stream: Stream | undefined;
  const listener = await network.listenStreams(at, (opened) => {
    stream = opened;
    log.add(`accepted ${opened.remote.address}`);
    return events;
  });
  return { listener, log, events, stream: () => stream as Stream };
}

/** A port on which nobody listens: it was free a moment ago. */
async function freePort(): Promise<number> {
  const socket = await network.openDatagrams(loopback, datagramEvents(new Log()));
  socket.close();
  return socket.local.port;
}

test('datagrams go there and back, and the sender may reuse its bytes at once', async () => {
  const log = new Log();
  const server = await network.openDatagrams(loopback, {
    datagram: (bytes, from) => server.send(bytes, from),
    error: assert.fail,
  });
  const client = network.connectDatagrams(server.local, datagramEvents(log), '127.0.0.2');
  assert.equal(client.local.address, '127.0.0.2');
  assert.notEqual(client.local.port, 0);
  const bytes = Buffer.from('hello');
  const answer = log.next('hello');
  client.send(bytes, server.local);
  bytes.fill(0);
  assert.equal(await answer, 'hello from 127.0.0.1');
  for (const socket of [client, server]) {
    socket.close();
    socket.close();
    socket.send(bytes, server.local);
  }
});

test('a connected socket learns that nobody listens, and does not hear strangers', async () => {
  const log = new Log();
  const to = { address: '127.0.0.1', port: await freePort() };
  const client = network.connectDatagrams(to, datagramEvents(log));
  const refused = log.next('error ECONNREFUSED');
  client.send(Buffer.from('?'), to);
  await refused;
  const stranger = await network.openDatagrams(loopback, datagramEvents(new Log()));
  const friend = await network.openDatagrams(to, datagramEvents(new Log()));
  const heard = log.next('from a friend');
  stranger.send(Buffer.from('from a stranger'), client.local);
  friend.send(Buffer.from('from a friend'), client.local);
  await heard;
  assert(!log.lines.some((line) => line.startsWith('from a stranger')));
  for (const socket of [client, stranger, friend]) socket.close();
});

test('a connected socket that cannot be opened says so afterwards and takes sends in silence', async () => {
  const notOurs = new Log();
  const failed = notOurs.next('error EADDRNOTAVAIL');
  const client = network.connectDatagrams({ address: '127.0.0.1', port: 53 }, datagramEvents(notOurs), '192.0.2.1');
  assert.deepEqual(notOurs.lines, []);
  client.send(Buffer.from('?'), { address: '127.0.0.1', port: 53 });
  await failed;
  client.close();
});

test('what a bound socket cannot send is counted, and it goes on', async () => {
  const log = new Log();
  const server = await network.openDatagrams(loopback, datagramEvents(log));
  failures.length = 0;
  server.send(Buffer.alloc(70_000), { address: '127.0.0.1', port: 9 });
  server.send(Buffer.from('?'), { address: '127.0.0.1', port: 0 });
  const heard = log.next('still here');
  server.send(Buffer.from('still here'), server.local);
  await heard;
  assert.deepEqual(failures.toSorted(), ['EINVAL', 'EMSGSIZE']);
  server.close();
});

test('a port in use and an address that is not ours are the errors of the system', async () => {
  const udp = await network.openDatagrams(loopback, datagramEvents(new Log()));
  await assert.rejects(network.openDatagrams(udp.local, datagramEvents(new Log())), { code: 'EADDRINUSE' });
  const tcp = await listen();
  await assert.rejects(listen(tcp.listener.local), { code: 'EADDRINUSE' });
  const foreign = { address: '192.0.2.1', port: 0 };
  await assert.rejects(network.openDatagrams(foreign, datagramEvents(new Log())), { code: 'EADDRNOTAVAIL' });
  await assert.rejects(listen(foreign), { code: 'EADDRNOTAVAIL' });
  udp.close();
  tcp.listener.close();
});

test(':: takes both families, with plain IPv4 addresses, and only IPv6 beside an IPv4 socket', async () => {
  const alone = await network.openDatagrams(
    { address: '::', port: 0 },
    { datagram: (bytes, from) => alone.send(bytes, from), error: assert.fail },
  );
  const log = new Log();
  const client = network.connectDatagrams({ address: '127.0.0.1', port: alone.local.port }, datagramEvents(log));
  const answer = log.next('both');
  client.send(Buffer.from('both'), { address: '127.0.0.1', port: alone.local.port });
  assert.equal(await answer, 'both from 127.0.0.1');
  client.close();
  alone.close();

  const ipv4 = await network.openDatagrams({ address: '0.0.0.0', port: 0 }, datagramEvents(new Log()));
  const ipv6 = await network.openDatagrams({ address: '::', port: ipv4.local.port }, datagramEvents(new Log()));
  ipv4.close();
  ipv6.close();

  const listening = await listen({ address: '::', port: 0 });
  const accepted = listening.log.next('accepted');
  const near = network.connectStream(
    { address: '127.0.0.1', port: listening.listener.local.port },
    streamEvents(new Log()),
  );
  assert.equal(await accepted, 'accepted 127.0.0.1');
  near.destroy();
  listening.listener.close();
});

test('a connection opens, carries bytes both ways, half-closes and closes', async () => {
  const far = await listen();
  const log = new Log();
  const near = network.connectStream(far.listener.local, streamEvents(log), '127.0.0.3');
  const bytes = Buffer.from('early');
  const early = far.log.next('data');
  near.write(bytes);
  bytes.fill(0);
  assert.equal(await early, 'data early');
  const ended = far.log.next('ended');
  near.end();
  near.end();
  near.write(Buffer.from('not sent any more'));
  await ended;
  const closed = Promise.all([log.next('closed'), far.log.next('closed')]);
  far.stream().write(Buffer.from('last'));
  far.stream().end();
  await closed;
  assert.deepEqual(log.lines, ['opened', 'data last', 'ended', 'closed']);
  assert.deepEqual(far.log.lines, ['accepted 127.0.0.3', 'data early', 'ended', 'closed']);
  far.stream().write(Buffer.from('nobody is there'));
  far.listener.close();
  far.listener.close();
});

test('a unix socket is reached by its path, and one that is not there arrives as closed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-network-'));
  const path = join(folder, 'socket');
  const server = createServer((socket) => socket.pipe(socket)).listen(path);
  await once(server, 'listening');
  const log = new Log();
  const near = network.connectPath(path, streamEvents(log));
  const back = log.next('data');
  near.write(Buffer.from('there and back'));
  await back;
  const closed = log.next('closed');
  near.end();
  await closed;
  server.close();
  const nowhere = new Log();
  const refused = nowhere.next('closed');
  network.connectPath(path, streamEvents(nowhere));
  await refused;
  assert.deepEqual(log.lines, ['opened', 'data there and back', 'ended', 'closed']);
  assert.deepEqual(nowhere.lines, ['closed ENOENT']);
  rmSync(folder, { recursive: true });
});

test('a refused connection arrives as closed, once', async () => {
  const log = new Log();
  const to = { address: '127.0.0.1', port: await freePort() };
  const closed = log.next('closed');
  const near = network.connectStream(to, streamEvents(log));
  near.write(Buffer.from('?'));
  await closed;
  near.destroy();
  assert.deepEqual(log.lines, ['closed ECONNREFUSED']);
});

test('a reset ends the connection with its error, not the process', async () => {
  const far = await listen();
  const client = connect(far.listener.local.port, '127.0.0.1');
  const accepted = far.log.next('accepted');
  await once(client, 'connect');
  await accepted;
  const closed = far.log.next('closed');
  client.resetAndDestroy();
  assert.equal(await closed, 'closed ECONNRESET');
  far.listener.close();
});

test('a paused reader fills the writer; resumed, it gets every byte and the writer is told', async () => {
  for (const readerIsServer of [true, false]) {
    const far = await listen();
    const log = new Log();
    const nearEvents = streamEvents(log);
    const opened = Promise.all([log.next('opened'), far.log.next('accepted')]);
    const near = network.connectStream(far.listener.local, nearEvents);
    await opened;
    const [reader, readerEvents] = readerIsServer ? [far.stream(), far.events] : [near, nearEvents];
    const [writer, writerLog] = readerIsServer ? [near, log] : [far.stream(), far.log];
    reader.pause();
    let sentBytes = 0;
    while (writer.unsentBytes < 4 * unsentBytesHigh) {
      writer.write(Buffer.alloc(unsentBytesHigh, 'x'));
      sentBytes += unsentBytesHigh;
    }
    const readBefore = readerEvents.bytes;
    const drained = writerLog.next('drained');
    const readerLog = readerIsServer ? far.log : log;
    const ended = readerLog.next('ended');
    assert(readBefore <= 4 * unsentBytesHigh, `${readBefore} bytes came through the pause`);
    reader.resume();
    await drained;
    assert.equal(writer.unsentBytes, 0);
    writer.end();
    await ended;
    assert.equal(readerEvents.bytes, sentBytes);
    const closed = Promise.all([log.next('closed'), far.log.next('closed')]);
    near.destroy();
    far.stream().destroy();
    await closed;
    far.listener.close();
  }
});

test('a listener that closed keeps its connections and refuses new ones', async () => {
  const far = await listen();
  const log = new Log();
  const opened = Promise.all([log.next('opened'), far.log.next('accepted')]);
  const near = network.connectStream(far.listener.local, streamEvents(log));
  await opened;
  far.listener.close();
  const late = new Log();
  const refused = late.next('closed');
  network.connectStream(far.listener.local, streamEvents(late));
  assert.equal(await refused, 'closed ECONNREFUSED');
  const data = far.log.next('data');
  near.write(Buffer.from('old friend'));
  assert.equal(await data, 'data old friend');
  const closed = far.log.next('closed');
  near.destroy();
  await far.log.next('ended');
  far.stream().end();
  assert.equal(await closed, 'closed');
});
