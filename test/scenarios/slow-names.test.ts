/**
 * Names that take an upstream long, seen by clients of the whole program: they wait while the upstream is well, and
 * what came too late for one of them is there for its repetition.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import { newWorld, opening, type World } from './world.js';

/** Silent to everything until it has had its time, probes included; then it answers all that it was asked. */
function hangsFor(world: World, ms: number): void {
  world.upstream.after(ms);
}

describe('a slow name', () => {
  it('is waited for while the upstream answers its health check', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1']);
    world.upstream.after(3_000, 'slow.example.');
    const { rcode, data, afterMs } = await world.asks('slow.example.', 'A');
    assert.deepEqual([rcode, data], ['NOERROR', ['192.0.2.1']]);
    assert.ok(afterMs < 3_200, `${afterMs} ms`);
  });

  it('is SERVFAIL in time for the client’s repetition, which then is a hit', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1'], { ttlSeconds: 30 });
    world.upstream.after(5_500, 'slow.example.');
    const first = await world.asks('slow.example.', 'A', { edns: {} });
    assert.equal(first.rcode, 'SERVFAIL');
    assert.ok(first.afterMs <= slowDeadlineMs + 2 * sweepPeriodMs, `${first.afterMs} ms`);
    await world.passSeconds(2);
    const asked = world.upstream.asked('slow.example.');
    const again = await world.asks('slow.example.', 'A');
    assert.deepEqual([again.data, again.afterMs <= 1], [['192.0.2.1'], true]);
    assert.deepEqual(again.ttls, [29]);
    assert.equal(world.upstream.asked('slow.example.'), asked);
    assert.equal(world.app.total('upstreamLateAnswers'), 1);
  });

  it('that answers after the client has repeated its question is given to the repetition', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1']);
    world.upstream.after(5_500, 'slow.example.');
    const startMs = world.clock.nowMs();
    assert.equal((await world.asks('slow.example.', 'A')).rcode, 'SERVFAIL');
    const again = await world.asks('slow.example.', 'A');
    assert.deepEqual(again.data, ['192.0.2.1']);
    assert.ok(world.clock.nowMs() - startMs < 5_600, 'the first answer that comes, and no other');
  });

  it('of an upstream that says nothing at all is SERVFAIL within two seconds, and kept when it comes', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1']);
    hangsFor(world, 2_500);
    const first = await world.asks('slow.example.', 'A');
    assert.equal(first.rcode, 'SERVFAIL');
    assert.ok(first.afterMs < 2_000, `${first.afterMs} ms`);
    await world.passSeconds(1);
    assert.ok((await world.asks('slow.example.', 'A')).afterMs <= 1);
  });

  it('that is denied late is denied from the cache', async () => {
    const world = await newWorld();
    world.upstream.nxdomain('slow.example.');
    world.upstream.after(5_000, 'slow.example.');
    assert.equal((await world.asks('slow.example.', 'A')).rcode, 'SERVFAIL');
    await world.passSeconds(1);
    const again = await world.asks('slow.example.', 'A');
    assert.deepEqual([again.rcode, again.afterMs <= 1], ['NXDOMAIN', true]);
  });

  it('whose late answer is a failure changes nothing', async () => {
    const world = await newWorld();
    world.upstream.servfail('slow.example.');
    world.upstream.after(5_000, 'slow.example.');
    assert.equal((await world.asks('slow.example.', 'A')).rcode, 'SERVFAIL');
    await world.passSeconds(1);
    const asked = world.upstream.asked('slow.example.');
    world.upstream.after(0, 'slow.example.');
    await world.asks('slow.example.', 'A');
    assert.ok(world.upstream.asked('slow.example.') > asked);
  });

  it('whose late answer comes after a newer one does not take its place', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1']);
    world.upstream.after(8_000, 'slow.example.');
    assert.equal((await world.asks('slow.example.', 'A')).rcode, 'SERVFAIL');
    world.upstream.answers('slow.example.', 'A', ['192.0.2.2']);
    world.upstream.after(0, 'slow.example.');
    assert.deepEqual((await world.asks('slow.example.', 'A')).data, ['192.0.2.2']);
    await world.passSeconds(5);
    assert.deepEqual((await world.asks('slow.example.', 'A')).data, ['192.0.2.2']);
  });

  it('with an answer past its TTL at hand is answered stale after 400 ms, and fresh from then on', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1'], { ttlSeconds: 10 });
    await world.asks('slow.example.', 'A');
    await world.passSeconds(11);
    world.upstream.answers('slow.example.', 'A', ['192.0.2.2'], { ttlSeconds: 10 });
    world.upstream.after(4_000, 'slow.example.');
    const stale = await world.asks('slow.example.', 'A');
    assert.deepEqual([stale.data, stale.ttls], [['192.0.2.1'], [30]]);
    assert.ok(stale.afterMs >= 400 && stale.afterMs < 500, `${stale.afterMs} ms`);
    await world.passSeconds(4);
    assert.deepEqual((await world.asks('slow.example.', 'A')).data, ['192.0.2.2']);
  });

  it('keeps nobody from stopping: what waits is answered before the end', async () => {
    const world = await newWorld();
    world.upstream.silent('silent.example.');
    const asking = [1, 2, 3].map((number) => world.client(`10.244.0.${number}`).asks('silent.example.', 'A'));
    await world.pass(10);
    const startMs = world.clock.nowMs();
    await world.stop();
    assert.ok(world.clock.nowMs() - startMs < 5_000);
    for (const { rcode } of await opening(world.clock, Promise.all(asking))) assert.equal(rcode, 'SERVFAIL');
  });
});
