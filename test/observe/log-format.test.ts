import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerClass, answerType, checkLogFormat, compileLogFormat } from '../../src/observe/log-format.js';
import type { QueryLogRecord } from '../../src/resolve/worker-context.js';
import { queryFacts } from './facts.js';

function line(format: string, facts: Parameters<typeof queryFacts>[0] = {}): string {
  return compileLogFormat(format)(queryFacts(facts));
}

describe('log format', () => {
  it('writes the common format as CoreDNS does', () => {
    assert.equal(
      line('{common}', { name: 'Name.Example.' }),
      '127.0.0.1:55555 - 12345 "A IN name.example. udp 39 false 1232" NOERROR qr,rd,ra 54 0.0012s',
    );
    assert.equal(
      line(
        '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}',
      ),
      line('{common}'),
    );
  });

  it('adds the opcode in the combined format', () => {
    assert.equal(line('{combined}'), `${line('{common}')} "0"`);
  });

  it('puts IPv6 addresses in brackets', () => {
    assert.equal(
      line('{remote}:{port} {local}', {
        remote: { address: 'fd00::1', port: 7 },
        local: { address: '::1', port: 53 },
      }),
      '[fd00::1]:7 [::1]',
    );
  });

  it('names types, classes and rcodes, or numbers them', () => {
    assert.equal(line('{type} {class} {rcode}', { type: 65, class: 3, rcode: 3 }), 'HTTPS CH NXDOMAIN');
    assert.equal(line('{type} {class} {rcode}', { type: 65280, class: 9, rcode: 3841 }), 'TYPE65280 CLASS9 3841');
  });

  it('writes the flags in the order of the header, and a dash for none', () => {
    assert.equal(line('{>rflags}', { flags: 0xffff }), 'qr,aa,tc,rd,ra,z,ad,cd');
    assert.equal(line('{>rflags}', { flags: 0x8420 | 3 }), 'qr,aa,ad');
    assert.equal(line('{>rflags}', { flags: 0x000f }), '-');
  });

  it('writes durations in seconds, without exponent', () => {
    const durations = [0, 0.0001, 1, 1234.5, 100_000, 0.000_000_1].map((durationMs) =>
      line('{duration}', { durationMs }),
    );
    assert.deepEqual(durations, ['0s', '0.0000001s', '0.001s', '1.2345s', '100s', '0s']);
  });

  it('takes fields exactly as they are written', () => {
    assert.equal(line('{>id} {>ID} {Name} {NAME}'), '12345 {>ID} {Name} {NAME}');
  });

  it('leaves braces of a JSON format and other text alone', () => {
    assert.equal(
      line('{"name":"{name}","size":{size},"x":{}} { {} } $& {{name}'),
      '{"name":"name.example.","size":39,"x":{}} { {} } $& {name.example.',
    );
    assert.equal(line(''), '');
  });

  it('writes what is no field as it stands', () => {
    for (const format of ['{when}', '{>nope}', 'x {remote_address} y', '{', '}', '} {x', '{}', '{ {x} }', '{/open']) {
      assert.equal(line(format), format);
    }
    assert.equal(line('{ {name} } {{>id}} {a{type}b}'), '{ name.example. } {12345} {aAb}');
  });

  it('writes metadata where there is a value, and a dash where there is none', () => {
    const format = '{/forward/upstream} {/log/type} {/log/class}';
    assert.equal(line(format, { upstream: '10.96.0.10:53' }), '10.96.0.10:53 NOERROR success');
    assert.equal(line(format, { rcode: 3, answerRecords: 0 }), '- NXDOMAIN denial');
    assert.equal(line('{/kubernetes/client-namespace}/{/view/name} {/} {/a b} {/name}'), '-/- - - -');
    assert.equal(
      line('{common} {/forward/upstream}', { upstream: '[fd00::10]:53' }),
      `${line('{common}')} [fd00::10]:53`,
    );
  });

  it('tells of the first word in braces that is no field', () => {
    assert.match(
      checkLogFormat('{remote} {rcod} {nmae}') ?? '',
      /^\{rcod\} is not a log format field.*; known fields: \{remote\}/,
    );
    assert.match(checkLogFormat('{>ID}') ?? '', /^\{>ID\} is not a log format field/);
    for (const format of ['{common} {>id}', '{/forward/upstream} {/x}', '{"name":"{name}","x":{}}', '{ {name} }']) {
      assert.equal(checkLogFormat(format), null, format);
    }
  });

  it('does not look for fields in what a client sent', () => {
    assert.equal(line('{name} {type}', { name: '{type}.example.' }), '{type}.example. A');
  });
});

const soa = 6;
const ns = 2;

const cases: readonly (readonly [what: string, facts: Partial<QueryLogRecord>, expected: string, type: string])[] = [
  ['an answer', {}, 'success', 'NOERROR'],
  ['an answer with a SOA beside it', { authorityType: soa }, 'success', 'NOERROR'],
  ['a referral: no answer, no SOA', { answerRecords: 0, authorityType: ns }, 'success', 'DELEGATION'],
  ['NOERROR without anything', { answerRecords: 0 }, 'success', 'NOERROR'],
  ['NOTIMP', { rcode: 4, answerRecords: 0 }, 'error', 'SERVERERROR'],
  ['NODATA', { answerRecords: 0, authorityType: soa }, 'denial', 'NODATA'],
  ['NXDOMAIN', { rcode: 3, answerRecords: 0, authorityType: soa }, 'denial', 'NXDOMAIN'],
  ['NXDOMAIN without a SOA', { rcode: 3, answerRecords: 0 }, 'denial', 'NXDOMAIN'],
  ['NXDOMAIN after an alias', { rcode: 3, answerRecords: 1, authorityType: soa }, 'denial', 'NXDOMAIN'],
  ['SERVFAIL', { rcode: 2, answerRecords: 0 }, 'error', 'SERVERERROR'],
  ['REFUSED', { rcode: 5, answerRecords: 0 }, 'error', 'OTHERERROR'],
  ['SERVFAIL with a SOA', { rcode: 2, answerRecords: 0, authorityType: soa }, 'error', 'SERVERERROR'],
  ['a transfer', { type: 252 }, 'error', 'META'],
  ['an incremental transfer', { type: 251 }, 'error', 'META'],
  ['a NOTIFY', { opcode: 4 }, 'error', 'META'],
];

describe('answer classes and types', () => {
  for (const [what, facts, expected, type] of cases) {
    it(`take ${what} for ${expected}, ${type}`, () => {
      assert.deepEqual([answerClass(queryFacts(facts)), answerType(queryFacts(facts))], [expected, type]);
    });
  }
});
