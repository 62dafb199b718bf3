import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hexBytes, readMalformed, readUpstream, upstreamId, upstreamQuestion } from './read.js';

test('the corpus of clients holds at least 60 packets, all different, of every expectation that a packet can cause', () => {
  const files = readMalformed();
  assert(files.length >= 60, `${files.length} files`);
  assertAllDifferent(files);
  const words = new Set(files.map((file) => file.expect));
  for (const word of ['drop', 'formerr', 'notimp', 'refused', 'badvers', 'answer'] as const)
    assert(words.has(word), word);
});

test('the corpus of upstreams holds at least 30 messages, all different, rejected ones and accepted ones', () => {
  const files = readUpstream();
  assert(files.length >= 30, `${files.length} files`);
  assertAllDifferent(files);
  assert(files.filter((file) => file.expect === 'accepted').length >= 10);
  assert(files.filter((file) => file.expect === 'rejected').length >= 20);
});

test('an accepted upstream message has the id and, without regard to case, the question that was asked', () => {
  for (const { name, expect, bytes } of readUpstream()) {
    if (expect !== 'accepted') continue;
    assert.equal(Buffer.from(bytes).readUInt16BE(0), upstreamId, name);
    const question = Buffer.from(bytes.subarray(12, 12 + upstreamQuestion.length)).toString('latin1');
    assert.equal(question.toLowerCase(), Buffer.from(upstreamQuestion).toString('latin1'), name);
  }
});

test('hex text may hold blanks and comments, and nothing else', () => {
  assert.deepEqual(Buffer.from(hexBytes('# one\n00ff 10\n # two ab\n7F')), Buffer.from([0, 255, 16, 127]));
  assert.equal(hexBytes('# nothing').length, 0);
  assert.throws(() => hexBytes('00 f'), /not hex text/);
  assert.throws(() => hexBytes('00 0g'), /not hex text/);
});

function assertAllDifferent(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): void {
  const seen = new Map<string, string>();
  for (const { name, bytes } of files) {
    const hex = Buffer.from(bytes).toString('hex');
    assert.equal(seen.get(hex), undefined, `${name} and ${seen.get(hex)} are the same bytes`);
    seen.set(hex, name);
  }
}
