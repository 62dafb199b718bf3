import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { askAgainAfterMs, queryDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import { notSent } from '../../src/upstream/attempt.js';
import { HedgeBudget } from '../../src/upstream/budget.js';
import {
  attemptOptions,
  besideWithoutOpt,
  doubtsOpt,
  fallbackAfterMalformed,
  fallbackOutcome,
  judge,
  keepFallback,
  QueryAttempt,
  reader,
  type TransportPreference,
  withoutOpt,
} from '../../src/upstream/query-attempt.js';
import { Edns, Transports, Upstream, type UpstreamTransport } from '../../src/upstream/upstream.js';
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

const query = { id: 7, question: question('a.example') } as Query;

function newAttempt({ transport = 'udp' as UpstreamTransport, dnssecOk = false, allowsOpt = true } = {}) {
  const world = new TestWorld();
  const health = { failsMax: 1, intervalMs: 500, request: request('') };
  const upstream = new Upstream(
    world.address(server(1)),
    { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
    world.log,
  );
  const heard: string[] = [];
  const owner = {
    request: request('a.example', { dnssecOk }),
    answered: (_: QueryAttempt, message: Uint8Array, nowMs: number) =>
      heard.push(`answered ${message.length} at ${nowMs}`),
    lost: (_: QueryAttempt, { text }: { text: string }, nowMs: number) => heard.push(`lost ${text} at ${nowMs}`),
  };
  const attempt = new QueryAttempt(owner);
  attempt.begin(upstream, { transport, allowsOpt, testsOpt: false }, false);
  return { world, heard, attempt };
}

test('an OPT goes along over UDP always, over TCP for DO, and never when it is not allowed', () => {
  const carries = (settings: Parameters<typeof newAttempt>[0]): boolean => newAttempt(settings).attempt.carriesOpt;
  assert.equal(carries({ transport: 'udp' }), true);
  assert.equal(carries({ transport: 'tcp' }), false);
  assert.equal(carries({ transport: 'tcp', dnssecOk: true }), true);
  assert.equal(carries({ transport: 'udp', dnssecOk: true, allowsOpt: false }), false);
});

test('what answers the question is accepted, the rest is counted', () => {
  const { attempt, world } = newAttempt();
  assert.equal(attempt.accepts(answerTo(query, { rcode: 3 })), true);
  assert.deepEqual([reader.verdict, reader.rcode], ['answer', 3]);
  assert.equal(attempt.accepts(answerTo(query).subarray(0, -1)), true);
  assert.equal(reader.verdict, 'cut');
  assert.equal(attempt.accepts(answerTo(query, { question: question('b.example') })), false);
  assert.equal(attempt.accepts(Buffer.alloc(5)), false);
  assert.equal(world.counters.total('answersRejectedQuestion'), 1);
  assert.equal(world.counters.total('answersRejectedMalformed'), 1);
});

test('the question is told, with its try', () => {
  const { attempt, heard } = newAttempt();
  attempt.answered(new Uint8Array(3), 10);
  attempt.lost({ why: 'unreachable', text: 'EOF', blame: true }, 11);
  assert.deepEqual(heard, ['answered 3 at 10', 'lost EOF at 11']);
});

test('given up, its carrier lets it go; a timeout says what it waited for', () => {
  const { attempt } = newAttempt({ transport: 'tcp' });
  attempt.abandon(0);
  assert.equal(attempt.timeoutText(), 'read tcp 10.0.0.1:53: i/o timeout');
  const released: number[] = [];
  attempt.carrier = { waitsFor: 'connect', lastHeardMs: 0, abandon: (_, nowMs) => released.push(nowMs) };
  assert.equal(attempt.timeoutText(), 'dial tcp 10.0.0.1:53: i/o timeout');
  attempt.abandon(5);
  assert.deepEqual(released, [5]);
  assert.equal(attempt.malformed().why, 'malformed');
});

/** An upstream of which nothing is known. */
function unknown() {
  const edns = new Edns();
  const transports = new Transports();
  const transportFor: Upstream['transportFor'] = (wanted, failed, nowMs) => {
    const usual = transports.usual(wanted, nowMs);
    return failed.length > 0 && failed.every((way) => way === usual) ? transports.afterSilence(usual, nowMs) : usual;
  };
  return { edns, transports, upstream: { edns, transportFor } as unknown as Upstream };
}

const preference = (settings: Partial<TransportPreference> = {}): TransportPreference => ({
  request: request('a'),
  transport: 'udp',
  isFixed: false,
  ...settings,
});
const needing = preference({ request: request('a', { dnssecOk: true }) });

function tried(upstream: Upstream, facts: Partial<QueryAttempt> = {}): QueryAttempt {
  const plain = {
    request: request('a'),
    transport: 'udp',
    carriesOpt: true,
    judgement: null,
    isLost: false,
    sentAtMs: 0,
  };
  return { ...plain, upstream, ...facts } as QueryAttempt;
}

test('at first as wanted, with OPT; without where it is known that nothing comes with one, but for what needs it', () => {
  const { upstream, edns } = unknown();
  assert.deepEqual(attemptOptions(upstream, [], preference(), 0), {
    transport: 'udp',
    allowsOpt: true,
    testsOpt: false,
  });
  edns.learn(0);
  assert.deepEqual(attemptOptions(upstream, [], preference(), 1), {
    transport: 'udp',
    allowsOpt: false,
    testsOpt: false,
  });
  assert.equal(attemptOptions(upstream, [], needing, 1).allowsOpt, true);
});

test('where the OPT was refused, without; another upstream is not concerned', () => {
  const { upstream, transports } = unknown();
  transports.heard('udp', 0);
  const attempts = [tried(upstream, { judgement: 'opt refused' })];
  assert.deepEqual(attemptOptions(upstream, attempts, preference(), 0), withoutOpt('udp'));
  assert.equal(attemptOptions(unknown().upstream, attempts, preference(), 0).allowsOpt, true);
});

test('after silence over the same transport without, unless it answers with OPT; errors are no silence', () => {
  const { upstream, transports, edns } = unknown();
  transports.heard('udp', 0);
  assert.deepEqual(attemptOptions(upstream, [tried(upstream)], preference(), 0), withoutOpt('udp'));
  assert.equal(attemptOptions(upstream, [tried(upstream, { isLost: true })], preference(), 0).testsOpt, false);
  assert.equal(attemptOptions(upstream, [tried(upstream, { sentAtMs: notSent })], preference(), 0).testsOpt, false);
  assert.equal(
    attemptOptions(upstream, [tried(upstream, { judgement: 'malformed' })], preference(), 0).testsOpt,
    false,
  );
  edns.heard(0);
  assert.equal(attemptOptions(upstream, [tried(upstream)], preference(), 0).testsOpt, false);
});

test('what was cut comes over TCP; where TCP has nothing, once without OPT, and then over TCP again', () => {
  const { upstream, transports } = unknown();
  const cut = tried(upstream, { judgement: 'cut' });
  assert.equal(attemptOptions(upstream, [cut], preference(), 0).transport, 'tcp');
  const refused = tried(upstream, { transport: 'tcp', carriesOpt: false, isLost: true });
  assert.deepEqual(attemptOptions(upstream, [cut, refused], preference(), 0), withoutOpt('udp'));
  const without = tried(upstream, { carriesOpt: false, judgement: 'cut' });
  assert.equal(attemptOptions(upstream, [cut, refused, without], preference(), 0).transport, 'tcp');
  assert.equal(
    attemptOptions(upstream, [cut, refused], preference({ transport: 'tcp', isFixed: true }), 0).transport,
    'tcp',
    'TC',
  );
  transports.learn('udp', 0);
  assert.deepEqual(attemptOptions(upstream, [cut], preference(), 0), withoutOpt('udp'));
});

test('an OPT is doubted where nothing speaks for it, and one that is needed only where it is known to be the trouble', () => {
  const { upstream, edns } = unknown();
  const plain = tried(upstream);
  const dnssec = tried(upstream, { request: needing.request });
  assert.deepEqual([doubtsOpt(plain, 0), doubtsOpt(dnssec, 0)], [true, false]);
  edns.learn(0);
  assert.deepEqual([doubtsOpt(plain, 1), doubtsOpt(dnssec, 1)], [true, true]);
  edns.heard(1);
  assert.deepEqual([doubtsOpt(plain, 1), doubtsOpt(dnssec, 1)], [false, false]);
});

test('beside a silent try: perhaps without OPT, surely if that was found meanwhile, and once', () => {
  const { upstream, edns } = unknown();
  const silent = tried(upstream);
  assert.equal(besideWithoutOpt(silent, [silent], 0), 'perhaps');
  const overTcp = tried(upstream, { transport: 'tcp', carriesOpt: false });
  assert.equal(besideWithoutOpt(silent, [silent, overTcp], 0), 'perhaps');
  assert.equal(besideWithoutOpt(overTcp, [silent, overTcp], 0), 'no');
  edns.learn(0);
  assert.equal(besideWithoutOpt(silent, [silent], 1), 'known');
  const without = tried(upstream, { carriesOpt: false });
  assert.equal(besideWithoutOpt(silent, [silent, without], 1), 'no');
});

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
      world.address(server(1)),
      { health, probeTransport: 'udp', maySpend: () => true, scoutAnswered() {} },
      world.log,
    );
    const owner = { request: request('a.example'), answered: () => {}, lost: () => {} };
    const judged = [...Object.values(whole), ...Object.values(damaged), bare].map((message) => {
      reader.read(message, owner.request);
      const attempt = new QueryAttempt(owner);
      attempt.begin(upstream, { transport, allowsOpt: false, testsOpt: false }, false);
      return judge(attempt, world.counters, new HedgeBudget(), 5);
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

/** A try of an upstream that notes by what it was heard. */
function attemptOver(transport: 'udp' | 'tcp') {
  const heard: unknown[] = [];
  const upstream = { to: '10.0.0.1:53', heardBy: (...facts: unknown[]) => void heard.push(facts) };
  return { attempt: { upstream, transport } as unknown as QueryAttempt, upstream, heard };
}

const asked = request('a');
const reply = (settings: Parameters<typeof answerTo>[1]): Buffer =>
  answerTo({ id: 7, question: question('a') } as Parameters<typeof answerTo>[0], settings);

test('an answer with another rcode is a copy of itself, and nothing is concluded from it', () => {
  const { attempt, heard } = attemptOver('tcp');
  const counters = new Counters(countersMemory(0));
  const message = reply({ rcode: 5 });
  const kept = new Uint8Array(message);
  reader.read(message, asked);
  const fallback = keepFallback(attempt, message, 10);
  message.fill(0);
  assert.deepEqual(fallbackOutcome(fallback, [attempt], counters, 10), {
    ok: true,
    message: kept,
    from: '10.0.0.1:53',
  });
  assert.deepEqual([heard, counters.total('upstreamCutAnswers')], [[], 0]);
});

test('one that was cut is given as it is and counted, and the ways that failed are told to its upstream', () => {
  const { attempt, upstream, heard } = attemptOver('udp');
  const overTcp = { upstream, transport: 'tcp' } as unknown as QueryAttempt;
  const counters = new Counters(countersMemory(0));
  const message = reply({ truncated: true });
  reader.read(message, asked);
  const outcome = fallbackOutcome(keepFallback(attempt, message, 10), [attempt, overTcp], counters, 10);
  assert.deepEqual(outcome, { ok: true, message: new Uint8Array(message), from: '10.0.0.1:53' });
  assert.deepEqual(heard, [['udp', ['udp', 'tcp'], 10]]);
  assert.equal(counters.total('upstreamCutAnswers'), 1);
});

test('one that ends within a record has no records', () => {
  const { attempt } = attemptOver('udp');
  const message = reply({ truncated: true });
  for (let end = message.length - 1; end >= 12 + asked.question.length; end--) {
    const cut = message.subarray(0, end);
    reader.read(cut, asked);
    const fallback = keepFallback(attempt, cut, 10);
    assert.equal(fallback.message.length, 12 + asked.question.length);
    assert.deepEqual([...fallback.message.subarray(4, 12)], [0, 1, 0, 0, 0, 0, 0, 0]);
    assert.equal(fallback.kind, 'truncated');
  }
});

test('while it was put aside its records have grown older, and none falls below 0', () => {
  const { attempt } = attemptOver('tcp');
  const counters = new Counters(countersMemory(0));
  const message = reply({ addresses: ['10.0.0.1', '10.0.0.2'], opt: true });
  const ttlsAfter = (ms: number): number[] => {
    reader.read(message, asked);
    const outcome = fallbackOutcome(keepFallback(attempt, message, 1_000), [attempt], counters, 1_000 + ms);
    assert(outcome.ok);
    const bytes = Buffer.from(outcome.message);
    assert.equal(bytes.length, message.length);
    assert.deepEqual(bytes.subarray(-11), message.subarray(-11), 'the OPT has no TTL');
    const first = 12 + asked.question.length + 6;
    return [bytes.readUInt32BE(first), bytes.readUInt32BE(first + 16)];
  };
  assert.deepEqual([0, 1, 1_000, 1_001, 29_500, 60_000].map(ttlsAfter), [
    [30, 30],
    [29, 29],
    [29, 29],
    [28, 28],
    [0, 0],
    [0, 0],
  ]);
});

test('what was cut without TC has one for the client; it is worth nothing once TCP brings the same', () => {
  const overUdp = attemptOver('udp').attempt;
  const message = reply({ addresses: ['10.1.2.3', '10.1.2.4'] }).subarray(0, -1);
  reader.read(message, asked);
  const fallback = keepFallback(overUdp, message, 10);
  assert.equal(fallback.kind, 'cut');
  assert.deepEqual([...fallback.message.subarray(2, 12)], [0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
  assert.equal(fallback.message.length, 12 + asked.question.length);
  const sameOverTcp = { ...overUdp, transport: 'tcp' } as QueryAttempt;
  assert.equal(fallbackAfterMalformed(fallback, sameOverTcp), null);
  assert.equal(fallbackAfterMalformed(fallback, attemptOver('tcp').attempt), fallback, 'another upstream');
  assert.equal(fallbackAfterMalformed(fallback, overUdp), fallback);
  reader.read(reply({ truncated: true }), asked);
  const truncated = keepFallback(overUdp, reply({ truncated: true }), 10);
  assert.equal(fallbackAfterMalformed(truncated, sameOverTcp), truncated);
  assert.equal(fallbackAfterMalformed(null, sameOverTcp), null);
});
