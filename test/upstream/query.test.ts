import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import {
  askAgainAfterMs,
  askAgainNextMs,
  askAgainShare,
  queryDeadlineMs,
  retryPauseMs,
  sweepPeriodMs,
  triesPerQuestionMax,
} from '../../src/limits.js';
import {
  Asking,
  answerTo,
  type Query,
  question,
  type ScriptedUpstream,
  server,
  startUpstreams,
  TestWorld,
  targets,
} from './scripted.js';

async function setUp(settings: Partial<ForwardConfig> = {}, count = 1) {
  const world = new TestWorld();
  const upstreams = await startUpstreams(world, count);
  const numbers = upstreams.map((_, index) => index + 1);
  const forwards = world.start({ to: targets(...numbers), ...settings });
  const asking = new Asking(world, forwards);
  const startMs = world.clock.nowMs();
  const asksOf = (upstream: ScriptedUpstream): number[] =>
    upstream.queries.filter(({ name }) => name !== '').map(({ atMs }) => atMs - startMs);
  return { world, upstreams, upstream: upstreams[0], forwards, asking, clock: world.clock, startMs, asksOf };
}

const silent = (): void => {};
const good = (query: Query): void => query.reply(answerTo(query));
const answers =
  (settings: Parameters<typeof answerTo>[1]) =>
  (query: Query): void =>
    query.reply(answerTo(query, settings));

/** Between `least` and the next sweep after it. */
function assertAbout(actualMs: number, leastMs: number): void {
  assert(actualMs >= leastMs && actualMs <= leastMs + 2 * sweepPeriodMs, `${actualMs} is not about ${leastMs}`);
}

test('the answer is given as it came', async () => {
  const { asking, clock } = await setUp();
  const asked = asking.ask('a.example');
  await clock.pass(1);
  assert.equal(asked.got?.message.length, answerTo({ id: 0, question: question('a.example') } as Query).length);
});

test('transport: force_tcp, prefer_udp, or as the client asked', async () => {
  for (const [transport, client, expected] of [
    ['tcp', 'udp', 'tcp'],
    ['udp', 'tcp', 'udp'],
    ['client', 'udp', 'udp'],
    ['client', 'tcp', 'tcp'],
  ] as const) {
    const { upstream, asking, clock } = await setUp({ transport });
    asking.ask('a', { clientTransport: client });
    await clock.pass(1);
    assert.deepEqual(
      upstream.queries.map((query) => query.transport),
      [expected],
    );
  }
});

test('a query begins as new, whatever the one before it that used its object was', async () => {
  const { upstream, asking, clock } = await setUp({ transport: 'client' });
  for (const [name, clientTransport] of [
    ['a', 'tcp'],
    ['b', 'udp'],
    ['c', 'tcp'],
  ] as const) {
    upstream.onQuery = good;
    const asked = asking.ask(name, { clientTransport });
    await clock.pass(1);
    assert.equal(asked.got?.text, 'rcode 0');
  }
  assert.deepEqual(
    upstream.queries.filter(({ name }) => name !== '').map(({ name, transport }) => `${name} ${transport}`),
    ['a tcp', 'b udp', 'c tcp'],
  );
  // One that is silent takes its object along; the next has one with a deadline of its own.
  upstream.onQuery = silent;
  await clock.pass(100);
  const askedAtMs = clock.nowMs();
  const [first, second] = [asking.ask('d', { clientTransport: 'tcp' }), asking.ask('e', { clientTransport: 'udp' })];
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  for (const asked of [first, second]) {
    assert.match(asked.got?.text ?? 'none', /^timeout/);
    assertAbout((asked.got?.atMs ?? 0) - askedAtMs, queryDeadlineMs);
  }
});

test('TC over UDP: the same upstream is asked over TCP at once; TC over TCP is an answer', async () => {
  const { world, upstream, asking, clock, forwards } = await setUp({ transport: 'client' });
  upstream.onQuery = answers({ truncated: true });
  const asked = asking.ask('big');
  await clock.pass(1);
  assert.deepEqual(
    upstream.queries.map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
  assert.equal(asked.got?.text, 'rcode 0');
  assert.equal(world.counters.total('upstreamTcpRetries'), 1);
  assert.equal(world.counters.total('upstreamRetries'), 0);
  assert.equal(forwards.inflight(), 0);
});

test('FORMERR or NOTIMP without OPT to a request with OPT: asked once more without', async () => {
  for (const reply of [{ rcode: 1 }, { rcode: 4 }, { rcode: 1, question: null }]) {
    const { world, upstream, asking, clock } = await setUp({ transport: 'client' });
    upstream.onQuery = (query) => query.reply(answerTo(query, query.hasOpt ? reply : {}));
    const asked = asking.ask('a', { dnssecOk: true });
    await clock.pass(1);
    assert.deepEqual(
      upstream.queries.map(({ hasOpt }) => hasOpt),
      [true, false],
    );
    assert.equal(asked.got?.text, 'rcode 0');
    assert.equal(world.counters.total('upstreamEdnsRetries'), 1);
  }
});

test('FORMERR to a request without OPT, or with an OPT in it by an upstream that takes OPTs, is the answer', async () => {
  const { upstream, asking, clock } = await setUp({ transport: 'client' });
  upstream.onQuery = answers({ rcode: 1 });
  const always = asking.ask('a');
  await clock.pass(1);
  assert.equal(always.got?.text, 'rcode 1');
  assert.equal(upstream.queries.length, 2);
  upstream.onQuery = answers({ opt: true });
  asking.ask('known');
  await clock.pass(1);
  upstream.queries.length = 2;
  upstream.onQuery = answers({ rcode: 1, opt: true });
  const meant = asking.ask('b');
  await clock.pass(1);
  assert.equal(meant.got?.text, 'rcode 1');
  assert.equal(upstream.queries.length, 3);
  upstream.onQuery = answers({ rcode: 1 });
  const plain = asking.ask('c', { clientTransport: 'tcp' });
  await clock.pass(1);
  assert.equal(plain.got?.text, 'rcode 1');
  assert.equal(upstream.queries.length, 4);
});

// Over UDP nothing more is taken from a port where something came that was not asked for: the answer comes over TCP.
test('another question’s answer, over UDP and TCP, is not taken; the right one is when it comes over TCP', async () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const { world, upstream, asking, clock } = await setUp({ transport });
    upstream.onQuery = (query) => {
      query.reply(answerTo(query, { question: question('poison.example'), addresses: ['6.6.6.6'] }));
      query.reply(answerTo(query, { id: query.id ^ 1, addresses: ['6.6.6.6'] }));
      query.reply(answerTo(query, { addresses: ['10.0.0.9'] }));
    };
    const asked = asking.ask('a.example');
    await clock.pass(1);
    assert.deepEqual([...asked.got!.message.subarray(-4)], [10, 0, 0, 9]);
    // The first of each transport; over TCP, where nobody guesses, also the second.
    assert.equal(world.counters.total('answersRejectedQuestion'), transport === 'udp' ? 2 : 1);
    assert.equal(world.counters.total('answersRejectedId'), 1);
  }
});

test('garbled answers are asked again a few times, with pauses, then fail as malformed', async () => {
  const { world, upstream, asking, clock, asksOf } = await setUp();
  upstream.onQuery = (query) => query.reply(answerTo(query).subarray(0, -2));
  const asked = asking.ask('a');
  await clock.pass(queryDeadlineMs);
  assert.equal(asked.got?.text, 'malformed: read tcp 10.0.0.1:53: dns: bad message');
  const times = asksOf(upstream);
  assert.equal(times.length, 3);
  for (const [index, atMs] of times.entries()) assertAbout(atMs, index * retryPauseMs);
  assert.equal(world.counters.total('answersRejectedMalformed'), 3);
});

test('an error without a question is not given to anybody', async () => {
  const { world, upstream, asking, clock } = await setUp({}, 2);
  upstream.onQuery = answers({ rcode: 2, question: null });
  const asked = asking.ask('a');
  await clock.pass(1);
  assert.equal(asked.got?.from, '10.0.0.2:53');
  assert.equal(world.counters.total('answersRejectedQuestion'), 1);
});

test('refused: the next upstream at once; nobody else: a few tries with pauses, never a hot loop', async () => {
  const two = await setUp({}, 2);
  two.upstream.die();
  const asked = two.asking.ask('a');
  await two.clock.pass(1);
  assert.equal(asked.got?.from, '10.0.0.2:53');
  assert.equal(two.world.counters.total('upstreamRetries'), 1);
  for (const [transport, text] of [
    ['tcp', 'unreachable: dial tcp 10.0.0.1:53: connect: connection refused'],
    ['udp', 'unreachable: read udp 10.0.0.1:53: connection refused'],
  ] as const) {
    const { world, upstream, asking, clock, startMs } = await setUp({ transport });
    upstream.die();
    const refused = asking.ask('a');
    await clock.pass(3_000);
    assert.equal(refused.got?.text, text);
    assertAbout(refused.got!.atMs - startMs, 2 * retryPauseMs);
    assert.equal(world.counters.total('upstreamRetries'), 2);
  }
});

test('max_connect_attempts bounds the tries', async () => {
  const { world, upstream, asking, clock } = await setUp({ connectAttemptsMax: 1, failsMax: 0 });
  upstream.die();
  const asked = asking.ask('a');
  await clock.pass(5);
  assert.match(asked.got?.text ?? '', /connection refused/);
  assert.equal(world.counters.total('upstreamConnects'), 1);
  const many = await setUp({ connectAttemptsMax: 100, failsMax: 0 });
  many.upstream.die();
  many.asking.ask('a');
  await many.clock.pass(3_000);
  assert.equal(many.world.counters.total('upstreamConnects'), triesPerQuestionMax);
});

test('a short outage within the pauses is not seen by anybody', async () => {
  const { upstream, asking, clock } = await setUp();
  upstream.die();
  const asked = asking.ask('a');
  await clock.pass(retryPauseMs - 20);
  await upstream.listen();
  await clock.pass(100);
  assert.equal(asked.got?.text, 'rcode 0');
});

test('a silent upstream: asked again on a fresh connection or port, failed at the deadline', async () => {
  for (const transport of ['tcp', 'udp'] as const) {
    const { world, upstream, asking, clock, asksOf, startMs, forwards } = await setUp({ transport });
    upstream.onQuery = silent;
    const asked = asking.ask('a');
    await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
    // Over UDP once more beside the second try: without OPT, as nothing is known of what this upstream makes of one.
    const times = asksOf(upstream);
    const hedge = transport === 'udp' ? [askAgainAfterMs, askAgainAfterMs] : [askAgainAfterMs];
    assert.equal(times.length, 2 + hedge.length);
    for (const [index, atMs] of [...hedge, askAgainAfterMs + askAgainNextMs].entries())
      assertAbout(times[1 + index], atMs);
    const ports = upstream.queries.filter(({ name }) => name !== '').map(({ from }) => from.port);
    assert.equal(new Set(ports).size, times.length);
    assert.equal(asked.got?.text, `timeout: read ${transport} 10.0.0.1:53: i/o timeout`);
    assertAbout(asked.got!.atMs - startMs, queryDeadlineMs);
    assert.equal(world.counters.total('upstreamTimeouts'), 1);
    assert.equal(forwards.inflight(), 0);
  }
});

test('a lost datagram costs one repetition, and a late first answer is as good as any', async () => {
  const { upstream, asking, clock } = await setUp({ transport: 'udp' });
  const kept: Query[] = [];
  upstream.onQuery = (query) => {
    if (query.name === 'known') good(query);
    else if (query.name !== '') kept.push(query);
  };
  asking.ask('known');
  await clock.pass(5);
  const asked = asking.ask('a');
  await clock.pass(askAgainAfterMs + 50);
  assert.equal(kept.length, 2);
  good(kept[0]);
  await clock.pass(1);
  assert.equal(asked.got?.text, 'rcode 0');
  good(kept[1]);
  await clock.pass(5);
  assert.equal(asking.got.length, 2);
});

test('the connect that is never answered: dial timeout', async () => {
  const { world, asking, clock } = await setUp();
  world.network.stall(server(1));
  const asked = asking.ask('a');
  await clock.pass(2_000);
  assert.match(asked.got?.text ?? '', /^timeout: dial tcp 10\.0\.0\.1:53: i\/o timeout$/);
});

test('a connection that died without a word: its questions are answered over a fresh one', async () => {
  const { upstream, asking, clock, startMs } = await setUp();
  asking.ask('warm');
  await clock.pass(1);
  const [dead] = upstream.streams;
  upstream.onQuery = (query) => {
    if (query.stream !== dead) good(query);
  };
  const asked = Array.from({ length: 4 }, (_, index) => asking.ask(`n${index}`));
  await clock.pass(askAgainAfterMs + 100);
  for (const { got } of asked) {
    assert.equal(got?.text, 'rcode 0');
    assertAbout(got!.atMs - startMs, askAgainAfterMs);
  }
});

test('a silent first upstream: the second is asked in time, whatever the policy', async () => {
  for (const policy of ['sequential', 'round_robin', 'random'] as const) {
    const { upstreams, asking, clock } = await setUp({ policy }, 2);
    upstreams[0].onQuery = silent;
    const asked = Array.from({ length: 10 }, (_, index) => asking.ask(`n${index}`));
    await clock.pass(queryDeadlineMs);
    if (policy === 'sequential') await clock.pass(200);
    assert(asked.every(({ got }) => got?.from === '10.0.0.2:53'));
  }
});

test('read_timeout ends a try', async () => {
  const { upstream, asking, clock, asksOf } = await setUp({ readTimeoutMs: 200 });
  upstream.onQuery = silent;
  const asked = asking.ask('a');
  await clock.pass(3_000);
  const times = asksOf(upstream);
  assert.equal(times.length, 3);
  assertAbout(times[1], 200 + retryPauseMs);
  assert.equal(asked.got?.text, 'timeout: read tcp 10.0.0.1:53: i/o timeout');
});

test('a read_timeout above the default moves the deadline, up to the ceiling', async () => {
  for (const [readTimeoutMs, deadlineMs] of [
    [3_000, 3_000],
    [60_000, 5_000],
    [2_000, queryDeadlineMs],
    [100_000, 5_000],
  ]) {
    const { upstream, asking, clock, startMs } = await setUp({ readTimeoutMs });
    upstream.onQuery = silent;
    const asked = asking.ask('a');
    await clock.pass(deadlineMs + 100);
    assertAbout(asked.got!.atMs - startMs, deadlineMs);
  }
});

test('an upstream that closes after each answer costs nobody an answer', async () => {
  const { upstream, asking, clock } = await setUp();
  const seen = new Set<Query['stream']>();
  upstream.onQuery = (query) => {
    if (seen.has(query.stream)) return;
    seen.add(query.stream);
    good(query);
    query.stream?.end();
  };
  const asked = Array.from({ length: 60 }, (_, index) => asking.ask(`n${index}`));
  await clock.pass(200);
  assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0']);
});

test('accepts and closes at once: EOF after a few tries', async () => {
  const { upstream, asking, clock } = await setUp();
  upstream.onQuery = (query) => query.stream?.end();
  const asked = asking.ask('a');
  await clock.pass(queryDeadlineMs);
  assert.equal(asked.got?.text, 'unreachable: EOF');
});

test('failover: other upstreams for these rcodes, each once; all alike: the last answer, at once', async () => {
  const { upstreams, asking, clock, startMs } = await setUp({ failover: [2, 5] }, 3);
  upstreams[0].onQuery = answers({ rcode: 2 });
  upstreams[1].onQuery = answers({ rcode: 5 });
  const found = asking.ask('a');
  await clock.pass(1);
  assert.equal(found.got?.from, '10.0.0.3:53');
  upstreams[2].onQuery = answers({ rcode: 2 });
  const none = asking.ask('b');
  await clock.pass(5);
  assert.equal(none.got?.text, 'rcode 2');
  assert(none.got!.atMs - startMs <= 10);
  assert.deepEqual(
    upstreams.map(({ queries }) => queries.length),
    [2, 2, 2],
  );
  upstreams[0].onQuery = answers({ rcode: 3 });
  const other = asking.ask('c');
  await clock.pass(1);
  assert.equal(other.got?.text, 'rcode 3');
});

test('failover: when nobody else answers, the answer put aside is better than none', async () => {
  const { upstreams, asking, clock } = await setUp({ failover: [2] }, 2);
  upstreams[0].onQuery = answers({ rcode: 2 });
  upstreams[1].onQuery = silent;
  const asked = asking.ask('a');
  await clock.pass(queryDeadlineMs + 50);
  assert.deepEqual([asked.got?.text, asked.got?.from], ['rcode 2', '10.0.0.1:53']);
});

test('durations are counted per rcode, connections as found or opened', async () => {
  const { upstream, asking, clock, forwards, world } = await setUp();
  world.network.faults.latencyMs = 2;
  asking.ask('a');
  await clock.pass(20);
  upstream.onQuery = answers({ rcode: 3 });
  asking.ask('b');
  await clock.pass(20);
  const [stats] = forwards.upstreams();
  assert.deepEqual([...stats.durations.keys()], ['NOERROR', 'NXDOMAIN']);
  const [opened, reused] = ['NOERROR', 'NXDOMAIN'].map((rcode) => stats.durations.get(rcode)!.at(-1)!);
  assert(Math.abs(opened - 0.008) < 1e-6 && Math.abs(reused - 0.004) < 1e-6, `${opened} ${reused}`);
  assert.deepEqual(
    [stats.opened, stats.reused],
    [
      [0, 1],
      [0, 1],
    ],
  );
});

test('an upstream that is silent under load is not asked everything again', async () => {
  const { upstream, asking, clock } = await setUp({ failsMax: 0 });
  upstream.onQuery = silent;
  const count = 600;
  for (let asked = 0; asked < count; asked++) asking.ask(`n${asked}`);
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  assert.equal(asking.got.length, count);
  assert(upstream.queries.length <= count * (1 + askAgainShare), `${upstream.queries.length}`);
});

test('beyond the budget: near its deadline a query goes to another upstream that is heard', async () => {
  for (const [policy, count] of [
    ['random', 2],
    ['round_robin', 2],
    ['random', 4],
    ['round_robin', 4],
  ] as const) {
    const { upstreams, asking, clock } = await setUp({ policy }, count);
    for (let index = 0; index < 20; index++) asking.ask(`before${index}.example`);
    await clock.pass(20);
    for (const upstream of upstreams.slice(1)) upstream.onQuery = silent;
    const asked = Array.from({ length: 200 }, (_, index) => asking.ask(`a${index}.example`));
    for (let step = 0; step < 40; step++) {
      await clock.pass(50);
      asking.ask(`beside${step}.example`);
    }
    assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0'], policy);
  }
});

test('in the queue of an upstream that has fallen silent: what was never sent goes to another at once', async () => {
  for (const [policy, count] of [
    ['random', 2],
    ['round_robin', 3],
  ] as const) {
    const { world, upstreams, asking, clock } = await setUp({ policy }, count);
    for (let index = 0; index < 40; index++) asking.ask(`before${index}.example`);
    await clock.pass(20);
    // Nothing arrives, no handshake is answered.
    world.network.setFaultsTo(server(1), { latencyMs: 60_000 });
    const asked = Array.from({ length: 1_500 }, (_, index) => asking.ask(`a${index}.example`));
    for (let step = 0; step < 40; step++) {
      await clock.pass(50);
      asking.ask(`beside${step}.example`);
      if (step !== 9) continue;
      // Sixteen connections had a place for it when it fell silent.
      const waiting = asked.filter(({ got }) => got === null).length;
      assert(waiting <= 300, `${policy}: ${waiting} wait`);
    }
    assert.equal(upstreams[0].queries.length < 40, true);
    assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0'], policy);
  }
});

test('all have been asked, and one that answers others lost the query: that one is asked again', async () => {
  for (const policy of ['random', 'round_robin'] as const) {
    for (let order = 0; order < 3; order++) {
      const { upstreams, asking, clock } = await setUp({ policy }, 3);
      for (let index = 0; index < 30 + order; index++) asking.ask(`before${index}.example`);
      await clock.pass(20);
      let isLost = false;
      for (const [index, upstream] of upstreams.entries()) {
        upstream.onQuery = (query) => {
          if (index !== order) return;
          if (query.name !== 'a.example' || isLost) return good(query);
          isLost = true;
        };
      }
      const asked = asking.ask('a.example');
      for (let step = 0; step < 100; step++) {
        await clock.pass(20);
        asking.ask(`beside${step}.example`);
      }
      assert.equal(asked.got?.text, 'rcode 0', `${policy} ${order}`);
    }
  }
});

test('all connections of a client, and its share, lead to a dead endpoint: its queries are answered over another', async () => {
  const { upstream, asking, clock } = await setUp();
  for (let index = 0; index < 200; index++) asking.ask(`before${index}.example`, { client: 'a' });
  await clock.pass(20);
  // All connections up to now, and most of those that are opened for the next queries.
  upstream.onQuery = (query) => {
    if (upstream.streams.indexOf(query.stream!) >= 40) good(query);
  };
  const asked = Array.from({ length: 700 }, (_, index) => asking.ask(`a${index}.example`, { client: 'a' }));
  for (let step = 0; step < 230; step++) {
    await clock.pass(20);
    asking.ask(`beside${step}.example`, { client: 'b' });
  }
  assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0']);
  const latestMs = Math.max(...asked.map(({ got }) => got?.atMs ?? 0));
  assert(latestMs < 2_000 + clock.nowMs() - 230 * 20, `${latestMs}`);
});

test('cancelled in the turn in which it failed, a question still has one outcome', async () => {
  const { upstream, asking, clock, forwards } = await setUp({ failfastAllUnhealthy: true });
  upstream.die();
  for (let step = 0; step < 4; step++) {
    asking.ask('a');
    await clock.pass(600);
  }
  const before = asking.got.length;
  asking.ask('b');
  forwards.stop();
  await clock.pass(10);
  assert.equal(asking.got.length, before + 1);
});

test('answers eight seconds late: each question fails at its deadline, late answers change nothing', async () => {
  const { world, upstream, asking, clock, forwards } = await setUp();
  upstream.onQuery = (query) => void clock.after(8_000, () => good(query));
  const asked = Array.from({ length: 20 }, (_, index) => asking.ask(`n${index}`));
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  assert(asked.every(({ got }) => got?.text.startsWith('timeout: ')));
  const sent = upstream.queries.filter(({ name }) => name !== '').length;
  assert(sent <= 20 + 20, `${sent} sent for 20 questions`);
  await clock.pass(10_000);
  assert.equal(asking.got.length, 20);
  assert.equal(world.counters.total('upstreamTimeouts'), 20);
  assert.equal(forwards.inflight(), 0);
});

test('restarts: what it owed is asked again when it is back, nothing fails', async () => {
  const { upstream, asking, clock } = await setUp();
  asking.ask('warm');
  await clock.pass(1);
  upstream.onQuery = silent;
  const asked = Array.from({ length: 10 }, (_, index) => asking.ask(`n${index}`));
  await clock.pass(10);
  upstream.die();
  await clock.pass(50);
  upstream.onQuery = good;
  await upstream.listen();
  await clock.pass(500);
  assert.deepEqual([...new Set(asked.map(({ got }) => got?.text))], ['rcode 0']);
});

test('down while it is asked: what waits on dead connections is answered as soon as a probe is', async () => {
  for (const transport of ['tcp', 'udp'] as const) {
    for (let phaseMs = 0; phaseMs < 1_000; phaseMs += 100) {
      const { upstream, asking, clock, forwards } = await setUp({ transport });
      const ports = new Set<string>();
      let isBack = false;
      // A port that was used before it came back leads nowhere for good, as a flow does whose retransmissions have grown rare.
      upstream.onQuery = (query) => {
        const port = `${query.from.port}`;
        if (!isBack) ports.add(port);
        if (!ports.has(port)) good(query);
      };
      for (let index = 0; index < 60; index++) {
        asking.ask(`n${index}`);
        await clock.pass(100);
      }
      assert.equal(forwards.upstreams()[0].healthy, false);
      await clock.pass(phaseMs);
      const asked = Array.from({ length: 12 }, (_, index) => asking.ask(`waits${index}`));
      await clock.pass(10);
      isBack = true;
      const backMs = clock.nowMs();
      await clock.pass(queryDeadlineMs);
      for (const { got } of asked) {
        assert.equal(got?.text, 'rcode 0', `${transport}, ${phaseMs}`);
      }
      const last = Math.max(...asked.map(({ got }) => got!.atMs - backMs));
      assert(last < 500 + 4 * sweepPeriodMs, `${transport}, ${phaseMs}: ${last} ms`);
    }
  }
});
