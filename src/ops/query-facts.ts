/** What the query log can say about one query and its answer: plain values, gathered only where `log` is set. */
import type { Endpoint } from '../outside/network.js';

export interface QueryFacts {
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
  /** Whether a SOA is in the authority section. */
  readonly soaInAuthority: boolean;
  readonly durationMs: number;
}

/** The classes of `log { class … }`. */
export type AnswerClass = 'success' | 'denial' | 'error';

const opcodeQuery = 0;
const ixfr = 251;
const axfr = 252;
const noerror = 0;
const nxdomain = 3;

/**
 * CoreDNS's classes: `denial` is NXDOMAIN and NODATA, `success` every other NOERROR (referrals among them), `error`
 * the rest, with transfers and other opcodes. CoreDNS calls an NXDOMAIN without SOA an error; its manual does not.
 */
export function answerClass(facts: QueryFacts): AnswerClass {
  if (facts.opcode !== opcodeQuery || facts.type === axfr || facts.type === ixfr) return 'error';
  if (facts.rcode === nxdomain) return 'denial';
  if (facts.rcode !== noerror) return 'error';
  return facts.answerRecords === 0 && facts.soaInAuthority ? 'denial' : 'success';
}
