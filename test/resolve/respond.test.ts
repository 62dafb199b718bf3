import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byTemplate, rcodesCounted, zonePlaces } from '../../src/counters.js';
import { type MadeSource, Responder } from '../../src/resolve/respond.js';
import type { Failure, Outcome } from '../../src/upstream/ask.js';
import { answerFor } from '../cache/answers.js';
import { query } from './context-fixture.js';
import { AskedBy, addresses, message, type Reply, soa, type WaitingFixture, waiting } from './waiting-fixture.js';

const plain = '. {\n cache\n forward . 192.0.2.1\n}';
const withOption = (option: string) => `. {\n cache {\n ${option}\n }\n forward . 192.0.2.1\n}`;
const noStale = withOption('serve_stale 0');

interface Settling {
  readonly packet?: Buffer;
  readonly waiters?: number;
  readonly made?: MadeSource;
  readonly transport?: 'udp' | 'tcp';
}

/** Settles one question, by itself and not through the misses, and gives those who waited. */
function settle(fixture: WaitingFixture, outcome: Outcome | Reply, how: Settling = {}): AskedBy[] {
  const { packet = query('a.test', 'A', {}), waiters: count = 1, made = null, transport = 'udp' } = how;
  const { context, world, clock, zone: zoneOf } = fixture;
  assert.equal(fixture.ask(packet, clock.nowMs()), 'handed over');
  const zone = zoneOf('.');
  const question = packet.subarray(12, context.query.questionEnd);
  const askers = Array.from({ length: count }, (_, index) => {
    return new AskedBy(transport === 'tcp' ? 1 : 0, { address: '10.0.0.1', port: 1024 + index });
  });
  const waiters = askers.map((client) => {
    return {
      client,
      packet: Buffer.from(packet),
      queryBytes: packet.length,
      receivedAtMs: clock.nowMs(),
      zone,
      wants: 'answer' as const,
      ours: null,
    };
  });
  const whole: Outcome = 'ok' in outcome ? outcome : { ok: true, message: message(question, outcome), from: 'test' };
  const pending = {
    ...{ zone, route: world.routes.get(zone)!, startedAtMs: clock.nowMs(), hasStale: false },
    ...{ question, zoneId: zone.zoneId, key: 0, recursionDesired: (packet[2] & 1) !== 0 },
    ...{ hash: 0, isJoinable: true, plan: null, next: null, depth: 0, asksOurselves: false },
    waiters,
  };
  new Responder(world).respond(pending, waiters, whole, made);
  assert.ok(askers.every(({ replies }) => replies.length === 1));
  return askers;
}

const failure = (why: Failure): Outcome => ({ ok: false, why, text: why });

/** With an answer for a.test that has expired a second ago. */
function expired(corefile = plain): WaitingFixture {
  const fixture = waiting(corefile);
  settle(fixture, {});
  fixture.clock.passMs(31_000);
  return fixture;
}

describe('settle', () => {
  it('tells those who watch where each answer came from', () => {
    const fixture = expired();
    fixture.isWatched();
    settle(fixture, failure('timeout'), { waiters: 2 });
    settle(fixture, failure('timeout'), { packet: query('other.test', 'A') });
    settle(fixture, failure('block'), { packet: query('blocked.test', 'A') });
    const made: MadeSource = { extendedError: null, mayKeep: false, by: byTemplate };
    settle(fixture, {}, { packet: query('made.test', 'A'), made });
    settle(fixture, {}, { packet: query('fresh.test', 'A') });
    assert.deepEqual(
      fixture.told.map(([origin]) => origin),
      ['stale', 'stale', 'failure', 'plugin', 'plugin', 'miss'],
    );
  });

  it('keeps an answer once and gives it to everyone', () => {
    const fixture = waiting(plain);
    const askers = settle(fixture, {}, { waiters: 20 });
    assert.ok(askers.every(({ ttls }) => ttls[0] === 30));
    assert.equal(fixture.store.success.size, 1);
    assert.deepEqual(fixture.asks(query('a.test', 'A')).data, ['192.0.2.0']);
  });

  it('gives back the memory of an answer that is not kept', () => {
    const fixture = waiting(plain);
    settle(fixture, {}, { packet: query('kept.test', 'A') });
    const { usedBytes } = fixture.cache;
    const notDesired = query('a.test', 'A');
    notDesired[2] &= ~1;
    const [client] = settle(fixture, {}, { packet: notDesired });
    assert.deepEqual(client.data, ['192.0.2.0'], 'without RD: an upstream’s own view');
    settle(fixture, { rcode: 5, answers: [] });
    settle(fixture, { answers: addresses('a.test', 0) });
    settle(fixture, { rcode: 3, answers: [] });
    settle(fixture, {}, { made: { extendedError: null, mayKeep: false, by: byTemplate } });
    settle(
      fixture,
      {},
      { made: { extendedError: { code: 15, text: new Uint8Array() }, mayKeep: true, by: byTemplate } },
    );
    fixture.takeStoreAway();
    const [late] = settle(fixture, {});
    assert.deepEqual(late.data, ['192.0.2.0'], 'a reload took the cache away, not the answer');
    assert.equal(fixture.cache.usedBytes, usedBytes);
    assert.deepEqual([fixture.store.success.size, fixture.total('storeFailed')], [1, 0]);
  });

  it('passes a truncated answer on and does not keep it', () => {
    const fixture = waiting(plain);
    for (const [transport, answers] of [
      ['udp', []],
      ['udp', addresses('a.test', 30, 3)],
      ['tcp', addresses('a.test', 30, 3)],
    ] as const) {
      const [client] = settle(fixture, { flags: 0x0200, answers: [...answers] }, { transport });
      assert.deepEqual([client.answer.flag_tc, client.rcode, client.data.length], [true, 'NOERROR', answers.length]);
      assert.equal(fixture.ask(query('a.test', 'A')), 'handed over');
    }
    assert.equal(fixture.cache.usedBytes, 0);
    assert.deepEqual(fixture.failed, []);
  });

  it('gives what was cut to nothing to nobody over TCP, who cannot ask in another way: that is a failure', () => {
    const fixture = waiting(plain);
    for (const rcode of [0, 3]) {
      const [client] = settle(fixture, { flags: 0x0200, rcode, answers: [] }, { transport: 'tcp' });
      assert.deepEqual([client.answer.flag_tc, client.rcode, client.extendedErrors], [false, 'SERVFAIL', [23]]);
    }
    const reason = 'the answer was truncated over UDP, and TCP got no answer';
    assert.deepEqual(fixture.failed, Array(2).fill(['a.test.', 2, reason]));
    assert.equal(fixture.cache.usedBytes, 0);
  });

  it('gives the stale answer over TCP in place of one that was cut to nothing; over UDP that says where to ask', () => {
    const [stale] = settle(expired(), { flags: 0x0200, answers: [] }, { transport: 'tcp' });
    assert.deepEqual([stale.data, stale.ttls, stale.extendedErrors], [['192.0.2.0'], [30], [3]]);
    const [cut] = settle(expired(), { flags: 0x0200, answers: [] });
    assert.deepEqual([cut.data, cut.answer.flag_tc], [[], true]);
    const [some] = settle(expired(), { flags: 0x0200, answers: addresses('a.test', 30, 3) }, { transport: 'tcp' });
    assert.deepEqual([some.data.length, some.answer.flag_tc], [3, true]);
  });

  it('does not keep what is for this moment, as an answer to DO of an upstream that was asked without it', () => {
    for (const [mayKeep, kept] of [
      [false, 0],
      [undefined, 1],
    ] as const) {
      const fixture = waiting(plain);
      const packet = query('a.test', 'A', { dnssecOk: true });
      const body = message(packet.subarray(12, 12 + 'a.test'.length + 6));
      const [client] = settle(fixture, { ok: true, message: body, from: 'test', mayKeep }, { packet });
      assert.deepEqual([client.rcode, client.data], ['NOERROR', ['192.0.2.0']]);
      assert.equal(fixture.store.success.size, kept);
    }
  });

  it('gives large answers whole over TCP, up to what a message can be', () => {
    const fixture = waiting(plain);
    const question = 'a.test'.length + 2 + 4;
    const recordsThatFit = Math.floor((65_535 - 12 - question - 2 * 255 - 20) / 16);
    for (const count of [1_000, 4_000, recordsThatFit]) {
      const [client] = settle(fixture, { answers: addresses('a.test', 30, count) }, { transport: 'tcp' });
      assert.equal(client.data.length, count);
      assert.equal(client.answer.flag_tc, false);
      assert.deepEqual(fixture.asks(query('a.test', 'A'), { transport: 'tcp' }).data.length, count, 'and again');
      const small = fixture.asks(query('a.test', 'A', { udpBytes: 4096 }));
      assert.ok(small.answer.flag_tc && (small.replies[0] as Buffer).length <= 1232);
      fixture.clock.passMs(3_700_000);
    }
  });

  it('answers SERVFAIL to what does not parse, and counts it', () => {
    const bodies = [
      Buffer.alloc(0),
      Buffer.alloc(11),
      message(query('a.test', 'A').subarray(12)).subarray(0, -1),
      (() => {
        const loops = message(query('a.test', 'A').subarray(12));
        loops.writeUInt16BE(0xc000 | 24, 24);
        return loops;
      })(),
    ];
    const fixture = waiting(plain);
    bodies.forEach((body, index) => {
      const [client] = settle(fixture, { ok: true, message: body, from: 'test' });
      assert.deepEqual([client.rcode, client.extendedErrors], ['SERVFAIL', [23]]);
      assert.equal(fixture.total('answersRejectedMalformed'), index + 1);
      assert.deepEqual(fixture.failed[index], ['a.test.', 2, 'test: dns: bad message']);
    });
    assert.deepEqual([fixture.cache.usedBytes, fixture.store.denial.size], [0, 0]);
  });

  it('gives the stale answer instead where there is one', () => {
    const fixture = expired();
    const [client] = settle(fixture, { ok: true, message: Buffer.alloc(3), from: 'test' });
    assert.deepEqual([client.data, client.ttls, client.extendedErrors], [['192.0.2.0'], [30], [3]]);
    assert.deepEqual([fixture.total('answersRejectedMalformed'), fixture.total('staleOnFailure')], [1, 1]);
  });

  it('answers SERVFAIL to rcodes that need EDNS', () => {
    const fixture = waiting(plain);
    for (const extendedRcode of [1, 255]) {
      const [client] = settle(fixture, { extendedRcode, rcode: 0, answers: [] });
      assert.deepEqual([client.rcode, client.answer.answers], ['SERVFAIL', []]);
    }
    assert.deepEqual(
      fixture.failed.map(([, rcode, text]) => [rcode, text]),
      [
        [2, 'test: rcode 16 needs EDNS'],
        [2, 'test: rcode 4080 needs EDNS'],
      ],
    );
    assert.equal(fixture.cache.usedBytes, 0);
  });

  it('says by rcode and extended error what went wrong', () => {
    const wrong: [Failure, string, number[]][] = [
      ['timeout', 'SERVFAIL', [22]],
      ['unhealthy', 'SERVFAIL', [22]],
      ['unreachable', 'SERVFAIL', [23]],
      ['malformed', 'SERVFAIL', [23]],
      ['nobody', 'SERVFAIL', []],
      ['overloaded', 'REFUSED', []],
    ];
    for (const [why, rcode, extendedErrors] of wrong) {
      const fixture = waiting(plain);
      const [client] = settle(fixture, failure(why));
      assert.deepEqual([why, client.rcode, client.extendedErrors], [why, rcode, extendedErrors]);
      assert.deepEqual(fixture.failed, [['a.test.', why === 'overloaded' ? 5 : 2, why]]);
      const [withoutEdns] = settle(fixture, failure(why), { packet: query('a.test', 'A') });
      assert.deepEqual([withoutEdns.rcode, withoutEdns.answer.additionals], [rcode, []]);
      assert.equal(fixture.cache.usedBytes, 0, 'our own failures are not kept');
    }
  });

  it('passes on what the upstream says, kept for a moment if it is SERVFAIL', () => {
    const fixture = waiting(plain);
    const [refused] = settle(fixture, { rcode: 5, answers: [] });
    assert.deepEqual([refused.rcode, fixture.store.denial.size], ['REFUSED', 0]);
    const [servfail] = settle(fixture, { rcode: 2, answers: [] });
    assert.deepEqual([servfail.rcode, fixture.store.denial.size], ['SERVFAIL', 1]);
    assert.deepEqual(fixture.failed, [], 'no failure of ours');
    fixture.clock.passMs(4_999);
    assert.equal(fixture.asks(query('a.test', 'A')).rcode, 'SERVFAIL');
    fixture.clock.passMs(1);
    assert.equal(fixture.asks(query('a.test', 'A')).replies.length, 0);
  });
});

describe('a usable answer', () => {
  it('stands against every failure until it is too old, and is not asked for again at once', () => {
    const wrong: (Outcome | Reply)[] = [
      failure('timeout'),
      failure('overloaded'),
      { rcode: 2, answers: [] },
      { rcode: 5, answers: [] },
      { rcode: 1, answers: [] },
      { extendedRcode: 1, answers: [] },
    ];
    for (const outcome of wrong) {
      const fixture = expired();
      const [client] = settle(fixture, outcome);
      assert.deepEqual([client.ttls, client.extendedErrors], [[30], [3]]);
      assert.deepEqual([fixture.failed.length, fixture.store.success.size], [0, 1]);
      assert.equal(fixture.asks(query('a.test', 'A')).replies.length, 1, 'until the recheck');
      fixture.clock.passMs(1_000);
      assert.equal(fixture.asks(query('a.test', 'A')).replies.length, 0);
      fixture.clock.passMs(3_600_000 - 2_000);
      assert.equal(settle(fixture, failure('timeout'))[0].rcode, 'SERVFAIL', 'an hour past its expiry');
    }
  });

  it('that denies is given too, with a code of its own', () => {
    const fixture = waiting(plain);
    settle(fixture, { rcode: 3, answers: [], authorities: soa(5) });
    fixture.clock.passMs(6_000);
    const [client] = settle(fixture, failure('timeout'));
    assert.deepEqual([client.rcode, client.extendedErrors], ['NXDOMAIN', [19]]);
    assert.equal(client.answer.authorities?.length, 1);
  });

  it('is never a kept SERVFAIL', () => {
    const fixture = waiting(plain);
    settle(fixture, { rcode: 2, answers: [] });
    fixture.clock.passMs(6_000);
    assert.equal(settle(fixture, failure('timeout'))[0].rcode, 'SERVFAIL');
    assert.equal(fixture.total('staleOnFailure'), 0);
  });

  it('is not given past its expiry with serve_stale 0', () => {
    const fixture = expired(noStale);
    assert.equal(settle(fixture, failure('timeout'))[0].rcode, 'SERVFAIL');
  });

  it('that another question has brought meanwhile counts down and is not called stale', () => {
    for (const corefile of [plain, noStale]) {
      const fixture = waiting(corefile);
      const notDesired = query('a.test', 'A');
      notDesired[2] &= ~1;
      const slow = fixture.asks(notDesired);
      fixture.asks(query('a.test', 'A'));
      fixture.asked[1].answers();
      fixture.clock.passMs(10_000);
      fixture.asked[0].fails();
      assert.deepEqual([slow.ttls, slow.extendedErrors], [[20], []]);
      assert.equal(fixture.total('staleOnFailure'), 0);
    }
  });

  it('is replaced by a denial, unless positive ones are preferred', () => {
    const denials: Reply[] = [
      { rcode: 3, answers: [], authorities: soa() },
      { rcode: 0, answers: [], authorities: soa() },
    ];
    for (const denial of denials) {
      const fixture = expired();
      const [client] = settle(fixture, denial);
      assert.deepEqual([client.data, fixture.store.success.size, fixture.store.denial.size], [[], 0, 1]);

      const preferring = expired(withOption('serve_stale 1h verify\n serve_stale_policy prefer_positive'));
      assert.deepEqual(settle(preferring, denial)[0].data, ['192.0.2.0']);
      assert.deepEqual([preferring.store.success.size, preferring.store.denial.size], [1, 0]);
      preferring.clock.passMs(3_600_000);
      assert.deepEqual(settle(preferring, denial)[0].data, [], 'while it may be used');
    }
  });

  it('is not preferred to a fresh positive answer, to a cut one, or where it is itself a denial', () => {
    const preferPositive = withOption('serve_stale 1h verify\n serve_stale_policy prefer_positive');
    const fixture = expired(preferPositive);
    assert.equal(settle(fixture, { flags: 0x0200, answers: [] })[0].answer.flag_tc, true);
    assert.deepEqual(settle(fixture, { answers: addresses('a.test', 9) })[0].ttls, [9]);
    const denied = waiting(preferPositive);
    settle(denied, { rcode: 3, answers: [], authorities: soa(5) });
    denied.clock.passMs(6_000);
    const [client] = settle(denied, { rcode: 0, answers: [], authorities: soa(5) });
    assert.deepEqual([client.rcode, client.extendedErrors], ['NOERROR', []]);
  });
});

describe('an answer that is not kept', () => {
  const notKept = { answers: addresses('a.test', 0) };
  const cached = (fixture: WaitingFixture) => fixture.store.success.size + fixture.store.denial.size;

  it('ends what was there, be there no waiters, no memory, or no answer to be kept', () => {
    for (const waiters of [0, 1, 3]) {
      const fixture = expired();
      settle(fixture, notKept, { waiters });
      assert.equal(cached(fixture), 0);
      assert.equal(settle(fixture, failure('timeout'))[0].rcode, 'SERVFAIL');
    }
    const fixture = expired();
    // No memory.
    fixture.cache.keep = () => 0;
    assert.deepEqual(settle(fixture, { answers: addresses('a.test', 9) })[0].ttls, [9]);
    assert.deepEqual([cached(fixture), fixture.total('storeFailed')], [0, 1]);
  });

  it('leaves what came after its question, and what is about another', () => {
    const { asks, asked, clock, store, answer, ...fixture } = waiting(withOption('serve_stale 1h verify'));
    asks(query('a.test', 'A'));
    const zoneId = fixture.zone('.').zoneId;
    clock.passMs(100);
    fixture.cache.keep(store, answerFor('a.test', { zoneId, lifetimeMs: 1_000 }), clock.nowMs());
    fixture.cache.keep(store, answerFor('b.test', { zoneId }), clock.nowMs());
    fixture.cache.keep(store, answerFor('a.test', { zoneId, key: 1 }), clock.nowMs());
    fixture.cache.keep(store, answerFor('a.test', { zoneId: zoneId + 1 }), clock.nowMs());
    clock.passMs(100);
    asked[0].answers(notKept);
    assert.equal(store.success.size, 4);
    assert.equal(answer(query('a.test', 'A'), clock.nowMs()).answers?.length, 1);
    clock.passMs(2_000);
    asks(query('a.test', 'A'));
    asked[0].answers(notKept);
    assert.equal(store.success.size, 3);
  });

  it('leaves everything if it was asked without RD, or is no more than better than nothing', () => {
    const notDesired = query('a.test', 'A');
    notDesired[2] &= ~1;
    const forNow: MadeSource = { extendedError: null, mayKeep: false, by: byTemplate };
    for (const how of [{ packet: notDesired }, { made: forNow }]) {
      const fixture = expired();
      assert.deepEqual(settle(fixture, notKept, how)[0].ttls, [0]);
      assert.deepEqual(settle(fixture, failure('timeout'))[0].ttls, [30]);
    }
  });

  it('is one made here with an extended error, too', () => {
    const fixture = expired();
    settle(
      fixture,
      {},
      { made: { extendedError: { code: 15, text: new Uint8Array() }, mayKeep: true, by: byTemplate } },
    );
    assert.equal(cached(fixture), 0);
  });
});

describe('an outcome that is stale itself', () => {
  const stale = (rcode: number): Outcome => {
    const question = query('a.test', 'A').subarray(12);
    return { ok: true, message: message(question, { rcode, authorities: soa(30) }), from: 'test', isStale: true };
  };

  it('is given as such, is not kept, and gives way to what is known', () => {
    for (const [rcode, error] of [
      [0, 3],
      [3, 19],
    ]) {
      const fixture = waiting(plain);
      const [client] = settle(fixture, stale(rcode));
      assert.deepEqual([client.data.length, client.extendedErrors], [1, [error]]);
      assert.deepEqual([fixture.cache.usedBytes, fixture.failed], [0, []]);
      const known = expired();
      assert.deepEqual(settle(known, stale(rcode))[0].ttls, [30]);
      assert.equal(known.store.success.size, 1);
    }
  });
});

describe('what is counted and logged of a settled question', () => {
  it('is each waiter, under cache or forward, with its rcode and how long it waited', () => {
    const answered = (corefile: string, answerer: number, rcode: number) => {
      const { asks, asked, clock, context, zone } = waiting(corefile);
      for (let index = 0; index < 3; index++) asks(query('a.test', 'A'));
      clock.passMs(100);
      asked[0].answers(rcode === 0 ? {} : { rcode, answers: [] });
      const base = context.counters.zoneBase(zone('.').ordinal);
      const bucket = 9; // 64 ms to 128 ms
      assert.equal(context.counters.zones[base + zonePlaces.duration + bucket], 3);
      return context.counters.zones[base + zonePlaces.responses + answerer * rcodesCounted + rcode];
    };
    assert.equal(answered(plain, 0, 0), 3);
    assert.equal(answered('. {\n forward . 192.0.2.1\n}', 1, 2), 3);
  });

  it('is in the query log, for synthesized answers too', () => {
    const { asks, asked, clock, logged } = waiting('. {\n log\n aaaa smart\n cache\n forward . 192.0.2.1\n}');
    asks(query('a.test', 'A'));
    asks(query('a.test', 'AAAA'), { transport: 'tcp', address: 'fd00::7' });
    clock.passMs(50);
    asked[0].answers();
    assert.deepEqual(
      logged.map(({ name, type, transport, rcode, answerRecords, authorityType, durationMs }) => {
        return [name, type, transport, rcode, answerRecords, authorityType, durationMs];
      }),
      [
        ['a.test.', 1, 'udp', 0, 1, 0, 50],
        ['a.test.', 28, 'tcp', 0, 0, 6, 50],
      ],
    );
  });
});

describe('a client who cannot be answered', () => {
  for (const [how, settled] of [
    ['with what was kept', (fixture: WaitingFixture) => settle(fixture, {}, { waiters: 3 })],
    ['with what was not kept', (fixture: WaitingFixture) => settle(fixture, {}, { waiters: 3, packet: notDesired() })],
    ['with a failure', (fixture: WaitingFixture) => settle(fixture, failure('timeout'), { waiters: 3 })],
  ] as const) {
    it(`keeps no other from being answered ${how}`, () => {
      const fixture = waiting(plain);
      const { usedBytes } = fixture.cache;
      const answered = AskedBy.prototype.reply;
      const replied: (string | null)[] = [];
      AskedBy.prototype.reply = function reply(answer) {
        replied.push(answer === null ? null : this.remote.port.toString());
        answered.call(this, answer);
        if (this.remote.port === 1025 && answer !== null) throw new Error('planted');
      };
      try {
        assert.throws(() => settled(fixture), /planted/u);
      } finally {
        AskedBy.prototype.reply = answered;
      }
      assert.deepEqual(replied, ['1024', '1025', null, '1026']);
      if (how !== 'with what was kept')
        assert.equal(fixture.cache.usedBytes, usedBytes, 'what was borrowed is given back');
    });
  }

  function notDesired(): Buffer {
    const packet = query('a.test', 'A', {});
    packet[2] &= ~1;
    return packet;
  }
});
