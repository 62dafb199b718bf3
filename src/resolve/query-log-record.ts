/** What the query log and dnstap tell about an answer: from the packet, the client and the lane's slot. */

import { overTcp } from '../counters.js';
import { wireToName } from '../dns/names.js';
import { atAnswers, atAuthorities, atFlags, skipName, u16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import type { Endpoint } from '../os/network.js';
import type { Lane } from './lane.js';

/** One query and its answer; made only where `log` or `dnstap` is set. */
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
  readonly queryBytes: number;
  readonly dnssecOk: boolean;
  /** UDP size of the query's OPT; 512 without, 65535 over TCP. */
  readonly bufsizeBytes: number;
  readonly rcode: number;
  /** The second 16 bits of the answer's header (RFC 1035 4.1.1). */
  readonly flags: number;
  readonly answerBytes: number;
  readonly answerRecords: number;
  /** Type of the first authority record where there is no answer record; 0 without one. */
  readonly authorityType: number;
  readonly durationMs: number;
  /** ADDRESS:PORT of the upstream that sent this answer just now; null for one that was cached or made here. */
  readonly upstream: string | null;
  /**
   * The messages, borrowed like the record. Of a query over 512 bytes that had to wait, only the part that was
   * understood.
   */
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
}

interface Came {
  readonly durationMs: number;
  readonly upstream: string | null;
}

/** For a packet that the lane has read and answered with `bytes` bytes. */
export function queryLogRecordOf(
  lane: Lane,
  packet: Uint8Array,
  asker: Asker,
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

/**
 * Type of the first record after the question, which is an authority where there is no answer record; 0 without one.
 */
function firstAuthority(answer: Uint8Array, questionEnd: number, end: number): number {
  if (u16(answer, atAuthorities) === 0) return 0;
  const fixed = skipName(answer, questionEnd, end);
  return fixed < 0 ? 0 : u16(answer, fixed);
}
