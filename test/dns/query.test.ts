import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { isInZone, lowerCaseName, nameToWire, wireToName } from '../../src/dns/names.js';
import {
  isLocalName,
  keptQuery,
  Query,
  questionFor,
  questionForName,
  questionForType,
  questionOf,
  readQuery,
} from '../../src/dns/query.js';
import { u16 } from '../../src/dns/wire.js';
import { waiterQueryBytesMax } from '../../src/limits.js';
import { readMalformed } from '../corpus/read.js';

const query = new Query();

function ask(name: string, extra: Partial<packets.Packet> = {}): Uint8Array {
  return packets.encode({
    type: 'query',
    id: 7,
    flags: 0x100,
    questions: [{ name, type: 'A', class: 'IN' }],
    ...extra,
  });
}

describe('readQuery', () => {
  for (const { name, expect, bytes } of readMalformed()) {
    it(`says what is to become of ${name.replaceAll('-', ' ')}`, () => {
      const reading = readQuery(bytes, bytes.length, query);
      // What only fails later, at a zone or an upstream, is a good question here.
      assert.equal(reading, expect === 'answer' || expect === 'servfail' ? 'ok' : expect);
    });
  }

  it('reads name, type, class and labels of a plain question', () => {
    const packet = ask('www.Example.com');
    assert.equal(readQuery(packet, packet.length, query), 'ok');
    assert.equal(query.nameEnd, 12 + 17);
    assert.equal(query.questionEnd, packet.length);
    assert.equal(query.type, 1);
    assert.equal(query.class, 1);
    assert.deepEqual([...query.labels.subarray(0, query.labelCount)], [12, 16, 24]);
    assert.equal(query.edns, false);
    assert.equal(query.udpBytes, 512);
    assert.equal(query.recursionDesired, true);
  });

  it('reads what an OPT says and forgets it with the next packet', () => {
    const opt = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 4096,
      flags: 0x8000,
      options: [
        { code: 3, data: Buffer.alloc(0) },
        { code: 11, data: Buffer.alloc(0) },
      ],
    };
    const packet = ask('a.test', { additionals: [opt as unknown as packets.Answer] });
    assert.equal(readQuery(packet, packet.length, query), 'ok');
    assert.equal(query.edns, true);
    assert.equal(query.udpBytes, 4096);
    assert.equal(query.dnssecOk, true);
    assert.deepEqual([query.keepalive, query.nsid], [true, true]);
    const without = ask('a.test', { additionals: [{ ...opt, options: [] } as unknown as packets.Answer] });
    readQuery(without, without.length, query);
    assert.deepEqual([query.edns, query.keepalive, query.nsid], [true, false, false]);
    const plain = ask('a.test');
    readQuery(plain, plain.length, query);
    assert.deepEqual([query.edns, query.udpBytes, query.dnssecOk, query.keepalive], [false, 512, false, false]);
  });

  it('looks at the first bytes only, as many as the packet has', () => {
    const slot = new Uint8Array(2048).fill(0xff);
    const packet = ask('a.test');
    slot.set(packet);
    assert.equal(readQuery(slot, packet.length, query), 'ok');
    assert.equal(readQuery(slot, packet.length - 1, query), 'formerr');
  });

  it('reads every question that dns-packet writes', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
    fc.assert(
      fc.property(fc.array(label, { maxLength: 6 }), (labels) => {
        const packet = ask(labels.join('.') || '.');
        assert.equal(readQuery(packet, packet.length, query), 'ok');
        assert.equal(query.labelCount, labels.length);
      }),
    );
  });

  it('has a decided outcome for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const reading = readQuery(bytes, bytes.length, query);
        assert.ok(['ok', 'drop', 'formerr', 'notimp', 'refused', 'badvers'].includes(reading));
        if (reading === 'ok') assert.ok(query.questionEnd <= bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('questionOf', () => {
  it('copies name, type and class', () => {
    const packet = ask('a.test');
    readQuery(packet, packet.length, query);
    const question = questionOf(packet, query);
    assert.deepEqual([...question], [...packet.subarray(12)]);
    packet[13] = 0x7a;
    assert.notEqual(question[1], 0x7a);
  });

  it('asks the same for another type', () => {
    const packet = ask('a.test');
    readQuery(packet, packet.length, query);
    const question = questionForType(packet, query, 28);
    assert.equal(u16(question, question.length - 4), 28);
    assert.equal(u16(packet, query.nameEnd), 1);
  });

  it('gives the question for another name', () => {
    const packet = ask('a.test');
    assert.equal(readQuery(packet, packet.length, query), 'ok');
    const other = questionForName(questionOf(packet, query), Uint8Array.of(1, 0x62, 0));
    assert.deepEqual([...other], [1, 0x62, 0, 0, 1, 0, 1]);
  });

  it('makes a question of ours', () => {
    assert.deepEqual([...questionFor('b', 257)], [1, 0x62, 0, 1, 1, 0, 1]);
  });
});

describe('keptQuery', () => {
  const facts = ({ flags, type, class: kind, questionEnd, edns, udpBytes, dnssecOk, keepalive, nsid }: Query) => {
    return { flags, type, kind, questionEnd, edns, udpBytes, dnssecOk, keepalive, nsid: edns && nsid };
  };

  it('a short query as it came, a longer one as what is understood of it; both read the same', () => {
    const option = fc.record({
      code: fc.constantFrom(3, 8, 10, 11, 12, 65_001),
      data: fc.uint8Array({ maxLength: 90 }),
    });
    const opt = fc.record({
      size: fc.nat(65_535),
      dnssecOk: fc.boolean(),
      options: fc.array(option, { maxLength: 6 }),
    });
    const padding = fc.oneof(fc.constant(0), fc.integer({ min: 400, max: 65_000 }));
    fc.assert(
      fc.property(fc.option(opt), padding, fc.boolean(), (edns, paddingBytes, isChecked) => {
        const asked = ask('www.Example.com', {
          flags: isChecked ? 0x100 : 0x110,
          additionals:
            edns === null
              ? []
              : [
                  {
                    type: 'OPT',
                    name: '.',
                    udpPayloadSize: edns.size,
                    extendedRcode: 0,
                    ednsVersion: 0,
                    flags: edns.dnssecOk ? 0x8000 : 0,
                    flag_do: edns.dnssecOk,
                    options: edns.options.map(({ code, data }) => ({ code, data: Buffer.from(data) })) as never,
                  },
                ],
        });
        const packet = Buffer.concat([asked, Buffer.alloc(paddingBytes, 0x78)]);
        assert.equal(readQuery(packet, packet.length, query), 'ok');
        const before = facts(query);
        const kept = keptQuery(packet, query);
        assert.ok(kept.length <= waiterQueryBytesMax && kept.buffer.byteLength === kept.length);
        if (packet.length <= waiterQueryBytesMax) assert.deepEqual([...kept], [...packet]);
        assert.equal(readQuery(kept, kept.length, query), 'ok');
        assert.deepEqual(facts(query), before);
        assert.deepEqual(kept.subarray(0, 4), Uint8Array.from(packet.subarray(0, 4)));
        assert.deepEqual(kept.subarray(12, query.questionEnd), Uint8Array.from(packet.subarray(12, query.questionEnd)));
      }),
    );
  });
});

function isLocal(name: string | Uint8Array, takesPrefix = true): boolean {
  const wire = typeof name === 'string' ? nameToWire(name) : name;
  const header = Buffer.from('000001000001000000000000', 'hex');
  const packet = Buffer.concat([header, wire, Buffer.from([0, 1, 0, 1])]);
  const query = new Query();
  assert.equal(readQuery(packet, packet.length, query), 'ok');
  return isLocalName(packet, query, takesPrefix);
}

describe('isLocalName', () => {
  it('is localhost and what is below it, in any case', () => {
    for (const name of ['localhost', 'LocalHost', 'a.localhost', 'a.b.localhost'])
      assert.ok(isLocal(name, false), name);
    for (const name of ['.', 'local', 'xlocalhost', 'localhost.example', 'localhosts'])
      assert.ok(!isLocal(name, false), name);
  });

  it('is also what begins with localhost, if that is wanted', () => {
    for (const name of ['localhost.example', 'LOCALHOST.a.b']) assert.ok(isLocal(name), name);
    for (const name of ['a.localhost.example', 'localhosts.example', '.']) assert.ok(!isLocal(name), name);
  });

  it('is three reverse zones', () => {
    for (const net of ['0', '127', '255']) {
      assert.ok(isLocal(`${net}.in-addr.arpa`));
      assert.ok(isLocal(`3.2.1.${net}.IN-ADDR.arpa`));
    }
    for (const name of ['in-addr.arpa', 'arpa', '10.in-addr.arpa', '27.in-addr.arpa', '127.in-addr.arpa.x']) {
      assert.ok(!isLocal(name), name);
    }
  });

  it('says what names in text say', () => {
    const zones = ['localhost.', '0.in-addr.arpa.', '127.in-addr.arpa.', '255.in-addr.arpa.'];
    const label = fc.oneof(
      fc.constantFrom('localhost', 'LOCALHOST', 'in-addr', 'arpa', '127', '0', '255', 'a.localhost', 'x'),
      fc.string({ minLength: 1, maxLength: 12 }),
    );
    const names = fc.array(label, { maxLength: 5 }).map((labels) => {
      const bytes = labels.map((text) => Buffer.from(text, 'latin1'));
      return Buffer.concat([...bytes.flatMap((one) => [Buffer.from([one.length]), one]), Buffer.alloc(1)]);
    });
    fc.assert(
      fc.property(names, fc.boolean(), (wire, takesPrefix) => {
        const name = lowerCaseName(wireToName(wire, 0));
        const begins = takesPrefix && name.startsWith('localhost.');
        assert.equal(isLocal(wire, takesPrefix), begins || zones.some((zone) => isInZone(name, zone)), name);
      }),
    );
  });
});
