import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choose, type Policy, Selection, type SelectionSettings } from '../../src/upstream/selection.js';
import { Upstream } from '../../src/upstream/upstream.js';
import { seededRandom } from '../simulation/random.js';
import { request, server, TestWorld } from './scripted.js';

const sequential: SelectionSettings = { policy: 'sequential', failfastAllUnhealthy: false, readTimeoutMs: 2_000 };

function setUp(count: number) {
  const world = new TestWorld();
  const upstreams = Array.from({ length: count }, (_, index) => {
    const health = { failsMax: 1, intervalMs: 500, request: request('') };
    return new Upstream(
      world.address(server(index + 1)),
      { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
      world.log,
    );
  });
  const down = (...numbers: number[]): void => {
    for (const [index, { stats }] of upstreams.entries()) stats.healthy = !numbers.includes(index + 1);
  };
  const take = (selection: Selection, times: number, settings = sequential): (string | undefined)[] =>
    Array.from({ length: times }, () => selection.next(settings, world, 0)?.to.slice(7, 8));
  return { world, upstreams, down, take };
}

function selectionOf(upstreams: readonly Upstream[], start: number): Selection {
  const selection = new Selection();
  selection.begin({ upstreams, learned: 0 }, start);
  return selection;
}

test('each is asked once, then again from the start', () => {
  const { upstreams, take } = setUp(3);
  const selection = selectionOf(upstreams, 0);
  assert.equal(selection.hasOther, true);
  assert.deepEqual(take(selection, 3), ['1', '2', '3']);
  assert.equal(selection.hasOther, false);
  assert.deepEqual(take(selection, 4), ['1', '2', '3', '1']);
});

test('round_robin starts where the question’s number says', () => {
  const { upstreams, take } = setUp(3);
  const settings: SelectionSettings = { ...sequential, policy: 'round_robin' };
  assert.deepEqual(take(selectionOf(upstreams, 4), 3, settings), ['2', '3', '1']);
});

test('random asks each once as well', () => {
  const { upstreams, take } = setUp(5);
  const settings: SelectionSettings = { ...sequential, policy: 'random' };
  assert.deepEqual(take(selectionOf(upstreams, 0), 5, settings).sort(), ['1', '2', '3', '4', '5']);
});

test('those that are down are passed over, also when they go down on the way', () => {
  const { upstreams, take, down } = setUp(3);
  const selection = selectionOf(upstreams, 0);
  down(2);
  assert.deepEqual(take(selection, 1), ['1']);
  assert.equal(selection.hasOther, true);
  down(2, 3);
  assert.equal(selection.hasOther, false);
  assert.deepEqual(take(selection, 2), ['1', '1']);
});

test('all down: one is asked anyway and it is counted, or nobody with failfast', () => {
  const { world, upstreams, take, down } = setUp(3);
  down(1, 2, 3);
  const selection = selectionOf(upstreams, 0);
  assert.notEqual(selection.next(sequential, world, 0), null);
  assert.equal(selection.isLastResort, true);
  assert.equal(world.counters.total('forwardHealthcheckBroken'), 1);
  assert.deepEqual(take(selectionOf(upstreams, 0), 1, { ...sequential, failfastAllUnhealthy: true }), [undefined]);
  assert.equal(world.counters.total('forwardHealthcheckBroken'), 2);
});

const random = seededRandom(5);

test('nobody is chosen when nobody may be asked', () => {
  for (const policy of ['random', 'round_robin', 'sequential'] satisfies Policy[]) {
    assert.equal(choose(policy, { bits: 0, count: 3, start: 1 }, random), -1);
  }
});

test('sequential is the first that may be asked', () => {
  assert.equal(choose('sequential', { bits: 0b1111, count: 4, start: 3 }, random), 0);
  assert.equal(choose('sequential', { bits: 0b1100, count: 4, start: 0 }, random), 2);
});

test('round_robin goes on by one for each question and skips those that may not be asked', () => {
  const turns = (bits: number): number[] =>
    [0, 1, 2, 3, 4, 5].map((start) => choose('round_robin', { bits, count: 3, start }, random));
  assert.deepEqual(turns(0b111), [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(turns(0b101), [0, 2, 2, 0, 2, 2]);
});

test('random asks all that may be asked, each about as often, and nobody else', () => {
  const bits = 0b100_0000_0001_0110;
  const times = new Map<number, number>();
  for (let draw = 0; draw < 4000; draw++) {
    const index = choose('random', { bits, count: 15, start: 0 }, random);
    times.set(index, (times.get(index) ?? 0) + 1);
  }
  assert.deepEqual(
    [...times.keys()].sort((a, b) => a - b),
    [1, 2, 4, 14],
  );
  for (const count of times.values()) assert(count > 850 && count < 1150, `${count}`);
});

test('the other that was heard last: up, not asked yet, and heard since then', () => {
  const { upstreams, take, down } = setUp(4);
  const selection = selectionOf(upstreams, 0);
  const other = (timeMs: number): string | undefined => selection.otherHeardSince(timeMs)?.to.slice(7, 8);
  assert.equal(other(0), undefined);
  for (const [index, heardAtMs] of [90, 40, 60, 50].entries()) upstreams[index].rtt.heard(heardAtMs);
  assert.deepEqual(take(selection, 1), ['1']);
  assert.equal(other(0), '3');
  assert.equal(other(61), undefined);
  down(3);
  assert.equal(other(0), '4');
  selection.take(upstreams[3]);
  assert.equal(other(0), '2');
  assert.deepEqual(take(selection, 1), ['2']);
});
