/** What the query log says of an answer, gathered from the packet, the asker and the answer in the lane's slot. */

import { overTcp } from '../counters.js';
import { wireToName } from '../dns/names.js';
import { atAnswers, atAuthorities, atFlags, skipName, u16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Endpoint } from '../os/network.js';
import type { Lane } from './lane.js';

/** What can be said about one query and its answer: gathered only where `log` or `dnstap` is set. */
export interface QueryLogRecord {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly transport: 'udp' | 'tcp';
  readonly id: number;
  readonly opcode: number;
  /** Presentation form, any case. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Bytes of the query. */
  readonly queryBytes: number;
  readonly dnssecOk: boolean;
  /** UDP size of the query's OPT; 512 without, 65535 over TCP. */
  readonly bufsizeBytes: number;
  readonly rcode: number;
  /** The second 16 bits of the answer's header (RFC 1035 4.1.1). */
  readonly flags: number;
  /** Bytes of the answer. */
  readonly answerBytes: number;
  /** ANCOUNT of the answer. */
  readonly answerRecords: number;
  /** Type of the first record of the authority section where there is no answer record; 0 without one. */
  readonly authorityType: number;
  readonly durationMs: number;
  /** ADDRESS:PORT of the upstream that has just said this; null for what was cached or made here. */
  readonly upstream: string | null;
  /** The messages as they went and came; borrowed, like the facts. Of a query over 512 bytes that had to wait the part that was understood. */
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
}

/** What came of a query, beside the bytes. */
interface Came {
  readonly durationMs: number;
  /** Who has just said it; null: it was cached or made here. */
  readonly upstream: string | null;
}

/** For a packet that the lane has read and answered with so many bytes. */
export function queryLogRecordOf(
  lane: Lane,
  packet: Uint8Array,
  asker: Client,
  bytes: number,
  came: Came,
): QueryLogRecord {
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
