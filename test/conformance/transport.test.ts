/** How clients are served over UDP and TCP: sizes, truncation, many questions on one connection, and its end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { framed, newFrames, type Place } from '../real/packets.js';
import { record, response } from './answers.js';
import { query, readMessage, tc, types } from './message.js';
import { openClient, suite } from './subject.js';

const { anyServer, withUpstream } = suite({
  lines: 'cache 30\n    timeouts {\n        read 2s\n        idle 1s\n    }',
  transport: 'force_tcp',
});

/** A TCP connection as raw as can be, the messages that came on it, and the chunks in which they came. */
interface Connection {
  readonly socket: Socket;
  readonly messages: Buffer[];
  readonly chunks: Buffer[];
  readonly closed: Promise<unknown>;
}

async function connected({ address, port }: Place): Promise<Connection> {
  const socket = connect({ port, host: address, noDelay: true, allowHalfOpen: true });
  await once(socket, 'connect');
  const messages: Buffer[] = [];
  const chunks: Buffer[] = [];
  socket.on(
    'data',
    newFrames((message) => messages.push(message)),
  );
  socket.on('data', (chunk) => chunks.push(chunk));
  return { socket, messages, chunks, closed: once(socket, 'end') };
}

async function received(connection: Connection, count: number): Promise<void> {
  while (connection.messages.length < count) await once(connection.socket, 'data');
}

/** Twenty texts of fifty bytes: more than 1,232 bytes. */
const long = Array.from({ length: 40 }, (_, index) =>
  record({ type: types.TXT, data: Buffer.from(`\x31${String(index).padEnd(49)}`) }),
);

withUpstream('RFC 1035 4.2.1: over UDP without EDNS 512 bytes are the most, and TC says so', async (subject) => {
  subject.upstream.scripts('long', ({ query: asked }) => response(asked, { answers: long }));
  const packet = query({ name: 'long.conformance.test', type: types.TXT });
  const overUdp = await subject.exchange(packet);
  assert(overUdp.length <= 512, `${overUdp.length} bytes`);
  assert.equal(readMessage(overUdp).flags & tc, tc);
});

withUpstream('RFC 7766 5: over TCP the same question is answered in full', async (subject) => {
  subject.upstream.scripts('full', ({ query: asked }) => response(asked, { answers: long }));
  const packet = query({ name: 'full.conformance.test', type: types.TXT });
  assert.equal(readMessage(await subject.exchange(packet)).flags & tc, tc);
  const { flags, records } = readMessage(await subject.exchange(packet, 'tcp'));
  assert.deepEqual([flags & tc, records.length], [0, 40]);
});

withUpstream('RFC 2181 9: additional records that do not fit are left out without TC', async (subject) => {
  subject.upstream.scripts('extra', ({ query: asked }) =>
    response(asked, { answers: long.slice(0, 2), additionals: long.slice(2) }),
  );
  const { flags, records } = await subject.asks(query({ name: 'extra.conformance.test', type: types.TXT }));
  assert.equal(flags & tc, 0);
  assert.equal(records.filter(({ section }) => section === 'answer').length, 2);
});

anyServer('RFC 7766 5, 9210 3: TCP is served on the same port', async ({ asks }) => {
  const packet = query({ name: 'same.conformance.test' });
  const [overUdp, overTcp] = [await asks(packet, 'udp'), await asks(packet, 'tcp')];
  assert.deepEqual([overTcp.rcode, overTcp.questions], [overUdp.rcode, overUdp.questions]);
});

anyServer('RFC 1035 4.2.2: a message may come in any pieces', async ({ place }) => {
  const connection = await connected(place);
  for (const byte of framed(query({ id: 7, name: 'pieces.conformance.test' }))) {
    connection.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await received(connection, 1);
  assert.equal(readMessage(connection.messages[0]).id, 7);
  connection.socket.destroy();
});

anyServer('RFC 7766 6.2.1: many queries may be sent before the first is answered', async ({ place }) => {
  const client = await openClient(place, 'tcp');
  const ids = Array.from({ length: 60 }, (_, id) => id);
  for (const id of ids) client.send(query({ id, name: `pipelined-${id % 7}.conformance.test` }));
  for (const id of ids) assert.equal(readMessage(await client.receive(id)).id, id);
  client.close();
});

withUpstream(
  'RFC 7766 7: answers come as they are ready, not as they were asked',
  async ({ place, upstream, asks }) => {
    upstream.scripts('never', () => []);
    await asks(query({ name: 'ready.conformance.test' }));
    const connection = await connected(place);
    const slow = framed(query({ id: 1, name: 'never.conformance.test' }));
    connection.socket.write(Buffer.concat([slow, framed(query({ id: 2, name: 'ready.conformance.test' }))]));
    await received(connection, 1);
    assert.equal(readMessage(connection.messages[0]).id, 2);
    connection.socket.destroy();
  },
);

anyServer('RFC 7766 8: an answer and its length are sent in one piece', async ({ place, asks }) => {
  const packet = query({ name: 'piece.conformance.test' });
  await asks(packet);
  const connection = await connected(place);
  connection.socket.write(framed(packet));
  await received(connection, 1);
  assert.equal(connection.chunks.length, 1);
  connection.socket.destroy();
});

anyServer('RFC 7766 6.2.4: who closes its half still gets its answers, then the end', async ({ place }) => {
  const connection = await connected(place);
  connection.socket.end(framed(query({ id: 9, name: 'half.conformance.test' })));
  await connection.closed;
  assert.deepEqual(
    connection.messages.map((message) => readMessage(message).id),
    [9],
  );
});

withUpstream('RFC 7766 6.2.3: a connection that is idle is closed after its time', async ({ place }) => {
  const connection = await connected(place);
  connection.socket.write(framed(query({ name: 'idle.conformance.test' })));
  await received(connection, 1);
  const startedMs = performance.now();
  await connection.closed;
  assert(performance.now() - startedMs >= 900, 'not before its time');
  connection.socket.destroy();
});

anyServer('RFC 7766 10: one client that sends half a message keeps no other from its answer', async (subject) => {
  const connection = await connected(subject.place);
  connection.socket.write(framed(query({ name: 'half.conformance.test' })).subarray(0, 9));
  const { id } = await subject.asks(query({ id: 11, name: 'other.conformance.test' }), 'tcp');
  assert.equal(id, 11);
  connection.socket.destroy();
});
