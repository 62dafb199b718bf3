import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { byTemplate, overTcp, overUdp } from '../../src/counters.js';
import { subquestionsMax } from '../../src/limits.js';
import type { Pending } from '../../src/resolve/pending.js';
import type { MadeSource } from '../../src/resolve/respond.js';
import type { GuardVerdict, Made, Route, Step } from '../../src/resolve/route.js';
import { followUp, judged, lookUpFor, lookUpIn, mayWaitFor, subqueryIn } from '../../src/resolve/subquery.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import { type Decoded, podClient, query } from './context-fixture.js';
import { inWords, questionFor } from './plan-fixture.js';
import { addresses, message, type Reply, type WaitingFixture, waiting } from './waiting-fixture.js';

const cached = '. {\n log\n cache\n forward . 192.0.2.1\n}';

/** Asks for the name's A; what came is in `outcomes`. */
function asks(fixture: WaitingFixture, name: string, how: Partial<Request> = {}) {
  const outcomes: (Outcome & { readonly answer?: Decoded })[] = [];
  const ask = subqueryIn(fixture, fixture.zone('.'));
  const plain = { recursionDesired: true, checkingDisabled: false, dnssecOk: false, clientTransport: 'udp' } as const;
  ask({ ...plain, question: Uint8Array.from(query(name, 'A').subarray(12)), ...how }, (outcome) => {
    const answer = outcome.ok ? (packets.decode(Buffer.from(outcome.message)) as Decoded) : undefined;
    outcomes.push({ ...outcome, ...(answer === undefined ? {} : { answer }) });
  });
  return outcomes;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const counted = ({ context }: WaitingFixture) => context.counters.zones.reduce((sum, number) => sum + number, 0);

describe('subqueryIn', () => {
  it('asks upstream with the client’s name, transport and flags, keeps the answer, and takes it from there', async () => {
    const fixture = waiting(cached);
    const first = asks(fixture, 'a.test', { client: '10.1.0.1', dnssecOk: true });
    const [{ request }] = fixture.asked;
    assert.deepEqual([request.client, request.clientTransport, request.dnssecOk], ['10.1.0.1', 'udp', true]);
    fixture.asked[0].answers();
    await turn();
    assert.equal(first[0].answer?.answers?.length, 1);
    const second = asks(fixture, 'A.test', { dnssecOk: true });
    assert.equal(second.length, 0, 'never before the call has returned');
    await turn();
    assert.equal(second[0].answer?.answers?.length, 1);
    assert.equal(fixture.askedTimes, 1);
  });

  it('joins clients, and clients join it', async () => {
    const fixture = waiting(cached);
    const one = fixture.asks(query('a.test', 'A'));
    const within = asks(fixture, 'a.test');
    const other = fixture.asks(query('a.test', 'A'));
    fixture.asked[0].answers();
    await turn();
    assert.deepEqual([one.data, other.data, within[0].answer?.rcode], [['192.0.2.0'], ['192.0.2.0'], 'NOERROR']);
    assert.equal(fixture.askedTimes, 1);
  });

  it('is neither counted nor logged, and is not cut to size', async () => {
    const fixture = waiting(cached);
    const before = counted(fixture);
    const within = asks(fixture, 'a.test');
    fixture.asked[0].answers({ answers: addresses('a.test', 30, 200) });
    await turn();
    assert.equal(within[0].answer?.answers?.length, 200);
    asks(fixture, 'a.test');
    assert.deepEqual([counted(fixture), fixture.logged], [before, []]);
  });

  it('tells why there is no answer', async () => {
    const fixture = waiting('. {\n forward . 192.0.2.1\n}');
    const within = asks(fixture, 'a.test');
    fixture.asked[0].fails();
    await turn();
    const [{ ok, ...failure }] = within;
    assert.deepEqual(
      [ok, failure],
      [false, { why: 'timeout', text: 'a.test. A, the next name in the chain, got no answer (timeout)' }],
    );
  });
});

describe('lookUpIn', () => {
  const two = '. {\n cache\n forward . 192.0.2.1\n}\na.test {\n aaaa nodata\n forward . 192.0.2.1\n}';
  function looksUp(fixture: WaitingFixture, name: string, type = 'A') {
    const outcomes: Outcome[] = [];
    const plain = { recursionDesired: true, checkingDisabled: false, dnssecOk: false, clientTransport: 'udp' } as const;
    const question = Uint8Array.from(query(name, type).subarray(12));
    const request = { ...plain, question, askedAtMs: 0, depth: 3 };
    lookUpIn(fixture, fixture.listener.table)(request, podClient, (outcome) => {
      outcomes.push(outcome);
    });
    return outcomes;
  }

  it('asks in the zone of the name, as deep and as late as it is', async () => {
    const fixture = waiting(two);
    fixture.clock.passMs(50);
    const outcomes = looksUp(fixture, 'x.a.test');
    const [{ request }] = fixture.asked;
    assert.deepEqual([request.askedAtMs, request.depth], [0, 3]);
    fixture.asked[0].answers();
    await turn();
    assert.deepEqual([outcomes[0].ok, fixture.store.success.size], [true, 0], 'that zone has no cache');
  });

  it('gives what the zone says to AAAA by itself, and no name that nobody serves', async () => {
    const fixture = waiting(two);
    const aaaa = looksUp(fixture, 'x.a.test', 'AAAA');
    await turn();
    assert.ok(aaaa[0].ok);
    assert.deepEqual(packets.decode(Buffer.from(aaaa[0].message)).answers, []);
    const nowhere = looksUp(waiting('a.test {\n forward . 192.0.2.1\n}'), 'b.test');
    await turn();
    assert.deepEqual(
      nowhere.map((outcome) => !outcome.ok && outcome.why),
      ['nobody'],
    );
    assert.equal(fixture.askedTimes, 0);
  });

  it('gives what the guards of the zone say', async () => {
    const verdicts: GuardVerdict[] = [
      { kind: 'drop' },
      { kind: 'empty', rcode: 5, extendedError: { code: 15, text: new Uint8Array() }, by: 0 },
      { kind: 'empty', rcode: 0, extendedError: { code: 17, text: new Uint8Array() }, by: 0 },
    ];
    const found: unknown[] = [];
    for (const verdict of verdicts) {
      const outcomes = looksUp(waiting(two, { guard: () => verdict }), 'b.test');
      await turn();
      found.push(...outcomes.map((outcome) => !outcome.ok && outcome.why));
    }
    assert.deepEqual(found, ['drop', 'block', 'filter']);
  });

  it('says of what is past its time that it is not to be kept', async () => {
    const fixture = waiting('. {\n cache 30 {\n serve_stale 1h immediate\n }\n forward . 192.0.2.1\n}');
    looksUp(fixture, 'b.test');
    fixture.asked[0].answers();
    const fresh = looksUp(fixture, 'b.test');
    fixture.clock.passMs(40_000);
    const stale = looksUp(fixture, 'b.test');
    await turn();
    assert.deepEqual(
      [...fresh, ...stale].map((outcome) => outcome.ok && outcome.mayKeep),
      [true, false],
    );
    assert.equal(fixture.asked.length, 1, 'it is asked for anew');
  });
});

/** Pursues the question for a.test; `made` and `replies` are by the name asked for. */
function pursued(
  parts: {
    readonly made?: Readonly<Record<string, Made>>;
    readonly replies?: Readonly<Record<string, Reply>>;
    /** A name that the client may not ask for. */
    readonly refused?: string;
    /** What every look-up ends in. */
    readonly failure?: Outcome;
  },
  steps: readonly string[] = [],
) {
  const asked: string[] = [];
  const lookedUp: string[] = [];
  const ended: [Outcome, MadeSource | null][] = [];
  const left = [...steps];
  const next = (outcome: Outcome): Step => {
    const name = left.shift();
    if (name === undefined) return { kind: 'end', outcome };
    return { kind: name.startsWith('up.') ? 'lookUp' : 'ask', question: questionFor(name) };
  };
  const nameOf = (question: Uint8Array) => inWords(question).split(' ')[0];
  followUp(
    {
      make: (question) => parts.made?.[nameOf(question)] ?? null,
      judge: (question) =>
        nameOf(question) === parts.refused ? { ok: false, why: 'block', text: 'acl: block' } : null,
      ask(question, done) {
        asked.push(nameOf(question));
        done({ ok: true, message: message(question, parts.replies?.[nameOf(question)]), from: 'test' });
      },
      lookUp(question, done) {
        lookedUp.push(nameOf(question));
        done(
          parts.failure ?? { ok: true, message: message(question, parts.replies?.[nameOf(question)]), from: 'test' },
        );
      },
      next: steps.length === 0 ? null : next,
    },
    questionFor('a.test'),
    (outcome, source) => ended.push([outcome, source]),
  );
  assert.equal(ended.length, 1);
  const [[outcome, source]] = ended;
  const { answers = [] } = outcome.ok ? packets.decode(Buffer.from(outcome.message)) : {};
  return { asked, lookedUp, outcome, source, names: answers.map(({ name }) => name) };
}

const made = (
  name: string,
  follow: string | null,
  extendedError: { code: number; text: string } | null = null,
): Made => ({
  kind: 'message',
  message: message(
    questionFor(name),
    follow === null ? {} : { answers: [{ type: 'CNAME', name, ttl: 9, data: follow }] },
  ),
  by: byTemplate,
  extendedError,
  follow: follow === null ? null : questionFor(follow),
});

describe('followUp', () => {
  it('asks what nobody makes', () => {
    assert.deepEqual(pursued({ made: { 'a.test.': { kind: 'next' } } }).asked, ['a.test.']);
    assert.equal(pursued({}).source, null);
  });

  it('takes what is made, and says who made it', () => {
    const { asked, names, source } = pursued({ made: { 'a.test.': made('a.test', null, { code: 15, text: 'no' }) } });
    assert.deepEqual([asked, names], [[], ['a.test']]);
    assert.deepEqual([source?.by, source?.mayKeep, source?.extendedError?.code], [byTemplate, true, 15]);
  });

  it('puts behind an alias made here what it leads to, if that can be had', () => {
    const alias = { 'a.test.': made('a.test', 'b.test') };
    const { asked, lookedUp, names, source } = pursued({ made: alias });
    assert.deepEqual([asked, lookedUp, names, source?.mayKeep], [[], ['b.test.'], ['a.test', 'b.test'], true]);
    const without = pursued({ made: alias, replies: { 'b.test.': { rcode: 2, answers: [] } } });
    assert.deepEqual([without.names, without.source?.mayKeep], [['a.test'], false]);
  });

  it('gives what no client may have, and no end of a circle, as what it is', () => {
    const alias = { 'a.test.': made('a.test', 'b.test') };
    for (const why of ['block', 'filter', 'drop', 'circular'] as const) {
      const failure: Outcome = { ok: false, why, text: why };
      assert.deepEqual(pursued({ made: alias, failure }).outcome, failure);
    }
    const moment: Outcome = { ok: false, why: 'timeout', text: 'late' };
    assert.deepEqual(pursued({ made: alias, failure: moment }).names, ['a.test']);
  });

  it('judges each question before it is made or asked', () => {
    const first = pursued({ refused: 'a.test.', made: { 'a.test.': made('a.test', null) } });
    assert.deepEqual([first.asked, first.outcome], [[], { ok: false, why: 'block', text: 'acl: block' }]);
    const later = pursued({ refused: 'b.test.' }, ['b.test']);
    assert.deepEqual([later.asked, later.outcome.ok], [['a.test.'], false]);
  });

  it('looks up what a step says is for the whole server', () => {
    const { asked, lookedUp, names } = pursued({ made: { 'up.test.': made('up.test', null) } }, ['up.test']);
    assert.deepEqual([asked, lookedUp, names], [['a.test.'], ['up.test.'], ['up.test']]);
  });

  it('ends where something made fails', () => {
    const { outcome } = pursued({ made: { 'a.test.': { kind: 'servfail', text: 'no such field' } } });
    assert.deepEqual(outcome, { ok: false, why: 'nobody', text: 'no such field' });
  });

  it('goes on as it is told, making or asking, to the last outcome', () => {
    const { asked, names, source } = pursued({ made: { 'b.test.': made('b.test', null) } }, ['b.test', 'c.test']);
    assert.deepEqual([asked, names, source], [['a.test.', 'c.test.'], ['c.test'], null]);
    assert.equal(pursued({ made: { 'b.test.': made('b.test', null) } }, ['b.test']).source?.by, byTemplate);
  });
});

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
    lookUpFor(pending, other, { client: podClient, transport }, (outcome) => outcomes.push(outcome));
    assert.ok(clients.every((client) => client === podClient));
    return { asked, outcomes, pending };
  }

  it('asks in the words, the name and the time of the client, one step further', () => {
    const { asked, pending } = lookedUp({ key: 3, recursionDesired: false, depth: 4 }, overTcp);
    assert.deepEqual(asked, [
      {
        ...{ question: other, recursionDesired: false, checkingDisabled: true, dnssecOk: true, clientTransport: 'tcp' },
        ...{ client: podClient.remote.address, askedAtMs: 7, depth: 5 },
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
