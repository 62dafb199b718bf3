import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rounds, type RoundsSettings } from '../../src/upstream/rounds.js';
import { Upstream } from '../../src/upstream/upstream.js';
import { request, server, TestWorld } from './scripted.js';

const sequential: RoundsSettings = { policy: 'sequential', failfastAllUnhealthy: false, readTimeoutMs: 2_000 };

function setUp(count: number) {
  const world = new TestWorld();
  const upstreams = Array.from({ length: count }, (_, index) => {
    const health = { failsMax: 1, intervalMs: 500, request: request('') };
    return new Upstream(
      world.place(server(index + 1)),
      { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
      world.log,
    );
  });
  const down = (...numbers: number[]): void => {
    for (const [index, { stats }] of upstreams.entries()) stats.healthy = !numbers.includes(index + 1);
  };
  const take = (rounds: Rounds, times: number, settings = sequential): (string | undefined)[] =>
    Array.from({ length: times }, () => rounds.next(settings, world, 0)?.to.slice(7, 8));
  return { world, upstreams, down, take };
}

test('each is asked once, then again from the start', () => {
  const { upstreams, take } = setUp(3);
  const rounds = new Rounds(upstreams, 0);
  assert.equal(rounds.hasOther, true);
  assert.deepEqual(take(rounds, 3), ['1', '2', '3']);
  assert.equal(rounds.hasOther, false);
  assert.deepEqual(take(rounds, 4), ['1', '2', '3', '1']);
});

test('round_robin starts where the question’s number says', () => {
  const { upstreams, take } = setUp(3);
  const settings: RoundsSettings = { ...sequential, policy: 'round_robin' };
  assert.deepEqual(take(new Rounds(upstreams, 4), 3, settings), ['2', '3', '1']);
});

test('random asks each once as well', () => {
  const { upstreams, take } = setUp(5);
  const settings: RoundsSettings = { ...sequential, policy: 'random' };
  assert.deepEqual(take(new Rounds(upstreams, 0), 5, settings).sort(), ['1', '2', '3', '4', '5']);
});

test('those that are down are passed over, also when they go down on the way', () => {
  const { upstreams, take, down } = setUp(3);
  const rounds = new Rounds(upstreams, 0);
  down(2);
  assert.deepEqual(take(rounds, 1), ['1']);
  assert.equal(rounds.hasOther, true);
  down(2, 3);
  assert.equal(rounds.hasOther, false);
  assert.deepEqual(take(rounds, 2), ['1', '1']);
});

test('all down: one is asked anyway and it is counted, or nobody with failfast', () => {
  const { world, upstreams, take, down } = setUp(3);
  down(1, 2, 3);
  const rounds = new Rounds(upstreams, 0);
  assert.notEqual(rounds.next(sequential, world, 0), null);
  assert.equal(rounds.isLastResort, true);
  assert.equal(world.counters.total('forwardHealthcheckBroken'), 1);
  assert.deepEqual(take(new Rounds(upstreams, 0), 1, { ...sequential, failfastAllUnhealthy: true }), [undefined]);
  assert.equal(world.counters.total('forwardHealthcheckBroken'), 2);
});
