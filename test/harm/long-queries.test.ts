/**
 * A pod asks slow names over TCP with up to 64 kB of bytes behind each question. What waits must not cost what was sent.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { queryBytesMax } from '../../src/limits.js';
import { question, startOnLoopback } from '../real/loopback.js';
import { framed } from '../real/packets.js';
import { goodAnswer, startStandIn } from '../real/stand-in.js';
import { newWorld, opening } from '../scenarios/world.js';
import { encodeQuery } from '../simulation/client.js';

const connections = 24;
const perConnection = 128;

function rssBytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/u.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

for (const [what, bytes] of [
  ['as long as messages are', 65_535],
  ['as long as queries may be', queryBytesMax],
] as const) {
  test(`${connections * perConnection} queries ${what}, for names that are slow: memory grows by a small part of them`, async () => {
    const upstream = await startStandIn((query) => (query.includes('good') ? [goodAnswer(query)] : []));
    const first = question(1, 'good', 1);
    const zerohop = await startOnLoopback(`forward . 127.0.0.1:${upstream.port}`, first);
    const { pid } = zerohop.program;
    const beforeBytes = rssBytes(pid);
    let peakBytes = 0;
    const watching = setInterval(() => {
      peakBytes = Math.max(peakBytes, rssBytes(pid));
    }, 10);
    const sent = Array.from({ length: connections }, (_, index) => {
      const socket = connect(zerohop.place.port, '127.0.0.1').on('error', () => {});
      socket.resume();
      for (let id = 0; id < perConnection; id++) {
        const query = Buffer.alloc(bytes, 'x');
        question(id, `slow${index}x${id}`, 1).copy(query);
        socket.write(framed(query));
      }
      return new Promise<typeof socket>((resolve) => socket.write('', () => resolve(socket)));
    });
    const sockets = await Promise.all(sent);
    await new Promise((resolve) => setTimeout(resolve, 500));
    clearInterval(watching);
    for (const socket of sockets) socket.destroy();
    const sentBytes = connections * perConnection * bytes;
    // Some of it is what the program takes for 3,072 questions of any length.
    const allowedBytes = sentBytes / 4 + 48 * 1024 * 1024;
    const grewBytes = peakBytes - beforeBytes;
    await zerohop.stop();
    upstream.close();
    assert.ok(grewBytes < allowedBytes, `${grewBytes >> 20} MB for ${sentBytes >> 20} MB that were sent`);
  });
}

test('a query that is too long is FORMERR over TCP, whatever is in it; the next one on the connection is answered', async () => {
  const world = await newWorld();
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  const client = world.client().connects();
  const asked = encodeQuery('a.example.', 'A', 7);
  const padded = (length: number, id: number): Buffer => {
    const query = Buffer.concat([asked, Buffer.alloc(length - asked.length)]);
    query.writeUInt16BE(id);
    return query;
  };
  const response = padded(queryBytesMax + 1, 4);
  response[2] |= 0x80;
  const update = padded(queryBytesMax + 1, 5);
  update[2] = 5 << 3;
  client.sends(padded(65_535, 1), padded(queryBytesMax + 1, 2), padded(queryBytesMax, 3), response, update, asked);
  await world.pass(100);
  const rcodes = client.received.map((answer) => [answer.readUInt16BE(0), answer[3] & 0x0f]);
  assert.deepEqual(rcodes.sort(), [
    [1, 1],
    [2, 1],
    [3, 0],
    [5, 4],
    [7, 0],
  ]);
  assert.ok(client.received.every((answer) => answer.readUInt16BE(0) !== 1 || answer.length === 12));
  await world.stop();
});

test('the log and the answer of a long query that waited are those of the query as it came', async () => {
  const world = await newWorld({
    corefile: '. {\n bind 169.254.20.10\n log . "{size} {>bufsize} {>do}"\n nsid us\n forward . 10.96.0.10\n}\n',
  });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  const edns = {
    size: 1_400,
    dnssecOk: true,
    options: [
      { code: 3, data: Buffer.alloc(0) },
      { code: 12, data: Buffer.alloc(1_000) },
    ],
  };
  const { opt } = await opening(world.clock, world.client().asks('a.example.', 'A', { edns }));
  assert.deepEqual(
    opt?.options.map(({ code }) => code),
    [3],
  );
  const [line] = world.log.filter(({ level }) => level === 'query');
  const bytes = encodeQuery('a.example.', 'A', 1, { edns }).length;
  assert.equal(line.message.split('] ').at(-1), `${bytes} 1400 true`);
  await world.stop();
});
