/** What can be said about one query and its answer: gathered only where `log` or `dnstap` is set. */
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
  /** Type of the first record of the authority section where there is no answer record; 0 without one. */
  readonly authorityType: number;
  readonly durationMs: number;
  /** ADDRESS:PORT of the upstream that has just said this; null for what was cached or made here. */
  readonly upstream: string | null;
  /** The messages as they went and came; borrowed, like the facts. Of a query over 512 bytes that had to wait the part that was understood. */
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
}

/** The classes of `log { class … }`. */
export type AnswerClass = 'success' | 'denial' | 'error';

const opcodeQuery = 0;
const soa = 6;
const ns = 2;
const ixfr = 251;
const axfr = 252;
const noerror = 0;
const servfail = 2;
const nxdomain = 3;
const notimp = 4;

/**
 * CoreDNS's classes: `denial` is NXDOMAIN and NODATA, `success` every other NOERROR (referrals among them), `error`
 * the rest, with transfers and other opcodes. CoreDNS calls an NXDOMAIN without SOA an error; its manual does not.
 */
export function answerClass(facts: QueryFacts): AnswerClass {
  if (isMeta(facts)) return 'error';
  if (facts.rcode === nxdomain) return 'denial';
  if (facts.rcode !== noerror) return 'error';
  return facts.answerRecords === 0 && facts.authorityType === soa ? 'denial' : 'success';
}

/** CoreDNS's name for what kind of answer it is, as its metadata label `log/type` has it. */
export function answerType(facts: QueryFacts): string {
  const { rcode, answerRecords, authorityType } = facts;
  if (isMeta(facts)) return 'META';
  if (rcode === nxdomain) return 'NXDOMAIN';
  if (rcode === servfail || rcode === notimp) return 'SERVERERROR';
  if (rcode !== noerror) return 'OTHERERROR';
  if (answerRecords > 0) return 'NOERROR';
  if (authorityType === soa) return 'NODATA';
  return authorityType === ns ? 'DELEGATION' : 'NOERROR';
}

function isMeta({ opcode, type }: QueryFacts): boolean {
  return opcode !== opcodeQuery || type === axfr || type === ixfr;
}
