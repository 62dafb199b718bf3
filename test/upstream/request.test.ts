import assert from 'node:assert/strict';
import { test } from 'node:test';
import dnsPacket from 'dns-packet';
import { Normaliser } from '../../src/dns/normalise.js';
import { requestOptionsBytesMax } from '../../src/limits.js';
import {
  AnswerReader,
  needsOpt,
  plainRequestBytesMax,
  requestBytesMax,
  writePlainRequest,
  writeRequest,
} from '../../src/upstream/request.js';
import { readUpstream, upstreamId, upstreamQuestion } from '../corpus/read.js';
import { hashKey } from '../dns/hash-key.js';
import { answerTo, type Query, question, request } from './scripted.js';

const reader = new AnswerReader();
const asked = request('a.example');
const query = { id: 1, question: question('a.example') } as Query;

function written(
  settings: Parameters<typeof request>[1],
  form: { id: number; hasOpt: boolean; udpBytes?: number },
): Buffer {
  const out = new Uint8Array(requestBytesMax + 3).fill(0xff);
  const end = writeRequest(out, 3, request('A.exAmple', settings), { udpBytes: 1_232, ...form });
  return Buffer.from(out.subarray(3, end));
}

test('a request is what another implementation reads: RD as asked, AD set, one question in its spelling', () => {
  const plain = dnsPacket.decode(written({}, { id: 0xbeef, hasOpt: false }));
  assert.equal(plain.id, 0xbeef);
  assert.equal(plain.type, 'query');
  assert.deepEqual(plain.questions, [{ name: 'A.exAmple', type: 'A', class: 'IN' }]);
  assert.equal((plain as unknown as { flag_rd: boolean }).flag_rd, true);
  assert.deepEqual(plain.additionals, []);
  assert.equal(written({}, { id: 1, hasOpt: false }).readUInt16BE(2), 0x0120);
  assert.equal(written({ recursionDesired: false }, { id: 1, hasOpt: false }).readUInt16BE(2), 0x0020);
  assert.equal(written({ checkingDisabled: true }, { id: 1, hasOpt: false }).readUInt16BE(2), 0x0130);
});

test('the OPT says what fits and carries DO', () => {
  const opt = written({}, { id: 1, hasOpt: true }).subarray(-11);
  assert.equal(opt.toString('hex'), '00002904d0000000000000');
  for (const udpBytes of [512, 4_096]) {
    assert.equal(written({}, { id: 1, hasOpt: true, udpBytes }).subarray(-11).readUInt16BE(3), udpBytes);
  }
  const withDo = written({ dnssecOk: true }, { id: 1, hasOpt: true });
  assert.equal(withDo.subarray(-11).toString('hex'), '00002904d0000080000000');
  assert.equal(withDo.readUInt16BE(10), 1);
});

test('options go into the OPT, which is needed for them and for DO', () => {
  const options = Buffer.of(0xff, 0xee, 0, 1, 0x78);
  const opt = written({ options }, { id: 1, hasOpt: true }).subarray(-16);
  assert.equal(opt.toString('hex'), `00002904d0000000000005${options.toString('hex')}`);
  assert.deepEqual(
    [needsOpt(asked), needsOpt({ ...asked, options }), needsOpt({ ...asked, dnssecOk: true })],
    [false, true, true],
  );
});

test('the longest question fits, with as many options as there may be', () => {
  const name = Buffer.concat([...Array.from({ length: 127 }, () => Buffer.from('\x01a')), Buffer.of(0)]);
  assert.equal(name.length, 255);
  const options = new Uint8Array(requestOptionsBytesMax);
  const longest = { ...asked, question: Buffer.concat([name, Buffer.of(0, 1, 0, 1)]), options };
  const form = { id: 1, hasOpt: true, udpBytes: 4_096 };
  assert.equal(writeRequest(new Uint8Array(requestBytesMax), 0, longest, form), requestBytesMax);
});

test('a plain request is what a request with RD and without OPT is, whatever the client sent around its question', () => {
  const longest = Buffer.concat([...Array.from({ length: 127 }, () => Buffer.from('\x01a')), Buffer.of(0, 0, 1, 0, 1)]);
  for (const asked of [question('A.exAmple', 65), question('', 2), question('a', 255), longest]) {
    for (const rest of ['', '00002904d0000080000000']) {
      // All flags, and more records than there are.
      const packet = Buffer.concat([Buffer.from('1234ffff0009000900090009', 'hex'), asked, Buffer.from(rest, 'hex')]);
      for (const at of [0, 5]) {
        const [plain, other] = [0xff, 0xff].map((byte) => new Uint8Array(at + requestBytesMax).fill(byte));
        const form = { id: 0xbeef, questionEnd: 12 + asked.length };
        const end = writePlainRequest(plain, at, packet, form);
        const otherForm = { id: 0xbeef, hasOpt: false, udpBytes: 1_232 };
        assert.equal(end, writeRequest(other, at, { ...request(''), question: asked }, otherForm));
        assert.deepEqual(plain, other);
        assert.ok(end - at <= plainRequestBytesMax);
      }
    }
  }
  assert.equal(12 + longest.length, plainRequestBytesMax);
});

test('an answer to the question is one, whatever its rcode and its spelling', () => {
  assert.equal(reader.read(answerTo(query), asked), 'answer');
  assert.deepEqual([reader.rcode, reader.hasOpt], [0, false]);
  assert.equal(reader.read(answerTo(query, { question: question('A.EXAMPLE') }), asked), 'answer');
  assert.equal(reader.read(answerTo(query, { rcode: 3, opt: true }), asked), 'answer');
  assert.deepEqual([reader.rcode, reader.hasOpt], [3, true]);
});

test('the upper bits of the rcode come from the OPT record', () => {
  const badVersion = answerTo(query, { opt: true, addresses: [] });
  badVersion[badVersion.length - 6] = 1;
  assert.equal(reader.read(badVersion, asked), 'answer');
  assert.equal(reader.rcode, 16);
});

test('another question, no answer bit, another opcode: strangers', () => {
  for (const message of [
    answerTo(query, { question: question('b.example') }),
    answerTo(query, { question: question('a.example', 28) }),
    answerTo(query, { question: Buffer.from([...question('a.example').subarray(0, -1), 3]) }),
    answerTo(query, { question: null }),
    answerTo(query, { flags: 0x2000 }),
    written({}, { id: 1, hasOpt: false }),
  ]) {
    assert.equal(reader.read(message, asked), 'stranger');
  }
});

test('an error without a question is bare; TC is truncated even in the middle of a record', () => {
  assert.equal(reader.read(answerTo(query, { question: null, rcode: 1 }), asked), 'bare');
  assert.equal(reader.rcode, 1);
  assert.equal(reader.read(answerTo(query, { truncated: true }).subarray(0, -3), asked), 'truncated');
});

test('an answer cut anywhere is never taken for a whole one', () => {
  const whole = answerTo(query, { addresses: ['10.0.0.1', '10.0.0.2'], opt: true });
  for (let bytes = 0; bytes < whole.length; bytes++) {
    const verdict = reader.read(whole.subarray(0, bytes), asked);
    assert.equal(verdict, bytes < 12 + asked.question.length ? 'garbage' : 'cut', `${bytes}`);
  }
});

test('the corpus: what is to be accepted is an answer, what is to be rejected is none or does not parse', () => {
  const normaliser = new Normaliser(hashKey());
  const corpusRequest = { ...asked, question: upstreamQuestion };
  for (const { name, bytes, expect } of readUpstream()) {
    const hasId = bytes.length >= 2 && ((bytes[0] << 8) | bytes[1]) === upstreamId;
    const isAnswer = hasId && reader.read(bytes, corpusRequest) === 'answer' && normaliser.read(bytes);
    assert.equal(isAnswer, expect === 'accepted', name);
  }
});
