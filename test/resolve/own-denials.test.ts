import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { kindDenial } from '../../src/cache/blocks.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { headerBytes } from '../../src/limits.js';
import { keepOf } from '../../src/resolve/cacheability.js';
import { AskedAgain, DenialCuts } from '../../src/resolve/cut.js';
import { OwnDenials } from '../../src/resolve/own-denials.js';
import { fixture, query } from './context-fixture.js';
import { soa } from './waiting-fixture.js';

/** With the denial of `com.default.svc.cluster.local`, stored at 0 and for 30 s, and the kernel lane. */
function cutting(directives = '', { hasLane = true } = {}) {
  const base = fixture(`cluster.local {\n cache\n forward . 192.0.2.1\n${directives}\n}`, 'main');
  const { context, cache, store } = base;
  const zone = base.zone('cluster.local.');
  if (hasLane) cache.blocks.firstHits = { add() {} };
  const normaliser = new Normaliser(cache.blocks.hashKey);
  const questions = [{ name: 'com.default.svc.cluster.local', type: 'A' as const, class: 'IN' as const }];
  assert.ok(normaliser.read(packets.encode({ type: 'response', flags: 3, questions, authorities: soa(30) })));
  const { out } = normaliser;
  const kept = { kind: kindDenial, lifetimeMs: 30_000, records: out.records } as const;
  cache.keep(store, keepOf(out, kept, { zoneId: zone.zoneId, key: 0 }), 0);
  let nowMs = 0;
  const own = new OwnDenials({ context, cache, store: () => store, nowMs: () => nowMs });
  const cuts = new DenialCuts(context);
  const asks = (name: string, atMs: number, type: packets.RecordType = 'A') => {
    nowMs = atMs;
    const packet = query(name, type);
    const hit = base.ask(packet, atMs);
    if (hit !== 'handed over') return { from: 'its own', bytes: Buffer.from(hit!) };
    const bytes = cuts.answer(packet, packet.length, atMs, null);
    const answer = Buffer.from(context.slot.bytes.slice(0, Math.max(0, bytes)));
    own.cut(zone, packet.subarray(headerBytes));
    return { from: bytes > 0 ? 'a cut' : 'nowhere', bytes: answer };
  };
  return { ...base, asks };
}

const name = 'www.example.com.default.svc.cluster.local';

describe('a denial of its own', () => {
  it('is given from the third question on, byte for byte and to the end of the cut', () => {
    const { asks } = cutting();
    const answers = [1_000, 2_000, 2_500].map((atMs) => asks(name, atMs));
    assert.deepEqual(
      answers.map(({ from }) => from),
      ['a cut', 'a cut', 'its own'],
    );
    assert.deepEqual(answers[2].bytes, answers[1].bytes);
    assert.equal(asks(name, 29_999).from, 'its own');
    assert.equal(asks(name, 30_000).from, 'nowhere');
  });

  it('is one of the name and type that were asked', () => {
    const { asks } = cutting();
    for (const atMs of [0, 1]) asks(name, atMs);
    assert.equal(asks(name, 2, 'AAAA').from, 'a cut');
    assert.equal(asks('other.example.com.default.svc.cluster.local', 2).from, 'a cut');
    assert.equal(asks(name.toUpperCase(), 2).from, 'its own');
  });

  it('is not made without the kernel lane, where the zone is not for the kernel, or for AAAA that a policy denies', () => {
    const without = [cutting('', { hasLane: false }), cutting(' log'), cutting(' loadbalance')];
    for (const { asks } of without) for (const atMs of [0, 1, 2, 3]) assert.equal(asks(name, atMs).from, 'a cut');
    const policy = cutting(' aaaa nodata');
    for (const atMs of [0, 1, 2, 3]) assert.notEqual(policy.asks(name, atMs, 'AAAA').from, 'nowhere');
    const packet = query(name, 'AAAA');
    assert.equal(policy.cache.blocks.find(packet, packet.length, policy.zone('cluster.local.').zoneId, 0), 0);
  });

  it('is known to be asked again however many others are asked in between, within bounds', () => {
    const { context, zone } = cutting();
    const asked = new AskedAgain(context);
    const isAgain = (number: number): boolean => {
      const packet = query(`n${number}.com.default.svc.cluster.local`, 'A');
      context.zone = zone('cluster.local.');
      context.query.questionEnd = packet.length;
      return asked.isAgain(packet);
    };
    const numbers = Array.from({ length: 400 }, (_, number) => number);
    assert.equal(numbers.filter(isAgain).length, 0);
    assert.deepEqual(
      numbers.filter((number) => !isAgain(number)),
      [],
    );
  });
});
