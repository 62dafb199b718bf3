/**
 * A slow name is not a dead upstream: where the upstream answers anything else, a question has more time, and the
 * answer that comes too late for the one who asked is kept.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { lateQuestionsMax, queryDeadlineMs, slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import type { Answer, Outcome } from '../../src/upstream/ask.js';
import { answerTo, type Query, request, ScriptedUpstream, server, TestWorld, targets } from './scripted.js';

interface Told {
  readonly outcome: string;
  readonly afterMs: number;
}

async function setUp(settings: Partial<ForwardConfig> = {}, count = 1) {
  const world = new TestWorld();
  world.network.faults.latencyMs = 1;
  const upstreams: ScriptedUpstream[] = [];
  for (let number = 1; number <= count; number++) {
    const upstream = await ScriptedUpstream.start(world, server(number));
    upstreams.push(upstream);
  }
  const numbers = upstreams.map((_, index) => index + 1);
  const forwards = world.start({ to: targets(...numbers), policy: 'random', ...settings });
  const { clock } = world;
  const late: Told[] = [];
  const ask = (name: string, wantsLate = true): { told: Told | null } => {
    const asked: { told: Told | null } = { told: null };
    const startMs = clock.nowMs();
    const tell = (outcome: Outcome): Told => ({
      outcome: outcome.ok ? `rcode ${outcome.message[3] & 15}` : outcome.why,
      afterMs: clock.nowMs() - startMs,
    });
    const done = (outcome: Outcome): void => {
      assert.equal(asked.told, null, 'one outcome');
      asked.told = tell(outcome);
    };
    forwards.ask(request(name), done, wantsLate ? (answer: Answer) => void late.push(tell(answer)) : undefined);
    return asked;
  };
  return { world, upstreams, upstream: upstreams[0], forwards, ask, late, clock };
}

type World = Awaited<ReturnType<typeof setUp>>;

/** Names that begin with `slow` take so long, each; with `serial` they hold up what follows on their connection. */
function answersAfter({ clock }: World, ms: number, isSilentToProbes = false): (query: Query) => void {
  return (query) => {
    if (query.name === '' && isSilentToProbes) return;
    if (query.name.startsWith('slow')) clock.after(ms, () => query.reply(answerTo(query)));
    else query.reply(answerTo(query));
  };
}

for (const transport of ['tcp', 'udp'] as const) {
  describe(`over ${transport}, a resolver that answers everything else`, () => {
    for (const ms of [2_000, 2_500, 3_500, 4_500]) {
      it(`and takes ${ms} ms for one name: its answer is given, with other questions and alone`, async () => {
        for (const isAlone of [true, false]) {
          const world = await setUp({ transport });
          world.upstream.onQuery = answersAfter(world, ms);
          const asked = world.ask('slow.example');
          for (let passed = 0; passed < 5_000; passed += 100) {
            if (!isAlone) world.ask(`n${passed}.example`);
            await world.clock.pass(100);
          }
          assert.equal(asked.told?.outcome, 'rcode 0');
          assert(asked.told.afterMs <= ms + 100, `${asked.told.afterMs}`);
          const attempts = world.upstream.queries.filter(({ name }) => name === 'slow.example').length;
          assert(attempts <= 4, `asked ${attempts} times`);
        }
      });
    }

    it('and takes longer than clients wait: a failure in time, and the late answer is told once', async () => {
      const world = await setUp({ transport });
      world.upstream.onQuery = answersAfter(world, 6_000);
      const asked = world.ask('slow.example');
      await world.clock.pass(5_000);
      assert.equal(asked.told?.outcome, 'timeout');
      assert(asked.told.afterMs >= slowDeadlineMs && asked.told.afterMs <= slowDeadlineMs + 2 * sweepPeriodMs);
      await world.clock.pass(10_000);
      assert.deepEqual(
        world.late.map(({ outcome }) => outcome),
        ['rcode 0'],
      );
      assert.equal(world.world.counters.total('upstreamLateAnswers'), 1);
      assert.equal(world.forwards.inflight(), 0);
    });
  });

  describe(`over ${transport}, a resolver that is silent altogether`, () => {
    it('fails what it is asked within two seconds, and the answer that comes after all is told', async () => {
      const world = await setUp({ transport });
      world.upstream.onQuery = answersAfter(world, 2_400, true);
      const asked = world.ask('slow.example');
      await world.clock.pass(2_000);
      assert.equal(asked.told?.outcome, 'timeout');
      assert(asked.told.afterMs >= queryDeadlineMs && asked.told.afterMs < 2_000);
      await world.clock.pass(1_000);
      assert.equal(world.late.length, 1);
      assert.equal(world.late[0].afterMs, 2_402 + (transport === 'tcp' ? 2 : 0));
    });

    it('and never comes back: the places that its answers would take are bounded, and free in the end', async () => {
      const world = await setUp({ transport });
      world.upstream.onQuery = () => {};
      const count = 3 * lateQuestionsMax;
      const asked = Array.from({ length: count }, (_, index) => world.ask(`n${index}`));
      await world.clock.pass(2_000);
      assert(asked.every(({ told }) => told?.outcome === 'timeout'));
      assert.equal(world.forwards.inflight(), 0);
      await world.clock.pass(30_000);
      const { connections, datagramSockets } = world.world.network.open;
      assert(connections + datagramSockets <= 5, 'the upstream’s own socket, and health checks');
    });

    it('where nobody wants a late answer nothing is kept open for it', async () => {
      const world = await setUp({ transport });
      world.upstream.onQuery = answersAfter(world, 2_400, true);
      world.ask('slow.example', false);
      await world.clock.pass(5_000);
      assert.deepEqual(world.late, []);
      assert.equal(world.world.counters.total('upstreamLateAnswers'), 0);
    });
  });
}

describe('a connection on which answers come one after another', () => {
  it('is not closed for a name that takes four seconds, and what waits behind it is answered elsewhere', async () => {
    const world = await setUp({ transport: 'tcp' });
    const busyUntil = new Map<Query['stream'], number>();
    world.upstream.onQuery = (query) => {
      const nowMs = world.clock.nowMs();
      const startMs = Math.max(nowMs, busyUntil.get(query.stream) ?? 0);
      const endMs = startMs + (query.name.startsWith('slow') ? 4_000 : 1);
      busyUntil.set(query.stream, endMs);
      world.clock.after(endMs - nowMs, () => query.reply(answerTo(query)));
    };
    const slow = world.ask('slow.example');
    const others = [];
    for (let index = 0; index < 40; index++) {
      others.push(world.ask(`n${index}.example`));
      await world.clock.pass(100);
    }
    await world.clock.pass(500);
    assert.equal(slow.told?.outcome, 'rcode 0');
    assert(others.every(({ told }) => told?.outcome === 'rcode 0' && told.afterMs <= 500));
  });
});

describe('read_timeout', () => {
  it('gives up a silent upstream, not one that answers others', async () => {
    const world = await setUp({ readTimeoutMs: 500 });
    world.upstream.onQuery = answersAfter(world, 1_500);
    const asked = world.ask('slow.example');
    for (let passed = 0; passed < 2_000; passed += 50) {
      world.ask(`n${passed}`);
      await world.clock.pass(50);
    }
    assert.deepEqual(asked.told?.outcome, 'rcode 0');
  });
});

describe('upstreams that are not equal', () => {
  const positive = (query: Query): void => query.reply(answerTo(query, { addresses: ['10.0.0.1'] }));
  const denies = (query: Query): void => query.reply(answerTo(query, query.name === '' ? {} : { rcode: 3 }));

  async function sequential(settings: Partial<ForwardConfig> = {}) {
    const world = await setUp({ policy: 'sequential', ...settings }, 2);
    world.upstreams[0].onQuery = positive;
    world.upstreams[1].onQuery = denies;
    for (let index = 0; index < 20; index++) {
      world.ask(`warm${index}`);
      await world.clock.pass(5);
    }
    const asked = ({ queries }: ScriptedUpstream): number => queries.filter(({ name }) => name === 'slow').length;
    return { ...world, asksOf: (index: number) => asked(world.upstreams[index]) };
  }

  for (const transport of ['tcp', 'udp'] as const) {
    for (const ms of [300, 900, 1_200, 1_900]) {
      it(`sequential over ${transport}: the first takes ${ms} ms: nobody else is asked`, async () => {
        const world = await sequential({ transport });
        world.upstreams[0].onQuery = answersAfter(world, ms);
        const asked = world.ask('slow');
        await world.clock.pass(3_000);
        assert.equal(asked.told?.outcome, 'rcode 0');
        assert.equal(world.asksOf(1), 0);
      });
    }

    it(`sequential over ${transport}: the first is well and takes longer than read_timeout: a denial waits for it`, async () => {
      const world = await sequential({ transport });
      world.upstreams[0].onQuery = answersAfter(world, 2_600);
      const asked = world.ask('slow');
      await world.clock.pass(4_000);
      assert.equal(asked.told?.outcome, 'rcode 0');
      assert(world.asksOf(1) >= 1, 'the second was asked after read_timeout');
    });

    it(`sequential over ${transport}: the first is silent: the second is asked after read_timeout, later questions at once`, async () => {
      const world = await sequential({ transport });
      world.upstreams[0].onQuery = () => {};
      const first = world.ask('slow');
      await world.clock.pass(1_950);
      assert.deepEqual([first.told, world.asksOf(1)], [null, 0]);
      await world.clock.pass(250);
      assert.deepEqual(first.told?.outcome, 'rcode 3');
      const second = world.ask('slower');
      await world.clock.pass(200);
      assert.equal(second.told?.outcome, 'rcode 3');
    });
  }

  it('sequential: read_timeout as written', async () => {
    const world = await sequential({ readTimeoutMs: 400 });
    world.upstreams[0].onQuery = () => {};
    const asked = world.ask('slow');
    await world.clock.pass(500);
    assert.equal(asked.told?.outcome, 'rcode 3');
    assert(asked.told.afterMs >= 400);
  });

  it('sequential: the first refuses connections: the second is asked at once', async () => {
    const world = await sequential();
    world.upstreams[0].die();
    await world.clock.pass(20);
    const asked = world.ask('slow');
    await world.clock.pass(50);
    assert.equal(asked.told?.outcome, 'rcode 3');
  });

  it('sequential: a connection that the first has closed meanwhile is no failure of it', async () => {
    const world = await sequential();
    world.upstreams[0].onQuery = (query) => {
      if (query.name === 'slow' && world.asksOf(0) === 1) query.stream?.end();
      else positive(query);
    };
    const asked = world.ask('slow');
    await world.clock.pass(100);
    assert.equal(asked.told?.outcome, 'rcode 0');
    assert.deepEqual([world.asksOf(0), world.asksOf(1)], [2, 0]);
  });

  it('sequential: both silent: SERVFAIL before a client repeats its question', async () => {
    const world = await sequential();
    for (const upstream of world.upstreams) upstream.onQuery = () => {};
    const asked = world.ask('slow');
    await world.clock.pass(slowDeadlineMs + 50);
    assert.equal(asked.told?.outcome, 'timeout');
  });

  it('sequential: the first goes down: the second answers at once; it comes back: it is asked again', async () => {
    const world = await sequential();
    world.upstreams[0].onQuery = () => {};
    for (let step = 0; step < 40; step++) {
      world.ask(`n${step}`);
      await world.clock.pass(100);
    }
    const down = world.ask('down');
    await world.clock.pass(20);
    assert.equal(down.told?.outcome, 'rcode 3');
    world.upstreams[0].onQuery = positive;
    await world.clock.pass(2_000);
    const back = world.ask('back');
    await world.clock.pass(20);
    assert.equal(back.told?.outcome, 'rcode 0');
  });

  for (const policy of ['random', 'round_robin'] as const) {
    it(`${policy}: one that usually takes 700 ms owes its answer: another’s denial does not win, its answer does`, async () => {
      const world = await setUp({ policy }, 2);
      world.upstreams[0].onQuery = (query) => {
        if (query.name === '') query.reply(answerTo(query));
        else world.clock.after(700, () => positive(query));
      };
      world.upstreams[1].onQuery = denies;
      for (let index = 0; index < 40; index++) {
        world.ask(`warm${index}`);
        await world.clock.pass(50);
      }
      await world.clock.pass(2_000);
      const before = world.upstreams.map(({ queries }) => queries.length);
      const asked = Array.from({ length: 20 }, (_, index) => world.ask(`slow${index}`));
      await world.clock.pass(3_000);
      const firstAsked = (name: string): number =>
        world.upstreams
          .map(({ queries }, index) => ({
            index,
            atMs: queries.slice(before[index]).find((one) => one.name === name)?.atMs,
          }))
          .filter(({ atMs }) => atMs !== undefined)
          .toSorted((one, other) => one.atMs! - other.atMs!)[0].index;
      for (const [index, { told }] of asked.entries()) {
        const expected = firstAsked(`slow${index}`) === 0 ? 'rcode 0' : 'rcode 3';
        assert.equal(told?.outcome, expected, `slow${index}`);
      }
    });
  }

  it('random: one that is silent altogether does not keep another’s denial back for long', async () => {
    const world = await setUp({ policy: 'random' }, 2);
    world.upstreams[0].onQuery = () => {};
    world.upstreams[1].onQuery = denies;
    const asked = Array.from({ length: 10 }, (_, index) => world.ask(`n${index}`));
    await world.clock.pass(700);
    assert(asked.every(({ told }) => told?.outcome === 'rcode 3'));
  });
});
