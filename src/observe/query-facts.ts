/** What CoreDNS calls an answer: the classes of its `log` directive and the types of its metadata. */
import type { QueryLogRecord } from '../resolve/lane.js';

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
export function answerClass(facts: QueryLogRecord): AnswerClass {
  if (isMeta(facts)) return 'error';
  if (facts.rcode === nxdomain) return 'denial';
  if (facts.rcode !== noerror) return 'error';
  return facts.answerRecords === 0 && facts.authorityType === soa ? 'denial' : 'success';
}

/** CoreDNS's name for what kind of answer it is, as its metadata label `log/type` has it. */
export function answerType(facts: QueryLogRecord): string {
  const { rcode, answerRecords, authorityType } = facts;
  if (isMeta(facts)) return 'META';
  if (rcode === nxdomain) return 'NXDOMAIN';
  if (rcode === servfail || rcode === notimp) return 'SERVERERROR';
  if (rcode !== noerror) return 'OTHERERROR';
  if (answerRecords > 0) return 'NOERROR';
  if (authorityType === soa) return 'NODATA';
  return authorityType === ns ? 'DELEGATION' : 'NOERROR';
}

function isMeta({ opcode, type }: QueryLogRecord): boolean {
  return opcode !== opcodeQuery || type === axfr || type === ixfr;
}
