/**
 * What clients and upstreams should not send, sent to a running zerohop over real sockets: every file of the corpus
 * gets what it expects, and the next good question is answered.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { slowDeadlineMs } from '../../src/limits.js';
import { type ClientExpectation, type CorpusFile, readMalformed, readUpstream, upstreamId } from '../corpus/read.js';
import { assertEchoed, assertGood, type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { openTcp, openUdp } from './packets.js';
import { goodAnswer, questionEnd, type StandIn, startStandIn } from './stand-in.js';

const rcodes: Readonly<Record<Exclude<ClientExpectation, 'drop'>, number>> = {
  answer: 0,
  formerr: 1,
  servfail: 2,
  notimp: 4,
  refused: 5,
  // 16: the lower four bits, and a one in the OPT.
  badvers: 0,
};

describe('malformed packets', () => {
  let upstream: StandIn;
  let zerohop: LoopbackZerohop;
  const messages = new Map(readUpstream().map((file, index) => [labelOf(index), file]));
  const answered = new Set<string>();

  before(async () => {
    upstream = await startStandIn(answerFromCorpus);
    const lines = `cache 30\n    forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
    zerohop = await startOnLoopback(lines, question(1, 'good', 1));
  });
  after(async () => {
    await zerohop?.stop();
    upstream?.close();
  });

  /** A question whose first label names a corpus message gets that message, all others a good answer. */
  function answerFromCorpus(query: Buffer): readonly Uint8Array[] {
    const label = query.subarray(13, 13 + query[12]).toString('latin1');
    const file = messages.get(label);
    if (file === undefined) return [goodAnswer(query)];
    answered.add(label);
    return [renamed(file.bytes, label, query)];
  }

  for (const [transport, open] of Object.entries({ UDP: openUdp, TCP: openTcp })) {
    for (const file of readMalformed()) {
      test(`over ${transport}: ${file.name.replaceAll('-', ' ')}: ${file.expect}`, async () => {
        const client = await open(zerohop.place);
        client.send(file.bytes);
        client.send(question(0x600d, 'good', 1));
        assertGood(await client.receive(0x600d));
        if (file.expect === 'drop') {
          // One more round trip on this socket: an answer to what came before would have come before.
          client.send(question(0x600e, 'good', 1));
          assertGood(await client.receive(0x600e));
        } else {
          assertExpected(file, await client.receive(Buffer.from(file.bytes).readUInt16BE(0)));
        }
        assert.deepEqual(client.left(), []);
        client.close();
      });
    }
  }

  test('what upstreams should not send: rejected messages reach nobody, accepted ones do', async () => {
    const client = await openUdp(zerohop.place);
    const startedMs = performance.now();
    const outcomes = [...messages].map(async ([label, file], index) => {
      client.send(question(1000 + index, label, 1));
      const answer = await client.receive(1000 + index);
      assert(answered.has(label), `${file.name} was asked for`);
      const rcode = file.expect === 'rejected' ? 2 : file.bytes[3] & 0x0f;
      assert.equal(answer[3] & 0x0f, rcode, `${file.name}: rcode`);
      if (file.expect === 'rejected') assert.equal(answer.readUInt16BE(6), 0, `${file.name}: records`);
      assertEchoed(answer, question(0, label, 1), file.name);
    });
    await Promise.all(outcomes);
    // Two seconds if the upstream were silent altogether; it answers the others' questions, and may be slow for these.
    assert(performance.now() - startedMs < slowDeadlineMs + 1_000, 'SERVFAIL comes within 4.6 s of the question');
    client.send(question(0x600d, 'good', 1));
    assertGood(await client.receive(0x600d));
    client.close();
  });

  test('nothing of all that was an exception', () => {
    assert.doesNotMatch(zerohop.program.stdout() + zerohop.program.stderr(), /\b\w*Error\b.*\bat |"panic/);
  });
});

/** Four letters for the n-th corpus message, in the place of `host`. */
function labelOf(index: number): string {
  return `u${String(index).padStart(3, '0')}`;
}

/** A corpus message for another name of the same length and for the query's own id, unless the id is what is wrong. */
function renamed(bytes: Uint8Array, label: string, query: Buffer): Buffer {
  const text = Buffer.from(bytes).toString('latin1');
  const message = Buffer.from(text.replaceAll(/host/gi, label), 'latin1');
  if (message.length < 2) return message;
  const id = query.readUInt16BE(0);
  message.writeUInt16BE(message.readUInt16BE(0) === upstreamId ? id : id ^ 0x5555);
  return message;
}

function assertExpected({ name, expect, bytes }: CorpusFile<ClientExpectation>, answer: Buffer): void {
  assert(expect !== 'drop');
  const asked = Buffer.from(bytes).readUInt16BE(2);
  const flags = answer.readUInt16BE(2);
  assert.equal(flags & 0x80c0, 0x8080, `${name}: QR and RA set, Z clear`);
  assert.equal(flags & 0x7900, asked & 0x7900, `${name}: opcode and RD come back`);
  assert.equal(flags & 0x000f, rcodes[expect], `${name}: rcode`);
  if (expect === 'formerr' || expect === 'notimp') {
    assert.equal(answer.readUInt32BE(6), 0, `${name}: no answer and no authority`);
    return;
  }
  assert.equal(answer.readUInt16BE(4), 1, `${name}: one question`);
  assertEchoed(answer, bytes, name);
  if (expect === 'badvers') assertBadvers(answer, name);
}

/** One OPT record with version 0 and the upper bits of rcode 16. */
function assertBadvers(answer: Buffer, name: string): void {
  assert.equal(answer.readUInt16BE(10), 1, `${name}: one additional record`);
  const opt = answer.subarray(questionEnd(answer));
  assert.deepEqual([opt[0], opt.readUInt16BE(1)], [0, 41], `${name}: OPT`);
  assert(opt.readUInt16BE(3) >= 512, `${name}: size`);
  assert.deepEqual([opt[5], opt[6]], [1, 0], `${name}: extended rcode and version`);
}
