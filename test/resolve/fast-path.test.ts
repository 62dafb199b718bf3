import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { kindDenial, kindServfail } from '../../src/cache/blocks.js';
import { countedType, zonePlaces } from '../../src/counters.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { ownQuestion } from '../../src/dns/own-queries.js';
import { originOf } from '../../src/resolve/fast-path.js';
import { answerFor } from '../cache/answers.js';
import { hashKey } from '../dns/hash-key.js';
import { type Fixture, fixture, query } from './context-fixture.js';

const plain = '. {\n cache\n forward . 192.0.2.1\n}';
const flags = (answer: packets.DecodedPacket) => ({
  aa: answer.flag_aa,
  ra: answer.flag_ra,
  rd: answer.flag_rd,
  tc: answer.flag_tc,
});

describe('answerNow', () => {
  it('answers a question of our own as any of its kind, and counts it with none', () => {
    const { context, ask } = fixture(plain);
    context.ownMark = 0xdead_beef;
    const ours = ownQuestion(7, 0xdead_beef);
    for (const [question, counted] of [
      [ours, 0],
      [ours.with(11, 1), 1],
      [ours.with(2, 0x20), 2],
    ] as const) {
      assert.equal((ask(question) as Buffer)[3] & 0x0f, 4);
      assert.equal(context.counters.total('refusedNotimp'), counted);
    }
  });

  it('hands over what is not in the cache', () => {
    assert.equal(fixture(plain).ask(query('a.test', 'A')), 'handed over');
  });

  it('answers from the cache with the id and the spelling of the question', () => {
    const { cache, store, zone, answer, ask } = fixture(plain);
    cache.keep(store, answerFor('www.example.com', { zoneId: zone('.').zoneId }), 0);
    const decoded = answer(query('wWw.ExAmPlE.cOm', 'A'));
    assert.equal(decoded.id, 0x1234);
    assert.equal(decoded.questions?.[0].name, 'wWw.ExAmPlE.cOm');
    assert.equal(decoded.answers?.[0].name, 'wWw.ExAmPlE.cOm');
    assert.deepEqual(flags(decoded), { aa: false, ra: true, rd: true, tc: false });
    assert.equal(ask(query('www.example.com', 'TXT')), 'handed over');
  });

  it('lets TTLs count down and ends with the last second', () => {
    const { cache, store, zone, answer, ask } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, lifetimeMs: 5_000 }), 1000);
    const ttl = (nowMs: number) => (answer(query('a.test', 'A'), nowMs).answers as packets.StringAnswer[])[0].ttl;
    assert.equal(ttl(1000), 5);
    assert.equal(ttl(1999), 5);
    assert.equal(ttl(2000), 4);
    assert.equal(ttl(5999), 1);
    assert.equal(ask(query('a.test', 'A'), 6000), 'handed over');
  });

  it('lets no TTL grow when the answer was stored after this batch looked at the clock', () => {
    const { cache, store, zone, answer } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 5000);
    for (const nowMs of [4999.9, 4000, 1000]) {
      assert.equal((answer(query('a.test', 'A'), nowMs).answers as packets.StringAnswer[])[0].ttl, 30);
    }
  });

  it('keeps the TTL with keepttl', () => {
    const { cache, store, zone, answer } = fixture('. {\n cache {\n keepttl\n }\n forward . 192.0.2.1\n}');
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    assert.equal((answer(query('a.test', 'A'), 20_000).answers as packets.StringAnswer[])[0].ttl, 30);
  });

  it('tells DO and CD apart', () => {
    const { cache, store, zone, ask } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    assert.equal(ask(query('a.test', 'A', { dnssecOk: true })), 'handed over');
    const checkingDisabled = query('a.test', 'A');
    checkingDisabled[3] |= 0x10;
    assert.equal(ask(checkingDisabled), 'handed over');
  });

  it('gives an OPT to those who sent one, and only to them', () => {
    const { cache, store, zone, answer } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    assert.deepEqual(answer(query('a.test', 'A')).additionals, []);
    const [opt] = answer(query('a.test', 'A', { udpBytes: 4096 })).additionals as unknown as packets.OptAnswer[];
    assert.equal(opt.type, 'OPT');
    assert.equal(opt.udpPayloadSize, 1232);
  });

  it('cuts at a record boundary and says so', () => {
    const { cache, store, zone, answer, context } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, records: 40 }), 0);
    const cut = answer(query('a.test', 'A'));
    assert.equal(cut.flag_tc, true);
    assert.equal(cut.answers?.length, Math.floor((512 - 12 - 8 - 4) / 16));
    assert.equal(context.counters.total('answersTruncated'), 1);
    const whole = answer(query('a.test', 'A', { udpBytes: 1232 }));
    assert.equal(whole.flag_tc, false);
    assert.equal(whole.answers?.length, 40);
    context.transport = 1;
    assert.equal(answer(query('a.test', 'A')).answers?.length, 40);
  });

  it('never sends more over UDP than bufsize', () => {
    const { cache, store, zone, ask } = fixture('. {\n bufsize 512\n cache\n forward . 192.0.2.1\n}');
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, records: 200 }), 0);
    assert.ok((ask(query('a.test', 'A', { udpBytes: 4096 })) as Buffer).length <= 512);
  });

  it('answers AAAA by policy with a SOA that can be kept', () => {
    const corefile = 'cluster.local {\n aaaa nxdomain\n cache {\n denial 9984 5\n }\n forward . 192.0.2.1\n}';
    const { answer } = fixture(corefile);
    const decoded = answer(query('web.default.svc.cluster.local', 'AAAA'));
    assert.equal(decoded.rcode, 'NXDOMAIN');
    const [soa] = decoded.authorities as packets.SoaAnswer[];
    assert.equal(soa.name, 'cluster.local');
    assert.equal(soa.ttl, 5);
    assert.equal(soa.data.minimum, 5);
    assert.equal(soa.data.mname, 'ns.dns.cluster.local');
  });

  it('answers AAAA with no data under `aaaa nodata`, at the root too', () => {
    const decoded = fixture('. {\n aaaa nodata\n cache 30\n forward . 192.0.2.1\n}').answer(query('a.test', 'AAAA'));
    assert.equal(decoded.rcode, 'NOERROR');
    assert.equal(decoded.answers?.length, 0);
    assert.equal((decoded.authorities as packets.SoaAnswer[])[0].name, '.');
  });

  it('decides `aaaa smart` by the A that it knows', () => {
    const { cache, store, zone, answer, ask } = fixture('. {\n aaaa smart\n cache\n forward . 192.0.2.1\n}');
    assert.equal(ask(query('a.test', 'AAAA')), 'handed over');
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    assert.equal(answer(query('a.test', 'AAAA')).rcode, 'NOERROR');
    const gone = answerFor('gone.test', { zoneId: zone('.').zoneId, kind: kindDenial });
    gone.message[3] |= 3;
    cache.keep(store, gone, 0);
    assert.equal(answer(query('gone.test', 'AAAA')).rcode, 'NXDOMAIN');
  });

  it('gives an expired answer only where it may', () => {
    const stale = (option: string) => `. {\n cache {\n ${option}\n }\n forward . 192.0.2.1\n}`;
    const onFailure = fixture(plain);
    const key = { zoneId: onFailure.zone('.').zoneId, lifetimeMs: 1000 };
    const ref = onFailure.cache.keep(onFailure.store, answerFor('a.test', key), 0);
    assert.equal(onFailure.ask(query('a.test', 'A'), 2000), 'handed over');
    onFailure.cache.refreshFailed(ref, 3000);
    assert.equal((onFailure.answer(query('a.test', 'A'), 2000).answers as packets.StringAnswer[])[0].ttl, 30);
    assert.equal(onFailure.ask(query('a.test', 'A'), 3000), 'handed over');

    const atOnce = fixture(stale('serve_stale 1h immediate'));
    atOnce.cache.keep(atOnce.store, answerFor('a.test', key), 0);
    assert.equal((atOnce.answer(query('a.test', 'A'), 2000).answers as packets.StringAnswer[])[0].ttl, 0);
    assert.equal(atOnce.context.refreshDue, true);
    assert.equal(atOnce.ask(query('a.test', 'A'), 3_601_000), 'handed over');

    const lastResort = atOnce.cache.keep(atOnce.store, answerFor('a.test', key), 0);
    atOnce.cache.leaveForFailure(lastResort);
    assert.equal((atOnce.answer(query('a.test', 'A'), 999).answers as packets.StringAnswer[])[0].ttl, 1);
    assert.equal(atOnce.ask(query('a.test', 'A'), 2000), 'handed over');
    atOnce.cache.refreshFailed(lastResort, 3000);
    assert.equal((atOnce.answer(query('a.test', 'A'), 2000).answers as packets.StringAnswer[])[0].ttl, 0);

    const never = fixture(stale('serve_stale 0'));
    const kept = never.cache.keep(never.store, answerFor('a.test', key), 0);
    never.cache.refreshFailed(kept, 10_000);
    assert.equal(never.ask(query('a.test', 'A'), 2000), 'handed over');
  });

  it('wants a refresh once a name is asked for often and nears its end', () => {
    const { cache, store, zone, ask, context } = fixture(
      '. {\n cache {\n prefetch 2 1m 50%\n }\n forward . 192.0.2.1\n}',
    );
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, lifetimeMs: 10_000 }), 0);
    const due = (nowMs: number) => {
      ask(query('a.test', 'A'), nowMs);
      return context.refreshDue;
    };
    assert.equal(due(6000), false, 'one hit is not often');
    assert.equal(due(6001), true);
    cache.keep(store, answerFor('b.test', { zoneId: zone('.').zoneId, lifetimeMs: 10_000 }), 0);
    ask(query('b.test', 'A'), 1);
    ask(query('b.test', 'A'), 2);
    assert.equal(context.refreshDue, false, 'young');
  });

  it('refuses what no zone is for, and zone transfers', () => {
    const { answer, context } = fixture('cluster.local {\n forward . 192.0.2.1\n}');
    assert.equal(answer(query('example.com', 'A')).rcode, 'REFUSED');
    assert.equal(context.counters.total('refusedNoZone'), 1);
    assert.equal(answer(query('cluster.local', 'AXFR')).rcode, 'REFUSED');
    assert.equal(context.counters.total('refusedTransfer'), 1);
  });

  it('answers EDNS versions it does not know with BADVERS', () => {
    const packet = query('a.test', 'A', {});
    packet[packet.length - 5] = 1;
    const { ask } = fixture(plain);
    const answer = ask(packet) as Buffer;
    assert.equal(answer[3] & 0x0f, 0);
    assert.equal(answer[answer.length - 6], 1, 'the upper bits of 16 are in the OPT');
    assert.equal(packets.decode(answer).questions?.[0].name, 'a.test');
  });

  it('counts what it answers', () => {
    const { cache, store, zone, answer, context } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    answer(query('a.test', 'A'));
    const base = context.counters.zoneBase(zone('.').ordinal);
    const numbers = context.counters.zones;
    assert.equal(numbers[base + zonePlaces.requests + countedType(1)], 1);
    assert.equal(numbers[base + zonePlaces.responses], 1);
    assert.equal(numbers[base + zonePlaces.hitsSuccess], 1);
    assert.equal(numbers[base + zonePlaces.cacheRequests], 1);
    assert.equal(numbers[base + zonePlaces.duration], 1);
  });

  it('hands queries that are to be logged from the worker to the main thread', () => {
    for (const [role, seen] of [
      ['worker', 'handed over'],
      ['main', 'answered'],
    ] as const) {
      const { cache, store, zone, ask } = fixture('. {\n log\n cache\n forward . 192.0.2.1\n}', role);
      cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
      const answer = ask(query('a.test', 'A'));
      assert.equal(answer === 'handed over' ? answer : 'answered', seen);
    }
  });

  it('answers AAAA for clients over IPv6 from where translated answers are, and counts them', () => {
    const corefile = '. {\n dns64\n cache\n forward . 192.0.2.1\n}';
    const { cache, store, zone, ask, context } = fixture(corefile, 'worker');
    const message = packets.encode({
      type: 'response',
      flags: 0x40,
      questions: [{ name: 'a.test', type: 'AAAA', class: 'IN' }],
      answers: [{ name: 'a.test', type: 'AAAA', ttl: 30, data: '64:ff9b::1' }],
    });
    const normaliser = new Normaliser(hashKey());
    assert.ok(normaliser.read(message));
    const { zoneId } = zone('.').translation!.zone;
    cache.keep(store, { ...normaliser.out, kind: 0, zoneId, key: 0, lifetimeMs: 30_000 }, 0);
    const places = [0, 1].map((family) => {
      context.family = family as 0 | 1;
      const answer = ask(query('a.test', 'AAAA'));
      return answer === 'handed over' ? answer : packets.decode(answer as Buffer).flag_z;
    });
    assert.deepEqual(places, ['handed over', false]);
    const base = context.counters.zoneBase(zone('.').ordinal);
    const numbers = context.counters.zones;
    assert.deepEqual([numbers[base + zonePlaces.translated], numbers[base + zonePlaces.hitsSuccess]], [1, 1]);
  });

  it('hands names of this machine over where they are answered here, AAAA too, and no others', () => {
    const corefile = '. {\n local\n aaaa nxdomain\n cache\n forward . 192.0.2.1\n}';
    const { cache, store, zone, ask } = fixture(corefile, 'worker');
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
    for (const name of ['localhost', 'a.localhost', 'localhost.test', '1.0.0.127.in-addr.arpa']) {
      for (const type of ['A', 'AAAA']) assert.equal(ask(query(name, type)), 'handed over', name);
    }
    for (const type of ['A', 'AAAA']) assert.ok(ask(query('a.test', type)) instanceof Buffer);
    const without = fixture(corefile.replace('local', 'local {\n localhost_prefix off\n }'), 'worker');
    assert.ok(without.ask(query('localhost.test', 'AAAA')) instanceof Buffer);
  });
});

describe('originOf', () => {
  /** Where the answer to this query comes from; the answer is given. */
  const origin = ({ ask, context }: Fixture, packet: Uint8Array, nowMs = 0) => {
    const answer = ask(packet, nowMs) as Buffer;
    return originOf(context, answer[3] & 0x0f, nowMs);
  };

  it('is what answerNow has decided', () => {
    const one = fixture('. {\n aaaa nodata\n cache\n forward . 192.0.2.1\n}');
    const key = { zoneId: one.zone('.').zoneId, lifetimeMs: 1000 };
    const ref = one.cache.keep(one.store, answerFor('a.test', key), 0);
    assert.equal(origin(one, query('a.test', 'A')), 'hit');
    assert.equal(origin(one, query('a.test', 'AAAA')), 'policy');
    one.cache.refreshFailed(ref, 5000);
    assert.equal(origin(one, query('a.test', 'A'), 2000), 'stale');
    assert.equal(origin(one, query('a.test', 'AXFR')), 'refused');
    const elsewhere = fixture('cluster.local {\n cache\n forward . 192.0.2.1\n}');
    assert.equal(origin(elsewhere, query('a.test', 'A')), 'refused');
  });

  it('is a failure for a SERVFAIL that is in no cache, and a hit for one that is', () => {
    const { context, ask, cache, store, zone } = fixture(plain);
    assert.equal(ask(query('a.test', 'A')), 'handed over');
    assert.equal(originOf(context, 2, 0), 'failure');
    const servfail = answerFor('bad.test', { zoneId: zone('.').zoneId, kind: kindServfail });
    servfail.message[3] |= 2;
    cache.keep(store, servfail, 0);
    ask(query('bad.test', 'A'));
    assert.equal(originOf(context, 2, 0), 'hit');
  });

  it('is a hit for an answer that a worker remembers in place of an expired one', () => {
    const { context, ask, cache, store, zone } = fixture(plain);
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, lifetimeMs: 1000 }), 0);
    assert.equal(ask(query('a.test', 'A'), 2000), 'handed over');
    assert.equal(originOf(context, 0, 2000), 'hit');
  });
});
