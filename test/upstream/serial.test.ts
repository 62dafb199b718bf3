/**
 * An upstream that is CoreDNS in this: the questions of one TCP connection are served one after another. Some names take a
 * second; those that ask for others must not notice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openUpstream } from '../simulation/upstream.js';
import { request, server, TestWorld } from './scripted.js';

const perMs = 2;
const seconds = 6;
const slowShare = 0.01;

test('one name in a hundred takes a second: of the others 99 in 100 take less than 20 ms, at 2,000 a second', async () => {
  const world = new TestWorld();
  const { clock, random, counters } = world;
  world.network.setFaultsTo(server(1), { latencyMs: 0.2 });
  const opening = openUpstream(world.network, clock, server(1));
  await clock.pass(1);
  const upstream = await opening;
  upstream.isSerial = true;
  upstream.on(({ question }) => ({ answers: [{ type: 'A', name: question.name, ttl: 5, data: '10.1.2.3' }] }));
  const forwards = world.start({ maxAgeMs: 45_000 });
  const took: number[] = [];
  let slow = 0;
  let failed = 0;
  let asked = 0;
  for (let ms = 0; ms < seconds * 1000; ms++) {
    for (let count = 0; count < perMs; count++) {
      const isSlow = random.below(1 / slowShare) === 0;
      const name = `n${asked++}.example`;
      if (isSlow) upstream.after(1_000, name);
      const startMs = clock.nowMs();
      forwards.ask(request(name), (outcome) => {
        if (!outcome.ok) failed++;
        else if (isSlow) slow++;
        else took.push(clock.nowMs() - startMs);
      });
    }
    await clock.pass(1);
  }
  await clock.pass(2_000);
  took.sort((one, other) => one - other);
  const p99Ms = took[Math.floor(took.length * 0.99)];
  const again = counters.total('upstreamHedges');
  assert.equal(failed, 0);
  assert.equal(took.length + slow, asked);
  assert(p99Ms < 20, `p99 ${p99Ms} ms, longest ${took.at(-1)} ms, ${again} asked again`);
  assert(again <= asked * 0.1, `${again}`);
  forwards.stop();
});
