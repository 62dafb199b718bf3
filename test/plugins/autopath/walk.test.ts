import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { newAutopath } from '../../../src/plugins/autopath/walk.js';
import { newDraft, type Step } from '../../../src/resolve/route.js';
import { inWords, queryToPlan, questionFor } from '../../resolve/plan-fixture.js';
import { addresses, message, type Reply, soa } from '../../resolve/waiting-fixture.js';

const search = ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'];
const at = { file: 'Corefile', line: 2 };
const gone: Reply = { rcode: 3, answers: [], authorities: soa(7) };

function walks(name: string, { type = 'A', zones = ['.'], path = search } = {}) {
  const { changer, found } = newAutopath({ at, zones, file: 'pods.conf', search: path });
  const query = queryToPlan(name, type);
  const draft = newDraft(query.question);
  assert.equal(changer(draft, query), null);
  assert.equal(draft.question, query.question);
  const [next] = draft.next;
  let asked = query.question;
  /** What comes of this answer to what was asked last. */
  const on = (reply: Reply | 'timeout' | 'nobody'): Step => {
    const step =
      typeof reply === 'string'
        ? next({ ok: false, why: reply, text: reply })
        : next({ ok: true, message: message(asked, reply), from: 'test' });
    if (step.kind === 'ask') asked = step.question;
    return step;
  };
  return { isWalked: next !== undefined, on, found };
}

const asks = (step: Step) => (step.kind === 'ask' ? inWords(step.question) : null);
function ends(step: Step) {
  assert.ok(step.kind === 'end');
  if (!step.outcome.ok) return { why: step.outcome.why, isForNow: step.isForNow };
  const {
    rcode,
    questions,
    answers = [],
    authorities = [],
  } = packets.decode(Buffer.from(step.outcome.message)) as packets.DecodedPacket & { rcode: string };
  const written = (answers as packets.StringAnswer[]).map(
    ({ name, type, ttl, data }) => `${name} ${ttl} ${type} ${data}`,
  );
  return {
    rcode,
    question: questions?.[0].name,
    answers: written,
    authorities: authorities.length,
    isForNow: step.isForNow,
  };
}

const asked = 'google.com.default.svc.cluster.local';

describe('autopath', () => {
  it('walks the path behind the first domain, then the name alone, to the first that is there', () => {
    const { on, found } = walks(asked);
    assert.equal(asks(on(gone)), 'google.com.svc.cluster.local. A IN');
    assert.equal(asks(on(gone)), 'google.com.cluster.local. A IN');
    assert.equal(asks(on(gone)), 'google.com. A IN');
    assert.deepEqual(ends(on({ answers: addresses('google.com', 20, 2) })), {
      rcode: 'NOERROR',
      question: asked,
      answers: [`${asked} 20 CNAME google.com`, 'google.com 20 A 192.0.2.0', 'google.com 20 A 192.0.2.1'],
      authorities: 0,
      isForNow: undefined,
    });
    assert.deepEqual([...found], [[0, 1]]);
  });

  it('leads to a name that is there and has no such record: A and AAAA end at the same name', () => {
    const { on } = walks(asked, { type: 'AAAA' });
    on(gone);
    const step = ends(on({ answers: [], authorities: soa(7) }));
    assert.deepEqual(step.answers, [`${asked} 7 CNAME google.com.svc.cluster.local`]);
    assert.deepEqual([step.rcode, step.authorities], ['NOERROR', 1]);
  });

  it('leaves a name that is there, or that cannot be had, as it is', () => {
    const { on, found } = walks(asked);
    assert.deepEqual(ends(on({})).answers, [`${asked} 30 A 192.0.2.0`]);
    assert.deepEqual(ends(walks(asked).on('timeout')).why, 'timeout');
    assert.deepEqual(ends(walks(asked).on({ rcode: 2, answers: [] })).rcode, 'SERVFAIL');
    assert.equal(found.size, 0);
  });

  it('says what the asked name has when none is there, or none is to be asked', () => {
    const { on, found } = walks(asked);
    for (const reply of [gone, gone, 'nobody'] as const) on(reply);
    const { rcode, question, answers, isForNow } = ends(on(gone));
    assert.deepEqual([rcode, question, answers, isForNow], ['NXDOMAIN', asked, [], undefined]);
    assert.equal(found.size, 0);
  });

  it('says so for now where one could not be had', () => {
    for (const reply of ['timeout' as const, { rcode: 2, answers: [] }]) {
      const { on } = walks(asked);
      on(gone);
      const { rcode, isForNow } = ends(on(reply));
      assert.deepEqual([rcode, isForNow], ['NXDOMAIN', true]);
    }
  });

  it('walks for names below the first domain, in its zones, in any spelling', () => {
    const isWalked = (name: string, how?: Parameters<typeof walks>[1]) => walks(name, how).isWalked;
    assert.equal(isWalked('WEB.Default.svc.cluster.local'), true);
    assert.equal(isWalked('default.svc.cluster.local'), false);
    assert.equal(isWalked('web.svc.cluster.local'), false);
    assert.equal(isWalked('x-default.svc.cluster.local'), false);
    assert.equal(isWalked(asked, { zones: ['other.test.'] }), false);
    assert.equal(isWalked(asked, { path: [] }), false);
    assert.equal(isWalked(asked, { path: ['.', 'a.'] }), false);
  });

  it('asks for nothing twice, and for nothing that is no name', () => {
    const { on } = walks('a.b.test', { path: ['b.test.', '.', `${'x.'.repeat(127)}`] });
    assert.equal(asks(on(gone)), 'a. A IN');
    assert.equal(ends(on(gone)).rcode, 'NXDOMAIN');
    assert.equal(inWords(questionFor('a.')), 'a. A IN');
  });
});
