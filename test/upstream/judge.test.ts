import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { askAgainAfterMs, queryDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import { AgainBudget } from '../../src/upstream/budget.js';
import { judge } from '../../src/upstream/judge.js';
import { reader, Try } from '../../src/upstream/try.js';
import { Upstream } from '../../src/upstream/upstream.js';
import { cut, cutInOpt, type Damaged, garbled, misplacedOpt } from './damaged.js';
import {
  Asking,
  answerTo,
  type Got,
  type Query,
  question,
  request,
  ScriptedUpstream,
  server,
  TestWorld,
  targets,
} from './scripted.js';

const allCut = Object.entries<Damaged>({ ...cut, ...cutInOpt });

test('over UDP, TC and damage are as good as each other; over TCP the one is an answer, the other is none', () => {
  const query = { id: 7, question: question('a.example') } as Query;
  const whole = { truncated: answerTo(query, { truncated: true }), good: answerTo(query, { rcode: 3 }) };
  const damaged = { cut: answerTo(query).subarray(0, -1), garbled: garbled['an owner points at itself'](query) };
  const bare = answerTo(query, { rcode: 2, question: null });
  for (const [transport, expected] of [
    ['udp', ['cut', 'good', 'cut', 'malformed', 'malformed']],
    ['tcp', ['good', 'good', 'malformed', 'malformed', 'malformed']],
  ] as const) {
    const world = new TestWorld();
    const health = { failsMax: 1, intervalMs: 500, request: request('') };
    const upstream = new Upstream(
      world.place(server(1)),
      { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
      world.log,
    );
    const asker = { request: request('a.example'), answered: () => {}, lost: () => {} };
    const judged = [...Object.values(whole), ...Object.values(damaged), bare].map((message) => {
      reader.read(message, asker.request);
      const attempt = new Try(asker, upstream, { transport, allowsOpt: false, testsOpt: false }, false);
      return judge(attempt, { deps: world, budget: new AgainBudget() }, 5);
    });
    assert.deepEqual(judged, expected);
    // What cannot be read says nothing of the pace either.
    const [stats] = [upstream.stats.durations];
    assert.deepEqual([...stats.keys()].sort(), ['NOERROR', 'NXDOMAIN', 'SERVFAIL']);
  }
});

type Answering = (query: Query) => void;

/** Upstreams that answer over UDP and over TCP as it says; null: nobody listens there. */
async function setUp(
  ...answering: {
    readonly udp: Answering | null;
    readonly tcp: Answering | null;
    readonly settings?: Partial<ForwardConfig>;
  }[]
) {
  const world = new TestWorld();
  const upstreams = [];
  for (const [index, { udp, tcp }] of answering.entries()) {
    const upstream = await ScriptedUpstream.start(world, server(index + 1));
    upstream.die();
    await upstream.listen(...(['udp', 'tcp'] as const).filter((one) => ({ udp, tcp })[one] !== null));
    upstream.onQuery = (query) => ({ udp, tcp })[query.transport]?.(query);
    upstreams.push(upstream);
  }
  const to = targets(...answering.map((_, index) => index + 1));
  const asking = new Asking(world, world.start({ transport: 'client', to, ...answering[0].settings }));
  const startMs = world.clock.nowMs();
  const transports = upstreams.map((upstream) => (): string[] => {
    return upstream.queries.filter(({ name }) => name !== '').map(({ transport }) => transport);
  });
  return { world, clock: world.clock, asking, upstreams, transports, startMs };
}

const good: Answering = (query) => query.reply(answerTo(query, { addresses: ['10.1.2.3'] }));
const silent: Answering = () => {};
const says =
  (make: Damaged): Answering =>
  (query) =>
    query.reply(make(query));

/** Header and question, TC, and nothing else. */
function assertEmptyCut({ got }: { readonly got: Got | null }): void {
  assert.equal(got?.text, 'rcode 0');
  assert.equal(got.message[2] & 0x82, 0x82);
  assert.equal(got.message.length, 12 + question('a').length);
  assert.equal(got.message.subarray(4, 12).toString('hex'), '0001000000000000');
}

for (const [what, make] of allCut) {
  test(`cut over UDP (${what}): had over TCP at once`, async () => {
    const { asking, clock, transports, world } = await setUp({ udp: says(make), tcp: good });
    const asked = asking.ask('a');
    await clock.pass(2);
    assert.deepEqual(asked.got?.message.subarray(-4), Buffer.of(10, 1, 2, 3));
    // Where it is the OPT that is cut, a question without comes first.
    assert.deepEqual(transports[0](), what in cutInOpt ? ['udp', 'udp', 'tcp'] : ['udp', 'tcp']);
    assert.equal(world.counters.total('upstreamTcpRetries'), 1);
    assert.equal(world.counters.total('answersRejectedMalformed'), 0);
  });

  test(`cut over UDP (${what}), and nobody listens on TCP: TC without records, at once when that is known`, async () => {
    const { asking, clock, world } = await setUp({ udp: says(make), tcp: null });
    const first = asking.ask('a');
    await clock.pass(queryDeadlineMs);
    assertEmptyCut(first);
    const before = clock.nowMs();
    const second = asking.ask('b');
    await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
    assertEmptyCut(second);
    assert(second.got!.atMs - before <= askAgainAfterMs + 2 * sweepPeriodMs);
    assert.equal(world.counters.total('upstreamCutAnswers'), 2);
  });

  test(`cut over TCP (${what}): the next upstream; and without one, after a few tries, a failure`, async () => {
    const two = await setUp({ udp: null, tcp: says(make), settings: { transport: 'tcp' } }, { udp: null, tcp: good });
    const asked = two.asking.ask('a');
    await two.clock.pass(1);
    assert.equal(asked.got?.from, '10.0.0.2:53');
    const alone = await setUp({ udp: null, tcp: says(make), settings: { transport: 'tcp' } });
    const failed = alone.asking.ask('a');
    await alone.clock.pass(queryDeadlineMs);
    assert.equal(failed.got?.text, 'malformed: read tcp 10.0.0.1:53: dns: bad message');
    assert.deepEqual(alone.transports[0](), ['tcp', 'tcp', 'tcp']);
  });
}

test('cut over UDP, and TCP is silent: TC without records at the deadline, and soon once it is known', async () => {
  const { asking, clock, startMs } = await setUp({ udp: says(cut['the end is in the data']), tcp: silent });
  const first = asking.ask('a');
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  assertEmptyCut(first);
  assert(first.got!.atMs - startMs >= queryDeadlineMs);
  const before = clock.nowMs();
  const second = asking.ask('b');
  await clock.pass(queryDeadlineMs);
  assertEmptyCut(second);
  assert(second.got!.atMs - before <= askAgainAfterMs + 2 * sweepPeriodMs);
});

test('cut over UDP and over TCP: it was not the datagram, so it is a failure and no answer with TC', async () => {
  for (const make of [cut['an alias points past the end'], cut['an address has three bytes']]) {
    const { asking, clock, transports } = await setUp({ udp: says(make), tcp: says(make) });
    const asked = asking.ask('a');
    await clock.pass(queryDeadlineMs);
    assert.equal(asked.got?.text, 'malformed: read tcp 10.0.0.1:53: dns: bad message');
    assert.deepEqual(transports[0](), ['udp', 'tcp', 'tcp', 'tcp']);
  }
});

test('cut over UDP by an upstream without TCP, another is well, over UDP alone: its answer', async () => {
  const { asking, clock } = await setUp(
    { udp: says(cut['the end is in the data']), tcp: null },
    { udp: good, tcp: null },
  );
  for (let number = 0; number < 3; number++) {
    const asked = asking.ask('a');
    await clock.pass(1);
    assert.deepEqual([asked.got?.from, asked.got?.text], ['10.0.0.2:53', 'rcode 0']);
    assert.deepEqual(asked.got?.message.subarray(-4), Buffer.of(10, 1, 2, 3));
  }
});

test('cut over UDP while another upstream, asked beside it, still owes its answer: that is waited for', async () => {
  const { world, asking, clock } = await setUp(
    {
      udp: (query) => void world.clock.after(450, () => says(cut['the end is in the data'])(query)),
      tcp: silent,
      settings: { policy: 'random' },
    },
    { udp: (query) => void world.clock.after(700, () => good(query)), tcp: null },
  );
  const asked = Array.from({ length: 6 }, () => asking.ask('a'));
  await clock.pass(1_500);
  assert.deepEqual(new Set(asked.map(({ got }) => got?.from)), new Set(['10.0.0.2:53']));
});

for (const [what, make] of Object.entries({ ...garbled, ...misplacedOpt })) {
  test(`garbled over UDP (${what}): no cutting makes that; another upstream, else a failure`, async () => {
    const alone = await setUp({ udp: says(make), tcp: null });
    const failed = alone.asking.ask('a');
    await alone.clock.pass(queryDeadlineMs);
    assert.equal(failed.got?.text, 'malformed: read udp 10.0.0.1:53: dns: bad message');
    const two = await setUp({ udp: says(make), tcp: null }, { udp: good, tcp: null });
    const asked = two.asking.ask('a');
    await two.clock.pass(1);
    assert.equal(asked.got?.from, '10.0.0.2:53');
  });
}

// Who sends such a datagram may have more of them: the port is left, and TCP is asked.
test('cut, and to another question: a stranger, and TCP is asked', async () => {
  const { world, asking, clock, transports } = await setUp({
    udp: (query) => {
      query.reply(answerTo(query, { question: question('poison') }).subarray(0, -3));
      good(query);
    },
    tcp: good,
  });
  const asked = asking.ask('a');
  await clock.pass(1);
  assert.equal(asked.got?.text, 'rcode 0');
  assert.deepEqual(transports[0](), ['udp', 'tcp']);
  assert.equal(world.counters.total('answersRejectedQuestion'), 1);
});

test('cut in the header or the question: nobody knows whose answer it is, so it is none', async () => {
  for (const bytes of [1, 11, 12, 14]) {
    const { asking, clock, transports } = await setUp({
      udp: (query) => {
        query.reply(answerTo(query).subarray(0, bytes));
        good(query);
      },
      tcp: good,
    });
    const asked = asking.ask('a');
    await clock.pass(1);
    assert.deepEqual([asked.got?.text, transports[0]()], ['rcode 0', ['udp', 'tcp']]);
  }
});
