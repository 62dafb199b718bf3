import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf } from '../options.js';

const timeouts = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).timeouts;

test('the defaults of CoreDNS', () => {
  assert.deepEqual(timeouts(), { readMs: 3_000, writeMs: 5_000, idleMs: 10_000, tcpQueriesMax: -1 });
});
test('each can be set, the others stay', () => {
  assert.deepEqual(timeouts('timeouts {', 'read 1s', 'idle 24h', '}'), {
    readMs: 1_000,
    writeMs: 5_000,
    idleMs: 86_400_000,
    tcpQueriesMax: -1,
  });
  assert.equal(timeouts('timeouts {', 'write 20', '}').writeMs, 20_000);
  assert.equal(timeouts('timeouts {', 'maxtcpqueries 128', '}').tcpQueriesMax, 128);
  assert.equal(timeouts('timeouts {', 'max_queries 5', '}').tcpQueriesMax, 5);
});
test('bounds', () => {
  for (const line of ['read 999ms', 'write 25h', 'idle 0', 'maxtcpqueries -2', 'maxtcpqueries many']) {
    assert.throws(() => timeouts('timeouts {', line, '}'), /must be|from 1s to 24h/u, line);
  }
  assert.throws(() => timeouts('timeouts {', '}'), /expects a block/u);
});
