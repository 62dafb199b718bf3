import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type packets from 'dns-packet';
import fc from 'fast-check';
import { keyCheckingDisabled, keyDnssecOk } from '../../src/cache/blocks.js';
import { byTemplate, zonePlaces } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { pendingMax, sweepPeriodMs, waitersMax, waitersPerQuestionMax } from '../../src/limits.js';
import { StaleTimer } from '../../src/resolve/miss.js';
import type { Pending } from '../../src/resolve/pending.js';
import type { Made, MakeQuery } from '../../src/resolve/route.js';
import { finishNow } from '../cache/answers.js';
import { ManualClock } from '../simulation/clock.js';
import { query } from './context-fixture.js';
import { type AskedBy, type AskedUpstream, addresses, message, soa, waiting } from './waiting-fixture.js';

const plain = '. {\n cache\n forward . 192.0.2.1\n}';
const withOption = (option: string) => `. {\n cache {\n ${option}\n }\n forward . 192.0.2.1\n}`;
const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);

/** Pods, each with an address of its own. */
function podOf(index: number): { readonly address: string } {
  return { address: `10.245.${index >> 8}.${index & 0xff}` };
}

describe('Misses.wait', () => {
  it('asks once for identical questions and answers each waiter once, with its own id, spelling and size', () => {
    const { asks, asked, total, misses } = waiting(plain);
    const small = asks(query('a.test', 'A'));
    const shouting = query('A.TEST', 'A');
    shouting.writeUInt16BE(77);
    const loud = asks(shouting, { transport: 'tcp' });
    assert.deepEqual([asked.length, misses.size, misses.waiters, total('coalesced')], [1, 1, 2, 1]);
    asked[0].answers({ answers: addresses('a.test', 30, 40) });
    assert.deepEqual([misses.size, misses.waiters], [0, 0]);
    assert.equal(small.answer.flag_tc, true);
    assert.equal(small.answer.id, 0x1234);
    assert.deepEqual([loud.answer.id, loud.answer.questions?.[0].name, loud.data.length], [77, 'A.TEST', 40]);
  });

  it('keeps apart what differs in type, DO, CD or RD, and says so to the upstream', () => {
    const { asks, asked } = waiting(plain);
    const checkingDisabled = query('a.test', 'A');
    checkingDisabled[3] |= 0x10;
    const notDesired = query('a.test', 'A');
    notDesired[2] &= ~1;
    for (const packet of [query('a.test', 'A'), query('a.test', 'TXT'), checkingDisabled, notDesired]) asks(packet);
    asks(query('a.test', 'A', { dnssecOk: true }), { transport: 'tcp' });
    assert.deepEqual(
      asked.map(({ request }) => [
        request.recursionDesired,
        request.checkingDisabled,
        request.dnssecOk,
        request.clientTransport,
      ]),
      [
        [true, false, false, 'udp'],
        [true, false, false, 'udp'],
        [true, true, false, 'udp'],
        [false, false, false, 'udp'],
        [true, false, true, 'tcp'],
      ],
    );
  });

  it('lets so many wait for one question; the others get SERVFAIL at once', () => {
    const { asks, asked, total, misses } = waiting(plain);
    const waiters = Array.from({ length: waitersPerQuestionMax }, (_, index) =>
      asks(query('a.test', 'A'), podOf(index)),
    );
    const beyond = asks(query('a.test', 'A', {}));
    assert.equal(beyond.rcode, 'SERVFAIL');
    assert.deepEqual(beyond.extendedErrors, []);
    assert.equal(total('overloadedWaiters'), 1);
    assert.equal(misses.waiters, waitersPerQuestionMax);
    asked[0].answers();
    assert.ok(waiters.every(({ replies }) => replies.length === 1));
    assert.equal(beyond.replies.length, 1);
  });

  it('asks so many questions at one moment; the others get SERVFAIL and are not asked', () => {
    const fixture = waiting(plain);
    for (let index = 0; index < pendingMax; index++) fixture.asks(query(`n${index}.test`, 'A'), podOf(index));
    assert.equal(fixture.asks(query('beyond.test', 'A')).rcode, 'SERVFAIL');
    assert.deepEqual([fixture.total('overloadedPending'), fixture.askedTimes], [1, pendingMax]);
    assert.equal(fixture.asks(query('n0.test', 'A')).replies.length, 0, 'an identical one still joins');
    fixture.asked[0].answers();
    assert.equal(fixture.asks(query('beyond.test', 'A')).replies.length, 0, 'there is room again');
  });

  it('lets one client have half of that, and the next one is served', () => {
    const fixture = waiting(plain);
    for (let index = 0; index < pendingMax / 2; index++) fixture.asks(query(`n${index}.test`, 'A'));
    assert.equal(fixture.asks(query('beyond.test', 'A')).rcode, 'SERVFAIL');
    assert.deepEqual([fixture.total('overloadedClient'), fixture.total('overloadedPending')], [1, 0]);
    assert.equal(fixture.asks(query('beyond.test', 'A'), podOf(1)).replies.length, 0);
    assert.equal(fixture.asked.at(-1)?.request.client, podOf(1).address);
  });

  it('lets one client wait for one question so often; the next one joins', () => {
    const fixture = waiting(plain);
    for (let index = 0; index < waitersPerQuestionMax / 2; index++) fixture.asks(query('a.test', 'A'));
    assert.equal(fixture.asks(query('a.test', 'A')).rcode, 'SERVFAIL');
    assert.deepEqual([fixture.total('overloadedClient'), fixture.total('overloadedWaiters')], [1, 0]);
    assert.equal(fixture.asks(query('a.test', 'A'), podOf(1)).replies.length, 0);
    fixture.asked[0].answers();
    assert.equal(fixture.misses.waiters, 0);
  });

  it('lets so many wait for all questions together', () => {
    const { asks, total, misses } = waiting(plain);
    const questions = waitersMax / waitersPerQuestionMax;
    for (let index = 0; index < questions; index++) {
      const packet = query(`n${index}.test`, 'A');
      for (let waiter = 0; waiter < waitersPerQuestionMax; waiter++) asks(packet, podOf(waiter));
    }
    assert.equal(misses.waiters, waitersMax);
    assert.equal(asks(query('other.test', 'A')).rcode, 'SERVFAIL');
    assert.equal(total('overloadedPending'), 1);
  });

  it('tells readiness of answers, not of failures', () => {
    const fixture = waiting(plain);
    fixture.asks(query('a.test', 'A'));
    fixture.asked[0].fails();
    assert.equal(fixture.upstreamAnswers, 0);
    fixture.asks(query('a.test', 'A'));
    fixture.asked[0].answers();
    assert.equal(fixture.upstreamAnswers, 1);
  });

  it('counts a miss only where there is a cache', () => {
    const misses = (corefile: string) => {
      const { asks, context, zone } = waiting(corefile);
      asks(query('a.test', 'A'));
      return context.counters.zones[context.counters.zoneBase(zone('.').ordinal) + zonePlaces.misses];
    };
    assert.equal(misses(plain), 1);
    assert.equal(misses('. {\n forward . 192.0.2.1\n}'), 0);
  });

  it('asks for the A where `aaaa smart` must know, and answers both by it', () => {
    const { asks, asked } = waiting('. {\n aaaa smart\n cache\n forward . 192.0.2.1\n}');
    const address = asks(query('a.test', 'A'));
    const six = asks(query('a.test', 'AAAA'));
    assert.deepEqual(Buffer.from(asked[0].request.question), Buffer.from(question('a.test')));
    assert.equal(asked.length, 1);
    asked[0].answers();
    assert.deepEqual([address.data, six.rcode, six.data], [['192.0.2.0'], 'NOERROR', []]);
    assert.equal(six.answer.questions?.[0].type, 'AAAA');
    const gone = asks(query('gone.test', 'AAAA'));
    asked[0].answers({ rcode: 3, answers: [], authorities: soa() });
    assert.equal(gone.rcode, 'NXDOMAIN');
    const broken = asks(query('broken.test', 'AAAA'));
    asked[0].fails();
    assert.equal(broken.rcode, 'SERVFAIL');
  });

  it('answers everybody exactly once, whatever comes in whatever order', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ ask: fc.nat(3), type: fc.constantFrom('A', 'AAAA', 'TXT') }) },
      { weight: 3, arbitrary: fc.record({ end: fc.nat(10), how: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.record({ passMs: fc.constantFrom(1, 300, 500, 2_000, 40_000) }) },
    );
    const corefile = withOption('prefetch 1 1m 90%\n serve_stale 1m verify 400ms').replace(
      'cache',
      'aaaa smart\n cache',
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const { asks, asked, clock, misses, cache, store } = waiting(corefile);
        const clients: AskedBy[] = [];
        const end = (index: number, how: number) => {
          const one = asked[index % asked.length];
          if (how === 0) one.fails();
          else if (how === 1) one.answers({ rcode: 2, answers: [] });
          else if (how === 2) one.answers({ rcode: 3, answers: [], authorities: soa() });
          else if (how === 3) one.ends({ ok: true, message: Buffer.alloc(5), from: 'test' });
          else one.answers({ answers: addresses(one.name.slice(0, -1), 3) });
        };
        for (const each of steps) {
          if ('ask' in each) clients.push(asks(query(`n${each.ask}.test`, each.type)));
          else if ('passMs' in each) clock.passMs(each.passMs);
          else if (asked.length > 0) end(each.end, each.how);
          const unanswered = clients.filter(({ replies }) => replies.length === 0).length;
          assert.equal(misses.waiters, unanswered);
        }
        while (asked.length > 0) end(0, 0);
        assert.ok(clients.every(({ replies }) => replies.length === 1 && replies[0] !== null));
        assert.deepEqual([misses.size, misses.waiters], [0, 0]);
        clock.passMs(2 * sweepPeriodMs);
        assert.equal(clock.timersSet, 0, 'nothing runs at rest');
        finishNow(cache.dissolve(store));
        assert.equal(cache.usedBytes, 0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('patience', () => {
  const corefile = withOption('serve_stale 1h verify 200ms');

  it('ends for each waiter with the stale answer, while the question goes on for the next', () => {
    const { asks, asked, clock, cache, store, total, misses } = waiting(corefile);
    asks(query('a.test', 'A'));
    asked[0].answers();
    clock.passMs(31_000);
    const first = asks(query('a.test', 'A', {}));
    clock.passMs(200 - sweepPeriodMs);
    const second = asks(query('a.test', 'A'));
    assert.equal(first.replies.length + second.replies.length, 0);
    clock.passMs(2 * sweepPeriodMs);
    assert.deepEqual([first.ttls, second.ttls, first.extendedErrors], [[0], [0], [3]]);
    assert.equal(asks(query('a.test', 'A')).replies.length, 1, 'who comes later does not wait again');
    assert.deepEqual([misses.size, misses.waiters, total('stalePatience')], [1, 0, 3]);
    asked[0].answers({ answers: addresses('a.test', 60) });
    assert.deepEqual(asks(query('a.test', 'A')).ttls, [60]);
    assert.equal(store.success.size, 1);
    assert.ok(cache.usedBytes > 0);
    clock.passMs(2 * sweepPeriodMs);
    assert.equal(clock.timersSet, 0);
  });

  it('does not end where the stale answer has become too old meanwhile', () => {
    const { asks, asked, clock } = waiting(withOption('serve_stale 1s verify 900ms'));
    asks(query('a.test', 'A'));
    asked[0].answers();
    clock.passMs(30_500);
    const client = asks(query('a.test', 'A'));
    clock.passMs(1_500);
    assert.equal(client.replies.length, 0);
    asked[0].fails();
    assert.equal(client.rcode, 'SERVFAIL');
  });
});

describe('Misses.refresh', () => {
  const hot = withOption('prefetch 1 1m 90%');

  it('asks over TCP, once, for nobody, and the next client finds it fresh', () => {
    const { asks, asked, clock, misses, context, zone } = waiting(hot);
    asks(query('a.test', 'A'));
    asked[0].answers();
    clock.passMs(10_000);
    assert.deepEqual([asks(query('a.test', 'A')).ttls, asks(query('a.test', 'A')).ttls], [[20], [20]]);
    assert.deepEqual([asked.length, misses.size, misses.waiters], [1, 1, 0]);
    assert.equal(asked[0].request.clientTransport, 'tcp');
    assert.equal(context.counters.zones[context.counters.zoneBase(zone('.').ordinal) + zonePlaces.prefetches], 1);
    asked[0].answers();
    assert.deepEqual(asks(query('a.test', 'A')).ttls, [30]);
  });

  it('leaves the answer as it is when it fails, whatever way', () => {
    for (const corefile of [hot, withOption('prefetch 1 1m 90%\n serve_stale 0')]) {
      const { asks, asked, clock } = waiting(corefile);
      asks(query('a.test', 'A'));
      asked[0].answers();
      clock.passMs(10_000);
      asks(query('a.test', 'A'));
      asked[0].answers({ rcode: 2, answers: [] });
      const next = asks(query('a.test', 'A'));
      assert.deepEqual([next.rcode, next.ttls], ['NOERROR', [20]], 'SERVFAIL does not replace what is fresh');
      asked[0].fails('unreachable');
      assert.deepEqual(asks(query('a.test', 'A')).ttls, [20]);
    }
  });

  it('is joined by those who ask after the answer has expired', () => {
    const { asks, asked, clock } = waiting(withOption('prefetch 1 1m 90%\n serve_stale 0'));
    asks(query('a.test', 'A'));
    asked[0].answers();
    clock.passMs(29_000);
    asks(query('a.test', 'A'));
    clock.passMs(1_500);
    const late = asks(query('a.test', 'A'));
    assert.equal(asked.length, 1);
    asked[0].answers({ answers: addresses('a.test', 7) });
    assert.deepEqual(late.ttls, [7]);
  });

  it('does nothing where there is no room', () => {
    const { asks, asked, clock, total } = waiting(hot);
    asks(query('a.test', 'A'));
    asked[0].answers();
    for (let index = 0; index < pendingMax; index++) asks(query(`n${index}.test`, 'A'), podOf(index));
    clock.passMs(10_000);
    assert.deepEqual(asks(query('a.test', 'A')).ttls, [20]);
    assert.deepEqual([asked.length, total('overloadedPending')], [pendingMax, 0]);
  });

  it('has a template make its answer again, and asks nobody', () => {
    let made = 0;
    const make = (): Made => {
      const answers = [{ name: 'a.test', type: 'A' as const, ttl: 30, data: `198.51.100.${++made}` }];
      return {
        kind: 'message',
        message: message(question('a.test'), { answers }),
        by: byTemplate,
        extendedError: null,
        follow: null,
      };
    };
    const fixture = waiting(hot, { make });
    assert.deepEqual(fixture.asks(query('a.test', 'A')).data, ['198.51.100.1']);
    fixture.clock.passMs(10_000);
    assert.deepEqual(fixture.asks(query('a.test', 'A')).data, ['198.51.100.1']);
    assert.deepEqual(fixture.asks(query('a.test', 'A')).data, ['198.51.100.2']);
    assert.equal(fixture.askedTimes, 0);
  });
});

describe('Misses.askFor', () => {
  it('asks over TCP for nobody, with the bits of the key, and not what is being asked', () => {
    const { asks, asked, misses, zone, clock } = waiting(plain);
    const askFor = (key?: number): boolean => misses.askFor(zone('.'), question('a.test'), clock.nowMs(), key);
    assert.deepEqual([askFor(keyDnssecOk | keyCheckingDisabled), askFor(), askFor()], [true, true, false]);
    const bits = asked.map(({ request }) => [request.dnssecOk, request.checkingDisabled, request.clientTransport]);
    assert.deepEqual(bits, [
      [true, true, 'tcp'],
      [false, false, 'tcp'],
    ]);
    for (const one of [...asked]) one.answers();
    assert.deepEqual(asks(query('a.test', 'A')).ttls, [30]);
  });

  it('leaves what is cached to its end when the upstream fails or says SERVFAIL, and ends it when that is gone', () => {
    for (const fails of [
      (one: AskedUpstream) => one.fails('timeout'),
      (one: AskedUpstream) => one.answers({ rcode: 2, answers: [] }),
    ]) {
      const { asks, asked, misses, zone, clock } = waiting(plain);
      asks(query('a.test', 'A'));
      asked[0].answers();
      clock.passMs(29_000);
      misses.askFor(zone('.'), question('a.test'), clock.nowMs());
      fails(asked[0]);
      assert.deepEqual(asks(query('a.test', 'A')).ttls, [1]);
      misses.askFor(zone('.'), question('a.test'), clock.nowMs());
      asked[0].answers({ rcode: 3, answers: [], authorities: soa() });
      assert.equal(asks(query('a.test', 'A')).rcode, 'NXDOMAIN');
    }
  });
});

describe('templates', () => {
  const alias = (name: string): packets.Answer => ({ name, type: 'CNAME', ttl: 60, data: 'b.test' });
  /** What is looked up is heard of in a later turn. */
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  /** Of a.test alone. */
  const makesAlias = ({ question: asked }: Pick<MakeQuery, 'question'>): Made =>
    asked[1] === 'a'.charCodeAt(0) ? aliased : { kind: 'next' };
  const aliased: Made = {
    kind: 'message',
    message: message(question('a.test'), { answers: [alias('a.test')] }),
    by: byTemplate,
    extendedError: null,
    follow: question('b.test'),
  };

  it('that are not responsible leave the question to the upstream', () => {
    const { asks, asked } = waiting(plain, { make: () => ({ kind: 'next' }) });
    const client = asks(query('a.test', 'A'));
    asked[0].answers();
    assert.deepEqual(client.data, ['192.0.2.0']);
  });

  it('that fail give SERVFAIL and a line for the errors log', () => {
    const { asks, failed, askedTimes } = waiting(plain, { make: () => ({ kind: 'servfail', text: 'no such field' }) });
    assert.equal(asks(query('a.test', 'A')).rcode, 'SERVFAIL');
    assert.deepEqual([failed, askedTimes], [[['a.test.', 2, 'no such field']], 0]);
  });

  it('say why to clients with EDNS, and that is not kept', () => {
    const make = (): Made => ({ ...aliased, follow: null, extendedError: { code: 15, text: 'no' } }) as Made;
    const { asks, store } = waiting(plain, { make });
    const client = asks(query('a.test', 'A', {}));
    assert.deepEqual([client.data, client.extendedErrors], [['b.test'], [15]]);
    assert.equal(store.success.size, 0);
  });

  it('have what their alias leads to put behind it, and both are kept', async () => {
    const { asks, asked, misses, store } = waiting(plain, { make: makesAlias });
    const client = asks(query('a.test', 'A'), { transport: 'tcp' });
    assert.deepEqual([asked[0].name, asked[0].request.clientTransport], ['b.test.', 'tcp']);
    assert.deepEqual([misses.size, misses.waiters], [2, 2], 'both are waited for and bounded as any other');
    asked[0].answers({ answers: addresses('b.test', 20) });
    await turn();
    assert.deepEqual(
      [client.data, client.ttls],
      [
        ['b.test', '192.0.2.0'],
        [60, 20],
      ],
    );
    assert.deepEqual([misses.size, misses.waiters, store.success.size], [0, 0, 2]);
  });

  it('are sent with their alias alone when its target does not resolve now, and the answer is not kept', async () => {
    const { asks, asked, store } = waiting(plain, { make: makesAlias });
    for (const how of ['fails', 'servfail'] as const) {
      const client = asks(query('a.test', 'A'));
      if (how === 'fails') asked[0].fails();
      else asked[0].answers({ rcode: 2, answers: [] });
      await turn();
      assert.deepEqual([client.rcode, client.data], ['NOERROR', ['b.test']]);
    }
    assert.equal(store.success.size, 0);
  });

  it('are not shared: another client may be told something else', async () => {
    const { asks, asked, misses } = waiting('. {\n forward . 192.0.2.1\n}', {
      make: ({ remote, question: asking }) => {
        if (asking[1] !== 'a'.charCodeAt(0)) return { kind: 'next' };
        const answers = [{ name: 'a.test', type: 'CNAME' as const, ttl: 60, data: `${remote}.test` }];
        return { ...aliased, message: message(question('a.test'), { answers }) } as Made;
      },
    });
    const one = asks(query('a.test', 'A'), { address: '10.0.0.1' });
    const other = asks(query('a.test', 'A'), { address: '10.0.0.2' });
    assert.deepEqual([misses.size, asked.length], [3, 1], 'but what it leads to is asked once');
    asked[0].answers({ answers: addresses('b.test') });
    await turn();
    assert.deepEqual([one.data[0], other.data[0]], ['10.0.0.1.test', '10.0.0.2.test']);
  });

  it('that have an alias find no room where nobody does', () => {
    const { asks, total } = waiting(plain, { make: makesAlias });
    for (let index = 0; index < pendingMax; index++) asks(query(`n${index}.test`, 'A'), podOf(index));
    assert.equal(asks(query('a.test', 'A')).rcode, 'SERVFAIL');
    assert.equal(total('overloadedPending'), 1);
  });
});

describe('an exception while a question is settled', () => {
  it('leaves none of its clients waiting, and the next who asks is answered', () => {
    const { asks, asked, misses } = waiting(plain);
    const clients = [asks(query('a.test', 'A')), asks(query('a.test', 'A'))];
    assert.throws(() => asked[0].ends({ ok: true, message: null as never, from: '' }));
    assert.deepEqual([misses.size, misses.waiters], [0, 0]);
    assert.deepEqual(
      clients.map(({ replies }) => replies),
      [[null], [null]],
    );
    const next = asks(query('a.test', 'A'));
    asked[0].answers();
    assert.equal(next.replies.length, 1);
  });
});

function watching() {
  const clock = new ManualClock();
  const lost: string[] = [];
  const patience = new StaleTimer(clock, (pending) => void lost.push((pending as unknown as { name: string }).name));
  const question = (name: string, staleTimerMs: number | null): Pending => {
    const keep = staleTimerMs === null ? null : { staleTimerMs };
    const pending = { name, startedAtMs: clock.nowMs(), route: { keep } } as unknown as Pending;
    patience.watch(pending);
    return pending;
  };
  return { clock, lost, patience, question };
}

test('who waits long enough is told of once, and nobody is looked after for nothing', () => {
  const { clock, lost, question } = watching();
  question('one', 400);
  clock.passMs(200);
  question('other', 400);
  clock.passMs(199);
  assert.deepEqual(lost, []);
  clock.passMs(50);
  assert.deepEqual(lost, ['one']);
  clock.passMs(1_000);
  assert.deepEqual(lost, ['one', 'other']);
  question('third', 0);
  clock.passMs(25);
  assert.deepEqual(lost, ['one', 'other', 'third']);
});

test('who has an answer, waits for failure, or has nothing kept is not', () => {
  const { clock, lost, patience, question } = watching();
  patience.end(question('answered', 400));
  question('patient', Number.POSITIVE_INFINITY);
  question('uncached', null);
  clock.passMs(5_000);
  assert.deepEqual(lost, []);
});

test('an exception about one keeps no other waiting, and the sweep goes on', () => {
  const clock = new ManualClock();
  const lost: string[] = [];
  const patience = new StaleTimer(clock, ({ route }) => {
    const { name } = route as unknown as { name: string };
    lost.push(name);
    if (name === 'one') throw new Error('planted');
  });
  for (const [name, staleTimerMs] of [
    ['one', 100],
    ['two', 100],
    ['late', 400],
  ] as const) {
    patience.watch({ startedAtMs: clock.nowMs(), route: { name, keep: { staleTimerMs } } } as unknown as Pending);
  }
  assert.throws(() => clock.passMs(100), /planted/u);
  assert.deepEqual(lost, ['one', 'two']);
  clock.passMs(400);
  assert.deepEqual([lost, clock.timersSet], [['one', 'two', 'late'], 0]);
});
