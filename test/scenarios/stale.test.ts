import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile, type World } from './world.js';

const withCache = (option: string) => simpleCorefile.replace('  cache\n', `  cache {\n    ${option}\n  }\n`);
/** EDE info codes in an answer's OPT. */
const extendedErrors = (opt: unknown) =>
  ((opt as { options?: { code: number; data: Buffer }[] } | undefined)?.options ?? [])
    .filter(({ code }) => code === 15)
    .map(({ data }) => data.readUInt16BE());

async function known(corefile?: string): Promise<World> {
  const world = await newWorld(corefile === undefined ? {} : { corefile });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 10 });
  await world.asks('a.example.', 'A');
  await world.passSeconds(11);
  return world;
}

describe('stale answers', () => {
  it('are given when the upstream is gone, without any directive', async () => {
    const world = await known();
    world.upstream.stop();
    const answer = await world.asks('a.example.', 'A', { edns: {} });
    assert.deepEqual(answer.data, ['192.0.2.1']);
    assert.deepEqual(answer.ttls, [30]);
    assert.deepEqual(extendedErrors(answer.opt), [3]);
    assert.equal(world.app.counters.total('staleOnFailure'), 1);
  });

  it('are given for names that do not exist, too', async () => {
    const world = await newWorld();
    world.upstream.nxdomain('gone.example.', { soaMinimum: 5 });
    await world.asks('gone.example.', 'A');
    await world.passSeconds(6);
    world.upstream.stop();
    const answer = await world.asks('gone.example.', 'A', { edns: {} });
    assert.equal(answer.rcode, 'NXDOMAIN');
    assert.deepEqual(extendedErrors(answer.opt), [19]);
  });

  it('do not cost the next client a wait, until the recheck', async () => {
    const world = await known();
    world.upstream.stop();
    await world.asks('a.example.', 'A');
    const next = await world.asks('a.example.', 'A');
    assert.ok(next.afterMs <= 1, `${next.afterMs} ms`);
    await world.passSeconds(2);
    await opening(world);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [10], 'fresh again');
  });

  it('are given when the upstream is slower than the client is patient, and the fresh one is kept', async () => {
    const world = await known();
    world.upstream.after(1000);
    const answer = await world.asks('a.example.', 'A');
    assert.deepEqual(answer.ttls, [30]);
    assert.ok(answer.afterMs >= 400 && answer.afterMs <= 430, `${answer.afterMs} ms`);
    assert.equal(world.app.counters.total('stalePatience'), 1);
    const joined = await world.asks('a.example.', 'A');
    assert.ok(joined.afterMs <= 1, 'who comes later waits no longer');
    await world.pass(700);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [10]);
    const asked = world.upstream.asked('a.example.', 'A');
    assert.ok(asked <= 3, `${asked}: once for each expiry, and once more on another connection`);
  });

  it('are never given while the upstream answers', async () => {
    const world = await known();
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [10]);
    assert.equal(world.app.counters.total('staleOnFailure'), 0);
  });

  it('are given instead of SERVFAIL, which does not take their place', async () => {
    const world = await known();
    world.upstream.servfail('a.example.');
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    await world.passSeconds(2);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
  });

  it('end after an hour', async () => {
    const world = await known();
    world.upstream.stop();
    await world.passSeconds(3600);
    assert.equal((await world.asks('a.example.', 'A')).rcode, 'SERVFAIL');
  });

  it('are not given with serve_stale 0', async () => {
    const world = await known(withCache('serve_stale 0'));
    world.upstream.stop();
    assert.equal((await world.asks('a.example.', 'A')).rcode, 'SERVFAIL');
  });

  it('immediate: come at once with TTL 0, and refresh in the background over TCP', async () => {
    const world = await known(withCache('serve_stale 1h immediate'));
    world.upstream.answers('a.example.', 'A', ['192.0.2.2'], { ttlSeconds: 10 });
    const stale = await world.asks('a.example.', 'A');
    assert.deepEqual([stale.data, stale.ttls], [['192.0.2.1'], [0]]);
    await world.pass(10);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.2']);
    assert.equal(world.upstream.asked('a.example.', 'A', 'tcp'), 2);
  });

  it('verify: wait for the upstream, and come when it fails or takes longer than said', async () => {
    const world = await known(withCache('serve_stale 1h verify 200ms'));
    world.upstream.after(100);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [10]);
    await world.passSeconds(11);
    world.upstream.after(1000);
    const late = await world.asks('a.example.', 'A');
    assert.deepEqual(late.ttls, [0]);
    assert.ok(late.afterMs >= 200 && late.afterMs <= 230, `${late.afterMs} ms`);
    await world.passSeconds(12);
    world.upstream.stop();
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [0]);
  });

  it('prefer_positive: a good answer is not replaced by a denial while it may be used', async () => {
    const world = await known(withCache('serve_stale 1h verify\n    serve_stale_policy prefer_positive'));
    world.upstream.nxdomain('a.example.');
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    await world.passSeconds(3601);
    assert.equal((await world.asks('a.example.', 'A')).rcode, 'NXDOMAIN');
  });
});

async function opening(world: World): Promise<void> {
  await world.upstream.start(world.network);
}
