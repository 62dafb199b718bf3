import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { nameToWire } from '../../src/dns/names.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { encodeResponse, parseRecord } from '../../src/dns/records.js';
import { aliasQuestion, ownerEnd, sectionsOf, withAliasAnswer } from '../../src/dns/sections.js';
import { soa } from '../resolve/waiting-fixture.js';
import { hashKey } from './hash-key.js';

const answers: dnsPacket.Answer[] = [
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
  return dnsPacket.encode({
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
  const [before, after] = [message(), whole].map((bytes) => dnsPacket.decode(Buffer.from(bytes)));
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

function question(name: string, type: number): Uint8Array {
  return Buffer.concat([nameToWire(name), Buffer.from([0, type, 0, 1])]);
}

function answering(asked: Uint8Array, answer: readonly string[], authority: readonly string[] = []): Uint8Array {
  return encodeResponse({
    id: 7,
    question: asked,
    authoritative: true,
    recursionDesired: true,
    recursionAvailable: true,
    checkingDisabled: false,
    rcode: 0,
    answer: answer.map(parseRecord),
    authority: authority.map(parseRecord),
    additional: [],
  });
}

function records(bytes: Uint8Array): string[] {
  const { answers = [], authorities = [] } = dnsPacket.decode(Buffer.from(bytes));
  return [...answers, ...authorities].map((record) => {
    const { name, ttl, type, data } = record as { name: string; ttl: number; type: string; data: string };
    return `${name} ${ttl} ${type} ${data}`;
  });
}

/** With names compressed, as upstreams send them. */
function fromUpstream(answers: readonly dnsPacket.Answer[], name: string): Uint8Array {
  const plain = dnsPacket.encode({ type: 'response', id: 9, questions: [{ type: 'A', name }], answers: [...answers] });
  const owner = Buffer.from(nameToWire(name));
  const from = 12 + owner.length + 4;
  const parts = [plain.subarray(0, from)];
  let rest = plain.subarray(from);
  for (let at = rest.indexOf(owner); at !== -1; at = rest.indexOf(owner)) {
    parts.push(rest.subarray(0, at), Buffer.from([0xc0, 12]));
    rest = rest.subarray(at + owner.length);
  }
  return Buffer.concat([...parts, rest]);
}

const asked = question('alias.example.', 1);
const ours = answering(asked, ['alias.example. 60 IN CNAME real.example.'], ['example. 5 IN NS ns.example.']);

test('a CNAME leads to the same question about its target', () => {
  const alias = parseRecord('alias.example. CNAME Real.example.');
  assert.deepEqual(aliasQuestion(asked, [alias]), question('Real.example.', 1));
  assert.deepEqual(aliasQuestion(question('alias.example.', 28), [alias]), question('Real.example.', 28));
});

test('the last of several CNAMEs is the one that leads on', () => {
  const chain = ['alias.example. CNAME b.', 'b. CNAME c.'].map(parseRecord);
  assert.deepEqual(aliasQuestion(asked, chain), question('c.', 1));
});

test('aliases in a circle lead on, as their follower is the one to find that out', () => {
  assert.deepEqual(aliasQuestion(asked, [parseRecord('alias.example. CNAME alias.example.')]), asked);
  const circle = ['alias.example. CNAME b.', 'b. CNAME alias.example.'].map(parseRecord);
  assert.deepEqual(aliasQuestion(asked, circle), asked);
});

test('nothing follows without a CNAME, with its target among the answers, or when no address is asked for', () => {
  const alias = parseRecord('alias.example. CNAME real.example.');
  assert.equal(aliasQuestion(asked, []), null);
  assert.equal(aliasQuestion(asked, [parseRecord('alias.example. A 192.0.2.1')]), null);
  assert.equal(aliasQuestion(asked, [alias, parseRecord('REAL.example. A 192.0.2.1')]), null);
  assert.equal(aliasQuestion(question('alias.example.', 5), [alias]), null);
});

test('the answers of the other message come behind ours, names expanded, before the authority section', () => {
  const other = fromUpstream(
    [
      { type: 'CNAME', name: 'real.example', ttl: 30, data: 'pool.example' },
      { type: 'A', name: 'pool.example', ttl: 20, data: '192.0.2.7' },
      { type: 'A', name: 'real.example', ttl: 10, data: '192.0.2.8' },
    ],
    'real.example',
  );
  const joined = withAliasAnswer(ours, other);
  assert.deepEqual(records(joined), [
    'alias.example 60 CNAME real.example',
    'real.example 30 CNAME pool.example',
    'pool.example 20 A 192.0.2.7',
    'real.example 10 A 192.0.2.8',
    'example 5 NS ns.example',
  ]);
  assert.deepEqual(Buffer.from(joined.subarray(0, 6)), Buffer.from(ours.subarray(0, 6)));
});

test('records of types that have nothing to do with addresses are left out', () => {
  const other = answering(question('real.example.', 1), ['real.example. 1 MX 1 m.', 'real.example. 1 A 192.0.2.1']);
  assert.deepEqual(records(withAliasAnswer(ours, other)).slice(1, 2), ['real.example 1 A 192.0.2.1']);
});

test('ours stays as it is when the other has no answers or does not parse', () => {
  const other = answering(question('real.example.', 1), ['real.example. 1 CNAME a.', 'a. 1 A 192.0.2.1']);
  assert.equal(withAliasAnswer(ours, answering(question('real.example.', 1), [])), ours);
  for (let length = 0; length < other.length; length++) {
    assert.equal(withAliasAnswer(ours, other.subarray(0, length)), ours, `cut after ${length} bytes`);
  }
  const loop = Buffer.from(other);
  const targetAt = 12 + question('real.example.', 1).length + 2 + 10;
  loop.set([0xc0, targetAt], targetAt);
  assert.equal(withAliasAnswer(ours, loop), ours);
});

test('two messages that are too long together stay apart', () => {
  const record = `real.example. 1 TYPE46 \\# 60000 ${'00'.repeat(60000)}`;
  const long = answering(question('real.example.', 1), [record]);
  const once = withAliasAnswer(ours, long);
  assert.ok(once.length > 60000);
  assert.equal(withAliasAnswer(once, long), once);
});

test('no bytes from an upstream make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(7), (tail, answers) => {
      const header = Buffer.from([0, 9, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0]);
      const joined = withAliasAnswer(ours, Buffer.concat([header, question('real.example.', 1), tail]));
      assert.ok(joined.length >= ours.length);
      assert.deepEqual(Buffer.from(joined.subarray(0, 6)), Buffer.from(ours.subarray(0, 6)));
    }),
  );
});
