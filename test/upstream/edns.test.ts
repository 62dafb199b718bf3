import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import {
  askAgainAfterMs,
  askAgainLeast,
  optHeardMs,
  queryDeadlineMs,
  slowDeadlineMs,
  sweepPeriodMs,
  withoutOptMs,
} from '../../src/limits.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import { Edns } from '../../src/upstream/upstream.js';
import { cutInOpt, type Damaged, misplacedOpt } from './damaged.js';
import { Asking, answerTo, type Query, request, ScriptedUpstream, server, TestWorld, targets } from './scripted.js';

test('an OPT is sent until it is found that nothing comes with one, and then with one request now and then', () => {
  const edns = new Edns();
  assert.deepEqual([edns.isWithout, edns.nextHasOpt(0), edns.nextHasOpt(0)], [false, true, true]);
  assert.equal(edns.learn(0), true);
  assert.equal(edns.learn(1), false);
  assert.equal(edns.isWithout, true);
  for (const againAtMs of [withoutOptMs, 2 * withoutOptMs + 5]) {
    assert.equal(edns.nextHasOpt(againAtMs - 1), false);
    assert.equal(edns.nextHasOpt(againAtMs + 5), true);
    assert.equal(edns.nextHasOpt(againAtMs + 5), false);
  }
});

test('what was answered with an OPT lately is not doubted, and an answer with one ends what was found', () => {
  const edns = new Edns();
  assert.equal(edns.isProven(0), false);
  assert.equal(edns.heard(0), false);
  assert.equal(edns.isProven(optHeardMs - 1), true);
  assert.equal(edns.learn(optHeardMs - 1), false);
  assert.equal(edns.isProven(optHeardMs), false);
  assert.equal(edns.learn(optHeardMs), true);
  assert.equal(edns.heard(optHeardMs + 1), true);
  assert.deepEqual([edns.isWithout, edns.nextHasOpt(optHeardMs + 1)], [false, true]);
});

type Answering = (query: Query) => void;
const good: Answering = (query) => query.reply(answerTo(query));
const silent: Answering = () => {};
const says =
  (settings: Parameters<typeof answerTo>[1]): Answering =>
  (query) =>
    query.reply(answerTo(query, settings));
/** What the upstream does with an OPT; without one it is well. */
const withOpt =
  (bad: Answering): Answering =>
  (query) =>
    (query.hasOpt ? bad : good)(query);

interface Plan {
  readonly transports?: readonly ('udp' | 'tcp')[];
  readonly count?: number;
  readonly settings?: Partial<ForwardConfig>;
}

async function setUp(answering: Answering, { transports = ['udp', 'tcp'], count = 1, settings = {} }: Plan = {}) {
  const world = new TestWorld();
  const upstreams: ScriptedUpstream[] = [];
  for (let number = 1; number <= count; number++) {
    const upstream = new ScriptedUpstream(world, server(number));
    await upstream.listen(...transports);
    upstream.onQuery = answering;
    upstreams.push(upstream);
  }
  const to = targets(...upstreams.map((_, index) => index + 1));
  const forwards = world.start({ transport: 'client', to, ...settings });
  const asking = new Asking(world, forwards);
  const [upstream] = upstreams;
  /** Whether the requests for this name had an OPT, oldest first. */
  const optsOf = (name: string): boolean[] =>
    upstreams.flatMap(({ queries }) => queries.filter((query) => query.name === name).map(({ hasOpt }) => hasOpt));
  /** The outcome of a question that needs an OPT: its rcode, and whether the OPT was left out. */
  const askWithDo = (name: string, settings: Partial<Request> = {}) => {
    const asked: { got: string | null } = { got: null };
    forwards.ask(request(name, { dnssecOk: true, ...settings }), (outcome: Outcome) => {
      asked.got = outcome.ok
        ? `rcode ${outcome.message[3] & 15}${outcome.mayKeep === false ? ' without' : ''}`
        : outcome.why;
    });
    return asked;
  };
  return { world, clock: world.clock, asking, forwards, upstream, upstreams, optsOf, askWithDo };
}

const badvers: Answering = (query) => {
  const answer = answerTo(query, { opt: true, addresses: [] });
  answer[answer.length - 6] = 1;
  query.reply(answer);
};

const refusals: Readonly<Record<string, Answering>> = {
  FORMERR: says({ rcode: 1 }),
  'FORMERR, and the OPT comes back': says({ rcode: 1, opt: true }),
  'FORMERR, nothing but a header': says({ rcode: 1, question: null }),
  NOTIMP: says({ rcode: 4 }),
  'NOTIMP, and the OPT comes back': says({ rcode: 4, opt: true }),
  'NOTIMP, nothing but a header': says({ rcode: 4, question: null }),
  SERVFAIL: says({ rcode: 2 }),
  'SERVFAIL, and the OPT comes back': says({ rcode: 2, opt: true }),
  'SERVFAIL, nothing but a header': says({ rcode: 2, question: null }),
  BADVERS: badvers,
  ...Object.fromEntries(
    Object.entries<Damaged>({ ...cutInOpt, ...misplacedOpt }).map(([what, make]) => [
      what,
      (query: Query) => query.reply(make(query)),
    ]),
  ),
};

for (const [what, refuses] of Object.entries(refusals)) {
  test(`${what}: asked once more without OPT, remembered, and tried again after a while`, async () => {
    const { world, asking, clock, optsOf, upstream } = await setUp(withOpt(refuses), { transports: ['udp'] });
    const first = asking.ask('a');
    await clock.pass(2);
    assert.equal(first.got?.text, 'rcode 0');
    assert.deepEqual(optsOf('a'), [true, false]);
    const second = asking.ask('b');
    await clock.pass(2);
    assert.equal(second.got?.text, 'rcode 0');
    assert.deepEqual(optsOf('b'), [false]);
    assert.equal(world.counters.total('upstreamEdnsRetries'), 1);
    await clock.pass(withoutOptMs);
    const third = asking.ask('c');
    asking.ask('d');
    await clock.pass(2);
    assert.equal(third.got?.text, 'rcode 0');
    assert.deepEqual([optsOf('c'), optsOf('d')], [[true, false], [false]], 'one request is enough to see');
    upstream.onQuery = good;
    await clock.pass(withoutOptMs);
    asking.ask('e');
    await clock.pass(2);
    asking.ask('f');
    await clock.pass(2);
    assert.deepEqual([optsOf('e'), optsOf('f')], [[true], [true]]);
    assert.deepEqual(world.logged, [
      'info upstream 10.0.0.1:53 answers only queries without OPT; sending none, and trying OPT again every 5 minutes',
      'info upstream 10.0.0.1:53 answers queries with OPT again',
    ]);
  });
}

for (const [tcp, transports, tcpAnswers] of [
  ['there is no TCP', ['udp'], silent],
  ['TCP is silent', ['udp', 'tcp'], silent],
] as const) {
  test(`queries with OPT are dropped, ${tcp}: asked beside it without, once, and so from then on`, async () => {
    const { world, asking, clock, optsOf } = await setUp(
      (query) => (query.transport === 'udp' ? withOpt(silent) : tcpAnswers)(query),
      { transports },
    );
    const first = asking.ask('a');
    await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
    assert.equal(first.got?.text, 'rcode 0');
    const second = asking.ask('b');
    await clock.pass(2);
    assert.equal(second.got?.text, 'rcode 0');
    assert.deepEqual(optsOf('b'), [false]);
    assert.equal(world.logged.filter((line) => line.includes('without OPT')).length, 1);
    assert.equal(world.counters.total('upstreamOneWay'), 0, 'TCP has not been given the time to answer');
    await clock.pass(withoutOptMs);
    const third = asking.ask('c');
    const beside = asking.ask('d');
    await clock.pass(2);
    assert.deepEqual([beside.got?.text, optsOf('d')], ['rcode 0', [false]], 'one question waits, nobody else');
    await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
    assert.equal(third.got?.text, 'rcode 0');
    assert.equal(optsOf('c')[0], true);
  });
}

test('two upstreams that drop queries with OPT, over UDP alone: each is found out, and nobody fails', async () => {
  for (const policy of ['sequential', 'round_robin', 'random'] as const) {
    const plan = { transports: ['udp'], count: 2, settings: { policy } } as const;
    const { asking, clock, upstreams } = await setUp(withOpt(silent), plan);
    for (let number = 0; number < 12; number++) {
      const asked = asking.ask(`n${number}`);
      await clock.pass(1_500);
      assert.equal(asked.got?.text, 'rcode 0', `${policy} ${number}`);
    }
    const asked = upstreams.map(({ queries }) => queries.filter(({ name, hasOpt }) => name !== '' && hasOpt).length);
    assert(Math.max(...asked) <= 2, `${policy}: ${asked} with OPT`);
  }
});

test('a burst at an upstream that drops queries with OPT: what is found for one question saves the others', async () => {
  const { asking, clock } = await setUp(withOpt(silent), { transports: ['udp'] });
  const asked = Array.from({ length: 300 }, (_, index) => asking.ask(`n${index}`));
  await clock.pass(askAgainAfterMs + 4 * sweepPeriodMs);
  assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0']);
});

test('slow, dead or back again: silence alone concludes nothing', async () => {
  const slow = await setUp((query) => void slow.clock.after(700, () => good(query)));
  const answered = slow.asking.ask('a');
  await slow.clock.pass(1_000);
  assert.equal(answered.got?.text, 'rcode 0');
  slow.asking.ask('b');
  await slow.clock.pass(5);
  assert.deepEqual(slow.optsOf('b'), [true]);
  const dead = await setUp(silent);
  for (let number = 0; number < 5; number++) {
    dead.asking.ask('a');
    await dead.clock.pass(2_000);
  }
  for (const upstream of dead.upstreams) upstream.onQuery = good;
  dead.asking.ask('b', { clientTransport: 'udp' });
  await dead.clock.pass(5);
  assert.equal(
    dead.upstream.queries.filter(({ name, transport }) => name === 'b' && transport === 'udp')[0]?.hasOpt,
    true,
  );
  assert.deepEqual(
    [...slow.world.logged, ...dead.world.logged].filter((line) => line.includes('OPT')),
    [],
  );
});

test('a lost datagram of an upstream that answers with OPT: repeated with OPT, and nothing is concluded', async () => {
  const { asking, clock, optsOf, upstream, world } = await setUp(good);
  asking.ask('known');
  await clock.pass(2);
  upstream.onQuery = (query) => {
    if (optsOf(query.name).length > 1) good(query);
  };
  const asked = asking.ask('a');
  await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
  assert.equal(asked.got?.text, 'rcode 0');
  assert.deepEqual(optsOf('a'), [true, true]);
  assert.deepEqual(
    world.logged.filter((line) => line.includes('OPT')),
    [],
  );
});

test('SERVFAIL of an upstream that has answered with OPT lately is meant: it is asked once', async () => {
  const { asking, clock, optsOf, upstream, world } = await setUp(good);
  asking.ask('known');
  await clock.pass(2);
  upstream.onQuery = says({ rcode: 2 });
  const asked = asking.ask('a');
  await clock.pass(2);
  assert.equal(asked.got?.text, 'rcode 2');
  assert.deepEqual(optsOf('a'), [true]);
  await clock.pass(optHeardMs);
  const later = asking.ask('b');
  await clock.pass(2);
  assert.equal(later.got?.text, 'rcode 2');
  assert.deepEqual(optsOf('b'), [true, false]);
  assert.deepEqual(world.logged, [], 'SERVFAIL without OPT too: it is not the OPT');
});

test('SERVFAIL to everything: hardly more is asked than without the doubt', async () => {
  const { asking, clock, upstream } = await setUp(says({ rcode: 2 }));
  for (let number = 0; number < 500; number++) {
    asking.ask(`n${number}`);
    await clock.pass(2);
  }
  assert(upstream.queries.length <= 500 * 1.1 + askAgainLeast, `${upstream.queries.length}`);
  assert.equal(asking.got.filter(({ text }) => text === 'rcode 2').length, 500);
});

test('SERVFAIL, and without OPT silence: the SERVFAIL is what is given', async () => {
  const { asking, clock } = await setUp((query) => (query.hasOpt ? says({ rcode: 2 }) : silent)(query), {
    transports: ['udp'],
  });
  const asked = asking.ask('a');
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  assert.equal(asked.got?.text, 'rcode 2');
});

test('what needs an OPT, for DO, is asked with one, and without only where EDNS is refused outright; that is said', async () => {
  const refusing = await setUp(withOpt(says({ rcode: 1 })));
  for (const name of ['a', 'b']) {
    const asked = refusing.askWithDo(name);
    await refusing.clock.pass(2);
    assert.equal(asked.got, 'rcode 0 without');
    assert.deepEqual(refusing.optsOf(name), [true, false], 'it may understand by now, and DNSSEC is lost without');
  }
  refusing.asking.ask('c');
  await refusing.clock.pass(2);
  assert.deepEqual(refusing.optsOf('c'), [false]);
  for (const [what, expected] of [
    ['FORMERR, and the OPT comes back', 'rcode 0 without'],
    ['BADVERS', 'rcode 0 without'],
    ['SERVFAIL', 'rcode 2'],
    ['SERVFAIL, and the OPT comes back', 'rcode 2'],
  ]) {
    const { askWithDo, clock, optsOf } = await setUp(withOpt(refusals[what]));
    const asked = askWithDo('a');
    await clock.pass(2);
    assert.deepEqual([asked.got, optsOf('a').length], [expected, expected === 'rcode 2' ? 1 : 2], what);
  }
});

test('what needs an OPT and meets silence is not asked without, until it is known that this brings answers', async () => {
  const { askWithDo, asking, clock, optsOf } = await setUp(withOpt(silent), { transports: ['udp'] });
  const lost = askWithDo('a');
  await clock.pass(slowDeadlineMs + 2 * sweepPeriodMs);
  assert.equal(lost.got, 'timeout');
  assert.equal(optsOf('a').includes(false), false);
  asking.ask('b');
  await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
  const known = askWithDo('c');
  await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
  assert.equal(known.got, 'rcode 0 without');
  assert.equal(optsOf('c')[0], true);
});

test('an upstream that answers with OPT after all, which questions with DO show, is asked with one again', async () => {
  const { askWithDo, asking, clock, optsOf, upstream } = await setUp(withOpt(says({ rcode: 4 })));
  asking.ask('a');
  await clock.pass(2);
  upstream.onQuery = good;
  asking.ask('b');
  const whole = askWithDo('c');
  await clock.pass(2);
  assert.equal(whole.got, 'rcode 0');
  asking.ask('d');
  await clock.pass(2);
  assert.deepEqual([optsOf('b'), optsOf('c'), optsOf('d')], [[false], [true], [true]]);
});

test('what is answered with OPT over TCP does not speak for OPTs over UDP', async () => {
  const { askWithDo, asking, clock, upstream } = await setUp((query) => {
    if (query.transport === 'tcp' || !query.hasOpt) good(query);
  });
  const overTcp = askWithDo('a', { clientTransport: 'tcp' });
  await clock.pass(5);
  assert.equal(overTcp.got, 'rcode 0');
  const asked = asking.ask('b');
  await clock.pass(askAgainAfterMs + 2 * sweepPeriodMs);
  assert.equal(asked.got?.text, 'rcode 0');
  const withoutOpt = upstream.queries.filter(
    ({ name, hasOpt, transport }) => name === 'b' && transport === 'udp' && !hasOpt,
  );
  assert.equal(withoutOpt.length, 1);
});
