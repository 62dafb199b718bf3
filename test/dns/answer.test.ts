import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import {
  countDown,
  type Envelope,
  finish,
  newSlot,
  setTtls,
  type TtlOffsets,
  writeDenial,
  writeEmpty,
  writeHeader,
  writeStored,
} from '../../src/dns/answer.js';
import { nameToWire } from '../../src/dns/names.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { query as ask } from '../resolve/context-fixture.js';
import { hashKey } from './hash-key.js';

const slot = newSlot(70_000);
const read = new Query();
const normaliser = new Normaliser(hashKey());

function queried(packet: Uint8Array): Query {
  assert.equal(readQuery(packet, packet.length, read), 'ok');
  return read;
}

function envelope(changes: Partial<Envelope> = {}): Envelope {
  return { limitBytes: 512, udpBytes: 1232, extendedError: null, keepalive: 0, nsid: null, ...changes };
}

function decoded(bytes: number): packets.DecodedPacket & { rcode: string } {
  return packets.decode(Buffer.from(slot.bytes.slice(0, bytes))) as packets.DecodedPacket & { rcode: string };
}

interface Sections {
  readonly answers?: number;
  readonly authorities?: number;
  readonly additionals?: number;
}

/** A stored message with so many records, and where its TTLs are. */
function stored({ answers = 0, authorities = 0, additionals = 0 }: Sections, flags = 0) {
  const record = (_: unknown, index: number) => ({
    name: 'a.test',
    type: 'A' as const,
    ttl: 100 + index,
    data: '192.0.2.1',
  });
  const message = packets.encode({
    type: 'response',
    flags,
    questions: [{ name: 'a.test', type: 'A', class: 'IN' }],
    answers: Array.from({ length: answers }, record),
    authorities: Array.from({ length: authorities }, record),
    additionals: Array.from({ length: additionals }, record),
  });
  assert.ok(normaliser.read(message));
  const { out } = normaliser;
  const memory = out.message.slice().buffer;
  const offsets: TtlOffsets = { halves: out.ttlOffsets.slice(), first: 0, count: out.records };
  const views = { bytes: new Uint8Array(memory), words: new Int32Array(memory), halves: new Uint16Array(memory) };
  return { views, offsets, place: { at: 0, messageBytes: out.messageBytes } };
}

describe('answers', () => {
  it('refuse with a header that keeps id, opcode, RD and CD', () => {
    const packet = ask('a.test', 'A');
    packet[2] |= 0x28;
    packet[3] |= 0x10;
    const bytes = writeHeader(slot, packet, 4);
    assert.deepEqual([...slot.bytes.slice(0, bytes)], [0x12, 0x34, 0xa9, 0x94, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('carry AA, AD and the rcode of the upstream, RD and CD of the client, and RA', () => {
    const { views, place } = stored({ answers: 1 }, packets.AUTHORITATIVE_ANSWER | packets.AUTHENTIC_DATA | 3);
    const flagsFor = (packet: Buffer) => {
      writeStored(slot, packet, queried(packet), views, place);
      return (slot.bytes[2] << 8) | slot.bytes[3];
    };
    const plain = ask('a.test', 'A');
    assert.equal(flagsFor(plain), 0x8583, 'QR AA RD RA NXDOMAIN, no AD');
    assert.equal(flagsFor(ask('a.test', 'A', { dnssecOk: true })), 0x85a3, 'AD for DO');
    plain[3] |= 0x20;
    assert.equal(flagsFor(plain), 0x85a3, 'AD for AD');
    plain[2] = 0;
    plain[3] = 0x10;
    assert.equal(flagsFor(plain), 0x8493, 'no RD, but CD');
  });

  it('count TTLs down to 0 and no further', () => {
    const { views, offsets, place } = stored({ answers: 3 });
    const packet = ask('a.test', 'A');
    const bytes = writeStored(slot, packet, queried(packet), views, place);
    countDown(slot, offsets, 101);
    assert.deepEqual(
      decoded(bytes).answers?.map((record) => (record as packets.StringAnswer).ttl),
      [0, 0, 1],
    );
    setTtls(slot, offsets, 30);
    assert.deepEqual(
      decoded(bytes).answers?.map((record) => (record as packets.StringAnswer).ttl),
      [30, 30, 30],
    );
  });

  it('lose additional records without TC and others with it', () => {
    const cutTo = (sections: Sections, limitBytes: number) => {
      const { views, offsets, place } = stored(sections);
      const packet = ask('a.test', 'A');
      const query = queried(packet);
      const bytes = finish(
        slot,
        writeStored(slot, packet, query, views, place),
        query,
        envelope({ limitBytes }),
        offsets,
      );
      assert.ok(bytes <= limitBytes);
      const { answers, authorities, additionals, flag_tc } = decoded(bytes);
      return [answers?.length, authorities?.length, additionals?.length, flag_tc];
    };
    const sections = { answers: 2, authorities: 2, additionals: 2 };
    const whole = 12 + 12 + 6 * 16;
    assert.deepEqual(cutTo(sections, whole), [2, 2, 2, false]);
    assert.deepEqual(cutTo(sections, whole - 1), [2, 2, 1, false]);
    assert.deepEqual(cutTo(sections, whole - 33), [2, 1, 0, true]);
    assert.deepEqual(cutTo(sections, whole - 65), [1, 0, 0, true]);
    assert.deepEqual(cutTo(sections, 24), [0, 0, 0, true]);
  });

  it('leave room for the OPT when they are cut', () => {
    const { views, offsets, place } = stored({ answers: 60 });
    const packet = ask('a.test', 'A', { udpBytes: 512 });
    const query = queried(packet);
    const limits = envelope({ extendedError: { code: 3, text: new Uint8Array() } });
    const bytes = finish(slot, writeStored(slot, packet, query, views, place), query, limits, offsets);
    assert.ok(bytes <= 512 && bytes > 512 - 16);
    const { additionals, flag_tc } = decoded(bytes);
    assert.equal(flag_tc, true);
    assert.equal(additionals?.length, 1);
  });

  it('say who we are to those who ask, where there is something to say', () => {
    const packet = ask('a.test', 'A', {});
    const options = (asks: boolean, nsid: Uint8Array | null) => {
      const query = queried(packet);
      query.nsid = asks;
      const bytes = finish(slot, writeEmpty(slot, packet, query, 0), query, envelope({ nsid }), null);
      const [opt] = decoded(bytes).additionals as unknown as packets.OptAnswer[];
      return opt.options.map(({ code, data }) => [code, String(data)]);
    };
    assert.deepEqual(options(true, Buffer.from('node-7')), [[3, 'node-7']]);
    assert.deepEqual(options(false, Buffer.from('node-7')), []);
    assert.deepEqual(options(true, null), []);
  });

  it('leave room for it when they are cut', () => {
    const { views, offsets, place } = stored({ answers: 40 });
    const packet = ask('a.test', 'A', {});
    const query = queried(packet);
    query.nsid = true;
    const limits = envelope({ limitBytes: 512, nsid: Buffer.alloc(128, 'x') });
    const bytes = finish(slot, writeStored(slot, packet, query, views, place), query, limits, offsets);
    assert.ok(bytes <= 512 && bytes > 512 - 16);
    assert.equal(decoded(bytes).flag_tc, true);
  });

  it('tell an extended error and the keepalive only to those who can read it', () => {
    const packet = ask('a.test', 'A', { dnssecOk: true });
    const query = queried(packet);
    query.keepalive = true;
    const bytes = finish(
      slot,
      writeEmpty(slot, packet, query, 2),
      query,
      envelope({ extendedError: { code: 22, text: Buffer.from('no') }, keepalive: 100 }),
      null,
    );
    const [opt] = decoded(bytes).additionals as unknown as packets.OptAnswer[];
    assert.equal(opt.flag_do, true);
    assert.deepEqual(
      opt.options.map(({ code, data }) => [code, data === undefined ? null : [...data]]),
      [
        [15, [0, 22, 0x6e, 0x6f]],
        [11, [0, 100]],
      ],
    );
    const plain = ask('a.test', 'A');
    assert.equal(
      finish(
        slot,
        writeEmpty(slot, plain, queried(plain), 2),
        read,
        envelope({ extendedError: { code: 22, text: new Uint8Array() } }),
        null,
      ),
      plain.length,
    );
  });

  it('deny with a SOA whose owner points into the question', () => {
    const soa = Uint8Array.from([...nameToWire('ns.test'), ...nameToWire('h.test'), ...new Uint8Array(20)]);
    const deny = (name: string, zone: string) => {
      const packet = ask(name, 'AAAA');
      const query = queried(packet);
      const denial = { zoneBytes: nameToWire(zone).length, soa, ttlSeconds: 7 };
      const answer = decoded(finish(slot, writeDenial(slot, packet, query, 3, denial), query, envelope(), null));
      const [record] = answer.authorities as packets.SoaAnswer[];
      return [answer.rcode, answer.flag_aa, record.name, record.ttl];
    };
    assert.deepEqual(deny('x.Cluster.Local', 'cluster.local'), ['NXDOMAIN', true, 'Cluster.Local', 7]);
    assert.deepEqual(deny('cluster.local', 'cluster.local'), ['NXDOMAIN', true, 'cluster.local', 7]);
    assert.deepEqual(deny('a.test', '.'), ['NXDOMAIN', true, '.', 7]);
  });

  it('are well-formed within any limit', () => {
    const count = fc.nat(30);
    fc.assert(
      fc.property(
        count,
        count,
        count,
        fc.integer({ min: 512, max: 1232 }),
        fc.boolean(),
        (answers, authorities, additionals, limitBytes, edns) => {
          const { views, offsets, place } = stored({ answers, authorities, additionals });
          const packet = ask('A.tesT', 'A', edns ? { udpBytes: limitBytes } : undefined);
          const query = queried(packet);
          const bytes = finish(
            slot,
            writeStored(slot, packet, query, views, place),
            query,
            envelope({ limitBytes }),
            offsets,
          );
          assert.ok(bytes <= limitBytes);
          const message = decoded(bytes);
          assert.equal(message.questions?.[0].name, 'A.tesT');
          assert.equal(packets.decode.bytes, bytes, 'nothing behind the last record');
          const sent = (message.answers?.length ?? 0) + (message.authorities?.length ?? 0);
          assert.equal(message.flag_tc, sent < answers + authorities);
        },
      ),
      { numRuns: 300 },
    );
  });
});
