import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { overTcp } from '../../../src/counters.js';
import type { OptionChange } from '../../../src/plugins/rewrite/name-rules.js';
import { changeOptions } from '../../../src/plugins/rewrite/option-rules.js';
import { isUnscoped } from '../../../src/resolve/respond.js';
import { newDraft, type QueryPlanDraft } from '../../../src/resolve/route.js';
import { type QueryParts, queryToPlan, rulesOf } from '../../resolve/plan-fixture.js';

function after(lines: readonly string[], parts: QueryParts = {}): QueryPlanDraft & { readonly done: boolean[] } {
  const query = queryToPlan('Web.test', 'AAAA', parts);
  const draft = newDraft(query.question);
  const rules = rulesOf(...lines.map((line) => `edns0 ${line}`));
  return {
    ...draft,
    done: rules.map(({ change }) => changeOptions(change as OptionChange, draft, query)),
    holdsFor: draft.holdsFor,
  };
}

const data = ({ options }: QueryPlanDraft, code = 0xffee): string | null => {
  const bytes = options.get(code);
  return bytes === undefined ? null : Buffer.from(bytes).toString('hex');
};
/** The client's own. */
const own: QueryParts = { options: [{ code: 0xffee as never, data: Buffer.from('own') }] };

describe('edns0', () => {
  it('set puts an option there, whatever the client has sent', () => {
    for (const parts of [{}, own]) {
      const draft = after(['local set 0xffee 0x61626364'], parts);
      assert.deepEqual([data(draft), draft.holdsFor, draft.done], ['61626364', 'everybody', [true]]);
    }
    assert.equal(data(after(['nsid set']), 3), '');
  });

  it('append puts one there where there is none, and leaves the client’s own', () => {
    const draft = after(['local append 0xffee abcd']);
    assert.deepEqual([data(draft), draft.holdsFor, draft.done], ['61626364', 'everybody', [true]]);
    const kept = after(['local append 0xffee abcd'], own);
    assert.deepEqual([data(kept), kept.holdsFor, kept.done], [Buffer.from('own').toString('hex'), 'client', [false]]);
    assert.equal(data(after(['local set 0xffee 0x01', 'local append 0xffee 0x02'])), '01');
  });

  it('replace puts one in the place of another', () => {
    assert.deepEqual(
      [data(after(['local replace 0xffee abcd'])), after(['local replace 0xffee abcd']).done],
      [null, [false]],
    );
    const draft = after(['local replace 0xffee abcd'], own);
    assert.deepEqual([data(draft), draft.holdsFor, draft.done], ['61626364', 'client', [true]]);
  });

  it('unset takes one away', () => {
    assert.deepEqual(after(['local set 0xffee 0x01', 'local unset 0xffee']).options.size, 0);
    assert.deepEqual(after(['local unset 0xffee']).done, [false]);
    assert.deepEqual(after(['local unset 0xffee'], own).done, [true]);
  });

  it('sets options from the question and from the client; those from the client make the answer for it alone', () => {
    const of = (variable: string, parts?: QueryParts) => {
      const draft = after([`local set 0xffee {${variable}}`], parts);
      return [data(draft), draft.holdsFor];
    };
    assert.deepEqual(of('qname'), [Buffer.from('web.test.').toString('hex'), 'everybody']);
    assert.deepEqual(of('qtype'), ['001c', 'everybody']);
    assert.deepEqual(of('client_ip'), ['0af40007', 'client']);
    assert.deepEqual(of('client_ip', { client: 'fe80::1%eth0' }), [`fe80${'0'.repeat(27)}1`, 'client']);
    assert.deepEqual(of('client_port'), ['0fa0', 'client']);
    assert.deepEqual(of('protocol', { transport: overTcp }), [Buffer.from('tcp').toString('hex'), 'client']);
    assert.deepEqual(of('protocol'), [Buffer.from('udp').toString('hex'), 'client']);
    assert.deepEqual(of('server_ip'), ['a9fe140a', 'client']);
    assert.deepEqual(of('server_port'), ['0035', 'client']);
  });

  it('tells the client’s network, with no bit more than it is told to', () => {
    const of = (line: string, parts?: QueryParts) => {
      const draft = after([line], parts);
      return [data(draft, 8), draft.holdsFor];
    };
    assert.deepEqual(of('subnet set 24 56'), ['000118000af400', 'unscoped']);
    assert.deepEqual(of('subnet set 30 56'), ['00011e000af40004', 'unscoped']);
    assert.deepEqual(of('subnet set 24 56', { client: 'fd12:3456:789a:bcde::1' }), [
      '00023800fd123456789abc',
      'unscoped',
    ]);
    assert.deepEqual(of('subnet set 0 0'), ['00010000', 'everybody']);
  });
});

describe('isUnscoped', () => {
  const sent = Uint8Array.from([0, 8, 0, 7, 0, 1, 24, 0, 10, 244, 0]);
  const answer = (subnet: readonly number[] | null) => {
    const option = { code: 8, data: Buffer.from(subnet ?? []) };
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [option] };
    const additionals = subnet === null ? [] : [opt as unknown as packets.Answer];
    const answers: packets.Answer[] = [{ type: 'A', name: 'a.test', ttl: 1, data: '192.0.2.1' }];
    return packets.encode({ type: 'response', questions: [{ name: 'a.test', type: 'A' }], answers, additionals });
  };
  const isUnscopedOver = (isOverTcp: boolean, subnet: readonly number[] | null) =>
    isUnscoped({ ok: true, from: '', message: answer(subnet), isOverTcp }, sent);

  it('holds where the subnet that was sent comes back without scope', () => {
    for (const isOverTcp of [false, true]) {
      assert.equal(isUnscopedOver(isOverTcp, [0, 1, 24, 0, 10, 244, 0]), true);
      const others = [
        [0, 1, 24, 24, 10, 244, 0], // a scope
        [0, 1, 24, 0, 10, 245, 0], // another network
        [0, 1, 16, 0, 10, 244], // another length
        [0, 2, 24, 0, 10, 244, 0], // another family
        [0, 1, 0, 0],
        [],
      ];
      for (const other of others) assert.equal(isUnscopedOver(isOverTcp, other), false, String(other));
    }
  });

  it('holds without a subnet over TCP alone, where nobody can forge it', () => {
    assert.deepEqual([isUnscopedOver(true, null), isUnscopedOver(false, null)], [true, false]);
    assert.equal(isUnscoped({ ok: true, from: '', message: answer(null) }, sent), false);
  });
});
