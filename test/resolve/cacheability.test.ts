import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { Blocks, cacheMemory, kindDenial, kindServfail, kindSuccess } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { parseConfig } from '../../src/config/load.js';
import { nameToWire } from '../../src/dns/names.js';
import { leaveFirst, Normaliser, ttlSeconds } from '../../src/dns/normalise.js';
import {
  Adopter,
  type AdoptingZone,
  type KeepPolicy,
  keeping as keepingAt,
  keepRoute,
} from '../../src/resolve/cacheability.js';
import { hashKey } from '../dns/hash-key.js';
import { loadOptions } from './context-fixture.js';

const normaliser = new Normaliser(hashKey());
const { out } = normaliser;
const policy: KeepPolicy = {
  success: { ttlMinSeconds: 0, ttlMaxSeconds: 3600 },
  denial: { ttlMinSeconds: 0, ttlMaxSeconds: 1800 },
  servfailMs: 5000,
};

const wallMs = Date.UTC(2024, 0, 1);
const keeping = (message: typeof out, by: KeepPolicy) => {
  const kept = keepingAt(message, by, wallMs);
  return kept && { kind: kept.kind, lifetimeMs: kept.lifetimeMs };
};

interface Sent {
  readonly rcode?: number;
  readonly answers?: readonly { type: 'A' | 'CNAME'; ttl: number }[];
  readonly soa?: { ttl: number; minimum: number };
  readonly truncated?: boolean;
}

function read({ rcode = 0, answers = [], soa, truncated }: Sent): typeof out {
  const message = packets.encode({
    type: 'response',
    flags: rcode | (truncated ? packets.TRUNCATED_RESPONSE : 0),
    questions: [{ name: 'a.test', type: 'A', class: 'IN' }],
    answers: answers.map(({ type, ttl }) => ({
      name: 'a.test',
      type,
      ttl,
      data: type === 'A' ? '192.0.2.1' : 'b.test',
    })),
    authorities: soa && [
      {
        name: 'test',
        type: 'SOA',
        ttl: soa.ttl,
        data: { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: soa.minimum },
      },
    ],
  });
  assert.ok(normaliser.read(message));
  return out;
}

const ttls = () => Array.from({ length: out.records }, (_, index) => ttlSeconds(out.message, out.ttlOffsets[index]));

describe('keeping', () => {
  it('keeps an answer as long as its shortest record', () => {
    const message = read({
      answers: [
        { type: 'CNAME', ttl: 60 },
        { type: 'A', ttl: 20 },
      ],
    });
    assert.deepEqual(keeping(message, policy), { kind: kindSuccess, lifetimeMs: 20_000 });
    assert.deepEqual(ttls(), [60, 20]);
  });

  it('caps each record by itself and never raises one', () => {
    const message = read({
      answers: [
        { type: 'CNAME', ttl: 86_400 },
        { type: 'A', ttl: 3 },
      ],
    });
    assert.deepEqual(keeping(message, policy), { kind: kindSuccess, lifetimeMs: 3000 });
    assert.deepEqual(ttls(), [3600, 3]);
  });

  it('raises only to a minimum that was asked for', () => {
    const message = read({ answers: [{ type: 'A', ttl: 0 }] });
    assert.equal(keeping(message, policy), null);
    const raised = keeping(message, { ...policy, success: { ...policy.success, ttlMinSeconds: 5 } });
    assert.deepEqual(raised, { kind: kindSuccess, lifetimeMs: 5000 });
    assert.deepEqual(ttls(), [5]);
  });

  it('keeps denials by the smaller of TTL and MINIMUM, and tells it to clients (RFC 2308 3, 5)', () => {
    assert.deepEqual(keeping(read({ rcode: 3, soa: { ttl: 600, minimum: 30 } }), policy), {
      kind: kindDenial,
      lifetimeMs: 30_000,
    });
    assert.deepEqual(ttls(), [30]);
    assert.deepEqual(keeping(read({ soa: { ttl: 10, minimum: 30 } }), policy), {
      kind: kindDenial,
      lifetimeMs: 10_000,
    });
    assert.deepEqual(keeping(read({ rcode: 3, soa: { ttl: 90_000, minimum: 90_000 } }), policy), {
      kind: kindDenial,
      lifetimeMs: 1_800_000,
    });
  });

  it('takes an alias that leads to no data for a denial, which lives no longer than the alias', () => {
    for (const rcode of [0, 3]) {
      const message = read({ rcode, answers: [{ type: 'CNAME', ttl: 60 }], soa: { ttl: 30, minimum: 30 } });
      assert.deepEqual(keeping(message, policy), { kind: kindDenial, lifetimeMs: 30_000 });
      assert.deepEqual(ttls(), [60, 30]);
      const short = read({ rcode, answers: [{ type: 'CNAME', ttl: 2 }], soa: { ttl: 60, minimum: 60 } });
      assert.deepEqual(keeping(short, policy), { kind: kindDenial, lifetimeMs: 2_000 });
      assert.deepEqual(ttls(), [2, 2]);
      const raised = keeping(read({ rcode, answers: [{ type: 'CNAME', ttl: 2 }], soa: { ttl: 60, minimum: 60 } }), {
        ...policy,
        denial: { ...policy.denial, ttlMinSeconds: 20 },
      });
      assert.deepEqual(raised, { kind: kindDenial, lifetimeMs: 20_000 });
      assert.equal(
        keeping(read({ rcode, answers: [{ type: 'CNAME', ttl: 0 }], soa: { ttl: 60, minimum: 60 } }), policy),
        null,
      );
      assert.equal(keeping(read({ rcode, answers: [{ type: 'CNAME', ttl: 60 }] }), policy), null, 'without SOA');
    }
  });

  it('keeps no denial without SOA, no referral, nothing cut, nothing of this exchange only', () => {
    assert.equal(keeping(read({ rcode: 3 }), policy), null);
    assert.equal(keeping(read({}), policy), null);
    assert.equal(keeping(read({ truncated: true, answers: [{ type: 'A', ttl: 60 }] }), policy), null);
    for (const rcode of [1, 5, 6, 9, 15]) assert.equal(keeping(read({ rcode }), policy), null, String(rcode));
    assert.equal(keeping(read({ rcode: 3, soa: { ttl: 0, minimum: 30 } }), policy), null);
  });

  it('keeps SERVFAIL and NOTIMP for as long as the policy says', () => {
    for (const rcode of [2, 4]) {
      assert.deepEqual(keeping(read({ rcode }), policy), { kind: kindServfail, lifetimeMs: 5000 });
      assert.equal(keeping(read({ rcode }), { ...policy, servfailMs: 0 }), null);
    }
  });
});

type Section = readonly {
  readonly type: 'A' | 'CNAME' | 'NS' | 'NSEC' | 'SOA' | 'RRSIG';
  readonly ttl: number;
  readonly left?: number;
  readonly covers?: 'A' | 'NS';
}[];

/** Records of any kind; `left` is for how many seconds more a signature is valid. */
function records(section: Section): packets.Answer[] {
  const wallSeconds = wallMs / 1000;
  const data = {
    A: '192.0.2.1',
    CNAME: 'b.test',
    NS: 'ns.test',
    NSEC: { nextDomain: 'b.test', rrtypes: ['A'] },
    SOA: { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1_000 },
  };
  return section.map(({ type, ttl, left = 1_000, covers = 'A' }) => {
    const signature = {
      ...{ typeCovered: covers, algorithm: 8, labels: 2, originalTTL: ttl, inception: wallSeconds - 10, keyTag: 1 },
      ...{ expiration: (wallSeconds + left) % 2 ** 32, signersName: 'test', signature: Buffer.alloc(8, 1) },
    };
    return { name: 'a.test', type, ttl, data: type === 'RRSIG' ? signature : data[type] } as unknown as packets.Answer;
  });
}

interface Sections {
  readonly rcode?: number;
  readonly answers?: Section;
  readonly authorities?: Section;
  readonly additionals?: Section;
}

/** What is kept, with how many records of each section. */
function keptOf({ rcode = 0, answers = [], authorities = [], additionals = [] }: Sections, by = policy) {
  const sections = { answers: records(answers), authorities: records(authorities), additionals: records(additionals) };
  const questions = [{ name: 'a.test', type: 'A' as const, class: 'IN' as const }];
  assert.ok(normaliser.read(packets.encode({ type: 'response', flags: rcode, questions, ...sections })));
  const kept = keepingAt(out, by, wallMs);
  if (kept === null) return null;
  leaveFirst(out, kept.records);
  const left = packets.decode(Buffer.from(out.message.subarray(0, out.messageBytes)));
  const counts = [left.answers, left.authorities, left.additionals].map((section = []) => section.length);
  return { seconds: kept.lifetimeMs / 1000, counts };
}

describe('what is kept of a message', () => {
  const a = { type: 'A', ttl: 300 } as const;
  const short = { type: 'A', ttl: 2 } as const;
  const ns = { type: 'NS', ttl: 300 } as const;

  it('is all of it where all of it lasts', () => {
    assert.deepEqual(keptOf({ answers: [a], authorities: [ns], additionals: [a, a] }), {
      seconds: 300,
      counts: [1, 1, 2],
    });
    assert.deepEqual(keptOf({ answers: [short], additionals: [a] }), { seconds: 2, counts: [1, 0, 1] });
  });

  it('is not what an answer can do without, where that is the first to end', () => {
    for (const ttl of [0, 2, 299]) {
      const additionals = [a, { type: 'A', ttl }] as const;
      const authorities = [ns, { type: 'NS', ttl }] as const;
      assert.deepEqual(keptOf({ answers: [a], authorities: [ns], additionals }), { seconds: 300, counts: [1, 1, 0] });
      assert.deepEqual(keptOf({ answers: [a], authorities, additionals: [a] }), { seconds: 300, counts: [1, 0, 0] });
      const soa = { type: 'SOA', ttl: 300 } as const;
      assert.deepEqual(keptOf({ rcode: 3, authorities: [soa], additionals }), { seconds: 300, counts: [0, 1, 0] });
    }
  });

  it('lasts no longer than what proves it', () => {
    const proof = { type: 'NSEC', ttl: 20 } as const;
    assert.deepEqual(keptOf({ answers: [a], authorities: [ns, proof] }), { seconds: 20, counts: [1, 2, 0] });
    const soa = { type: 'SOA', ttl: 300 } as const;
    assert.deepEqual(keptOf({ rcode: 3, authorities: [soa, proof] }), { seconds: 20, counts: [0, 2, 0] });
    assert.deepEqual(keptOf({ authorities: [soa, { ...ns, ttl: 7 }] }), { seconds: 7, counts: [0, 2, 0] });
  });

  it('lasts no longer than a signature, whatever minimum there is (RFC 4034 3.1.5)', () => {
    const signed = (left: number) => ({ type: 'RRSIG', ttl: 300, left }) as const;
    const raising = { ...policy, success: { ...policy.success, ttlMinSeconds: 600 } };
    for (const by of [policy, raising]) {
      assert.deepEqual(keptOf({ answers: [a, signed(60)] }, by), { seconds: 60, counts: [2, 0, 0] });
      for (const left of [0, -1, -86_400]) assert.equal(keptOf({ answers: [a, signed(left)] }, by), null);
    }
    // The numbers run over in 2106, and what is far ahead is before.
    assert.equal(keptOf({ answers: [a, signed(2 ** 31 + 10)] }), null);
    assert.deepEqual(keptOf({ answers: [a, signed(2 ** 31 - 10)] }), { seconds: 300, counts: [2, 0, 0] });
    const nsSigned = { ...signed(-5), covers: 'NS' } as const;
    assert.deepEqual(keptOf({ answers: [a], authorities: [ns, nsSigned] }), { seconds: 300, counts: [1, 0, 0] });
    assert.equal(keptOf({ answers: [a], authorities: [ns, signed(-5)] }), null);
    assert.deepEqual(keptOf({ answers: [a], additionals: [a, signed(-5)] }), { seconds: 300, counts: [1, 0, 0] });
  });

  it('has in it no record past its time, and is no shorter-lived than it must be', () => {
    const record = fc.record({
      type: fc.constantFrom('A', 'CNAME', 'NS', 'NSEC', 'SOA', 'RRSIG') as fc.Arbitrary<Section[number]['type']>,
      ttl: fc.nat(8),
      left: fc.integer({ min: -1, max: 8 }),
      covers: fc.constantFrom('A', 'NS') as fc.Arbitrary<'A' | 'NS'>,
    });
    const sections = fc.record({
      rcode: fc.constantFrom(0, 0, 2, 3),
      answers: fc.array(record, { maxLength: 3 }),
      authorities: fc.array(record, { maxLength: 3 }),
      additionals: fc.array(record, { maxLength: 3 }),
    });
    const clamp = (ttl: number, min: number, max: number) => Math.min(Math.max(ttl, min), max);
    fc.assert(
      fc.property(sections, fc.nat(3), fc.integer({ min: 3, max: 9 }), (sent, min, max) => {
        const bounds = { ttlMinSeconds: min, ttlMaxSeconds: max };
        const by = { ...policy, success: bounds, denial: bounds };
        const kept = keptOf(sent, by);
        if (kept === null) return;
        const lasts = ({ type, ttl, left }: Section[number]) =>
          type === 'RRSIG' ? Math.min(clamp(ttl, min, max), left ?? 0) : clamp(ttl, min, max);
        const [answers, authorities, additionals] = [sent.answers, sent.authorities, sent.additionals].map(
          (section, index) => section.slice(0, kept.counts[index]).map(lasts),
        );
        const all = [...answers, ...authorities, ...additionals];
        assert.ok(kept.seconds > 0 && all.every((seconds) => seconds >= kept.seconds), 'a record outlives its TTL');
        assert.equal(answers.length, sent.answers.length, 'answers are kept whole');
        const longest = Math.min(...all, sent.rcode === 2 ? 5 : max);
        assert.equal(kept.seconds, longest);
        for (let index = 0; index < out.records; index++) {
          assert.ok(
            ttlSeconds(out.message, out.ttlOffsets[index]) >= kept.seconds,
            'TTL 0 is shown within the lifetime',
          );
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a cache directive', () => {
  const cacheOf = (options: string) =>
    parseConfig(`. {\n cache 60 {\n${options}\n }\n forward . 192.0.2.1\n}`, 'Corefile', loadOptions).blocks[0].cache!;
  const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);

  it('says what is kept for how long', () => {
    const { success, denial } = keepRoute(cacheOf('')).policy;
    assert.deepEqual([success.ttlMaxSeconds, denial.ttlMaxSeconds, success.ttlMinSeconds], [60, 60, 0]);
  });

  it('disables a kind, for all names or for some', () => {
    const all = keepRoute(cacheOf('disable denial')).keeps;
    assert.equal(all(kindDenial, question('a.test'), 0), false);
    assert.equal(all(kindSuccess, question('a.test'), 0), true);
    const some = keepRoute(cacheOf('disable success example.org')).keeps;
    assert.equal(some(kindSuccess, question('www.example.org'), 0), false);
    assert.equal(some(kindSuccess, question('www.example.com'), 0), true);
    assert.equal(keepRoute(cacheOf('')).keeps(kindSuccess, question('a.test'), 0), true);
  });
});

const nowMs = 1_000_000;
const now = { nowMs, wallMs: Date.UTC(2024, 0, 1) };

interface Wish {
  readonly name?: string;
  readonly ttl?: number;
  readonly storedAtMs?: number;
  readonly rcode?: number;
}

function newWorld(zoneChanges: Partial<AdoptingZone['keep']> = {}) {
  const blocks = new Blocks(cacheMemory(), hashKey());
  const cache = new Cache(blocks);
  const store = cache.newStore({ successEntriesMax: 100, denialEntriesMax: 100 });
  const policy = {
    success: { ttlMinSeconds: 0, ttlMaxSeconds: 60 },
    denial: { ttlMinSeconds: 0, ttlMaxSeconds: 5 },
    servfailMs: 5_000,
  };
  const keep = { policy, staleTimerMs: 400, recheckMs: 0, preferPositive: false, keeps: () => true, ...zoneChanges };
  const zone: AdoptingZone = { zoneId: 3, store, keep, staleMaxMs: 10_000 };
  const adopter = new Adopter(cache);
  const adopt = (wish: Wish = {}) => adopter.adopt(zone, foreign(message(wish), wish.storedAtMs ?? nowMs - 1_000), now);
  return { blocks, cache, store, adopter, zone, adopt };
}

/** Between other bytes, as in a chunk. */
function foreign(message: Uint8Array, storedAtMs: number) {
  const bytes = Buffer.concat([Buffer.from([1, 2, 3]), message, Buffer.from([4])]);
  return { bytes, from: 3, end: 3 + message.length, key: 1, storedAtMs };
}

function message({ name = 'a.test', ttl = 30, rcode = 0 }: Wish): Uint8Array {
  const soa = { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: ttl };
  return packets.encode({
    ...{ type: 'response', id: 1, flags: rcode, questions: [{ name, type: 'A', class: 'IN' }] },
    answers: rcode === 0 ? [{ name, type: 'A', ttl, data: '192.0.2.1' }] : [],
    authorities: rcode === 0 ? [] : [{ name: 'test', type: 'SOA', ttl, data: soa }],
  });
}

describe('Adopter', () => {
  test('an answer is kept as old as it is', () => {
    const { adopt, cache, blocks } = newWorld();
    assert.equal(adopt(), 'kept');
    const [ref] = [...cache.refs()].flat();
    assert.deepEqual([blocks.storedAtMs(ref), blocks.expiresAtMs(ref)], [nowMs - 1_000, nowMs + 29_000]);
    assert.deepEqual([blocks.zoneId(ref), blocks.key(ref), blocks.kind(ref)], [3, 1, kindSuccess]);
  });

  test('it lives no longer than our own settings let it, and is never younger than now', () => {
    const { adopt, cache, blocks } = newWorld();
    adopt({ ttl: 86_400, storedAtMs: nowMs + 5_000_000 });
    const [ref] = [...cache.refs()].flat();
    assert.deepEqual([blocks.storedAtMs(ref), blocks.expiresAtMs(ref)], [nowMs, nowMs + 60_000]);
    const denials = newWorld();
    denials.adopt({ ttl: 3_600, rcode: 3 });
    const [denial] = [...denials.cache.refs()].flat();
    assert.equal(denials.blocks.kind(denial), kindDenial);
    assert.equal(denials.blocks.lifetimeMs(denial), 5_000);
  });

  test('one past its time is kept while it may still be given as stale, and not after', () => {
    assert.equal(newWorld().adopt({ ttl: 30, storedAtMs: nowMs - 39_999 }), 'kept');
    assert.equal(newWorld().adopt({ ttl: 30, storedAtMs: nowMs - 40_000 }), 'passed over');
  });

  test('the younger of two for one question stays', () => {
    const { adopt, cache, blocks } = newWorld();
    adopt({ storedAtMs: nowMs - 5_000 });
    assert.equal(adopt({ storedAtMs: nowMs - 6_000 }), 'passed over');
    assert.equal(adopt({ storedAtMs: nowMs - 4_000 }), 'kept');
    assert.deepEqual(
      [...cache.refs()].flat().map((ref) => blocks.storedAtMs(ref)),
      [nowMs - 4_000],
    );
  });

  test('one that is newer and may not be kept ends what is here, as it did there', () => {
    const denials = { keeps: (kind: number) => kind === kindSuccess };
    for (const [wish, changes] of [
      [{ ttl: 0 }, {}],
      [{ rcode: 3, ttl: 0 }, {}],
      [{ rcode: 3 }, denials],
    ] as const) {
      const { adopt, cache } = newWorld(changes);
      adopt({ storedAtMs: nowMs - 5_000 });
      assert.equal(adopt({ ...wish, storedAtMs: nowMs - 6_000 }), 'passed over');
      assert.equal(adopt({ ...wish, name: 'b.test', storedAtMs: nowMs }), 'passed over');
      assert.equal(adopt({ rcode: 2, storedAtMs: nowMs }), 'passed over');
      assert.equal([...cache.refs()].flat().length, 1, 'older, of another name, or a failure');
      assert.equal(adopt({ ...wish, storedAtMs: nowMs - 4_000 }), 'passed over');
      assert.equal([...cache.refs()].flat().length, 0);
    }
    const { adopt, cache } = newWorld();
    adopt({ ttl: 60, storedAtMs: nowMs - 50_000 });
    assert.equal(adopt({ ttl: 5, storedAtMs: nowMs - 20_000 }), 'passed over', 'too old itself');
    assert.equal([...cache.refs()].flat().length, 0);
  });

  test('no record of it outlives its TTL, and no signature its end, counted from when it came', () => {
    const { adopter, zone, cache, blocks } = newWorld();
    const wallSeconds = now.wallMs / 1000;
    const rrsig = {
      ...{ typeCovered: 'A', algorithm: 8, labels: 2, originalTTL: 30, inception: wallSeconds - 99, keyTag: 1 },
      ...{ expiration: wallSeconds + 3, signersName: 'test', signature: Buffer.alloc(8, 1) },
    };
    const parts = {
      ...{ type: 'response' as const, questions: [{ name: 'a.test', type: 'A' as const, class: 'IN' as const }] },
      answers: [
        { name: 'a.test', type: 'A', ttl: 30, data: '192.0.2.1' },
        { name: 'a.test', type: 'RRSIG', ttl: 30, data: rrsig },
      ] as packets.Answer[],
      additionals: [{ name: 'b.test', type: 'A', ttl: 2, data: '192.0.2.1' }] as packets.Answer[],
    };
    assert.equal(adopter.adopt(zone, foreign(packets.encode(parts), nowMs - 5_000), now), 'kept');
    const [ref] = [...cache.refs()].flat();
    assert.deepEqual([blocks.lifetimeMs(ref), blocks.records(ref)], [8_000, 2]);
  });

  test('what does not parse, failures, and what this zone does not keep is passed over', () => {
    const { adopt, adopter, zone, cache } = newWorld();
    const broken = foreign(message({}).slice(0, -1), nowMs);
    assert.equal(adopter.adopt(zone, broken, now), 'passed over');
    for (const rcode of [2, 5]) assert.equal(adopt({ rcode }), 'passed over');
    assert.equal(adopt({ ttl: 0 }), 'passed over');
    assert.equal(newWorld({ keeps: () => false }).adopt(), 'passed over');
    assert.deepEqual([...cache.refs()].flat(), []);
  });
});
