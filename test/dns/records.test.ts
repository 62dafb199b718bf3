import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { nameToWire } from '../../src/dns/names.js';
import {
  chunks,
  encodeAnswerTo,
  encodeResponse,
  isDuration,
  parseRecord,
  type Response,
  recordWords,
  secondsOf,
  stringBytes,
} from '../../src/dns/records.js';
import { flagCd, flagRd } from '../../src/dns/wire.js';

function hex(text: string): string {
  return Buffer.from(parseRecord(text)).toString('hex');
}

/** The data's bytes in hex, of a record owned by the root. */
function data(rest: string): string {
  return hex(`. 0 IN ${rest}`).slice(2 * (1 + 10));
}

/** dns-packet's own encoding of a record, as the oracle. */
function oracle(answer: object): string {
  const packet = dnsPacket.encode({ type: 'response', answers: [answer as dnsPacket.Answer] });
  return packet.subarray(12).toString('hex');
}

test('owner, TTL, class and type, with TTL and class in either order or absent', () => {
  const expected = hex('a.example. 60 IN A 192.0.2.1');
  assert.equal(expected, '0161076578616d706c6500000100010000003c0004c0000201');
  assert.equal(hex('a.example. IN 60 A 192.0.2.1'), expected);
  assert.equal(hex('a.example 1m A 192.0.2.1'), expected);
  assert.equal(hex('a.example. in 60 a 192.0.2.1'), expected);
  assert.equal(hex('  a.example.\t60 CLASS1 TYPE1 192.0.2.1 ; comment'), expected);
  assert.equal(hex('a.example. A 192.0.2.1'), hex('a.example. 3600 IN A 192.0.2.1'));
  assert.equal(hex('@ CH TXT x'), '00' + '0010' + '0003' + '00000e10' + '0002' + '0178');
});

test('names keep their case and every byte of their labels', () => {
  assert.equal(
    hex('aB\\.c\\255.Example. 1 IN CNAME x\\.y').slice(0, 34),
    '05' + '61422e63ff' + '07' + '4578616d706c65' + '00' + '0005',
  );
  assert.equal(data('CNAME x\\.y'), '03782e7900');
  assert.equal(data('PTR \u00e9.example'), '02c3a9076578616d706c6500');
  assert.equal(data('NS @'), '00');
});

test('data of the common types, byte for byte', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['A 255.0.10.1', 'ff000a01'],
    ['AAAA ::', '0'.repeat(32)],
    ['AAAA 2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['AAAA ::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['AAAA 64:ff9b::10.1.2.3', '0064ff9b00000000000000000a010203'],
    ['MX 10 m', '000a016d00'],
    ['SRV 1 2 65535 s', '00010002ffff017300'],
    ['TXT "a b" c ""', '03612062' + '0163' + '00'],
    ['TXT "\\000\\255\\""', '0300ff22'],
    ['TXT \u00e9', '02c3a9'],
    ['SOA n h (1 2 3 4 5)', '016e00016800' + '00000001' + '00000002' + '00000003' + '00000004' + '00000005'],
    ['SOA n h 4294967295 1h 1m 1w 1d', '016e00016800' + 'ffffffff' + '00000e10' + '0000003c' + '00093a80' + '00015180'],
    ['CAA 128 issue "ca.example; a=b"', `80056973737565${Buffer.from('ca.example; a=b').toString('hex')}`],
    ['HINFO "ANY obsoleted" ""', `0d${Buffer.from('ANY obsoleted').toString('hex')}00`],
    [
      'NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp',
      '00640032' + '0173' + '075349502b443255' + '00' + '045f736970045f75647000',
    ],
    ['DNAME d', '016400'],
    ['DS 60485 5 1 2BB183AF 5F22588179', 'ec450501' + '2bb183af5f22588179'],
    ['DNSKEY 256 3 5 AQPS mg==', '01000305' + '0103d29a'],
    ['TLSA 3 1 1 d2abde24', '030101d2abde24'],
    ['SSHFP 2 1 1234', '02011234'],
    ['URI 10 1 "ftp://x"', '000a0001' + '6674703a2f2f78'],
    ['RP a b', '016100016200'],
    ['TYPE65280 \\# 4 dead BEEF', 'deadbeef'],
    ['TYPE65280 \\# 0', ''],
    ['A \\# 4 c0000201', 'c0000201'],
    ['TYPE1 192.0.2.1', 'c0000201'],
    ['TXT \\# 2 0178', '0178'],
  ];
  for (const [text, expected] of cases) assert.equal(data(text), expected, text);
});

test('a long text becomes several strings', () => {
  const long = data(`TXT "${'x'.repeat(300)}"`);
  assert.equal(long, `ff${'78'.repeat(255)}2d${'78'.repeat(45)}`);
});

test('what is no record is refused with a sentence', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /There is no record in the text/],
    ['; nothing', /There is no record/],
    ['a.example.', /has no type/],
    ['a.example. 60 IN', /has no type/],
    ['a.example. 60 IN NOPE x', /"NOPE" is not a TTL, class or type/],
    ['a.example. 60 60 A 1.2.3.4', /"60" is not a TTL/],
    ['a.example. IN IN A 1.2.3.4', /"IN" is not a TTL/],
    ['a.example. 2147483648 A 1.2.3.4', /not a time of 0 to 2147483647/],
    ['a..b A 1.2.3.4', /empty label/],
    ['"a" A 1.2.3.4', /in quotes where a name belongs/],
    ['$ORIGIN example.', /has no type|"example." is not/],
    ['a A', /The A record is wrong: it ends too early/],
    ['a A 1.2.3', /not an IPv4 address/],
    ['a A 1.2.3.256', /not an IPv4 address/],
    ['a A 01.2.3.4', /not an IPv4 address/],
    ['a A ::1', /not an IPv4 address/],
    ['a A 1.2.3.4 5', /"5" is one word too many/],
    ['a A <no value>', /The A record is wrong/],
    ['a AAAA 1.2.3.4', /not an IPv6 address/],
    ['a AAAA fe80::1%eth0', /not an IPv6 address/],
    ['a AAAA 1::2::3', /not an IPv6 address/],
    ['a MX m', /"m" is not a whole number from 0 to 65535/],
    ['a MX 65536 m', /not a whole number/],
    ['a MX -1 m', /not a whole number/],
    ['a SRV 1 2 3', /ends too early/],
    ['a SOA n h 1 2 3 4', /ends too early/],
    ['a SOA n h 1 2 3 4 5 6', /one word too many/],
    ['a TXT', /ends too early/],
    ['a HINFO "x"', /ends too early/],
    [`a HINFO "${'x'.repeat(256)}" y`, /256 bytes is too long/],
    ['a CAA 0 is-sue "x"', /not a tag/],
    ['a CAA 256 issue "x"', /not a whole number from 0 to 255/],
    ['a DS 1 2 3 xyz', /not bytes in hexadecimal/],
    ['a DS 1 2 3 abc', /not bytes in hexadecimal/],
    ['a DNSKEY 1 2 3 a*b=', /not base64/],
    ['a TYPE65280 1.2.3.4', /write them as RFC 3597/],
    ['a LOC 52 22 23.000 N', /write them as RFC 3597/],
    ['a TYPE65280 \\# 3 dead', /is 3 but 2 bytes follow/],
    ['a TYPE65280 \\# 2', /ends too early/],
    ['a TYPE65280 \\#', /ends too early/],
    ['a TYPE65280 \\# 1 d', /hexadecimal/],
    [`a TXT ${`"${'x'.repeat(255)}" `.repeat(256)}`, /its data take 65536 bytes; 65535 are allowed/],
    ['a CNAME x y', /one word too many/],
    ['a TXT "x', /A quote is not closed/],
  ];
  for (const [text, expected] of cases) assert.throws(() => parseRecord(text), expected, text.slice(0, 80));
});

const label = fc.string({ unit: fc.constantFrom(...'abcxyzABC0189-_'), minLength: 1, maxLength: 12 });
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join('.')}.`);
const u16 = fc.integer({ min: 0, max: 65535 });
const ttl = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const printable = fc.string({ unit: fc.constantFrom(...'abc XYZ;()"\\.=0'), maxLength: 30 });

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

test('plain records are encoded as dns-packet encodes them', () => {
  const record = fc.oneof(
    fc.ipV4().map((address) => ({ type: 'A', text: address, data: address as unknown })),
    fc.tuple(u16, name).map(([preference, exchange]) => ({
      type: 'MX',
      text: `${preference} ${exchange}`,
      data: { preference, exchange } as unknown,
    })),
    fc.tuple(u16, u16, u16, name).map(([priority, weight, port, target]) => ({
      type: 'SRV',
      text: `${priority} ${weight} ${port} ${target}`,
      data: { priority, weight, port, target } as unknown,
    })),
    name.map((target) => ({ type: 'CNAME', text: target, data: target as unknown })),
    name.map((target) => ({ type: 'PTR', text: target, data: target as unknown })),
    fc.tuple(printable, printable).map(([cpu, os]) => ({
      type: 'HINFO',
      text: `${quoted(cpu)} ${quoted(os)}`,
      data: { cpu, os } as unknown,
    })),
    fc.array(printable, { minLength: 1, maxLength: 4 }).map((texts) => ({
      type: 'TXT',
      text: texts.map(quoted).join(' '),
      data: texts as unknown,
    })),
    fc.tuple(name, name, fc.array(ttl, { minLength: 5, maxLength: 5 })).map(([mname, rname, numbers]) => ({
      type: 'SOA',
      text: `${mname} ${rname} (${numbers.join('\n')})`,
      data: {
        mname,
        rname,
        serial: numbers[0],
        refresh: numbers[1],
        retry: numbers[2],
        expire: numbers[3],
        minimum: numbers[4],
      } as unknown,
    })),
    fc
      .tuple(u16, u16, printable, printable, printable, name)
      .map(([order, preference, flags, services, regexp, replacement]) => ({
        type: 'NAPTR',
        text: `${order} ${preference} ${quoted(flags)} ${quoted(services)} ${quoted(regexp)} ${replacement}`,
        data: { order, preference, flags, services, regexp, replacement } as unknown,
      })),
  );
  fc.assert(
    fc.property(name, ttl, record, (owner, seconds, { type, text, data: value }) => {
      assert.equal(
        hex(`${owner} ${seconds} IN ${type} ${text}`),
        oracle({ name: owner, ttl: seconds, type, data: value }),
      );
    }),
  );
});

test('every IPv6 address comes out as it went in, however it is written', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), u16), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, fc.boolean(), (numbers, compressed) => {
      const full = numbers.map((number) => number.toString(16)).join(':');
      const expected = numbers.map((number) => number.toString(16).padStart(4, '0')).join('');
      const written = compressed ? full.replace(/(^|:)0(:0)+(:|$)/, '::') : full;
      assert.equal(data(`AAAA ${written}`), expected);
    }),
  );
  fc.assert(fc.property(fc.ipV6(), (address) => assert.equal(data(`AAAA ${address}`).length, 32)));
});

test('any text is a record or an Error with a sentence', () => {
  const word = fc.constantFrom(
    'a.example.',
    '60',
    'IN',
    'A',
    'TXT',
    'MX',
    'SOA',
    '"',
    '(',
    ')',
    ';',
    '\\',
    '\\#',
    '4',
    'c0000201',
    '1.2.3.4',
    '\n',
    ' ',
    '.',
    '@',
    '"x y"',
    '\u00e9',
    'CAA',
    'TYPE9',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      try {
        assert.ok(parseRecord(words.join(' ')).length >= 11);
      } catch (error) {
        assert.match((error as Error).message, /\.$/);
      }
    }),
    { numRuns: 2000 },
  );
});

const question = Buffer.concat([nameToWire('A.Example.'), Buffer.from([0, 1, 0, 1])]);
const response: Response = {
  id: 0xbeef,
  question,
  authoritative: true,
  recursionDesired: true,
  recursionAvailable: true,
  checkingDisabled: false,
  rcode: 0,
  answer: [],
  authority: [],
  additional: [],
};

test('a response carries header, question as asked and its records', () => {
  const bytes = Buffer.from(
    encodeResponse({
      ...response,
      rcode: 3,
      answer: [parseRecord('a.example. 60 IN A 192.0.2.1'), parseRecord('b.a.example. 60 IN A 192.0.2.2')],
      authority: [parseRecord('example. 60 IN NS ns.example.')],
      additional: [parseRecord('. 5 IN TXT x')],
    }),
  );
  const message = dnsPacket.decode(bytes);
  assert.equal(message.id, 0xbeef);
  assert.equal(bytes.readUInt16BE(2), 0x8583);
  assert.deepEqual(message.questions, [{ name: 'A.Example', type: 'A', class: 'IN' }]);
  assert.deepEqual(
    message.answers?.map((record) => record.name),
    ['A.Example', 'b.a.example'],
  );
  assert.equal(message.authorities?.length, 1);
  assert.equal(message.additionals?.length, 1);
  assert.deepEqual(bytes.subarray(12, 12 + question.length), question);
});

test('each flag has its bit and the rcode its low four bits', () => {
  const none = { ...response, authoritative: false, recursionDesired: false, recursionAvailable: false };
  const flags = (part: Partial<Response>) => Buffer.from(encodeResponse({ ...none, ...part })).readUInt16BE(2);
  assert.equal(flags({}), 0x8000);
  assert.equal(flags({ authoritative: true }), 0x8400);
  assert.equal(flags({ recursionDesired: true }), 0x8100);
  assert.equal(flags({ recursionAvailable: true }), 0x8080);
  assert.equal(flags({ checkingDisabled: true }), 0x8010);
  assert.equal(flags({ rcode: 5 }), 0x8005);
  assert.equal(flags({ rcode: 16 }), 0x8000);
});

test('the root as question compresses nothing, and a name that only begins alike is kept', () => {
  const root = Buffer.from([0, 0, 2, 0, 1]);
  const records = [parseRecord('. 1 IN NS a.'), parseRecord('a.exampl. 1 IN NS a.')];
  const bytes = encodeResponse({ ...response, question: root, answer: records });
  assert.equal(bytes.length, 12 + 5 + records[0].length + records[1].length);
  const other = encodeResponse({ ...response, answer: [records[1]] });
  assert.deepEqual(other.subarray(12 + question.length), records[1]);
});

test('a response longer than a message may be is refused', () => {
  const big = parseRecord(`b. 1 IN TXT ${`"${'x'.repeat(255)}" `.repeat(200)}`);
  assert.throws(() => encodeResponse({ ...response, answer: [big, big] }), /65535 are allowed/);
});

test('an answer to a query repeats its id, question, RD and CD, and always says RA', () => {
  const parts = { authoritative: false, rcode: 0, answer: [], authority: [], additional: [] };
  const to = (flags: number) => Buffer.from(encodeAnswerTo({ id: 0xbeef, flags, question }, parts));
  for (const [asked, answered] of [
    [0, 0x8080],
    [flagRd, 0x8180],
    [flagCd, 0x8090],
    [0xffff & ~0x7800, 0x8190],
  ]) {
    const bytes = to(asked);
    assert.equal(bytes.readUInt16BE(0), 0xbeef);
    assert.equal(bytes.readUInt16BE(2), answered, `flags ${asked.toString(16)}`);
    assert.deepEqual(new Uint8Array(bytes.subarray(12)), new Uint8Array(question));
  }
});

function words(text: string): string[] {
  return recordWords(text).map((word) => (word.quoted ? `"${word.text}"` : word.text));
}

test('words are separated by blanks, quotes keep blanks, comments end the line', () => {
  assert.deepEqual(words('a.example. 60 IN TXT "two words" one ; not this'), [
    'a.example.',
    '60',
    'IN',
    'TXT',
    '"two words"',
    'one',
  ]);
  assert.deepEqual(words('\t a \r\n'), ['a']);
  assert.deepEqual(words('a"b"c'), ['a', '"b"', 'c']);
  assert.deepEqual(words('"a;b(c)"'), ['"a;b(c)"']);
  assert.deepEqual(words('""'), ['""']);
  assert.deepEqual(words(''), []);
  assert.deepEqual(words(' ; only a comment\n\n'), []);
});

test('parentheses join lines and only the first record is read', () => {
  assert.deepEqual(words('a SOA (1 ; serial\n 2\n\n 3)\nb A 1.2.3.4'), ['a', 'SOA', '1', '2', '3']);
  assert.deepEqual(words('\n\n; first\na (b) c\nd'), ['a', 'b', 'c']);
});

test('a backslash keeps what follows in the word', () => {
  assert.deepEqual(words('a\\ b\\;c "x\\"y"'), ['a\\ b\\;c', '"x\\"y"']);
  assert.deepEqual(words('a\\'), ['a\\']);
});

test('what is not closed is refused', () => {
  assert.throws(() => words('a "b'), /A quote is not closed/);
  assert.throws(() => words('a "b\\"'), /A quote is not closed/);
  assert.throws(() => words('a (b'), /"\(" is not closed/);
  assert.throws(() => words('a b)'), /no "\(" before/);
});

test('strings are bytes: escapes by number and character, UTF-8 for the rest', () => {
  assert.deepEqual([...stringBytes('a\\065\\"\\\\\\000\\255')], [0x61, 0x41, 0x22, 0x5c, 0, 255]);
  assert.deepEqual([...stringBytes('\u00e9')], [0xc3, 0xa9]);
  for (const broken of ['\\', '\\25', '\\256', '\\1x2', 'abc\\9'])
    assert.throws(() => stringBytes(broken), /broken escape/);
});

test('a string of any bytes survives being escaped by number', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = [...bytes].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('');
      assert.deepEqual([...stringBytes(text)], [...bytes]);
    }),
  );
});

test('times take units, in any case', () => {
  assert.equal(secondsOf('0', 10), 0);
  assert.equal(secondsOf('1h30M', 2 ** 31), 5400);
  assert.equal(secondsOf('1w2d3h4m5s', 2 ** 31), 788645);
  assert.equal(secondsOf('1h30', 2 ** 31), 3630);
  assert.ok(!isDuration('h'));
  assert.ok(!isDuration(''));
  assert.throws(() => secondsOf('11', 10), /not a time of 0 to 10 seconds/);
  assert.throws(() => secondsOf('1y', 10), /not a time/);
});

test('long texts are cut into strings of 255 bytes', () => {
  const lengths = (count: number) => chunks({ text: 'x'.repeat(count), quoted: true }).map((part) => part.length);
  assert.deepEqual(lengths(0), [0]);
  assert.deepEqual(lengths(255), [255]);
  assert.deepEqual(lengths(256), [255, 1]);
  assert.deepEqual(lengths(510), [255, 255]);
});
