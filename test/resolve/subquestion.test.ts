import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { overTcp, overUdp } from '../../src/counters.js';
import { subquestionsMax } from '../../src/limits.js';
import type { Pending } from '../../src/resolve/pending.js';
import type { Route } from '../../src/resolve/route.js';
import { judged, lookUpFor, mayWaitFor } from '../../src/resolve/subquestion.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import { questionFor } from './course-fixture.js';
import { podAsker } from './lane-fixture.js';

const own = questionFor('a.test');
const other = questionFor('b.test');

function pendingWith(route: Partial<Route>, parts: Partial<Pending> = {}): Pending {
  return {
    ...{ question: own, key: 0, recursionDesired: true, startedAtMs: 7, depth: 0, asksOurselves: false },
    ...{ zone: { ordinal: 3, block: 2 }, route },
    ...parts,
  } as Pending;
}

describe('judged', () => {
  it('asks about other names, for the client, with the block that asks', () => {
    const seen: unknown[] = [];
    const judge: Route['judge'] = ({ question, ...query }) => {
      assert.equal(question, other);
      seen.push(query);
      return 'filter';
    };
    const pending = pendingWith({ judge });
    assert.deepEqual(judged(pending, other, '10.1.0.1'), { ok: false, why: 'filter', text: 'acl: filter' });
    assert.equal(judged(pending, own, '10.1.0.1'), null, 'its guards have judged it');
    assert.deepEqual(seen, [{ remote: '10.1.0.1', ordinal: 3, block: 2 }]);
  });

  it('lets pass what is allowed, and everything where there are no rules', () => {
    assert.equal(judged(pendingWith({ judge: () => 'allow' }), other, ''), null);
    assert.equal(judged(pendingWith({ judge: null }), other, ''), null);
  });
});

describe('lookUpFor', () => {
  function lookedUp(parts: Partial<Pending>, transport: typeof overUdp | typeof overTcp = overUdp) {
    const asked: Request[] = [];
    const outcomes: Outcome[] = [];
    const clients: unknown[] = [];
    const lookUp: Route['lookUp'] = (request, client) => {
      asked.push(request);
      clients.push(client);
    };
    const pending = pendingWith({ lookUp }, parts);
    lookUpFor(pending, other, { asker: podAsker, transport }, (outcome) => outcomes.push(outcome));
    assert.ok(clients.every((client) => client === podAsker));
    return { asked, outcomes, pending };
  }

  it('asks in the words, the name and the time of the client, one step further', () => {
    const { asked, pending } = lookedUp({ key: 3, recursionDesired: false, depth: 4 }, overTcp);
    assert.deepEqual(asked, [
      {
        ...{ question: other, recursionDesired: false, checkingDisabled: true, dnssecOk: true, clientTransport: 'tcp' },
        ...{ client: podAsker.remote.address, askedAtMs: 7, depth: 5 },
      },
    ]);
    assert.equal(pending.asksOurselves, true);
  });

  it('ends a chain that is too long, in a later turn', async () => {
    assert.equal(lookedUp({ depth: subquestionsMax - 1 }).asked.length, 1);
    const { asked, outcomes } = lookedUp({ depth: subquestionsMax });
    assert.deepEqual([asked, outcomes], [[], []]);
    await Promise.resolve();
    assert.deepEqual(
      outcomes.map((outcome) => !outcome.ok && outcome.why),
      ['circular'],
    );
  });
});

describe('mayWaitFor', () => {
  const running = (asksOurselves: boolean, startedAtMs: number) => pendingWith({}, { asksOurselves, startedAtMs });
  it('is for what ends in time and waits for nobody here', () => {
    assert.equal(mayWaitFor(running(false, 7), pendingWith({})), true);
    assert.equal(mayWaitFor(running(false, 3), pendingWith({})), true);
    assert.equal(mayWaitFor(running(false, 8), pendingWith({})), false);
    assert.equal(mayWaitFor(running(true, 3), pendingWith({})), false);
  });
});
