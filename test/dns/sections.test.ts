import assert from 'node:assert/strict';
import { test } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { Normaliser } from '../../src/dns/normalise.js';
import { encodeResponse } from '../../src/dns/records.js';
import { ownerEnd, sectionsOf } from '../../src/dns/sections.js';
import { soa } from '../resolve/waiting-fixture.js';
import { hashKey } from './hash-key.js';

const answers: packets.Answer[] = [
  { type: 'CNAME', name: 'www.example.com', ttl: 60, data: 'pool.example.com' },
  { type: 'MX', name: 'pool.example.com', ttl: 60, data: { preference: 10, exchange: 'mail.example.com' } },
  { type: 'SRV', name: 'pool.example.com', ttl: 60, data: { port: 80, target: 'web.example.com' } },
  {
    type: 'NAPTR',
    name: 'pool.example.com',
    ttl: 60,
    data: { order: 1, preference: 2, flags: 'S', services: 'SIP+D2U', regexp: '', replacement: '_sip.example.com' },
  },
  { type: 'TXT', name: 'pool.example.com', ttl: 60, data: [Buffer.from('as it is')] },
];

function message(): Uint8Array {
  return packets.encode({
    type: 'response',
    questions: [{ name: 'www.example.com', type: 'A' }],
    answers,
    authorities: soa(),
    additionals: [{ type: 'A', name: 'mail.example.com', ttl: 60, data: '192.0.2.1' }],
  });
}

test('records of a message whose names are compressed can be put into another', () => {
  const normaliser = new Normaliser(hashKey());
  assert.ok(normaliser.read(message()));
  const { out } = normaliser;
  const compressed = Buffer.from(out.message.subarray(0, out.messageBytes));
  assert.ok(compressed.length < message().length);
  const { answers: answer, authorities: authority } = sectionsOf(compressed)!;
  const question = compressed.subarray(12, out.questionEnd);
  const bits = { authoritative: false, recursionDesired: true, recursionAvailable: true, checkingDisabled: false };
  const whole = encodeResponse({ id: 1, question, ...bits, rcode: 0, answer, authority, additional: [] });
  const [before, after] = [message(), whole].map((bytes) => packets.decode(Buffer.from(bytes)));
  assert.deepEqual([after.answers, after.authorities], [before.answers, before.authorities]);
  assert.equal(after.additionals?.length, 0);
});

test('an owner ends where its name does', () => {
  const [record] = sectionsOf(message())!.answers;
  assert.equal(ownerEnd(record), 'www.example.com'.length + 2);
});

test('what is cut, or has another number of questions, has no sections', () => {
  const whole = message();
  const additionalBytes = 'mail.example.com'.length + 2 + 14;
  for (let length = 0; length < whole.length - additionalBytes; length++) {
    assert.equal(sectionsOf(whole.subarray(0, length)), null, `${length} bytes`);
  }
  assert.equal(sectionsOf(Buffer.alloc(40)), null);
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(message().length), (junk, at) => {
      const broken = Buffer.from(message());
      broken.set(junk.subarray(0, broken.length - at), at);
      for (const record of sectionsOf(broken)?.answers ?? []) assert.ok(ownerEnd(record) > 0);
    }),
  );
});
