import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { addressesIn as addressesBy, embedded, translated, withoutMapped } from '../../src/dns/dns64.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { encodeAnswerTo } from '../../src/dns/records.js';
import { hashKey } from './hash-key.js';

const normaliser = new Normaliser(hashKey());
const addressesIn = (message: Uint8Array) => addressesBy(message, normaliser);

const wellKnown = { bytes: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], prefixBits: 96 };

interface Parts extends Partial<packets.Packet> {
  readonly rcode?: number;
}

function answer(type: 'A' | 'AAAA', { rcode = 0, ...parts }: Parts): Buffer {
  const questions = [{ name: 'www.test', type, class: 'IN' as const }];
  return packets.encode({ type: 'response', flags: rcode, questions, ...parts });
}

const soa = (ttl: number, minimum = ttl): packets.Answer => ({
  name: 'test',
  type: 'SOA',
  ttl,
  data: { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
const aaaa = (data: string, name = 'www.test'): packets.Answer => ({ name, type: 'AAAA', ttl: 60, data });
const a = (data: string, name = 'www.test', ttl = 60): packets.Answer => ({ name, type: 'A', ttl, data });
const alias = (name: string, data: string): packets.Answer => ({ name, type: 'CNAME', ttl: 90, data });

/** Uncompressed records as dns-packet reads them: `name TTL type data`. */
function read(records: readonly Uint8Array[]): string[] {
  const question = Buffer.from('\x03www\x04test\0\0\x1c\0\x01', 'latin1');
  const parts = { authoritative: false, rcode: 0, answer: records, authority: [], additional: [] };
  const { answers } = packets.decode(Buffer.from(encodeAnswerTo({ id: 1, flags: 0, question }, parts)));
  return (answers as packets.StringAnswer[]).map(({ name, ttl, type, data }) => `${name} ${ttl} ${type} ${data}`);
}

describe('addressesIn', () => {
  const kindOf = (type: 'A' | 'AAAA', parts: Parts) => addressesIn(answer(type, parts)).kind;

  it('tells whether there are addresses', () => {
    assert.equal(kindOf('AAAA', { answers: [aaaa('2001:db8::1')] }), 'addresses');
    assert.equal(
      kindOf('AAAA', { answers: [alias('www.test', 'a.test'), aaaa('2001:db8::1', 'a.test')] }),
      'addresses',
    );
    assert.equal(kindOf('AAAA', { authorities: [soa(30)] }), 'none');
    assert.equal(kindOf('AAAA', { answers: [alias('www.test', 'a.test')], authorities: [soa(30)] }), 'none');
    assert.equal(kindOf('AAAA', { rcode: 3, authorities: [soa(30)] }), 'no such name');
    for (const rcode of [1, 2, 4, 5]) assert.equal(kindOf('AAAA', { rcode }), 'failed');
    assert.equal(kindOf('A', { answers: [a('192.0.2.1')] }), 'addresses');
    assert.equal(kindOf('A', {}), 'none');
  });

  it('takes IPv4 addresses in disguise for none', () => {
    assert.equal(kindOf('AAAA', { answers: [aaaa('::ffff:192.0.2.1')] }), 'none');
    const mixed = addressesIn(answer('AAAA', { answers: [aaaa('::ffff:192.0.2.1'), aaaa('2001:db8::1')] }));
    assert.equal(mixed.kind, 'mapped');
    assert.deepEqual(read(withoutMapped(mixed.records)), ['www.test 60 AAAA 2001:db8::1']);
  });

  it('says how long a translation may live: as the SOA says, or ten minutes', () => {
    const ttlOf = (parts: Parts) => addressesIn(answer('AAAA', parts)).ttlSecondsMax;
    assert.equal(ttlOf({ authorities: [soa(700, 800)] }), 700);
    assert.equal(ttlOf({ authorities: [soa(700, 50)] }), 50);
    assert.equal(ttlOf({}), 600);
    assert.equal(ttlOf({ rcode: 2 }), 600);
  });

  it('is not broken by broken messages', () => {
    const whole = answer('A', { answers: [alias('www.test', 'a.test'), a('192.0.2.1', 'a.test')] });
    assert.equal(addressesIn(whole.subarray(0, -2)).kind, 'failed');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        const { records } = addressesIn(bytes);
        translated(records, wellKnown, 600);
      }),
    );
  });
});

describe('translated', () => {
  it('makes an AAAA of each A, and leaves aliases as they are', () => {
    const { records } = addressesIn(
      answer('A', {
        answers: [alias('www.test', 'a.test'), a('192.0.2.1', 'a.test', 20), a('192.0.2.2', 'a.test', 90)],
      }),
    );
    assert.deepEqual(read(translated(records, wellKnown, 60)), [
      'www.test 90 CNAME a.test',
      'a.test 20 AAAA 64:ff9b::c000:201',
      'a.test 60 AAAA 64:ff9b::c000:202',
    ]);
  });

  it('leaves out signatures of A records, and no others', () => {
    const rrsig = (typeCovered: 'A' | 'CNAME', name: string) =>
      ({
        ...{ name, type: 'RRSIG', ttl: 60 },
        data: {
          ...{ typeCovered, algorithm: 8, labels: 2, originalTTL: 60, expiration: 2, inception: 1, keyTag: 1 },
          ...{ signersName: 'test', signature: Buffer.alloc(8) },
        },
      }) as packets.Answer;
    const answers = [
      alias('www.test', 'a.test'),
      rrsig('CNAME', 'www.test'),
      a('192.0.2.1', 'a.test'),
      rrsig('A', 'a.test'),
    ];
    const { records } = addressesIn(answer('A', { answers }));
    assert.equal(records.length, 4);
    const types = read(translated(records, wellKnown, 60)).map((record) => record.split(' ')[2]);
    assert.deepEqual(types, ['CNAME', 'RRSIG', 'AAAA']);
  });
});

describe('embedded', () => {
  it('puts an address where RFC 6052 2.4 shows it', () => {
    const prefix = Buffer.from('20010db8012203440000000000000000', 'hex');
    const shown: Readonly<Record<number, string>> = {
      32: '20010db8c000022100000000 00000000',
      40: '20010db801c0000200210000 00000000',
      48: '20010db80122c00000022100 00000000',
      56: '20010db8012203c000000221 00000000',
      64: '20010db80122034400c00002 21000000',
      96: '20010db80122034400000000 c0000221',
    };
    for (const [bits, expected] of Object.entries(shown)) {
      const made = embedded({ bytes: prefix, prefixBits: Number(bits) }, Uint8Array.of(192, 0, 2, 33));
      assert.equal(Buffer.from(made).toString('hex'), expected.replace(' ', ''), bits);
    }
  });
});
