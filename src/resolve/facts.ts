/** What the query log says of an answer, gathered from the packet, the asker and the answer in the lane's slot. */
import { wireToName } from '../dns/names.js';
import { atAnswers, atAuthorities, atFlags, skipName, u16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import { overTcp } from '../ops/counters.js';
import type { QueryFacts } from '../ops/query-facts.js';
import type { Lane } from './lane.js';

/** What came of a query, beside the bytes. */
export interface Came {
  readonly durationMs: number;
  /** Who has just said it; null: it was cached or made here. */
  readonly upstream: string | null;
}

/** For a packet that the lane has read and answered with so many bytes. */
export function factsOf(lane: Lane, packet: Uint8Array, asker: Asker, bytes: number, came: Came): QueryFacts {
  const { query, slot } = lane;
  const tcp = asker.transport === overTcp;
  const rcode = slot.bytes[3] & 0x0f;
  const answerRecords = u16(slot.bytes, atAnswers);
  return {
    remote: asker.remote,
    local: asker.local,
    transport: tcp ? 'tcp' : 'udp',
    id: u16(packet, 0),
    opcode: 0,
    name: wireToName(packet, headerBytes),
    type: query.type,
    class: query.class,
    queryBytes: packet.length,
    dnssecOk: query.dnssecOk,
    bufsizeBytes: tcp ? 65535 : query.udpBytes,
    rcode,
    flags: u16(slot.bytes, atFlags),
    answerBytes: bytes,
    answerRecords,
    authorityType: answerRecords === 0 ? firstAuthority(slot.bytes, query.questionEnd, bytes) : 0,
    query: packet,
    answer: slot.bytes.subarray(0, bytes),
    ...came,
  };
}

/** Type of the first record behind the question, which is an authority where there is no answer record; 0 without. */
function firstAuthority(answer: Uint8Array, questionEnd: number, end: number): number {
  if (u16(answer, atAuthorities) === 0) return 0;
  const fixed = skipName(answer, questionEnd, end);
  return fixed < 0 ? 0 : u16(answer, fixed);
}
