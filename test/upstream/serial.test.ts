/**
 * An upstream that is CoreDNS in this: the questions of one TCP connection are served one after another. Some names take a
 * second; those that ask for others must not notice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openUpstream } from '../simulation/upstream.js';
import { Asking, answerTo, type Query, request, ScriptedUpstream, server, TestWorld } from './scripted.js';

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
  const hedges = counters.total('upstreamHedges');
  assert.equal(failed, 0);
  assert.equal(took.length + slow, asked);
  assert(p99Ms < 20, `p99 ${p99Ms} ms, longest ${took.at(-1)} ms, ${hedges} asked again`);
  assert(hedges <= asked * 0.1, `${hedges}`);
  forwards.stop();
});

/** Asks so many names a second for four seconds of an upstream that takes 50 ms for each, one after another on a connection. */
async function askSlow(perSecond: number, connectionsServedMax: number) {
  const world = new TestWorld();
  const { clock } = world;
  const upstream = await ScriptedUpstream.start(world);
  const freeAtMs = new Map<Query['stream'], number>();
  upstream.onQuery = (query) => {
    // As dnsmasq does it: the kernel takes more connections than there are children to serve them.
    if (!freeAtMs.has(query.stream) && freeAtMs.size >= connectionsServedMax) return;
    const atMs = Math.max(freeAtMs.get(query.stream) ?? 0, clock.nowMs()) + 50;
    freeAtMs.set(query.stream, atMs);
    clock.after(atMs - clock.nowMs(), () => query.reply(answerTo(query)));
  };
  const forwards = world.start({});
  const asking = new Asking(world, forwards);
  const asked: { readonly startMs: number; readonly of: ReturnType<Asking['ask']> }[] = [];
  for (let ms = 0; ms < 4_000; ms++) {
    while (asked.length < ((ms + 1) * perSecond) / 1000) {
      asked.push({ startMs: clock.nowMs(), of: asking.ask(`n${asked.length}`) });
    }
    await clock.pass(1);
  }
  await clock.pass(2_000);
  const took = asked.flatMap(({ startMs, of }) => (of.got?.text === 'rcode 0' ? [of.got.atMs - startMs] : []));
  took.sort((one, other) => one - other);
  forwards.stop();
  return {
    failed: asked.length - took.length,
    p50Ms: took[took.length >> 1],
    connects: world.counters.total('upstreamConnects'),
  };
}

test('every name takes 50 ms: so do the answers, and not four times as long', async () => {
  const { failed, p50Ms, connects } = await askSlow(300, Number.POSITIVE_INFINITY);
  assert.equal(failed, 0);
  assert(p50Ms < 60, `${p50Ms} ms`);
  // Fifteen are busy at any moment.
  assert(connects <= 30, `${connects}`);
});

test('an upstream that serves twenty connections and lets others wait: nobody fails while twenty are enough', async () => {
  const { failed, p50Ms } = await askSlow(300, 20);
  assert.equal(failed, 0);
  assert(p50Ms < 60, `${p50Ms} ms`);
});
