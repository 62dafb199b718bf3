import assert from 'node:assert/strict';
import { test } from 'node:test';
import dnsPacket from 'dns-packet';
import fc from 'fast-check';
import {
  className,
  classNumber,
  isInZone,
  lowerCaseName,
  nameToWire,
  rcodeName,
  rcodeNumber,
  typeName,
  typeNumber,
  wireToName,
} from '../../src/dns/names.js';

const bytes = (...values: readonly (number | string)[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => (typeof value === 'number' ? [value] : [...Buffer.from(value, 'latin1')])));

test('names become labels with their lengths; the closing dot may be missing and case stays', () => {
  assert.deepEqual(nameToWire('.'), bytes(0));
  assert.deepEqual(nameToWire('Example.COM.'), bytes(7, 'Example', 3, 'COM', 0));
  assert.deepEqual(nameToWire('example.com'), nameToWire('example.com.'));
  assert.deepEqual(nameToWire('a'), bytes(1, 'a', 0));
});

test('escapes are bytes of a label', () => {
  assert.deepEqual(nameToWire('a\\.b.c.'), bytes(3, 'a.b', 1, 'c', 0));
  assert.deepEqual(nameToWire('a\\.'), bytes(2, 'a.', 0));
  assert.deepEqual(nameToWire('a\\\\.'), bytes(2, 'a\\', 0));
  assert.deepEqual(nameToWire('\\000\\255\\046.'), bytes(3, 0, 255, 46, 0));
  assert.deepEqual(nameToWire('\\a\\@.'), bytes(2, 'a@', 0));
  assert.deepEqual(nameToWire('é.'), bytes(2, 0xc3, 0xa9, 0));
});

test('what is no name is refused with a sentence', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /empty text/],
    ['..', /empty label/],
    ['.a', /empty label/],
    ['a..b', /empty label/],
    ['a..', /empty label/],
    ['a\\', /lone backslash/],
    ['\\256', /broken escape/],
    ['\\25', /broken escape/],
    ['\\2', /broken escape/],
    ['\\1a2', /broken escape/],
    ['\\12a.com', /broken escape/],
    [`${'a'.repeat(64)}.com`, /label of 64 bytes; 63/],
    ['é'.repeat(32), /label of 64 bytes/],
    ['a.'.repeat(128), /longer than 255/],
    ['a'.repeat(100_000), /longer than 255/],
  ];
  for (const [text, message] of cases) assert.throws(() => nameToWire(text), message, text.slice(0, 80));
});

test('the longest label and name are taken, one byte more is not', () => {
  assert.equal(nameToWire('a'.repeat(63)).length, 65);
  const longest = [63, 63, 63, 61].map((length) => 'x'.repeat(length)).join('.');
  assert.equal(nameToWire(longest).length, 255);
  assert.throws(() => nameToWire(`${longest}x`), /255/);
  assert.equal(nameToWire('a.'.repeat(127)).length, 255);
  // Every byte escaped: four characters each.
  const escaped = [63, 63, 63, 61].map((length) => '\\200'.repeat(length)).join('.');
  assert.equal(nameToWire(escaped).length, 255);
  assert.equal(wireToName(nameToWire(escaped), 0), `${escaped}.`);
});

test('special characters are written with a backslash, bytes outside printable ASCII as three digits', () => {
  assert.equal(wireToName(bytes(0), 0), '.');
  assert.equal(wireToName(bytes(9, `. '@;()"\\`, 0), 0), `\\.\\ \\'\\@\\;\\(\\)\\"\\\\.`);
  assert.equal(wireToName(bytes(5, 0, 31, 127, 200, 255, 0), 0), '\\000\\031\\127\\200\\255.');
  assert.equal(wireToName(bytes(5, '$_*-/', 0), 0), '$_*-/.');
});

test('compression pointers are followed, from any offset', () => {
  const packet = bytes('xx', 3, 'com', 0, 1, 'a', 0xc0, 2, 1, 'b', 0xc0, 7, 0xc0, 10);
  assert.equal(wireToName(packet, 2), 'com.');
  assert.equal(wireToName(packet, 7), 'a.com.');
  assert.equal(wireToName(packet, 11), 'b.a.com.');
  assert.throws(() => wireToName(bytes(0xc0, 0), 0), /pointer/, 'to itself');
});

test('pointers that do not lead backwards, and everything cut, end in a sentence', () => {
  const cases: readonly (readonly [Uint8Array, number])[] = [
    [bytes(), 0],
    [bytes(0), 1],
    [bytes(3, 'ab'), 0],
    [bytes(3, 'abc'), 0],
    [bytes(0xc0), 0],
    [bytes(1, 'a', 0xc0), 0],
    [bytes(1, 'a', 0xc0, 0), 0],
    [bytes(0xc0, 2, 0xc0, 0), 2],
    [bytes(0xc0, 5, 0, 0, 0, 0), 0],
    [bytes(0x40, 'a', 0), 0],
    [bytes(0x80, 'a', 0), 0],
  ];
  for (const [packet, offset] of cases)
    assert.throws(() => wireToName(packet, offset), /^Error: The name at byte .*\.$/);
});

test('a name may not grow beyond 255 bytes through pointers', () => {
  const chain: number[] = [0];
  let last = 0;
  for (let link = 0; link < 8; link++) {
    const at = chain.length;
    chain.push(31, ...new Array<number>(31).fill(0x61), 0xc0 | (last >> 8), last & 0xff);
    last = at;
  }
  assert.equal(wireToName(Uint8Array.from(chain), 1 + 6 * 34).length, 7 * 32);
  assert.throws(() => wireToName(Uint8Array.from(chain), last), /longer than 255/);
});

const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
const wireName = fc
  .array(label, { maxLength: 12 })
  .map((labels) => Uint8Array.from([...labels.flatMap((one) => [one.length, ...one]), 0]))
  .filter((wire) => wire.length <= 255);

test('every name survives the way to text and back', () => {
  fc.assert(
    fc.property(wireName, (wire) => {
      assert.deepEqual(nameToWire(wireToName(wire, 0)), wire);
    }),
  );
});

test('random bytes never hang and never give what cannot be written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(70), (packet, offset) => {
      let name: string;
      try {
        name = wireToName(packet, offset);
      } catch (error) {
        assert.match((error as Error).message, /^The name at byte \d+ .*\.$/);
        return;
      }
      assert.equal(wireToName(nameToWire(name), 0), name);
    }),
  );
});

test('host names are what dns-packet makes of them', () => {
  const hostLabel = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
  fc.assert(
    fc.property(fc.array(hostLabel, { minLength: 1, maxLength: 6 }), (labels) => {
      const name = labels.join('.');
      const packet = dnsPacket.encode({ questions: [{ type: 'A', name }] });
      assert.deepEqual(Uint8Array.from(packet.subarray(12, -4)), nameToWire(name));
      assert.equal(wireToName(packet, 12), `${name}.`);
    }),
  );
});

test('only A to Z have a lower case', () => {
  assert.equal(lowerCaseName('WWW.Example.COM.'), 'www.example.com.');
  assert.equal(lowerCaseName('ÄÖİ\u212a'), 'ÄÖİ\u212a', 'other alphabets stay, the Kelvin sign too');
  assert.equal(lowerCaseName('K'), 'k');
});

test('a name is in a zone by whole labels', () => {
  const inside: readonly (readonly [string, string])[] = [
    ['cluster.local.', 'cluster.local.'],
    ['a.b.CLUSTER.local', 'Cluster.Local.'],
    ['a.b.cluster.local.', 'cluster.local'],
    ['anything.', '.'],
    ['.', '.'],
    ['a\\\\.b.', 'b.'],
  ];
  const outside: readonly (readonly [string, string])[] = [
    ['mycluster.local.', 'cluster.local.'],
    ['local.', 'cluster.local.'],
    ['.', 'local.'],
    ['a\\.b.', 'b.'],
    ['a\\.b', 'b'],
    ['cluster.local.example.', 'cluster.local.'],
  ];
  for (const [name, zone] of inside) assert(isInZone(name, zone), `${name} in ${zone}`);
  for (const [name, zone] of outside) assert(!isInZone(name, zone), `${name} not in ${zone}`);
});

test('being in a zone is having its labels at the end', () => {
  fc.assert(
    fc.property(wireName, wireName, (below, zone) => {
      const name = Uint8Array.from([...below.subarray(0, -1), ...zone]);
      if (name.length > 255) return;
      assert(isInZone(wireToName(name, 0), wireToName(zone, 0)));
    }),
  );
});

test('types have the names that dns-packet has, where it has one', () => {
  for (const [name, number] of [
    ['A', 1],
    ['AAAA', 28],
    ['SRV', 33],
    ['OPT', 41],
    ['SVCB', 64],
    ['HTTPS', 65],
    ['SPF', 99],
    ['ANY', 255],
    ['CAA', 257],
    ['DLV', 32769],
  ] as const) {
    assert.equal(typeName(number), name);
    assert.equal(typeNumber(name.toLowerCase()), number);
  }
  // dns-packet has no table to ask, but it encodes what it knows and makes others 0.
  const known: dnsPacket.RecordType[] = [
    'A',
    'AAAA',
    'CAA',
    'CNAME',
    'DNAME',
    'DNSKEY',
    'DS',
    'HINFO',
    'MX',
    'NAPTR',
    'NS',
    'NSEC',
    'NSEC3',
    'NULL',
    'PTR',
    'RP',
    'RRSIG',
    'SOA',
    'SRV',
    'SSHFP',
    'TLSA',
    'TXT',
    'AFSDB',
    'APL',
    'AXFR',
    'CDNSKEY',
    'CDS',
    'CERT',
    'DHCID',
    'DLV',
    'HIP',
    'IPSECKEY',
    'IXFR',
    'KEY',
    'KX',
    'LOC',
    'NSEC3PARAM',
    'SIG',
    'TA',
    'TKEY',
    'TSIG',
  ];
  for (const type of known) {
    const packet = dnsPacket.encode({ questions: [{ type, name: 'a' }] });
    assert.equal(typeNumber(type), packet.readUInt16BE(packet.length - 4), type);
  }
});

test('numbers without a name are written as RFC 3597 has it', () => {
  assert.equal(typeName(65280), 'TYPE65280');
  assert.equal(typeName(0), 'TYPE0');
  assert.equal(typeNumber('TYPE65280'), 65280);
  assert.equal(typeNumber('type1'), 1);
  for (const text of ['', 'TYPE', 'TYPE65536', 'TYPE-1', 'TYPE1x', 'TYPE000001', '1', 'NOSUCH', 'constructor', ' A']) {
    assert.equal(typeNumber(text), undefined, text);
  }
  for (let type = 0; type < 65536; type++) assert.equal(typeNumber(typeName(type)), type);
});

test('classes have names and numbers', () => {
  const names: Readonly<Record<number, string>> = {
    1: 'IN',
    3: 'CH',
    4: 'HS',
    254: 'NONE',
    255: 'ANY',
    2: 'CLASS2',
    32769: 'CLASS32769',
  };
  for (const [number, name] of Object.entries(names)) {
    assert.equal(className(Number(number)), name);
    assert.equal(classNumber(name.toLowerCase()), Number(number));
  }
  for (const text of ['', 'CLASS', 'CLASS65536', 'INN']) assert.equal(classNumber(text), undefined, text);
});

test('rcodes have names, else their number', () => {
  const names: Readonly<Record<number, string>> = {
    0: 'NOERROR',
    1: 'FORMERR',
    2: 'SERVFAIL',
    3: 'NXDOMAIN',
    4: 'NOTIMP',
    5: 'REFUSED',
    10: 'NOTZONE',
    11: 'DSOTYPENI',
    12: '12',
    16: 'BADVERS',
    22: 'BADTRUNC',
    23: 'BADCOOKIE',
    24: '24',
    4095: '4095',
  };
  for (const [number, name] of Object.entries(names)) {
    assert.equal(rcodeName(Number(number)), name);
    assert.equal(rcodeNumber(name.toLowerCase()), Number(number));
  }
  assert.equal(rcodeNumber('BADSIG'), 16);
  assert.equal(rcodeNumber('RCODE24'), 24);
  for (const text of ['', '4096', '-1', 'NXDOMAINS', 'RCODE', 'RCODE4096'])
    assert.equal(rcodeNumber(text), undefined, text);
});
