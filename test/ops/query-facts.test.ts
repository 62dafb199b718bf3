import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerClass, type QueryFacts } from '../../src/ops/query-facts.js';
import { queryFacts } from './facts.js';

const cases: readonly (readonly [what: string, facts: Partial<QueryFacts>, expected: string])[] = [
  ['an answer', {}, 'success'],
  ['an answer with a SOA beside it', { soaInAuthority: true }, 'success'],
  ['a referral: no answer, no SOA', { answerRecords: 0 }, 'success'],
  ['NODATA', { answerRecords: 0, soaInAuthority: true }, 'denial'],
  ['NXDOMAIN', { rcode: 3, answerRecords: 0, soaInAuthority: true }, 'denial'],
  ['NXDOMAIN without a SOA', { rcode: 3, answerRecords: 0 }, 'denial'],
  ['NXDOMAIN after an alias', { rcode: 3, answerRecords: 1, soaInAuthority: true }, 'denial'],
  ['SERVFAIL', { rcode: 2, answerRecords: 0 }, 'error'],
  ['REFUSED', { rcode: 5, answerRecords: 0 }, 'error'],
  ['SERVFAIL with a SOA', { rcode: 2, answerRecords: 0, soaInAuthority: true }, 'error'],
  ['a transfer', { type: 252 }, 'error'],
  ['an incremental transfer', { type: 251 }, 'error'],
  ['a NOTIFY', { opcode: 4 }, 'error'],
];

describe('answer classes', () => {
  for (const [what, facts, expected] of cases) {
    it(`take ${what} for ${expected}`, () => assert.equal(answerClass(queryFacts(facts)), expected));
  }
});
