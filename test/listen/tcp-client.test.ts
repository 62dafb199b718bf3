/** One client by itself, on a stream that only notes what it is told: when things happen, not whether (tcp.test.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { tcpClientUnsentBytesMax } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import { TcpClient } from '../../src/listen/tcp-client.js';
import { TcpPlaces } from '../../src/listen/tcp-places.js';
import { TcpTurns } from '../../src/listen/tcp-turns.js';
import type { Stream } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { framed } from '../simulation/framing.js';
import { at, idleMs, message, timeouts, writeMs } from './tcp-world.js';

function clientOnNotes() {
  const clock = new ManualClock(0);
  const counters = new Counters(countersMemory(0));
  const notes: string[] = [];
  const askers: Client[] = [];
  const stream = {
    remote: { address: '10.244.0.7', port: 40_000 },
    unsentBytes: 0,
    write: (bytes: Uint8Array) => notes.push(`write ${bytes.length}`),
    pause: () => notes.push('pause'),
    resume: () => notes.push('resume'),
    end: () => notes.push('end'),
    destroy: () => notes.push('destroy'),
  };
  const client = new TcpClient(
    {
      clock,
      counters,
      places: new TcpPlaces(),
      turns: new TcpTurns(() => clock.nowMs()),
      timeouts,
      serve: (_packet, client) => askers.push(client),
      local: at,
      workLater: () => notes.push('later'),
      gone: () => notes.push('gone'),
    },
    stream satisfies Stream,
  );
  const takeNotes = (): string[] => notes.splice(0);
  return { clock, counters, client, stream, askers, takeNotes };
}

test('nothing is written within a reply, everything at the end of the turn', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(Buffer.concat([framed(message(1)), framed(message(2)), framed(message(3))]));
  assert.deepEqual(takeNotes(), []);
  for (const client of askers.slice(0, 2)) client.reply(message(0, 100));
  assert.deepEqual(takeNotes(), ['later', 'later']);
  client.work();
  assert.deepEqual(takeNotes(), ['write 204']);
  client.work();
  assert.deepEqual(takeNotes(), []);
});

test('the FIN follows the last answer, at the end of the turn', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.ended();
  client.work();
  assert.deepEqual(takeNotes(), ['later']);
  askers[0].reply(message(1));
  client.work();
  assert.deepEqual(takeNotes(), ['later', 'write 14', 'end']);
  client.data(framed(message(2)));
  client.work();
  client.closed();
  assert.deepEqual(takeNotes(), ['gone']);
  assert.equal(askers.length, 1);
});

test('after the connection is closed nothing touches the stream', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.closed();
  askers[0].reply(message(1));
  client.work();
  client.drain();
  client.destroy();
  assert.deepEqual(takeNotes(), ['gone']);
});

test('too many unsent bytes drop the connection at the write that made them', () => {
  const { client, counters, stream, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  stream.unsentBytes = tcpClientUnsentBytesMax + 1;
  askers[0].reply(message(1));
  client.work();
  assert.deepEqual(takeNotes(), ['later', 'write 14', 'destroy']);
  assert.equal(counters.total('tcpClosedSlow'), 1);
});

test('unsent bytes that shrink, however little, keep a slow client; those that do not lose it', () => {
  const { client, counters, stream, askers } = clientOnNotes();
  client.data(framed(message(1)));
  askers[0].reply(message(1, 1_000));
  client.work();
  stream.unsentBytes = 900;
  let nowMs = 0;
  for (; stream.unsentBytes > 800; stream.unsentBytes--) {
    nowMs += writeMs - 1;
    client.sweep(nowMs);
  }
  assert.equal(counters.total('tcpClosedSlow'), 0);
  client.sweep(nowMs + writeMs - 1);
  client.sweep(nowMs + 2 * writeMs);
  assert.equal(counters.total('tcpClosedSlow'), 1);
});

test('idleness is counted from the last answer, and not while one is owed', () => {
  const { clock, client, counters, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.sweep(10 * idleMs);
  clock.passMs(5_000);
  askers[0].reply(message(1));
  client.work();
  client.sweep(5_000 + idleMs - 1);
  assert.equal(counters.total('tcpClosedIdle'), 0);
  takeNotes();
  client.sweep(5_000 + idleMs);
  client.sweep(5_000 + 2 * idleMs);
  assert.deepEqual(takeNotes(), ['destroy']);
  assert.equal(counters.total('tcpClosedIdle'), 1);
});
