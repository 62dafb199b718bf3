/**
 * One address behind a balancer that gives each new connection, or each new source port over UDP, to an endpoint by a
 * fixed rule, and endpoints that take what they are sent and say nothing. As long as one endpoint answers, no question
 * may fail: chance does not help against a balancer that alternates.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { askAgainLeast, askAgainShare } from '../../src/limits.js';
import { Asking, answerTo, type Got, type Query, ScriptedUpstream, TestWorld } from './scripted.js';

/** Which endpoint the flow with this number, from this port, goes to. */
type Rule = (flow: number, port: number) => number;

const everySecond: Rule = (flow) => flow % 2;
const everyThird: Rule = (flow) => flow % 3;
/** Each run draws other ports. */
const byPort =
  (endpoints: number): Rule =>
  (_flow, port) =>
    (Math.imul(port, 0x9e3779b1) >>> 16) % endpoints;

interface Balanced {
  readonly rule: Rule;
  /** Endpoints that say nothing. */
  readonly dead: readonly number[];
}

const cases: readonly (Balanced & { readonly words: string })[] = [
  { words: 'each second, the first is dead', rule: everySecond, dead: [0] },
  { words: 'each second, the second is dead', rule: everySecond, dead: [1] },
  { words: 'each third, one is dead', rule: everyThird, dead: [0] },
  { words: 'each third, two are dead', rule: everyThird, dead: [0, 1] },
  { words: 'each third, another two are dead', rule: everyThird, dead: [1, 2] },
  { words: 'by port, one of two is dead', rule: byPort(2), dead: [0] },
  { words: 'by port, two of three are dead', rule: byPort(3), dead: [0, 2] },
];

async function setUp({ rule, dead }: Balanced, transport: 'tcp' | 'udp' | 'client', seed = 1) {
  const world = new TestWorld(seed);
  world.network.faults.latencyMs = 1;
  const upstream = await ScriptedUpstream.start(world);
  const ports = { udp: [] as number[], tcp: [] as number[] };
  let isArmed = false;
  upstream.onQuery = (query: Query) => {
    const { transport: over, from } = query;
    // Connections count from when they are accepted, ports from their first packet.
    const flow = over === 'tcp' ? upstream.streams.indexOf(query.stream!) : portNumber(ports.udp, from.port);
    if (isArmed && dead.includes(rule(flow, from.port))) return;
    query.reply(answerTo(query));
  };
  const forwards = world.start({ transport, policy: 'random' });
  const asking = new Asking(world, forwards);
  return {
    ...{ world, upstream, asking, forwards, clock: world.clock },
    arm: () => {
      isArmed = true;
    },
  };
}

function portNumber(seen: number[], port: number): number {
  if (!seen.includes(port)) seen.push(port);
  return seen.indexOf(port);
}

interface Timed {
  readonly startMs: number;
  /** Until the answer; -1 for a failure. */
  readonly tookMs: number;
}

/** So many questions, one after another, `gapMs` apart. */
async function alone(world: Awaited<ReturnType<typeof setUp>>, count: number, gapMs: number): Promise<Timed[]> {
  const times: Timed[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = world.clock.nowMs();
    const asked = world.asking.ask(`n${startMs}.example`);
    while (asked.got === null) await world.clock.pass(1);
    times.push({ startMs, tookMs: asked.got.text === 'rcode 0' ? asked.got.atMs - startMs : -1 });
    await world.clock.pass(gapMs);
  }
  return times;
}

/** None fails, none waits for half a second, and a second after the first that waited none waits any more. */
function assertQuick(times: readonly Timed[], words: string): void {
  const all = times.map(({ tookMs }) => tookMs).join(' ');
  assert(
    times.every(({ tookMs }) => tookMs >= 0 && tookMs < 500),
    `${words}: ${all}`,
  );
  const first = times.find(({ tookMs }) => tookMs >= quickMs);
  const later = first === undefined ? [] : times.filter(({ startMs }) => startMs >= first.startMs + 1_000);
  assert(
    later.every(({ tookMs }) => tookMs < quickMs),
    `${words}: ${all}`,
  );
}

/** Two round trips of two milliseconds each, and the turn of the loop between them. */
const quickMs = 10;

for (const transport of ['tcp', 'udp'] as const) {
  describe(`over ${transport}, a balancer with dead endpoints`, () => {
    for (const one of cases) {
      for (const gapMs of [0, 300, 12_000]) {
        it(`${one.words}; one question at a time, ${gapMs} ms between them: none fails, none waits twice`, async () => {
          for (const seed of [1, 3, 4]) {
            const world = await setUp(one, transport, seed);
            world.arm();
            assertQuick(await alone(world, 30, gapMs), `seed ${seed}`);
          }
        });
      }

      it(`${one.words}; it dies under 2,000 questions a second: none fails, after a second all are quick`, async () => {
        const world = await setUp(one, transport);
        const asked: { question: { got: Got | null }; startMs: number }[] = [];
        const run = async (ms: number): Promise<void> => {
          for (let passed = 0; passed < ms; passed++) {
            const startMs = world.clock.nowMs();
            for (let index = 0; index < 2; index++) {
              asked.push({ startMs, question: world.asking.ask(`n${asked.length}.example`) });
            }
            await world.clock.pass(1);
          }
        };
        await run(1_000);
        const queriesBefore = world.upstream.queries.length;
        const armedMs = world.clock.nowMs();
        world.arm();
        await run(2_500);
        await world.clock.pass(2_000);
        const times = asked.map(({ question: { got }, startMs }): Timed => {
          return { startMs, tookMs: got?.text === 'rcode 0' ? got.atMs - startMs : -1 };
        });
        assert(times.every(({ tookMs }) => tookMs >= 0 && tookMs < 500));
        const slow = times.filter(({ startMs, tookMs }) => startMs >= armedMs + 1_000 && tookMs >= quickMs);
        assert(slow.length <= 0.002 * times.length, `${slow.length} slow after the first second`);
        const extra = world.upstream.queries.length - queriesBefore - 5_000;
        assert(extra <= 7_000 * askAgainShare, `${extra} more than there were questions`);
      });
    }
  });
}

describe('what is learned of an address with a dead endpoint', () => {
  it('a probe’s connection that was answered is asked the next question, and none is opened for it', async () => {
    const world = await setUp({ rule: everySecond, dead: [0] }, 'tcp');
    world.arm();
    await alone(world, 1, 0);
    const opened = world.upstream.streams.length;
    await alone(world, 20, 10);
    assert.equal(world.upstream.streams.length, opened);
  });

  it('all endpoints dead: SERVFAIL within two seconds, and little more is asked than there are questions', async () => {
    for (const transport of ['tcp', 'udp'] as const) {
      const world = await setUp({ rule: everySecond, dead: [0, 1] }, transport);
      world.arm();
      const startMs = world.clock.nowMs();
      const all = Array.from({ length: 200 }, (_, index) => world.asking.ask(`n${index}`));
      await world.clock.pass(2_000);
      assert(all.every(({ got }) => got?.text.startsWith('timeout') && got.atMs - startMs < 2_000));
      const probes = world.upstream.queries.filter(({ name }) => name === '').length;
      const extra = world.upstream.queries.length - probes - 200;
      assert(extra <= askAgainLeast, `${extra} asked again`);
      assert(probes <= askAgainLeast + 8, `${probes} probes`);
    }
  });
});
