import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import packets from 'dns-packet';
import { Blocks, cacheMemory, kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { Adopter, type AdoptingZone } from '../../src/resolve/adopt.js';
import { hashKey } from '../dns/hash-key.js';

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
    ...{ successTtlMinSeconds: 0, successTtlMaxSeconds: 60, denialTtlMinSeconds: 0, denialTtlMaxSeconds: 5 },
    servfailMs: 5_000,
  };
  const keep = { policy, patienceMs: 400, recheckMs: 0, preferPositive: false, keeps: () => true, ...zoneChanges };
  const zone: AdoptingZone = { zoneId: 3, store, keep, staleMaxMs: 10_000 };
  const adopter = new Adopter(cache);
  const adopt = (wish: Wish = {}) =>
    adopter.adopt(zone, { message: message(wish), key: 1, storedAtMs: wish.storedAtMs ?? nowMs - 1_000 }, now);
  return { blocks, cache, store, adopter, zone, adopt };
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
    const [ref] = cache.refs();
    assert.deepEqual([blocks.storedAtMs(ref), blocks.expiresAtMs(ref)], [nowMs - 1_000, nowMs + 29_000]);
    assert.deepEqual([blocks.zoneId(ref), blocks.key(ref), blocks.kind(ref)], [3, 1, kindSuccess]);
  });

  test('it lives no longer than our own settings let it, and is never younger than now', () => {
    const { adopt, cache, blocks } = newWorld();
    adopt({ ttl: 86_400, storedAtMs: nowMs + 5_000_000 });
    const [ref] = cache.refs();
    assert.deepEqual([blocks.storedAtMs(ref), blocks.expiresAtMs(ref)], [nowMs, nowMs + 60_000]);
    const denials = newWorld();
    denials.adopt({ ttl: 3_600, rcode: 3 });
    const [denial] = denials.cache.refs();
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
      cache.refs().map((ref) => blocks.storedAtMs(ref)),
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
      assert.equal(cache.refs().length, 1, 'older, of another name, or a failure');
      assert.equal(adopt({ ...wish, storedAtMs: nowMs - 4_000 }), 'passed over');
      assert.equal(cache.refs().length, 0);
    }
    const { adopt, cache } = newWorld();
    adopt({ ttl: 60, storedAtMs: nowMs - 50_000 });
    assert.equal(adopt({ ttl: 5, storedAtMs: nowMs - 20_000 }), 'passed over', 'too old itself');
    assert.equal(cache.refs().length, 0);
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
    assert.equal(
      adopter.adopt(zone, { message: packets.encode(parts), key: 1, storedAtMs: nowMs - 5_000 }, now),
      'kept',
    );
    const [ref] = cache.refs();
    assert.deepEqual([blocks.lifetimeMs(ref), blocks.records(ref)], [8_000, 2]);
  });

  test('what does not parse, failures, and what this zone does not keep is passed over', () => {
    const { adopt, adopter, zone, cache } = newWorld();
    const broken = { message: message({}).slice(0, -1), key: 0, storedAtMs: nowMs };
    assert.equal(adopter.adopt(zone, broken, now), 'passed over');
    for (const rcode of [2, 5]) assert.equal(adopt({ rcode }), 'passed over');
    assert.equal(adopt({ ttl: 0 }), 'passed over');
    assert.equal(newWorld({ keeps: () => false }).adopt(), 'passed over');
    assert.deepEqual(cache.refs(), []);
  });
});
