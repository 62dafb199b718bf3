import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { kindDenial, kindServfail, kindSuccess } from '../../src/cache/blocks.js';
import { parseConfig } from '../../src/config/load.js';
import { nameToWire } from '../../src/dns/names.js';
import { Normaliser, ttlSeconds } from '../../src/dns/normalise.js';
import { type KeepPolicy, keeping, keepPolicy, keepsFor } from '../../src/resolve/keeping.js';
import { loadOptions } from './lane-fixture.js';

const normaliser = new Normaliser();
const { out } = normaliser;
const policy: KeepPolicy = {
  successTtlMinSeconds: 0,
  successTtlMaxSeconds: 3600,
  denialTtlMinSeconds: 0,
  denialTtlMaxSeconds: 1800,
  servfailMs: 5000,
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
    const raised = keeping(message, { ...policy, successTtlMinSeconds: 5 });
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

  it('takes an alias that leads to no data for a denial', () => {
    const message = read({ answers: [{ type: 'CNAME', ttl: 60 }], soa: { ttl: 30, minimum: 30 } });
    assert.deepEqual(keeping(message, policy), { kind: kindDenial, lifetimeMs: 30_000 });
    assert.deepEqual(ttls(), [60, 30]);
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

describe('a cache directive', () => {
  const cacheOf = (options: string) =>
    parseConfig(`. {\n cache 60 {\n${options}\n }\n forward . 192.0.2.1\n}`, 'Corefile', loadOptions).blocks[0].cache!;
  const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);

  it('says what is kept for how long', () => {
    const { successTtlMaxSeconds, denialTtlMaxSeconds, successTtlMinSeconds } = keepPolicy(cacheOf(''));
    assert.deepEqual([successTtlMaxSeconds, denialTtlMaxSeconds, successTtlMinSeconds], [60, 60, 0]);
  });

  it('disables a kind, for all names or for some', () => {
    const all = keepsFor(cacheOf('disable denial'));
    assert.equal(all(kindDenial, question('a.test')), false);
    assert.equal(all(kindSuccess, question('a.test')), true);
    const some = keepsFor(cacheOf('disable success example.org'));
    assert.equal(some(kindSuccess, question('www.example.org')), false);
    assert.equal(some(kindSuccess, question('www.example.com')), true);
    assert.equal(keepsFor(cacheOf(''))(kindSuccess, question('a.test')), true);
  });
});
