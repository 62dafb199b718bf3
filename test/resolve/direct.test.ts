import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import {
  type BlockRef,
  type Blocks,
  type Kind,
  kindDenial,
  kindServfail,
  kindSuccess,
} from '../../src/cache/blocks.js';
import type { Cache } from '../../src/cache/cache.js';
import { zonePlaces } from '../../src/counters.js';
import { newSlot } from '../../src/dns/answer.js';
import { wireToName } from '../../src/dns/names.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { recentAnswerMs, sendSlotBytes, waiterQueryBytesMax } from '../../src/limits.js';
import { DirectAnswers, directAsksOf, keepFrom, mayAskDirectly } from '../../src/resolve/direct.js';
import { deferred, keyOf } from '../../src/resolve/fast-path.js';
import { answerFor } from '../cache/answers.js';
import { ManualClock } from '../simulation/clock.js';
import { type Decoded, fixture, query } from './context-fixture.js';
import { addresses, message, type Reply, soa, waiting } from './waiting-fixture.js';

const forwardTo = (address: string) => `forward . ${address} {\n force_tcp\n }\n`;
const block = (zone: string, lines = 'cache', to = '192.0.2.1') => `${zone} {\n ${lines}\n ${forwardTo(to)}}\n`;
const plain = block('.');
const row = 3;

/** A worker that asks by itself, and the main thread's cache behind it. */
function newWorker(corefile = plain) {
  const base = fixture(corefile, 'worker');
  const { context, cache, store } = base;
  const clock = new ManualClock();
  context.slot = newSlot(sendSlotBytes);
  const answers = new DirectAnswers(context, clock);
  const told: [number, number, number][] = [];
  let upstreamAnswers = 0;
  let misses = 0;
  const denied: string[] = [];
  const keep = keepFrom({
    cache,
    home: (zoneId) => {
      if (zoneId !== base.zone('.').zoneId) return null;
      const preferPositive = base.listener.block.cache?.preferPositive === true;
      return { zone: base.zone('.'), store, preferPositive, answered: (...what) => void told.push(what) };
    },
    upstreamAnswered: () => upstreamAnswers++,
    denials: {
      missed: () => void misses++,
      denied: (_, question) => void denied.push(wireToName(question, 0)),
      exists() {},
    },
  });
  const written = (bytes: number): Buffer => Buffer.from(context.slot.bytes.slice(0, bytes));
  return {
    ...{ ...base, clock, answers, keep, told, written, denied },
    get misses() {
      return misses;
    },
    get upstreamAnswers() {
      return upstreamAnswers;
    },
    /** The packet comes, and is deferred. */
    defers(packet: Uint8Array): void {
      assert.equal(base.ask(packet, clock.nowMs()), 'handed over');
    },
    /** Asks about the packet, which is answered after so many milliseconds: bytes in the slot, or negative. */
    asks(packet: Uint8Array, body: Uint8Array, durationMs = 3): number {
      const arrivedMs = clock.nowMs();
      this.defers(packet);
      assert.equal(mayAskDirectly(context, packet, packet.length), true);
      answers.began(row, 'asked');
      clock.passMs(durationMs);
      const came = { message: Buffer.from(body), durationMs, arrivedMs, nowMs: clock.nowMs() };
      return answers.answer(row, Buffer.from(packet), packet.length, 0, came, context.slot);
    },
    /** The same, for what is deferred: whether it shows that the upstream is in trouble. */
    isTroubledBy(packet: Uint8Array, body: Uint8Array): boolean {
      assert.equal(this.asks(packet, body), deferred);
      return answers.wasTrouble;
    },
    /** The same, decoded. */
    answered(packet: Uint8Array, body: Uint8Array): Decoded {
      const bytes = this.asks(packet, body);
      assert.ok(bytes > 0, `${bytes}`);
      return packets.decode(written(bytes)) as Decoded;
    },
    /** The packet comes, and is answered from what is remembered, if it is. */
    remembers(packet: Uint8Array): Decoded | null {
      this.defers(packet);
      const bytes = answers.answerRecent(packet, packet.length, clock.nowMs());
      return bytes === deferred ? null : (packets.decode(written(bytes)) as Decoded);
    },
    /** What the main thread caches. */
    caches(): void {
      keep(Buffer.from(answers.forCache()), clock.nowMs());
    },
    number: (place: keyof typeof zonePlaces) =>
      context.counters.zones[context.counters.zoneBase(base.zone('.').ordinal) + (zonePlaces[place] as number)],
  };
}

const question = (packet: Uint8Array): Uint8Array => packet.subarray(12, 12 + 'a.test'.length + 6);
const asked = query('a.test', 'A');
const reply = (parts: Reply = {}): Buffer => message(question(asked), parts);
const ttls = ({ answers }: Decoded) => (answers as packets.StringAnswer[]).map(({ ttl }) => ttl);

/** The cached answer to the packet: all of it that matters. */
function entryFor({ cache, ...of }: { cache: Cache; zone(name: string): { zoneId: number } }, packet: Uint8Array) {
  const read = new Query();
  assert.equal(readQuery(packet, packet.length, read), 'ok');
  const { blocks } = cache;
  const ref = blocks.find(packet, read.questionEnd, of.zone('.').zoneId, keyOf(read));
  return ref === 0 ? null : entryAt(blocks, ref);
}

function entryAt(blocks: Blocks, ref: BlockRef) {
  const offsets = blocks.ttlOffsets(ref);
  return {
    kind: blocks.kind(ref),
    key: blocks.key(ref),
    storedAtMs: blocks.storedAtMs(ref),
    expiresAtMs: blocks.expiresAtMs(ref),
    lifetimeMs: blocks.lifetimeMs(ref),
    message: Buffer.from(blocks.message(ref)).toString('hex'),
    ttlOffsets: [...blocks.halves.subarray(offsets, offsets + blocks.records(ref))],
  };
}

describe('mayAskDirectly', () => {
  const may = (packet: Buffer, corefile = plain, length = packet.length): boolean => {
    const worker = newWorker(corefile);
    worker.defers(packet);
    return mayAskDirectly(worker.context, packet, length);
  };
  const changed = (at: number, change: (byte: number) => number): Buffer => {
    const packet = query('a.test', 'A', {});
    packet[at] = change(packet[at]);
    return packet;
  };

  it('is so for a plain question, with and without EDNS', () => {
    assert.equal(may(query('a.test', 'A')), true);
    assert.equal(may(query('a.test', 'TXT', { udpBytes: 4096 })), true);
    assert.equal(may(query('a.test', 'AAAA', {})), true);
  });

  it('is not where the answer is not for all: without RD, with DO, with CD', () => {
    assert.equal(may(changed(2, (byte) => byte & ~1)), false);
    assert.equal(may(query('a.test', 'A', { dnssecOk: true })), false);
    assert.equal(may(changed(3, (byte) => byte | 0x10)), false);
  });

  it('is not for what may be the loop probe', () => {
    assert.equal(may(query('a.test', 'HINFO')), false);
  });

  it('is not for a step of a walk, in whose place a cut may be asked about', () => {
    const cluster = block('cluster.local', 'cache');
    assert.equal(may(query('www.com.default.svc.cluster.local', 'A'), cluster), false);
    assert.equal(may(query('web.default.svc.cluster.local', 'A'), cluster), true);
  });

  it('is not for AAAA that the A decides, and for that A', () => {
    const smart = block('.', 'aaaa smart\n cache');
    assert.equal(may(query('a.test', 'AAAA'), smart), false);
    assert.equal(may(query('a.test', 'A'), smart), true);
  });

  it('is not for packets that are too long to wait', () => {
    assert.equal(may(asked, plain, waiterQueryBytesMax), true);
    assert.equal(may(asked, plain, waiterQueryBytesMax + 1), false);
  });

  it('is not where the zone has no plain upstream or no cache, nor in no zone', () => {
    const corefiles = [
      block('.', ''),
      block('.', 'cache', '192.0.2.1 192.0.2.2'),
      block('.', 'log\n cache'),
      block('.', 'loadbalance\n cache'),
      block('.', 'cache b.test'),
      '. {\n cache\n forward . 192.0.2.1\n}',
    ];
    for (const corefile of corefiles) assert.equal(may(asked, corefile), false, corefile);
    const { context } = newWorker();
    context.zone = null;
    assert.equal(mayAskDirectly(context, asked, asked.length), false);
  });

  it('is so where the cached answer is stale, and not where it is only too long for a worker', () => {
    for (const [records, isStale, expected] of [
      [1, true, true],
      [300, false, false],
      [300, true, false],
    ] as const) {
      const worker = newWorker();
      const { cache, store, clock, zone } = worker;
      const answer = answerFor('a.test', { zoneId: zone('.').zoneId, records });
      cache.keep(store, answer, clock.nowMs() - (isStale ? 31_000 : 0));
      worker.defers(asked);
      assert.equal(mayAskDirectly(worker.context, asked, asked.length), expected, `${records} ${isStale}`);
    }
  });
});

describe('directAsksOf', () => {
  it('gives each block’s target once, however many zones it has', () => {
    const others = block('c.test', 'cache', '192.0.2.2') + block('d.test', '', '192.0.2.3') + block('.', '');
    const { listener } = newWorker(block('a.test b.test') + others);
    const asks = [...directAsksOf(listener.zones)];
    assert.deepEqual(
      asks.map(({ upstream }) => upstream.address),
      ['192.0.2.1', '192.0.2.2'],
    );
    assert.equal(listener.zones[0].asks, listener.zones[1].asks);
  });
});

describe('DirectAnswers.answer', () => {
  it('gives the client what the upstream says, and the cache the same', () => {
    const worker = newWorker();
    const answer = worker.answered(asked, reply());
    assert.deepEqual([answer.id, answer.rcode, ttls(answer)], [0x1234, 'NOERROR', [30]]);
    worker.caches();
    assert.equal(entryFor(worker, asked)?.kind, kindSuccess);
    assert.deepEqual(worker.told, [[0, 3, worker.clock.nowMs()]]);
    assert.equal(worker.upstreamAnswers, 1);
    worker.clock.passMs(10_000);
    assert.deepEqual(ttls(worker.answer(asked, worker.clock.nowMs())), [20]);
  });

  it('gives and caches denials with their SOA', () => {
    for (const rcode of [0, 3]) {
      const worker = newWorker();
      const answer = worker.answered(asked, reply({ rcode, answers: [], authorities: soa(4) }));
      assert.deepEqual([answer.rcode, answer.authorities?.length], [rcode === 0 ? 'NOERROR' : 'NXDOMAIN', 1]);
      worker.caches();
      const entry = entryFor(worker, asked);
      assert.deepEqual([entry?.kind, entry?.lifetimeMs, worker.told[0][0]], [kindDenial, 4_000, rcode]);
    }
  });

  it('gives the client all records, and the cache those that do not end too soon', () => {
    const worker = newWorker();
    const glue = addresses('ns.test', 0);
    const packet = packets.encode({
      ...packets.decode(reply()),
      additionals: glue,
      flags: packets.RECURSION_AVAILABLE,
    });
    const answer = worker.answered(asked, packet);
    assert.deepEqual([answer.answers?.length, answer.additionals?.length], [1, 1]);
    worker.caches();
    const cached = worker.answer(asked, worker.clock.nowMs());
    assert.deepEqual([cached.answers?.length, cached.additionals?.length], [1, 0]);
    assert.deepEqual(entryFor(worker, asked)?.lifetimeMs, 30_000);
  });

  it('gives the client what ends at once, and has nothing for the cache but that it came', () => {
    for (const parts of [{ answers: addresses('a.test', 0) }, { rcode: 3, answers: [] }]) {
      const worker = newWorker();
      const answer = worker.answered(asked, reply(parts));
      assert.equal(answer.answers?.length, parts.answers.length);
      assert.ok(worker.answers.forCache().length < reply(parts).length + 48);
      worker.caches();
      assert.deepEqual([worker.told.length, worker.upstreamAnswers, worker.cache.usedBytes], [1, 1, 0]);
      assert.equal(worker.remembers(asked), null);
    }
  });

  it('defers what was cut; that is no trouble', () => {
    const worker = newWorker();
    assert.equal(worker.isTroubledBy(asked, reply({ flags: packets.TRUNCATED_RESPONSE, answers: [] })), false);
    assert.equal(worker.isTroubledBy(asked, reply({ flags: packets.TRUNCATED_RESPONSE })), false);
    assert.equal(worker.remembers(asked), null);
  });

  it('defers failures, and says that they are trouble', () => {
    const worker = newWorker();
    for (const rcode of [1, 2, 4, 5]) assert.equal(worker.isTroubledBy(asked, reply({ rcode, answers: [] })), true);
    for (const extendedRcode of [1, 255]) assert.equal(worker.isTroubledBy(asked, reply({ extendedRcode })), true);
    const { zones } = worker.context.counters;
    assert.ok(
      zones.every((number) => number === 0),
      'the main thread counts them',
    );
  });

  it('defers what is no answer to the question, and counts it', () => {
    const worker = newWorker();
    const { counters } = worker.context;
    const otherType = message(question(query('a.test', 'AAAA')));
    const otherClass = reply();
    otherClass[12 + 8 + 3] = 3;
    const noResponse = reply();
    noResponse[2] &= ~0x80;
    const update = reply();
    update[2] |= 5 << 3;
    const twoQuestions = reply();
    twoQuestions[5] = 2;
    const strangers = [
      message(query('b.test', 'A').subarray(12)),
      message(query('aa.test', 'A').subarray(12)),
      ...[otherType, otherClass, noResponse, update, twoQuestions, Buffer.alloc(0), Buffer.alloc(11)],
      reply().subarray(0, 20),
    ];
    for (const [index, stranger] of strangers.entries()) {
      assert.equal(worker.isTroubledBy(asked, stranger), true, `${index}`);
      assert.equal(counters.total('answersRejectedQuestion'), index + 1);
    }
  });

  it('does not take an exception for what the message before was: trouble', () => {
    const worker = newWorker();
    const { answers, context } = worker;
    assert.equal(worker.isTroubledBy(asked, reply({ rcode: 2, answers: [] })), true);
    const broken = { message: null as unknown as Uint8Array, durationMs: 1, arrivedMs: 0, nowMs: 0 };
    assert.throws(() => answers.answer(row, asked, asked.length, 0, broken, context.slot), TypeError);
    assert.equal(answers.wasTrouble, false);
  });

  it('takes the question in any case', () => {
    const worker = newWorker();
    const answer = worker.answered(query('A.tEst', 'A'), message(query('a.TEst', 'A').subarray(12)));
    assert.deepEqual([answer.questions?.[0].name, answer.answers?.length], ['A.tEst', 1]);
  });

  it('defers what does not parse', () => {
    const worker = newWorker();
    const loops = reply();
    loops.writeUInt16BE(0xc000 | 24, 24);
    for (const garbage of [reply().subarray(0, -1), loops]) assert.equal(worker.isTroubledBy(asked, garbage), true);
    assert.equal(worker.context.counters.total('answersRejectedMalformed'), 0, 'the main thread counts its own');
  });

  it('takes a message with an OPT, which it does not keep', () => {
    const worker = newWorker();
    assert.deepEqual(worker.answered(asked, reply({ extendedRcode: 0 })).additionals, []);
    const withEdns = worker.answered(query('b.test', 'A', {}), message(query('b.test', 'A').subarray(12)));
    assert.deepEqual(
      withEdns.additionals?.map(({ type }) => type),
      ['OPT'],
    );
  });

  it('defers what is too long for the way to the cache', () => {
    const worker = newWorker();
    assert.equal(worker.asks(asked, reply({ answers: addresses('a.test', 30, 224) })), deferred);
    const longest = reply({ answers: addresses('a.test', 30, 223) });
    assert.ok(worker.asks(query('a.test', 'A', { udpBytes: 4096 }), longest) > 0);
    assert.equal(worker.answers.forCache().length, 48 + 223 * 18 + 24);
    worker.caches();
    assert.equal(entryFor(worker, asked)?.ttlOffsets.length, 223);
  });

  it('cuts the answer to the client’s size', () => {
    const worker = newWorker();
    const long = reply({ answers: addresses('a.test', 30, 60) });
    for (const [edns, limit] of [
      [undefined, 512],
      [{ udpBytes: 700 }, 700],
      [{ udpBytes: 4096 }, 1232],
    ] as const) {
      const bytes = worker.asks(query('a.test', 'A', edns), long);
      assert.ok(bytes > 0 && bytes <= limit, `${bytes}`);
      const answer = packets.decode(worker.written(bytes));
      assert.deepEqual([answer.flag_tc, answer.additionals?.length], [limit < 1232, edns === undefined ? 0 : 1]);
    }
    worker.caches();
    assert.equal(entryFor(worker, asked)?.ttlOffsets.length, 60);
    assert.equal(worker.context.counters.total('answersTruncated'), 2);
  });

  it('replaces a stale answer by one with records, and leaves everything else about it to the main thread', () => {
    const worker = newWorker();
    const { cache, store, clock, zone } = worker;
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), clock.nowMs() - 31_000);
    for (const rcode of [0, 3]) {
      assert.equal(worker.asks(asked, reply({ rcode, answers: [], authorities: soa(4) })), deferred);
    }
    assert.equal(worker.asks(asked, reply({ answers: addresses('a.test', 0) })), deferred);
    assert.deepEqual(ttls(worker.answered(asked, reply({ answers: addresses('a.test', 9) }))), [9]);
    worker.caches();
    assert.deepEqual([store.success.size, entryFor(worker, asked)?.lifetimeMs], [1, 9_000]);
  });

  it('replaces a stale denial by what may be kept, and leaves everything else about it to the main thread', () => {
    const worker = newWorker();
    const { cache, store, clock, zone } = worker;
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId, kind: kindDenial }), clock.nowMs() - 31_000);
    assert.equal(worker.isTroubledBy(asked, reply({ answers: addresses('a.test', 0) })), false);
    assert.equal(worker.isTroubledBy(asked, reply({ rcode: 3, answers: [] })), false);
    worker.answered(asked, reply({ rcode: 3, answers: [], authorities: soa(4) }));
    worker.caches();
    assert.deepEqual([store.denial.size, entryFor(worker, asked)?.lifetimeMs], [1, 4_000]);
  });

  it('has an answer for the cache once: those who joined the question get all of it, and bring nothing', () => {
    const worker = newWorker();
    const { answers, clock, context } = worker;
    const more = { ...packets.decode(reply()), additionals: addresses('ns.test', 0), flags: 0x80 };
    const body = packets.encode(more);
    const joined = query('A.TEST', 'A', {});
    worker.defers(joined);
    answers.began(9, 'joined');
    assert.equal(worker.answered(asked, body).additionals?.length, 1);
    assert.ok(answers.forCache().length > 0);
    const came = { message: body, durationMs: 1, arrivedMs: clock.nowMs(), nowMs: clock.nowMs() };
    const bytes = answers.answer(9, joined, joined.length, 1, came, context.slot);
    const { questions, additionals } = packets.decode(worker.written(bytes));
    assert.deepEqual([questions?.[0].name, additionals?.map(({ type }) => type)], ['A.TEST', ['A', 'OPT']]);
    assert.equal(answers.forCache().length, 0);
    assert.equal(worker.remembers(asked)?.additionals?.length, 0);
    assert.deepEqual([worker.number('cacheRequests'), worker.number('misses')], [3, 2]);
  });

  it('judges each row by what was cached when it began', () => {
    const worker = newWorker();
    const { answers, cache, store, clock, zone, context } = worker;
    cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), clock.nowMs() - 31_000);
    worker.defers(asked);
    answers.began(0, 'asked');
    const other = query('b.test', 'A');
    worker.defers(other);
    answers.began(1, 'asked');
    const came = { durationMs: 1, arrivedMs: clock.nowMs(), nowMs: clock.nowMs() };
    const denial = (of: Buffer) => message(of.subarray(12), { rcode: 3, answers: [], authorities: soa() });
    const ended = (at: number, packet: Buffer): number =>
      answers.answer(at, packet, packet.length, 0, { ...came, message: denial(packet) }, context.slot);
    assert.ok(ended(1, other) > 0);
    assert.equal(ended(0, asked), deferred);
  });

  it('counts requests, misses and how long the client waited', () => {
    const worker = newWorker();
    worker.asks(asked, reply(), 100);
    const bucket = 9; // 64 ms to 128 ms
    const { context, zone } = worker;
    const base = context.counters.zoneBase(zone('.').ordinal);
    assert.equal(context.counters.zones[base + zonePlaces.duration + bucket], 1);
    assert.deepEqual(
      (['cacheRequests', 'misses', 'hitsSuccess', 'responses'] as const).map((place) => worker.number(place)),
      [1, 1, 0, 1],
    );
  });
});

describe('DirectAnswers.answerRecent', () => {
  it('answers the same question again, in any case, with the new id and case', () => {
    const worker = newWorker();
    worker.asks(asked, reply());
    for (const name of ['a.test', 'A.TeST']) {
      const again = query(name, 'A');
      again.writeUInt16BE(0x4321, 0);
      const answer = worker.remembers(again);
      assert.deepEqual([answer?.id, answer?.questions?.[0].name, answer && ttls(answer)], [0x4321, name, [30]]);
    }
    assert.deepEqual(
      [worker.number('cacheRequests'), worker.number('misses'), worker.number('hitsSuccess')],
      [3, 1, 2],
    );
  });

  it('counts hits of denials as such', () => {
    const worker = newWorker();
    worker.asks(asked, reply({ rcode: 3, answers: [], authorities: soa() }));
    assert.equal(worker.remembers(asked)?.rcode, 'NXDOMAIN');
    assert.deepEqual([worker.number('hitsSuccess'), worker.number('hitsDenial')], [0, 1]);
  });

  it('defers other questions, types, keys and zones', () => {
    const worker = newWorker(plain + block('b.test'));
    worker.asks(asked, reply());
    for (const other of [
      query('aa.test', 'A'),
      query('a.test', 'AAAA'),
      query('a.test', 'A', { dnssecOk: true }),
      query('a.b.test', 'A'),
    ]) {
      assert.equal(worker.remembers(other), null);
    }
    assert.notEqual(worker.remembers(query('a.test', 'A', {})), null);
  });

  it('defers after a while, by which the answer is in the cache', () => {
    const worker = newWorker();
    worker.asks(asked, reply());
    worker.clock.passMs(recentAnswerMs - 1);
    assert.notEqual(worker.remembers(asked), null);
    worker.clock.passMs(1);
    assert.equal(worker.remembers(asked), null);
  });

  it('does not outlive the answer', () => {
    const worker = newWorker();
    worker.asks(asked, reply({ answers: addresses('a.test', 1) }));
    worker.clock.passMs(999);
    assert.notEqual(worker.remembers(asked), null);
    worker.clock.passMs(1);
    assert.equal(worker.remembers(asked), null);
  });

  it('gives the newest of two', () => {
    const worker = newWorker();
    worker.asks(asked, reply());
    worker.asks(asked, reply({ answers: addresses('a.test', 7, 2) }));
    assert.deepEqual(ttls(worker.remembers(asked) as Decoded), [7, 7]);
  });

  it('gives those who ask within that time what may be cached, not what the first client got besides', () => {
    const worker = newWorker();
    const more = { ...packets.decode(reply()), additionals: addresses('ns.test', 0), flags: 0x80 };
    assert.equal(worker.answered(asked, packets.encode(more)).additionals?.length, 1);
    assert.deepEqual(worker.remembers(asked)?.additionals, []);
  });

  it('forgets all when the settings change', () => {
    const worker = newWorker();
    worker.asks(asked, reply());
    worker.answers.clear();
    assert.equal(worker.remembers(asked), null);
    worker.asks(asked, reply());
    assert.notEqual(worker.remembers(asked), null);
  });
});

describe('keepFrom', () => {
  const entryOf = (worker: ReturnType<typeof newWorker>, parts: Reply = {}): Buffer => {
    assert.ok(worker.asks(asked, reply(parts)) > 0);
    return Buffer.from(worker.answers.forCache());
  };

  it('caches what is newer than the cached answer or as new, and passes over what is older', () => {
    const worker = newWorker();
    const { keep, cache, told } = worker;
    const first = entryOf(worker);
    const second = entryOf(worker, { answers: addresses('a.test', 60, 2) });
    keep(second, 5_000);
    keep(first, 4_999);
    assert.deepEqual(entryFor(worker, asked)?.ttlOffsets.length, 2);
    assert.equal(entryFor(worker, asked)?.storedAtMs, 5_000);
    keep(first, 5_000);
    assert.equal(entryFor(worker, asked)?.ttlOffsets.length, 1);
    assert.deepEqual(
      [told.length, [...cache.refs()].flat().length],
      [3, 1],
      'an older one tells of the upstream all the same',
    );
  });

  it('moves the name between the stores', () => {
    const worker = newWorker();
    const { keep, store } = worker;
    const positive = entryOf(worker);
    const denial = entryOf(worker, { rcode: 3, answers: [], authorities: soa() });
    keep(positive, 1_000);
    assert.deepEqual([store.success.size, store.denial.size], [1, 0]);
    keep(denial, 1_001);
    assert.deepEqual([store.success.size, store.denial.size], [0, 1]);
    keep(positive, 1_002);
    assert.deepEqual([store.success.size, store.denial.size], [1, 0]);
  });

  it('does not replace records that another thread has got meanwhile by a denial, where positive ones are preferred', () => {
    const worker = newWorker(block('.', 'cache {\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n }'));
    const { keep, store, told } = worker;
    const positive = entryOf(worker);
    const denial = entryOf(worker, { rcode: 3, answers: [], authorities: soa() });
    keep(denial, 999);
    keep(positive, 1_000);
    keep(denial, 1_001);
    assert.deepEqual([store.success.size, store.denial.size, told.length], [1, 0, 3]);
    keep(positive, 1_002);
    assert.equal(entryFor(worker, asked)?.storedAtMs, 1_002);
  });

  it('drops what is in a zone that workers no longer ask in', () => {
    const worker = newWorker(block('b.test') + plain);
    const other = query('a.b.test', 'A');
    assert.ok(worker.asks(other, message(other.subarray(12))) > 0);
    worker.caches();
    assert.deepEqual([worker.told, worker.upstreamAnswers, worker.cache.usedBytes], [[], 0, 0]);
  });

  it('does without memory that is not there', () => {
    const worker = newWorker();
    const entry = entryOf(worker);
    worker.cache.keep = () => 0;
    worker.keep(entry, 1_000);
    assert.equal(worker.told.length, 1);
  });
});

const recordOf = fc.record({
  name: fc.constantFrom('a.test', 'A.Test', 'www.a.test', 'x.example', '.'),
  ttl: fc.constantFrom(0, 1, 5, 30, 3_600, 400_000, 2 ** 31, 2 ** 32 - 1),
  type: fc.constantFrom('A', 'AAAA', 'CNAME', 'TXT', 'NS', 'SOA', 'RRSIG'),
});

function recordFrom({ name, ttl, type }: { name: string; ttl: number; type: string }): packets.Answer {
  const soaData = { mname: 'ns.test', rname: 'h.a.test', serial: 1, refresh: 1, retry: 1, expire: 1 };
  const inception = Date.UTC(2023, 11, 31) / 1000;
  const signed = { typeCovered: 'A', algorithm: 8, labels: 2, originalTTL: 30, keyTag: 1, signersName: 'a.test' };
  const data: Record<string, unknown> = {
    A: '192.0.2.7',
    AAAA: 'fd00::7',
    CNAME: 'www.a.test',
    TXT: ['text'],
    NS: 'ns.a.test',
    SOA: { ...soaData, minimum: ttl % 100 },
    RRSIG: { ...signed, inception, expiration: Date.UTC(2024, 0, 1) / 1000 + (ttl % 50), signature: Buffer.alloc(8) },
  };
  return { name, ttl, type, data: data[type] } as packets.Answer;
}

function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const bodyOf = fc.record({
  rcode: fc.constantFrom(...[0, 0, 0, 0, 0, 3, 3, 3], 2, 5),
  flags: fc.oneof(fc.constantFrom(0, packets.AUTHORITATIVE_ANSWER, packets.AUTHENTIC_DATA), mostly(0, 0x0200)),
  questionName: mostly('a.test', 'A.teSt', 'b.test'),
  questionType: mostly('same', 'TXT'),
  answers: fc.array(recordOf, { maxLength: 6 }),
  many: mostly(0, 40, 300),
  authorities: fc.array(recordOf, { maxLength: 3 }),
  additionals: fc.array(recordOf, { maxLength: 3 }),
  extendedRcode: mostly(null as number | null, 0, 1),
  changes: fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 }) },
  ),
  cut: mostly(0, 1, 9),
});
type Body = typeof bodyOf extends fc.Arbitrary<infer T> ? T : never;

function bodyFrom(body: Body, type: string): Buffer {
  const { rcode, flags, questionName, questionType, answers, many, authorities, additionals, extendedRcode } = body;
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode, flags: 0, options: [] };
  const encoded = packets.encode({
    type: 'response',
    flags: packets.RECURSION_AVAILABLE | flags | rcode,
    questions: [{ name: questionName, type: (questionType === 'same' ? type : questionType) as 'A', class: 'IN' }],
    answers: [...answers.map(recordFrom), ...addresses('a.test', 30, many)],
    authorities: authorities.map(recordFrom),
    additionals: [
      ...additionals.map(recordFrom),
      ...(extendedRcode === null ? [] : [opt as unknown as packets.Answer]),
    ],
  });
  for (const [at, byte] of body.changes) if (at < encoded.length) encoded[at] = byte;
  return encoded.subarray(0, encoded.length - body.cut);
}

describe('a worker’s answer', () => {
  /** Answers on both ways; whether the worker answered. */
  function compare(packet: Buffer, body: Buffer, staleAgeMs: number, kind: Kind = kindSuccess): boolean {
    const main = waiting(plain);
    const worker = newWorker();
    if (staleAgeMs > 0) {
      const answer = answerFor('a.test', { zoneId: main.zone('.').zoneId, kind });
      main.cache.keep(main.store, answer, main.clock.nowMs() - staleAgeMs);
      worker.cache.keep(worker.store, answer, worker.clock.nowMs() - staleAgeMs);
    }
    const bytes = worker.asks(packet, body);
    const before = entryFor(main, packet);
    if (bytes < 0) {
      assert.deepEqual(entryFor(worker, packet), before);
      return false;
    }
    worker.caches();
    const client = main.asks(packet);
    main.clock.passMs(3);
    main.asked[0].ends({ ok: true, message: Buffer.from(body), from: 'test' });
    assert.equal(worker.written(bytes).toString('hex'), client.replies[0]?.toString('hex'));
    assert.deepEqual(entryFor(worker, packet), entryFor(main, packet));
    assert.deepEqual(worker.context.counters.zones, main.context.counters.zones);
    for (const event of ['answersTruncated', 'answersRejectedQuestion', 'answersRejectedMalformed'] as const) {
      assert.equal(worker.context.counters.total(event), main.total(event), event);
    }
    return true;
  }

  it('is byte for byte the main thread’s, and so is what is cached and counted', () => {
    const sets: [string, Reply][] = [
      ['A', {}],
      ['A', { rcode: 3, answers: [], authorities: soa(4) }],
      ['A', { answers: [], authorities: soa(4) }],
      ['A', { answers: addresses('a.test', 0) }],
      ['A', { answers: addresses('a.test', 30, 100) }],
      ['A', { rcode: 3, answers: [] }],
      ['A', { answers: [...addresses('a.test', 1_000_000), ...addresses('a.test', 4)] }],
      ['AAAA', { answers: [], authorities: soa(0) }],
    ];
    for (const [type, parts] of sets) {
      for (const edns of [undefined, {}, { udpBytes: 4096 }]) {
        const packet = query('a.TEST', type, edns);
        assert.equal(compare(packet, message(question(packet), parts), 0), true);
      }
    }
    assert.equal(compare(asked, reply(), 31_000), true);
    const denial = reply({ rcode: 3, answers: [], authorities: soa(4) });
    assert.equal(compare(asked, denial, 31_000), false);
    assert.equal(compare(asked, denial, 31_000, kindDenial), true);
  });

  it('is so for whatever the upstream says, unless it is left to the main thread', () => {
    const runs = 400;
    let answered = 0;
    fc.assert(
      fc.property(
        bodyOf,
        fc.constantFrom('A', 'AAAA', 'TXT', 'CNAME', 'NS', 'SOA'),
        fc.constantFrom(undefined, {}, { udpBytes: 512 }, { udpBytes: 4096 }),
        fc.constantFrom('a.test', 'A.TesT'),
        fc.constantFrom(0, 0, 0, 31_000, 3_700_000),
        fc.constantFrom<Kind>(kindSuccess, kindDenial, kindServfail),
        (body, type, edns, name, staleAgeMs, kind) => {
          if (compare(query(name, type, edns), bodyFrom(body, type), staleAgeMs, kind)) answered++;
        },
      ),
      { numRuns: runs },
    );
    assert.ok(answered > runs / 5, `only ${answered} of ${runs} were answered`);
  });
});
