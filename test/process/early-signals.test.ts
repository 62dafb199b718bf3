import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { listenEarly, programSignals } from '../../src/process/early-signals.js';
import { onSignals } from '../../src/process/lifecycle.js';

function world() {
  const said: string[] = [];
  const events = new EventEmitter();
  const process = Object.assign(events, {
    pid: 7,
    kill: (pid: number, signal: string) => void said.push(`kill ${pid} ${signal}`),
    exit: (code: number) => void said.push(`exit ${code}`),
  });
  const listeners = () => programSignals.map((signal) => events.listenerCount(signal));
  return { said, process, listeners, early: listenEarly(process) };
}

test('what comes is given once, in order, to one who listens already', () => {
  const { said, process, listeners, early } = world();
  const counts: number[][] = [];
  process.on('removeListener', () => counts.push(listeners()));
  for (const signal of ['SIGUSR1', 'SIGTERM', 'SIGTERM', 'SIGTERM']) process.emit(signal);
  const say = (line: string) => void said.push(line);
  onSignals(process, { debug: say, info: say, warn: say, error: say, flush() {} }, early);
  assert.deepEqual(said, [
    'SIGTERM: draining, then exiting',
    'SIGTERM again: exiting without waiting for clients',
    'exit 1',
  ]);
  assert.ok(counts.length === 4 && counts.flat().every((count) => count > 0), 'there is no moment without a listener');
  assert.deepEqual([listeners(), early.passOn()], [[1, 1, 1, 1], []]);
});

test('where nobody will listen, signals do what they do to any program, but SIGUSR1 nothing', () => {
  const { said, process, listeners, early } = world();
  process.emit('SIGUSR1');
  process.emit('SIGINT');
  early.letGo();
  assert.deepEqual(said, ['kill 7 SIGINT']);
  assert.deepEqual(listeners(), [0, 1, 0, 0]);
  process.emit('SIGUSR1');
  assert.deepEqual(said, ['kill 7 SIGINT']);
});
