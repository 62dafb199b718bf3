import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerClass, answerType } from '../../src/observe/query-facts.js';
import type { QueryLogRecord } from '../../src/resolve/lane.js';
import { queryFacts } from './facts.js';

const soa = 6;
const ns = 2;

const cases: readonly (readonly [what: string, facts: Partial<QueryLogRecord>, expected: string, type: string])[] = [
  ['an answer', {}, 'success', 'NOERROR'],
  ['an answer with a SOA beside it', { authorityType: soa }, 'success', 'NOERROR'],
  ['a referral: no answer, no SOA', { answerRecords: 0, authorityType: ns }, 'success', 'DELEGATION'],
  ['NOERROR without anything', { answerRecords: 0 }, 'success', 'NOERROR'],
  ['NOTIMP', { rcode: 4, answerRecords: 0 }, 'error', 'SERVERERROR'],
  ['NODATA', { answerRecords: 0, authorityType: soa }, 'denial', 'NODATA'],
  ['NXDOMAIN', { rcode: 3, answerRecords: 0, authorityType: soa }, 'denial', 'NXDOMAIN'],
  ['NXDOMAIN without a SOA', { rcode: 3, answerRecords: 0 }, 'denial', 'NXDOMAIN'],
  ['NXDOMAIN after an alias', { rcode: 3, answerRecords: 1, authorityType: soa }, 'denial', 'NXDOMAIN'],
  ['SERVFAIL', { rcode: 2, answerRecords: 0 }, 'error', 'SERVERERROR'],
  ['REFUSED', { rcode: 5, answerRecords: 0 }, 'error', 'OTHERERROR'],
  ['SERVFAIL with a SOA', { rcode: 2, answerRecords: 0, authorityType: soa }, 'error', 'SERVERERROR'],
  ['a transfer', { type: 252 }, 'error', 'META'],
  ['an incremental transfer', { type: 251 }, 'error', 'META'],
  ['a NOTIFY', { opcode: 4 }, 'error', 'META'],
];

describe('answer classes and types', () => {
  for (const [what, facts, expected, type] of cases) {
    it(`take ${what} for ${expected}, ${type}`, () => {
      assert.deepEqual([answerClass(queryFacts(facts)), answerType(queryFacts(facts))], [expected, type]);
    });
  }
});
