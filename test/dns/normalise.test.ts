import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { nameToWire } from '../../src/dns/names.js';
import {
  type AnswerOrder,
  type Changes,
  leaveFirst,
  leaveOnlyAnswers,
  NameCompressor,
  Normaliser,
  ttlSeconds,
} from '../../src/dns/normalise.js';
import { expandName, lower, setU32, u16 } from '../../src/dns/wire.js';
import { headerBytes, messageBytesMax, nameBytesMax } from '../../src/limits.js';
import { readUpstream } from '../corpus/read.js';
import { hashKey } from './hash-key.js';

const normaliser = new Normaliser(hashKey());
const { out } = normaliser;

function answer(packet: Partial<packets.Packet>): Uint8Array {
  const name = packet.questions?.[0]?.name ?? 'www.example.com';
  return packets.encode({ type: 'response', id: 9, questions: [{ name, type: 'A', class: 'IN' }], ...packet });
}

function normalised(message: Uint8Array): packets.DecodedPacket {
  assert.equal(normaliser.read(message), true);
  return packets.decode(Buffer.from(out.message.subarray(0, out.messageBytes)));
}

/** The same message without compression, as CoreDNS sends it over TCP: dns-packet never compresses. */
function records(count: number): packets.StringAnswer[] {
  return Array.from({ length: count }, (_, index) => ({
    name: 'www.example.com',
    type: 'A',
    ttl: 300 + index,
    data: `192.0.2.${index % 256}`,
  }));
}

describe('Normaliser', () => {
  for (const { name, expect, bytes } of readUpstream()) {
    it(`reads or refuses ${name.replaceAll('-', ' ')}`, () => {
      const read = normaliser.read(bytes);
      // Ids, QR and the question are checked by the connection, before anybody reads on.
      if (expect === 'accepted') assert.equal(read, true);
    });
  }

  it('keeps every record, compressed', () => {
    const decoded = normalised(answer({ answers: records(40) }));
    assert.deepEqual(
      decoded.answers?.map((record) => [record.name, (record as packets.StringAnswer).data]),
      records(40).map((record) => [record.name, record.data]),
    );
    assert.equal(out.messageBytes, 12 + 17 + 4 + 40 * 16);
    assert.equal(out.records, 40);
    assert.equal(out.relevant, true);
  });

  it('puts aliases first where that is wanted, and loses nothing', () => {
    const [one, two] = records(2);
    const alias = { name: 'www.example.com', type: 'CNAME', ttl: 30, data: 'host.example.com' } as const;
    const above = { name: 'example.com', type: 'DNAME' as never, ttl: 30, data: 'other.test' } as packets.Answer;
    const authorities: packets.Answer[] = [{ name: 'example.com', type: 'NS', ttl: 9, data: 'ns.example.com' }];
    const types = (answers: packets.Answer[], order: AnswerOrder) => {
      assert.ok(normaliser.read(answer({ answers, authorities }), order));
      const decoded = packets.decode(Buffer.from(out.message.subarray(0, out.messageBytes)));
      assert.deepEqual([out.records, out.answers], [answers.length + 1, answers.length]);
      assert.equal(decoded.authorities?.length, 1);
      const ttls = Array.from(out.ttlOffsets.subarray(0, out.records), (at) => ttlSeconds(out.message, at));
      const all = [...(decoded.answers ?? []), ...(decoded.authorities ?? [])] as packets.StringAnswer[];
      assert.deepEqual(
        ttls,
        all.map(({ ttl }) => ttl),
      );
      return decoded.answers?.map(({ type }) => type);
    };
    assert.deepEqual(types([one, alias, two, above], 'as sent'), ['A', 'CNAME', 'A', 'DNAME']);
    assert.deepEqual(types([one, alias, two, above], 'aliases first'), ['CNAME', 'DNAME', 'A', 'A']);
    assert.deepEqual(types([one], 'aliases first'), ['A']);
    const cut = answer({ answers: [one, alias] }).subarray(0, -3);
    for (const order of ['aliases first', 'as sent'] as const) assert.equal(normaliser.read(cut, order), false);
    assert.deepEqual(types([one, alias], 'as sent'), ['A', 'CNAME'], 'what was broken leaves nothing behind');
  });

  it('notes where each TTL stands', () => {
    normalised(answer({ answers: records(3) }));
    const ttls = [0, 1, 2].map((index) => ttlSeconds(out.message, out.ttlOffsets[index]));
    assert.deepEqual(ttls, [300, 301, 302]);
  });

  it('writes the question in lower case', () => {
    const decoded = normalised(answer({ questions: [{ name: 'WwW.ExAmPlE.cOm', type: 'A', class: 'IN' }] }));
    assert.equal(decoded.questions?.[0].name, 'www.example.com');
  });

  it('leaves the OPT out, wherever it stands, and takes its part of the rcode', () => {
    const opt = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1232,
      extendedRcode: 1,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    };
    const glue = { name: 'ns.example.com', type: 'A', ttl: 60, data: '192.0.2.53' } as const;
    const more = { name: 'mail.ns.example.com', type: 'A', ttl: 60, data: '192.0.2.54' } as const;
    const decoded = normalised(
      answer({ answers: records(1), additionals: [glue, opt as unknown as packets.Answer, more] }),
    );
    assert.deepEqual(
      decoded.additionals?.map((record) => record.name),
      ['ns.example.com', 'mail.ns.example.com'],
    );
    assert.equal(out.rcode, 16);
    assert.equal(out.records, 3);
  });

  it('finds the negative TTL: the smaller of the SOA and its minimum', () => {
    const soa = (ttl: number, minimum: number): packets.Answer => ({
      name: 'example.com',
      type: 'SOA',
      ttl,
      data: { mname: 'ns.example.com', rname: 'host.example.com', serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
    });
    normalised(answer({ authorities: [soa(600, 30)] }));
    assert.equal(out.negativeTtlSeconds, 30);
    normalised(answer({ authorities: [soa(20, 30)] }));
    assert.equal(out.negativeTtlSeconds, 20);
    assert.equal(ttlSeconds(out.message, out.soaTtlOffset), 20);
    normalised(answer({ authorities: [] }));
    assert.equal(out.negativeTtlSeconds, -1);
    assert.equal(out.relevant, false);
  });

  it('compresses names in the data of old types and never in new ones', () => {
    const decoded = normalised(
      answer({
        answers: [
          { name: 'www.example.com', type: 'CNAME', ttl: 5, data: 'web.example.com' },
          { name: 'web.example.com', type: 'MX', ttl: 5, data: { preference: 10, exchange: 'mail.example.com' } },
          {
            name: 'web.example.com',
            type: 'SRV',
            ttl: 5,
            data: { port: 1, target: 'srv.example.com', priority: 2, weight: 3 },
          },
        ],
      }),
    );
    const [cname, mx, srv] = decoded.answers as [packets.StringAnswer, packets.MxAnswer, packets.SrvAnswer];
    assert.equal(cname.data, 'web.example.com');
    assert.equal((mx.data as { exchange: string }).exchange, 'mail.example.com');
    assert.equal((srv.data as { target: string }).target, 'srv.example.com');
    // CNAME: 2 + 10 + 'web' and a pointer; MX: 2 + 10 + 2 + 'mail' and a pointer; SRV: its target whole.
    assert.equal(out.messageBytes - out.questionEnd, 12 + 6 + 12 + 2 + 7 + 12 + 6 + 17);
  });

  it('takes a message of nearly 65,535 bytes', () => {
    const data = Array.from({ length: 255 }, () => 'x'.repeat(255));
    const text = { name: 'www.example.com', type: 'TXT' as const, ttl: 5, data: data.slice(0, 254) };
    const message = answer({ questions: [{ name: 'www.example.com', type: 'TXT', class: 'IN' }], answers: [text] });
    assert.ok(message.length > 65_000);
    assert.equal(normaliser.read(message), true);
    assert.ok(out.messageBytes > 65_000);
  });

  it('reads a TTL with the highest bit as 0 (RFC 2181 8)', () => {
    const bytes = new Uint8Array(4);
    setU32(bytes, 0, 2 ** 31);
    assert.equal(ttlSeconds(bytes, 0), 0);
    setU32(bytes, 0, 2 ** 31 - 1);
    assert.equal(ttlSeconds(bytes, 0), 2 ** 31 - 1);
  });

  it('gives dns-packet back what dns-packet wrote, whatever the names', () => {
    const label = fc.constantFrom('a', 'b', 'www', 'example', 'Example', 'com', 'x-y');
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
    const record = fc.oneof(
      fc.record({ name, type: fc.constant('A' as const), ttl: fc.nat(1000), data: fc.ipV4() }),
      fc.record({ name, type: fc.constant('NS' as const), ttl: fc.nat(1000), data: name }),
      fc.record({ name, type: fc.constant('PTR' as const), ttl: fc.nat(1000), data: name }),
      fc.record({ name, type: fc.constant('TXT' as const), ttl: fc.nat(1000), data: fc.constant(['some text']) }),
    );
    const section = fc.array(record, { maxLength: 8 });
    const fold = (text: unknown) => JSON.stringify(text).toLowerCase();
    fc.assert(
      fc.property(name, section, section, section, (asked, answers, authorities, additionals) => {
        const sent = answer({
          questions: [{ name: asked, type: 'A', class: 'IN' }],
          answers,
          authorities,
          additionals,
        } as Partial<packets.Packet>);
        const before = packets.decode(Buffer.from(sent));
        const after = normalised(sent);
        assert.equal(fold(after.answers), fold(before.answers));
        assert.equal(fold(after.authorities), fold(before.authorities));
        assert.equal(fold(after.additionals), fold(before.additionals));
        assert.ok(out.messageBytes <= sent.length);
      }),
      { numRuns: 500 },
    );
  });

  it('has a decided outcome for any bytes behind a question', () => {
    const question = answer({});
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 6, maxLength: 6 }), (tail, counts) => {
        const message = new Uint8Array(question.length + tail.length);
        message.set(question);
        message.set(tail, question.length);
        for (let index = 0; index < 6; index++) message[6 + index] = index % 2 === 0 ? 0 : counts[index] % 4;
        if (!normaliser.read(message)) return;
        const total = u16(out.message, 6) + u16(out.message, 8) + u16(out.message, 10);
        assert.equal(total, out.records);
        // What was understood once is understood again, and is already as short as it gets.
        const once = out.message.slice(0, out.messageBytes);
        assert.equal(normaliser.read(once), true);
        assert.ok(out.messageBytes <= once.length);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('Normaliser.readStored', () => {
  const stored = new Normaliser(hashKey());
  const facts = ({ message, ttlOffsets, ...rest }: typeof out) => ({
    ...rest,
    ttls: Array.from(ttlOffsets.subarray(0, rest.records), (at) => [at, ttlSeconds(message, at)]),
    bytes: Buffer.from(message.subarray(0, rest.messageBytes)),
  });
  /** Reads both what `read` has written, from between other bytes. */
  const readBack = (message: Uint8Array): boolean => {
    assert.ok(normaliser.read(message));
    const bytes = Buffer.concat([Buffer.alloc(5, 0xc0), out.message.subarray(0, out.messageBytes), Buffer.alloc(2)]);
    return stored.readStored(bytes, 5, out.messageBytes);
  };
  const a = { name: 'www.example.com', type: 'A', ttl: 30, data: '192.0.2.1' } as const;
  const soa = { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 7 };

  it('reads what `read` has written as `read` did, without writing it anew', () => {
    const parts: Partial<packets.Packet>[] = [
      { answers: records(40) },
      { answers: [a], flags: 0x8183 },
      { answers: [], authorities: [{ name: 'com', type: 'SOA', ttl: 9, data: soa }] },
      { answers: [{ ...a, type: 'AAAA', data: '2001:db8::1' }] },
      {
        answers: [
          { name: 'www.example.com', type: 'CNAME', ttl: 5, data: 'b.other.test' },
          { ...a, name: 'b.other.test' },
        ],
        authorities: [{ name: 'example.com', type: 'NS', ttl: 8, data: 'ns.example.com' }],
        additionals: [{ ...a, name: 'ns.example.com' }],
      },
      { answers: [{ name: 'www.example.com', type: 'TXT', ttl: 5, data: ['text'] }] },
      {
        answers: [{ name: 'www.example.com', type: 'MX', ttl: 5, data: { preference: 1, exchange: 'mx.example.com' } }],
      },
      { questions: [{ name: 'WWW.example.com', type: 'PTR', class: 'IN' }] },
      {},
    ];
    for (const part of parts) {
      assert.equal(readBack(answer(part)), true, JSON.stringify(part));
      assert.deepEqual(facts(stored.out), facts(out));
    }
  });

  it('leaves to `read` what that writes otherwise', () => {
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never;
    const srv = { name: 'www.example.com', type: 'SRV', ttl: 5, data: { port: 1, target: 'b.test' } } as const;
    const others: [string, Uint8Array][] = [
      ['upper case', answer({ questions: [{ name: 'WWW.example.com', type: 'A', class: 'IN' }] })],
      ['owners in full', answer({ answers: [a] })],
      ['an OPT', answer({ additionals: [opt] })],
      ['bytes behind the last record', Buffer.concat([answer({}), Buffer.alloc(1)])],
    ];
    for (const [what, message] of others) {
      assert.equal(stored.readStored(message, 0, message.length), false, what);
      assert.equal(normaliser.read(message), true, what);
    }
    assert.equal(readBack(answer({ answers: [srv] })), false, 'names that may not be compressed');
  });

  it('refuses all that `read` refuses, and finds in the rest the same', () => {
    const records = [
      a,
      { ...a, name: 'example.com' },
      { name: 'www.example.com', type: 'CNAME', ttl: 5, data: 'x.test' },
    ];
    assert.ok(
      readBack(
        answer({
          answers: records as packets.Answer[],
          authorities: [{ name: 'com', type: 'SOA', ttl: 9, data: soa }],
        }),
      ),
    );
    const whole = Uint8Array.from(out.message.subarray(0, out.messageBytes));
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    let accepted = 0;
    fc.assert(
      fc.property(changes, fc.nat(whole.length), fc.boolean(), (bytes, end, isCut) => {
        const message = Uint8Array.from(whole);
        for (const [at, value] of bytes) message[at] = value;
        const some = isCut ? message.subarray(0, end) : message;
        if (!stored.readStored(some, 0, some.length)) return;
        accepted++;
        assert.ok(normaliser.read(some));
        const [{ ttls, bytes: taken, messageBytes, soaTtlOffset, ...one }, other] = [facts(stored.out), facts(out)];
        assert.deepEqual({ ...other, ...one }, other);
        assert.deepEqual(
          ttls.map(([, ttl]) => ttl),
          other.ttls.map(([, ttl]) => ttl),
        );
        assert.deepEqual(taken, Buffer.from(some));
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted > 100, `${accepted}`);
    for (let end = 0; end < whole.length; end++) assert.equal(stored.readStored(whole, 0, end), false);
  });
});

describe('leaveOnlyAnswers', () => {
  const a = (name: string): packets.Answer => ({ name, type: 'A', ttl: 30, data: '192.0.2.1' });
  const ns: packets.Answer = { name: 'test', type: 'NS', ttl: 30, data: 'ns.test' };
  const read = (answers: packets.Answer[], flags = 0) => {
    const questions = [{ name: 'a.test', type: 'A' as const }];
    const parts = { answers, authorities: [ns], additionals: [a('ns.test')] };
    assert.ok(normaliser.read(packets.encode({ type: 'response', flags, questions, ...parts })));
    leaveOnlyAnswers(normaliser.out);
    const { message, messageBytes, records } = normaliser.out;
    const { answers: left, authorities, additionals } = packets.decode(Buffer.from(message.subarray(0, messageBytes)));
    return [left?.length, authorities?.length, additionals?.length, records];
  };

  it('cuts a positive answer behind its answers, and nothing else', () => {
    assert.deepEqual(read([a('a.test'), a('a.test')]), [2, 0, 0, 2]);
    assert.deepEqual(read([]), [0, 1, 1, 2], 'a referral');
    const alias: packets.Answer = { name: 'a.test', type: 'CNAME', ttl: 30, data: 'b.test' };
    for (const rcode of [0, 3]) assert.deepEqual(read([alias], rcode), [1, 1, 1, 3], 'an alias to nothing');
    assert.deepEqual(read([alias, a('b.test')]), [2, 0, 0, 2]);
  });
});

describe('leaveFirst', () => {
  it('cuts a message behind any of its records, and what is left is what was there', () => {
    const a = (name: string): packets.Answer => ({ name, type: 'A', ttl: 30, data: '192.0.2.1' });
    const questions = [{ name: 'a.test', type: 'A' as const }];
    const sections = [
      [a('a.test'), a('a.test')],
      [{ name: 'test', type: 'NS', ttl: 30, data: 'ns.test' } as packets.Answer],
      [a('ns.test'), a('ns.b.test')],
    ];
    const [answers, authorities, additionals] = sections;
    for (let records = 0; records <= 6; records++) {
      assert.ok(normaliser.read(packets.encode({ type: 'response', questions, answers, authorities, additionals })));
      leaveFirst(out, records);
      const {
        answers: one,
        authorities: two,
        additionals: three,
      } = packets.decode(Buffer.from(out.message.subarray(0, out.messageBytes)));
      const names = [one, two, three].map((section = []) => section.map(({ name }) => name));
      let left = records;
      const expected = sections.map((section) => section.map(({ name }) => name).filter(() => left-- > 0));
      assert.deepEqual(names, expected);
      assert.deepEqual([out.records, out.answers], [Math.min(records, 5), Math.min(records, 2)]);
    }
  });
});

describe('Normaliser with changes', () => {
  const none: Changes = {
    question: Buffer.concat([nameToWire('Asked.test'), Buffer.from([0, 28, 0, 1])]),
    owner: null,
    value: null,
    ttlSeconds: null,
    rcode: null,
  };
  const to = (name: string) => () => nameToWire(name);
  const changed = (message: Uint8Array, changes: Partial<Changes>): packets.DecodedPacket => {
    assert.equal(normaliser.read(message, 'as sent', { ...none, ...changes }), true);
    return packets.decode(Buffer.from(out.message.subarray(0, out.messageBytes)));
  };
  const leading: packets.Answer[] = [
    { type: 'CNAME', name: 'www.example.com', ttl: 60, data: 'a.example.com' },
    { type: 'SRV', name: 'a.example.com', ttl: 60, data: { port: 80, target: 'b.example.com' } },
    { type: 'MX', name: 'a.example.com', ttl: 60, data: { preference: 1, exchange: 'c.example.com' } },
    { type: 'PTR', name: 'a.example.com', ttl: 60, data: 'd.example.com' },
  ];

  it('answers another question, in lower case, and has no AD', () => {
    const decoded = changed(answer({ answers: records(1), flags: packets.AUTHENTIC_DATA }), {});
    assert.deepEqual(decoded.questions, [{ name: 'asked.test', type: 'AAAA', class: 'IN' }]);
    assert.deepEqual([decoded.flag_ad, out.relevant, out.questionEnd], [false, false, 28]);
    assert.equal(decoded.answers?.[0].name, 'www.example.com');
  });

  it('gives owners and names that records lead to other names, and no others', () => {
    const decoded = changed(answer({ answers: leading }), { owner: to('o.test'), value: to('v.test') });
    assert.deepEqual(
      decoded.answers?.map(({ name }) => name),
      ['o.test', 'o.test', 'o.test', 'o.test'],
    );
    const [alias, srv, mx, ptr] = (decoded.answers ?? []) as { data: unknown }[];
    assert.equal(alias.data, 'v.test');
    assert.equal((srv.data as { target: string }).target, 'v.test');
    assert.equal((mx.data as { exchange: string }).exchange, 'v.test');
    assert.equal(ptr.data, 'd.example.com');
  });

  it('changes TTLs and the rcode', () => {
    const decoded = changed(answer({ answers: records(2), flags: 2 }), {
      ttlSeconds: () => 7,
      rcode: (rcode) => rcode + 1,
    });
    assert.deepEqual([out.rcode, (decoded as { rcode?: string }).rcode], [3, 'NXDOMAIN']);
    assert.deepEqual(
      decoded.answers?.map((record) => (record as packets.StringAnswer).ttl),
      [7, 7],
    );
  });

  it('refuses a message that names make longer than one may be', () => {
    let number = 0;
    // Their ends differ, so nothing can be compressed.
    const owner = () => nameToWire(`${`${'a'.repeat(60)}.`.repeat(3)}n${number++}`);
    assert.equal(normaliser.read(answer({ answers: records(400) }), 'as sent', { ...none, owner }), false);
  });

  it('writes what parses, whatever names become', () => {
    const label = fc.stringMatching(/^[a-z]{1,63}$/u);
    fc.assert(
      fc.property(fc.array(label, { maxLength: 3, size: 'max' }), fc.nat(40), (labels, count) => {
        const other = nameToWire(labels.length === 0 ? '.' : labels.join('.'));
        const decoded = changed(answer({ answers: [...records(count), ...leading] }), {
          owner: () => other,
          value: () => other,
        });
        assert.equal(decoded.answers?.length, count + leading.length);
        assert.equal(new Normaliser(hashKey()).read(out.message.subarray(0, out.messageBytes)), true);
      }),
      { numRuns: 50 },
    );
  });
});

const compressor = new NameCompressor(hashKey());
/** Longer than a message may be, so that what is written too far is seen. */
const message = new Uint8Array(2 * messageBytesMax);

/** Begins a message with this question; returns the offset behind its type and class. */
function begin(name: string): number {
  const wire = nameToWire(name);
  message.fill(0xff);
  message.set(wire, headerBytes);
  compressor.begin(message, wire.length);
  return headerBytes + wire.length + 4;
}

/** Writes at `at`, checks that it can be read again, and returns the offset behind. */
function write(at: number, name: string | Uint8Array): number {
  const wire = typeof name === 'string' ? nameToWire(name) : name;
  const given = Uint8Array.from([...wire, 0xee]);
  const end = compressor.write(message, at, given, wire.length);
  assert.ok(end > at && end <= at + wire.length, 'never longer than uncompressed');
  const back = new Uint8Array(nameBytesMax + 1);
  assert.equal(expandName(message, at, end, back), wire.length);
  const folded = (bytes: Uint8Array) => [...bytes.subarray(0, wire.length)].map((byte) => lower[byte]);
  assert.deepEqual(folded(back), folded(wire));
  return end;
}

/** How many bytes the name takes there. */
const bytesFor = (at: number, name: string) => write(at, name) - at;

describe('NameCompressor', () => {
  it('points to the question, to any part of it, and in any case', () => {
    const at = begin('www.Example.com');
    assert.deepEqual(
      ['www.example.com', 'EXAMPLE.com', 'com', 'mail.example.com', '.'].map((name) => bytesFor(at, name)),
      [2, 2, 2, 7, 1],
    );
    write(at, 'www.example.com');
    assert.equal(u16(message, at), 0xc000 | headerBytes);
  });

  it('points to what it has written itself, the longest part first', () => {
    let at = begin('a.test');
    at = write(at, 'ns.other.example');
    const before = at;
    at = write(at, 'x.ns.other.example');
    assert.equal(at - before, 4);
    assert.equal(bytesFor(at, 'other.example'), 2);
    assert.equal(bytesFor(at, 'example.other'), 15, 'labels in another order are another name');
  });

  it('forgets the message before', () => {
    const at = begin('a.test');
    write(at, 'gone.example');
    assert.equal(bytesFor(begin('b.test'), 'gone.example'), nameToWire('gone.example').length);
    assert.equal(bytesFor(begin('.'), 'a.test'), 8, 'the root has no part to point to');
  });

  it('does not take a name for another whose bytes are the same', () => {
    const at = begin('a\\.b.test');
    assert.equal(bytesFor(at, 'a.b.test'), 6);
    assert.equal(bytesFor(begin('_a.test'), '\\@b.test'), 5, 'nor for one of the same length and hash');
    assert.equal(bytesFor(begin('ab.c'), '\\001.b\\001c'), nameToWire('\\001.b\\001c').length);
  });

  it('keeps the longest names whole', () => {
    const long = `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`;
    const deep = 'a.'.repeat(127);
    assert.deepEqual([nameToWire(long).length, nameToWire(deep).length], [nameBytesMax, nameBytesMax]);
    for (const name of [long, deep]) {
      let at = begin('q.test');
      const first = at;
      at = write(at, name);
      assert.equal(at - first, nameBytesMax);
      assert.equal(bytesFor(at, name), 2);
      assert.equal(bytesFor(begin(name), name), 2);
    }
  });

  it('never points beyond what 14 bits reach', () => {
    begin('a.test');
    const name = 'far.example';
    const { length } = nameToWire(name);
    assert.equal(bytesFor(0x4000, name), length);
    assert.equal(bytesFor(0x4100, name), length, 'the one before cannot be pointed to');
    assert.equal(bytesFor(0x4200, 'a.test'), 2, 'what stands at the front can');
    assert.equal(bytesFor(0x3ffc, name), length);
    assert.equal(bytesFor(0x4300, name), 2, 'its first label stands just within');
    assert.equal(bytesFor(0x4400, 'example'), 9, 'its second does not');
  });

  it('writes any names into any message so that they are read back', () => {
    const label = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('a', 'A', 'b', 'ab', 'svc', 'SVC', 'cluster', 'local', 'x'.repeat(63)) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)) },
    );
    const name = fc.array(label, { maxLength: 6 }).map((labels) => {
      const parts = labels.map((each) => Buffer.from(each));
      const wire = parts.flatMap((each) => [each.length, ...each]);
      return Uint8Array.from([...wire.slice(0, wire.length <= 254 ? undefined : 0), 0]);
    });
    const gap = fc.oneof({ weight: 5, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(9_000) });
    fc.assert(
      fc.property(name, fc.array(fc.tuple(name, gap), { maxLength: 60, size: 'max' }), (question, names) => {
        message.set(question, headerBytes);
        compressor.begin(message, question.length);
        let at = headerBytes + question.length + 4;
        const written: { at: number; wire: Uint8Array }[] = [];
        for (const [wire, bytes] of names) {
          if (at + wire.length + bytes > messageBytesMax) break;
          written.push({ at, wire });
          at = write(at, wire);
          message.fill(0x61, at, at + bytes);
          at += bytes;
        }
        const back = new Uint8Array(nameBytesMax + 1);
        for (const { at: place, wire } of written) {
          assert.equal(expandName(message, place, at, back), wire.length, 'also when the message is complete');
        }
      }),
      { numRuns: 300 },
    );
  });
});
