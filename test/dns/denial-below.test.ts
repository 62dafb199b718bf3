import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { newSlot } from '../../src/dns/answer.js';
import { writeDenialBelow } from '../../src/dns/denial-below.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { query as ask } from '../resolve/context-fixture.js';
import { hashKey } from './hash-key.js';

const slot = newSlot(4_096);
const normaliser = new Normaliser(hashKey());
const ttlOffset = new Uint16Array(1);

interface Denial {
  readonly name: string;
  readonly owner: string;
  readonly mname: string;
  readonly rname: string;
  readonly ttl?: number;
  readonly flags?: number;
  readonly rcode?: number;
  readonly more?: Partial<packets.Packet>;
}

function dataOf({ mname, rname }: Denial) {
  return { mname, rname, serial: 1, refresh: 7200, retry: 1800, expire: 86400, minimum: 5 };
}

/** The denial as the cache has it, somewhere in a larger memory. */
function stored(denial: Denial, at: number) {
  const { name, owner, ttl = 5, flags = packets.AUTHORITATIVE_ANSWER, rcode = 3, more } = denial;
  const soa = { name: owner, type: 'SOA' as const, ttl, data: dataOf(denial) };
  const message = packets.encode({
    type: 'response',
    flags: flags | rcode,
    questions: [{ name, type: 'A', class: 'IN' }],
    authorities: [soa],
    ...more,
  });
  assert.ok(normaliser.read(message));
  const { out } = normaliser;
  const bytes = new Uint8Array(at + out.messageBytes + 40).fill(0xc0);
  bytes.set(out.message.subarray(0, out.messageBytes), at);
  return { bytes, at, end: at + out.messageBytes, questionEnd: at + out.questionEnd };
}

/** The answer to this packet, or null. */
function answered(packet: Uint8Array, denial: Denial, { at = 64, ageSeconds = 0 } = {}) {
  const query = new Query();
  assert.equal(readQuery(packet, packet.length, query), 'ok');
  slot.bytes.fill(0xff);
  const bytes = writeDenialBelow(slot, packet, query, stored(denial, at), ageSeconds, ttlOffset);
  if (bytes === 0) return null;
  return packets.decode(Buffer.from(slot.bytes.slice(0, bytes))) as packets.DecodedPacket & { rcode: string };
}

const plain: Denial = {
  name: 'com.default.svc.cluster.local',
  owner: 'cluster.local',
  mname: 'ns.dns.cluster.local',
  rname: 'hostmaster.cluster.local',
};
const below = 'www.example.com.default.svc.cluster.local';

const label = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const labels = fc.array(label, { minLength: 1, maxLength: 5 });

describe('a denial for a name below', () => {
  it('has the SOA of the name above, whatever its names share, for any names', () => {
    const anyName = fc.oneof(labels, fc.constant<string[]>([]));
    const names = fc.record({ prefix: labels, name: labels, mname: anyName, rname: anyName, cut: fc.nat(5) });
    const property = fc.property(names, fc.nat(200), fc.nat(9), ({ prefix, name, mname, rname, cut }, at, age) => {
      const zone = name.slice(Math.min(cut, name.length));
      const denial: Denial = {
        name: name.join('.'),
        owner: zone.join('.') || '.',
        mname: [...mname, ...zone].join('.') || '.',
        rname: [...rname, ...zone].join('.') || '.',
        ttl: 7,
      };
      const asked = [...prefix, ...name].join('.');
      const packet = ask(asked.toUpperCase(), 'AAAA');
      const answer = answered(packet, denial, { at: at * 4, ageSeconds: age });
      assert.ok(answer !== null);
      assert.equal(answer.rcode, 'NXDOMAIN');
      assert.deepEqual(answer.questions, [{ name: asked.toUpperCase(), type: 'AAAA', class: 'IN' }]);
      const [soa, ...others] = answer.authorities as packets.SoaAnswer[];
      assert.deepEqual([others, answer.answers, answer.additionals], [[], [], []]);
      assert.equal(soa.name.toLowerCase(), denial.owner);
      assert.equal(soa.ttl, Math.max(0, 7 - age));
      const { mname: m, rname: r, ...numbers } = soa.data;
      assert.deepEqual([m.toLowerCase(), r.toLowerCase()], [denial.mname, denial.rname]);
      assert.deepEqual(numbers, { serial: 1, refresh: 7200, retry: 1800, expire: 86400, minimum: 5 });
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('has the flags of a stored answer: AA of the upstream, RD and CD of the client, RA', () => {
    const answer = answered(ask(below, 'A'), plain)!;
    assert.deepEqual([answer.flag_aa, answer.flag_rd, answer.flag_ra, answer.flag_tc], [true, true, true, false]);
    const other = answered(ask(below, 'A'), { ...plain, flags: packets.AUTHENTIC_DATA })!;
    assert.deepEqual([other.flag_aa, other.flag_ad], [false, false]);
  });

  it('notes where its TTL is', () => {
    const packet = ask(below, 'A');
    answered(packet, { ...plain, ttl: 0x01020304 });
    assert.deepEqual([...slot.bytes.slice(ttlOffset[0], ttlOffset[0] + 4)], [1, 2, 3, 4]);
  });

  it('is not made of anything but a plain NXDOMAIN with one SOA', () => {
    const packet = ask(below, 'A');
    const soa = { name: 'cluster.local', type: 'SOA' as const, ttl: 5, data: dataOf(plain) };
    const alias = { name: plain.name, type: 'CNAME' as const, ttl: 5, data: 'elsewhere.test' };
    const address = { name: plain.name, type: 'A' as const, ttl: 5, data: '192.0.2.1' };
    assert.equal(answered(packet, { ...plain, rcode: 0 }), null);
    assert.equal(answered(packet, { ...plain, more: { answers: [alias] } }), null);
    assert.equal(answered(packet, { ...plain, more: { authorities: [] } }), null);
    assert.equal(answered(packet, { ...plain, more: { authorities: [address] } }), null);
    assert.equal(answered(packet, { ...plain, more: { authorities: [soa, soa] } }), null);
  });
});
