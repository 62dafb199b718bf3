/**
 * What becomes of a client's packet, told from its bytes: for those of the corpus by what their file says, for others
 * by a glance at the header. An id of its own does not make a packet of the corpus another.
 */
import { type ClientExpectation, readMalformed } from '../../corpus/read.js';

const ofCorpus = new Map(readMalformed().map(({ bytes, expect }) => [behindId(bytes), expect]));

/** `answer` for whatever is a question. */
export function expectationOf(packet: Uint8Array): ClientExpectation {
  const known = ofCorpus.get(behindId(packet));
  if (known !== undefined) return known;
  if (packet.length < 12 || (packet[2] & 0x80) !== 0) return 'drop';
  return (packet[2] & 0x78) === 0 ? 'answer' : 'notimp';
}

export function isOfCorpus(packet: Uint8Array): boolean {
  return ofCorpus.has(behindId(packet));
}

/** Whether this answer is of the form that this packet gets: with its question, or a header alone. */
export function mayAnswer(packet: Uint8Array, answer: Uint8Array): boolean {
  if (packet[0] !== answer[0] || packet[1] !== answer[1]) return false;
  const expected = expectationOf(packet);
  if (expected === 'formerr' || expected === 'notimp') return answer.length === 12;
  const question = Buffer.from(packet.subarray(12, questionEnd(packet)));
  return question.equals(answer.subarray(12, 12 + question.length));
}

/** Where the question of a packet ends; its own end when it has none that can be walked. */
export function questionEnd(packet: Uint8Array): number {
  let at = 12;
  while (at < packet.length && packet[at] > 0 && packet[at] < 64) at += packet[at] + 1;
  return Math.min(packet.length, at + 5);
}

function behindId(packet: Uint8Array): string {
  return Buffer.from(packet.subarray(2)).toString('latin1');
}
