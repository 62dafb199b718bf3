import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemEventLoop } from '../../src/os/event-loop.js';

test('every turn ends once, and watching the ends begins no turn', async () => {
  const loop = systemEventLoop();
  let ends = 0;
  const watch = loop.eachTurn(() => ends++);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  const busy = ends;
  assert.ok(busy >= 1 && busy <= 3, `${busy} ends in two turns`);
  const idleMs = loop.idleMs();
  await pause(200);
  assert.ok(ends > busy && ends - busy < 20, `${ends - busy} ends while a timer is waited for`);
  assert.ok(loop.idleMs() - idleMs > 100, 'the loop waits');
  watch.stop();
  const last = ends;
  await pause(5);
  assert.equal(ends, last);
});
