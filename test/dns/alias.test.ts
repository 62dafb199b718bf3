import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { aliasQuestion, withAliasAnswer } from '../../src/dns/alias.js';
import { nameToWire } from '../../src/dns/names.js';
import { encodeResponse, parseRecord } from '../../src/dns/records.js';

function question(name: string, type: number): Uint8Array {
  return Buffer.concat([nameToWire(name), Buffer.from([0, type, 0, 1])]);
}

function message(asked: Uint8Array, answer: readonly string[], authority: readonly string[] = []): Uint8Array {
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
const ours = message(asked, ['alias.example. 60 IN CNAME real.example.'], ['example. 5 IN NS ns.example.']);

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
  const other = message(question('real.example.', 1), ['real.example. 1 MX 1 m.', 'real.example. 1 A 192.0.2.1']);
  assert.deepEqual(records(withAliasAnswer(ours, other)).slice(1, 2), ['real.example 1 A 192.0.2.1']);
});

test('ours stays as it is when the other has no answers or does not parse', () => {
  const other = message(question('real.example.', 1), ['real.example. 1 CNAME a.', 'a. 1 A 192.0.2.1']);
  assert.equal(withAliasAnswer(ours, message(question('real.example.', 1), [])), ours);
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
  const long = message(question('real.example.', 1), [record]);
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
