import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeTimeoutMs, sweepPeriodMs } from '../../src/limits.js';
import type { Attempt } from '../../src/upstream/attempt.js';
import { UpstreamStats } from '../../src/upstream/endpoint.js';
import { Health, type HealthSettings, Outages } from '../../src/upstream/health.js';
import { answerTo, type Query, question, request, TestWorld } from './scripted.js';

const refused = { why: 'unreachable', text: 'refused', blame: true } as const;

function setUp(settings: Partial<HealthSettings> = {}) {
  const world = new TestWorld();
  const stats = new UpstreamStats('10.0.0.1:53');
  const probes: { attempt: Attempt; atMs: number }[] = [];
  let whenSent: (attempt: Attempt, nowMs: number) => void = () => {};
  const health = new Health(
    { failsMax: 2, intervalMs: 500, request: request(''), ...settings },
    {
      stats,
      log: world.log,
      outages: world.outages,
      heard() {},
      cameBack() {},
      probeAnswered() {},
      sendProbe(attempt, nowMs) {
        probes.push({ attempt, atMs: nowMs - startMs });
        whenSent(attempt, nowMs);
      },
    },
  );
  const startMs = world.clock.nowMs();
  world.clock.every(sweepPeriodMs, () => health.sweep(world.clock.nowMs()));
  return {
    world,
    stats,
    probes,
    health,
    clock: world.clock,
    onProbe: (run: typeof whenSent) => {
      whenSent = run;
    },
  };
}

test('nobody is probed while nothing fails', () => {
  const { health, probes, clock } = setUp();
  health.answered(clock.nowMs());
  clock.passMs(10_000);
  assert.equal(health.isProbing, false);
  assert.equal(health.isDown, false);
  assert.deepEqual(probes, []);
});

test('a failure starts probes, each interval, until one is answered; any answer will do', () => {
  const { health, probes, clock, onProbe, stats, world } = setUp();
  onProbe((attempt, nowMs) => attempt.lost(refused, nowMs));
  health.failed(clock.nowMs());
  clock.passMs(2_000);
  assert.deepEqual(
    probes.map(({ atMs }) => atMs),
    [0, 500, 1_000, 1_500, 2_000],
  );
  assert.equal(health.isDown, true);
  assert.equal(stats.healthy, false);
  assert.equal(stats.healthcheckFailures, 5);
  onProbe((attempt, nowMs) => {
    const query = { id: 1, question: question('') } as Query;
    const refusal = answerTo(query, { rcode: 5, question: null });
    assert.equal(attempt.accepts(refusal.subarray(0, 11)), false);
    assert.equal(attempt.accepts(Buffer.alloc(12)), false, 'a query is no answer');
    assert.equal(attempt.accepts(refusal), true);
    attempt.answered(refusal, nowMs);
  });
  clock.passMs(500);
  assert.equal(health.isDown, false);
  assert.equal(health.isProbing, false);
  clock.passMs(5_000);
  assert.equal(probes.length, 6);
  assert.deepEqual(world.logged, [
    'warn upstream 10.0.0.1:53 is down after 3 failures 10.0.0.1:53 3',
    'info upstream 10.0.0.1:53 is up again 10.0.0.1:53',
  ]);
});

test('it is down after more than max_fails failures in a row: 1.0 s where connections are refused, as the reference', () => {
  const { health, clock, onProbe } = setUp();
  onProbe((attempt, nowMs) => attempt.lost(refused, nowMs));
  health.failed(clock.nowMs());
  clock.passMs(975);
  assert.equal(health.isDown, false);
  clock.passMs(25);
  assert.equal(health.isDown, true);
});

test('many questions that fail together are one failure', () => {
  const { health, clock } = setUp();
  for (let failed = 0; failed < 100; failed++) health.failed(clock.nowMs());
  assert.equal(health.isDown, false);
});

test('a silent upstream: a probe fails after its timeout and the next follows', () => {
  const { health, probes, clock, stats } = setUp();
  health.suspect(clock.nowMs());
  assert.equal(health.isProbing, true);
  clock.passMs(probeTimeoutMs - 1);
  assert.equal(stats.healthcheckFailures, 0);
  clock.passMs(1 + sweepPeriodMs);
  assert.equal(stats.healthcheckFailures, 1);
  assert.equal(probes.length, 2);
  clock.passMs(2 * (probeTimeoutMs + sweepPeriodMs));
  assert.equal(health.isDown, true);
});

test('down and silent: a probe each interval, two at once at the most, so that it is found soon when it is back', () => {
  const { health, probes, clock, onProbe, stats } = setUp({ failsMax: 1 });
  let out = 0;
  let outMost = 0;
  onProbe((attempt) => {
    out++;
    outMost = Math.max(outMost, out);
    attempt.carrier = {
      lastHeardMs: Number.NEGATIVE_INFINITY,
      waitsFor: 'connect',
      abandon() {
        out--;
      },
    };
  });
  health.suspect(clock.nowMs());
  clock.passMs(2 * (probeTimeoutMs + sweepPeriodMs));
  assert.equal(stats.healthy, false);
  assert.equal(outMost, 1);
  const sent = probes.length;
  clock.passMs(5_000);
  assert(probes.length - sent >= 9, `${probes.length - sent} probes`);
  assert.equal(outMost, 2);
  health.answered(clock.nowMs());
  assert.equal(out, 0);
});

test('an answer to a question ends it all as well, and what the probe then brings is not heard', () => {
  const { health, probes, clock } = setUp({ failsMax: 1 });
  for (let failed = 0; failed < 3; failed++) {
    health.failed(clock.nowMs());
    clock.passMs(500);
  }
  assert.equal(health.isDown, true);
  health.answered(clock.nowMs());
  assert.equal(health.isDown, false);
  assert.equal(health.isProbing, false);
  for (const { attempt } of probes) attempt.lost(refused, clock.nowMs());
  assert.equal(health.isProbing, false);
});

test('max_fails 0: never down, never probed', () => {
  const { health, probes, clock } = setUp({ failsMax: 0 });
  for (let failed = 0; failed < 20; failed++) {
    health.failed(clock.nowMs());
    health.suspect(clock.nowMs());
    clock.passMs(1_000);
  }
  assert.equal(health.isDown, false);
  assert.deepEqual(probes, []);
});

test('stopped, it gives up its probe', () => {
  const { health, probes, clock } = setUp();
  let abandoned = 0;
  health.suspect(clock.nowMs());
  probes[0].attempt.carrier = { waitsFor: 'answer', lastHeardMs: 0, abandon: () => abandoned++ };
  health.stop(clock.nowMs());
  clock.passMs(5_000);
  assert.equal(abandoned, 1);
  assert.equal(probes.length, 1);
});

test('failures count in a row: an answer between them starts anew', () => {
  const { health, clock } = setUp();
  for (let round = 0; round < 3; round++) {
    health.failed(clock.nowMs());
    clock.passMs(500);
    health.failed(clock.nowMs());
    assert.equal(health.isDown, false);
    health.answered(clock.nowMs());
    clock.passMs(500);
  }
});

test('several forwards of one address: the first one down and the last one up are in the log', () => {
  const one = setUp();
  const other = setUp();
  const world = { ...one.world, log: one.world.log, outages: one.world.outages };
  const second = new Health(
    { failsMax: 2, intervalMs: 500, request: request('') },
    {
      stats: other.stats,
      log: world.log,
      outages: world.outages,
      heard() {},
      cameBack() {},
      probeAnswered() {},
      sendProbe() {},
    },
  );
  const { clock } = one;
  for (let failures = 0; failures < 3; failures++) {
    for (const health of [one.health, second]) health.failed(clock.nowMs());
    clock.passMs(500);
  }
  assert.deepEqual([one.health.isDown, second.isDown], [true, true]);
  one.health.answered(clock.nowMs());
  assert.deepEqual(one.world.logged, ['warn upstream 10.0.0.1:53 is down after 3 failures 10.0.0.1:53 3']);
  second.answered(clock.nowMs());
  assert.deepEqual(one.world.logged.slice(1), ['info upstream 10.0.0.1:53 is up again 10.0.0.1:53']);
});

test('one that is not asked any more is down for nobody', () => {
  const { health, world, clock, stats } = setUp();
  for (let failures = 0; failures < 3; failures++) {
    health.failed(clock.nowMs());
    clock.passMs(500);
  }
  health.forget();
  health.forget();
  assert.deepEqual([stats.healthy, world.outages.began('10.0.0.1:53')], [true, true]);
});

test('the first forward and the last are told apart from the others, address by address', () => {
  const outages = new Outages();
  assert.deepEqual([outages.began('a'), outages.began('a'), outages.began('b')], [true, false, true]);
  assert.deepEqual([outages.ended('a'), outages.ended('b'), outages.ended('a')], [false, true, true]);
  assert.equal(outages.began('a'), true);
});
