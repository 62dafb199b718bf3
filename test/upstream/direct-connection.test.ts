import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  directInflightMax,
  directLossesMax,
  directLossesShare,
  directPauseMs,
  directReadBytes,
} from '../../src/limits.js';
import {
  DirectConnection,
  RowsUnderWay,
  requestsBytes,
  UpstreamConnections,
} from '../../src/upstream/direct-connection.js';

const to = { address: '10.96.0.10', port: 53, expireMs: 10_000, maxAgeMs: 0, probeName: '.' };

test('an upstream pauses when losses outweigh answers, and again with the next loss', () => {
  const upstream = new UpstreamConnections(to);
  for (let loss = 1; loss < directLossesMax; loss++) upstream.lost(0);
  assert.equal(upstream.takes(0), true);
  for (let answer = 0; answer < 1 / directLossesShare; answer++) upstream.answered(1, 0);
  upstream.lost(0);
  assert.equal(upstream.takes(0), true, 'answers made up for one loss');
  upstream.lost(0);
  assert.deepEqual([upstream.takes(directPauseMs - 1), upstream.takes(directPauseMs)], [false, true]);
  upstream.lost(directPauseMs);
  assert.equal(upstream.takes(directPauseMs), false);
});

test('a connection has a place for each query, finds it by its id, and knows the oldest', () => {
  const memory = new Uint8Array(directReadBytes + requestsBytes);
  const connection = new DirectConnection(new UpstreamConnections(to), { fd: 3, place: 0, memory }, 0, () => true);
  const rows = new RowsUnderWay();
  for (let row = 0; row < directInflightMax; row++) rows.add(row, connection, 1_000 + row, 100 - row);
  assert.throws(() => rows.add(99, connection, 1, 0), /has a place for/);
  assert.deepEqual([rows.find(connection, 1_003), rows.find(connection, 7)], [3, -1]);
  assert.equal(rows.oldest(connection), directInflightMax - 1);
  rows.remove(directInflightMax - 1, connection);
  rows.add(99, connection, 7, 0);
  assert.deepEqual([rows.find(connection, 7), rows.count, connection.owed], [99, directInflightMax, directInflightMax]);
});
