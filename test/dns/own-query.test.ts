import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownQuery } from '../../src/dns/own-query.js';
import { Query, questionOf, readQuery } from '../../src/dns/query.js';
import { flagAd, flagCd, flagRd } from '../../src/dns/wire.js';

const question = Uint8Array.from(Buffer.from('\x03wWw\x04test\0\0\x1c\0\x01', 'latin1'));

test('an own query is read as what it asks for', () => {
  const query = new Query();
  for (const dnssecOk of [true, false]) {
    const packet = ownQuery({ question, recursionDesired: dnssecOk, checkingDisabled: !dnssecOk, dnssecOk });
    assert.equal(readQuery(packet, packet.length, query), 'ok');
    assert.deepEqual([query.type, query.class, query.dnssecOk, query.edns], [28, 1, dnssecOk, true]);
    assert.equal(query.flags, flagAd | (dnssecOk ? flagRd : flagCd));
    assert.deepEqual(questionOf(packet, query), question);
  }
});
