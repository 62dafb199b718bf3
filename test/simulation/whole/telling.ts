/** Packets and statements as lines of the chronicle. */
import { readMessage } from '../../conformance/message.js';
import type { ClientQuery } from './conversation.js';
import type { Statement } from './said.js';

/** A query and its answer, in one line. */
export function describe({ bytes, transport, at }: ClientQuery, answer: Buffer): string {
  return `${questionIn(bytes)} over ${transport} at ${at.address}: ${bytes.toString('hex')} -> ${answer.toString('hex')}`;
}

/** A statement by its number; an upstream may say what is in no book. */
export function nameOf(statement: Statement | undefined): string {
  if (statement === undefined) return 'something';
  return `statement ${statement.number} (${statement.manner}) about ${statement.key}`;
}

/** The question of a packet, as text. */
export function questionIn(bytes: Buffer): string {
  try {
    return readMessage(bytes)
      .questions.map(({ name, type }) => `${name} ${type}`)
      .join(', ');
  } catch {
    return 'a broken packet';
  }
}
