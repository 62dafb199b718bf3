import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { zonePlaces } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { cutAncestorsMax } from '../../src/limits.js';
import { keeping, keepOf } from '../../src/resolve/cacheability.js';
import { DenialCuts, isCutBy, mayCut, stepOf } from '../../src/resolve/cut.js';
import { deferred } from '../../src/resolve/fast-path.js';
import { hashKey } from '../dns/hash-key.js';
import { type Decoded, fixture, query } from './context-fixture.js';
import { soa } from './waiting-fixture.js';

const corefile = 'cluster.local {\n cache\n forward . 192.0.2.1\n}';

function cutting(text = corefile, role: 'main' | 'worker' = 'worker') {
  const base = fixture(text, role);
  const { context, cache, store } = base;
  const cuts = new DenialCuts(context);
  const zone = base.zone('cluster.local.');
  const normaliser = new Normaliser(hashKey());
  return {
    ...base,
    zone,
    keeps(
      name: string,
      type: packets.RecordType = 'A',
      reply: Partial<packets.Packet> & { rcode?: number } = {},
      nowMs = 0,
    ): number {
      const { rcode = 3, ...parts } = reply;
      const message = packets.encode({
        type: 'response',
        flags: rcode,
        questions: [{ name, type, class: 'IN' }],
        authorities: soa(30),
        ...parts,
      });
      assert.ok(normaliser.read(message));
      const { out } = normaliser;
      const kept = keeping(out, base.listener.block.cache!, 0);
      return cache.keep(store, keepOf(out, kept, { zoneId: zone.zoneId, key: 0 }), nowMs);
    },
    /** The answer from a cut, or null where the packet stays deferred. */
    cut(packet: Buffer, nowMs = 0, sinceMs: number | null = null): Decoded | null {
      assert.equal(base.ask(packet, nowMs), 'handed over');
      const bytes = cuts.answer(packet, packet.length, nowMs, sinceMs);
      return bytes === deferred ? null : (packets.decode(Buffer.from(context.slot.bytes.slice(0, bytes))) as Decoded);
    },
    isOpenFor(packet: Buffer): boolean {
      assert.equal(base.ask(packet, 0), 'handed over');
      return cuts.isOpenFor(packet);
    },
    number: (place: 'cutAnswers' | 'hitsDenial' | 'cacheRequests' | 'misses') =>
      context.counters.zones[context.counters.zoneBase(zone.ordinal) + zonePlaces[place]],
  };
}

describe('an answer from a cut', () => {
  it('is counted as a hit of kind denial, and marks the denial as used, but not for the kernel', () => {
    const world = cutting();
    const ref = world.keeps('com.default.svc.cluster.local');
    const before = world.cache.blocks.wasHit(ref);
    assert.equal(world.cut(query('a.com.default.svc.cluster.local', 'A'))?.rcode, 'NXDOMAIN');
    assert.deepEqual(
      [world.number('cutAnswers'), world.number('hitsDenial'), world.number('cacheRequests')],
      [1, 1, 1],
    );
    assert.deepEqual([world.cache.blocks.hits(ref), world.cache.blocks.wasHit(ref)], [1, before]);
  });

  it('is counted as a miss where the client has waited for the cut, and as no use of it', () => {
    const world = cutting();
    const ref = world.keeps('com.default.svc.cluster.local');
    assert.equal(world.cut(query('a.com.default.svc.cluster.local', 'A'), 20, 10)?.rcode, 'NXDOMAIN');
    const numbers = (['cutAnswers', 'hitsDenial', 'misses', 'cacheRequests'] as const).map(world.number);
    assert.deepEqual([...numbers, world.cache.blocks.hits(ref)], [1, 0, 1, 1, 0]);
  });

  it('may be waited for by what it would answer, and by nothing else', () => {
    const world = cutting();
    const name = 'a.com.default.svc.cluster.local';
    assert.equal(world.isOpenFor(query(name, 'A')), true);
    assert.equal(world.isOpenFor(query(name, 'TXT')), false);
    assert.equal(world.isOpenFor(query(name, 'A', { dnssecOk: true })), false);
    assert.equal(cutting(corefile.replace('cache', 'cache\n nxdomain_cut off')).isOpenFor(query(name, 'A')), false);
  });

  it('comes from a bounded number of names, from the zone down, and never from the zone or the name itself', () => {
    const labels = Array.from({ length: cutAncestorsMax + 2 }, (_, index) => `l${index}`);
    const name = (from: number) => [...labels.slice(from), 'cluster.local'].join('.');
    for (const [from, isFound] of [
      [2, true],
      [1, false],
    ] as const) {
      const world = cutting();
      world.keeps(name(from));
      assert.equal(world.cut(query(name(0), 'A')) !== null, isFound, `${from}`);
    }
    const apex = cutting();
    apex.keeps('cluster.local');
    assert.equal(apex.cut(query('a.cluster.local', 'A')), null);
  });

  it('is not made of an endpoint of a service, before which a port and a protocol may be, whatever they are called', () => {
    for (const [name, isCut] of [
      ['x.web.default.svc', false],
      ['web.default.svc', true],
      ['y.x.web.default.svc', true],
    ] as const) {
      const world = cutting();
      world.keeps(`${name}.cluster.local`);
      assert.equal(world.cut(query(`z.${name}.cluster.local`, 'A')) !== null, isCut, name);
    }
  });

  it('is not made of a stale one, of another rcode, another type, or behind an alias', () => {
    const ask = query('b.a.cluster.local', 'A');
    const stale = cutting();
    stale.keeps('a.cluster.local');
    assert.equal(stale.cut(ask, 29_999)?.rcode, 'NXDOMAIN');
    assert.equal(stale.cut(ask, 30_000), null);
    const alias = { name: 'a.cluster.local', type: 'CNAME' as const, ttl: 30, data: 'b.test' };
    const others: [packets.RecordType, Partial<packets.Packet> & { rcode?: number }][] = [
      ['A', { rcode: 0 }],
      ['TXT', {}],
      ['A', { answers: [alias] }],
    ];
    for (const [type, reply] of others) {
      const world = cutting();
      world.keeps('a.cluster.local', type, reply);
      assert.equal(world.cut(ask), null, type);
    }
  });

  it('is the main thread\u2019s where each query is logged', () => {
    const logged = corefile.replace('cache', 'cache\n log');
    for (const [role, isCut] of [
      ['main', true],
      ['worker', false],
    ] as const) {
      const world = cutting(logged, role);
      world.keeps('a.cluster.local');
      assert.equal(world.cut(query('b.a.cluster.local', 'A')) !== null, isCut);
    }
  });

  it('is not for another class', () => {
    const world = cutting();
    world.keeps('a.cluster.local');
    const packet = query('b.a.cluster.local', 'A');
    packet[packet.length - 1] = 3;
    assert.equal(world.cut(packet), null);
  });

  it('is left to an answer of its own where the kernel lane has given one, so that it can again', () => {
    const world = cutting();
    const asked = query('a.com.default.svc.cluster.local', 'A');
    world.keeps('a.com.default.svc.cluster.local');
    world.ask(asked, 1_000);
    const later = 40_000;
    world.keeps('com.default.svc.cluster.local', 'A', {}, later);
    assert.equal(world.cut(asked, later)?.rcode, 'NXDOMAIN', 'without the lane');
    world.cache.blocks.firstHits = { add() {} };
    assert.equal(world.cut(asked, later), null);
    assert.equal(world.cut(query('new.com.default.svc.cluster.local', 'A'), later)?.rcode, 'NXDOMAIN');
    world.keeps('once.com.default.svc.cluster.local');
    assert.equal(world.cut(query('once.com.default.svc.cluster.local', 'A'), later)?.rcode, 'NXDOMAIN');
  });

  it('does not replace an answer with records that has expired', () => {
    const world = cutting();
    const address = { name: 'b.a.cluster.local', type: 'A' as const, ttl: 30, data: '192.0.2.1' };
    world.keeps('b.a.cluster.local', 'A', { rcode: 0, answers: [address], authorities: [] });
    const ref = world.keeps('a.cluster.local');
    world.cache.blocks.doubles[(ref + 16) >> 3] = 100_000;
    assert.equal(isCutBy(world.cache.blocks, ref, 60_000), true);
    assert.equal(world.cut(query('b.a.cluster.local', 'A'), 60_000), null);
  });
});

describe('stepOf', () => {
  it('tells the first and the last step of a walk from names of services and pods', () => {
    const { ask, context } = cutting();
    for (const [name, type, expected] of [
      ['www.com.default.svc', 'A', 'first'],
      ['www.a.com.default.SVC', 'AAAA', 'first'],
      ['www.a.com.svc', 'A', 'first'],
      ['www.com', 'A', 'last'],
      ['www.com.default.svc', 'SRV', 'none'],
      ['web.default.svc', 'A', 'none'],
      ['default.svc', 'A', 'none'],
      ['com', 'A', 'none'],
      ['10-0-0-1.default.pod', 'A', 'none'],
    ] as const) {
      const packet = query(`${name}.cluster.local`, type);
      ask(packet, 0);
      assert.equal(stepOf(context, packet), expected, name);
    }
    const apart = cutting(corefile.replace('cache', 'cache\n nxdomain_cut off'));
    const packet = query('www.com.cluster.local', 'A');
    apart.ask(packet, 0);
    assert.equal(stepOf(apart.context, packet), 'none');
    apart.context.zone = null;
    assert.equal(stepOf(apart.context, packet), 'none');
  });
});

describe('mayCut', () => {
  it('is false for labels below which CoreDNS has names though it denies them', () => {
    const may = (name: string) => mayCut(nameToWire(name), 0);
    for (const name of ['_tcp.web', '_.a', 'tcp.web', 'UDP.web', 'sctp.web', 'dns.cluster.local', 'any', '*', '.']) {
      assert.equal(may(name), false, name);
    }
    for (const name of ['com', 'tcpx', 't', 'a_b']) assert.equal(may(name), true, name);
  });
});
