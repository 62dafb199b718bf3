import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wireToName } from '../../src/dns/names.js';
import { type GuardQuery, guardFrom, type Verdict } from '../../src/resolve/route.js';
import { fixture, podAsker, query } from './lane-fixture.js';

describe('guardFrom', () => {
  it('is nothing where there is nobody to judge', () => {
    assert.equal(guardFrom([]), null);
    assert.equal(guardFrom([{ guard: undefined }]), null);
  });

  it('asks with the query, its client and its place in the counters, and gives the verdict', () => {
    const { lane, ask, zone } = fixture('other {\n forward . 192.0.2.1\n}\ntest {\n forward . 192.0.2.1\n}');
    const packet = query('A.test', 'A');
    ask(packet);
    const seen: GuardQuery[] = [];
    const judge = (verdict: Verdict) =>
      guardFrom([
        {
          guard(asked) {
            seen.push(asked);
            return verdict;
          },
        },
      ])!(packet, lane, podAsker);
    assert.deepEqual(judge({ kind: 'drop' }), { kind: 'drop' });
    assert.deepEqual(judge({ kind: 'pass' }), { kind: 'pass' });
    const [{ id, remote, ordinal, question }] = seen;
    assert.deepEqual(
      [id, remote, ordinal, wireToName(question, 0)],
      [0x1234, '10.244.0.7', zone('test').ordinal, 'A.test.'],
    );
  });
});
