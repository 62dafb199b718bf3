import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Asking, ScriptedUpstream, TestWorld } from './scripted.js';

test('a question is asked and answered, and all is at rest afterwards', async () => {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  const forwards = world.start({});
  const asking = new Asking(world, forwards);
  const asked = asking.ask('a.example');
  assert.equal(forwards.inflight(), 1);
  await world.clock.pass(5);
  assert.equal(asked.got?.text, 'rcode 0');
  assert.equal(asked.got?.from, '10.0.0.1:53');
  assert.equal(forwards.inflight(), 0);
  assert.deepEqual(upstream.names(), ['a.example']);
  await world.clock.pass(20_000);
  assert.deepEqual(world.network.open.connections, 0);
  assert.equal(world.clock.timersSet, 0);
});
