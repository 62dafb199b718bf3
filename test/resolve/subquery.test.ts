import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import type { Verdict } from '../../src/resolve/route.js';
import { askWithin, lookUpIn } from '../../src/resolve/subquery.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import type { Decoded } from './lane-fixture.js';
import { podAsker, query } from './lane-fixture.js';
import { addresses, type WaitingFixture, waiting } from './waiting-fixture.js';

const cached = '. {\n log\n cache\n forward . 192.0.2.1\n}';

/** Asks for the name's A; what came is in `outcomes`. */
function asks(fixture: WaitingFixture, name: string, how: Partial<Request> = {}) {
  const outcomes: (Outcome & { readonly answer?: Decoded })[] = [];
  const ask = askWithin(fixture, fixture.zone('.'));
  const plain = { recursionDesired: true, checkingDisabled: false, dnssecOk: false, clientTransport: 'udp' } as const;
  ask({ ...plain, question: Uint8Array.from(query(name, 'A').subarray(12)), ...how }, (outcome) => {
    const answer = outcome.ok ? (packets.decode(Buffer.from(outcome.message)) as Decoded) : undefined;
    outcomes.push({ ...outcome, ...(answer === undefined ? {} : { answer }) });
  });
  return outcomes;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const counted = ({ lane }: WaitingFixture) => lane.counters.zones.reduce((sum, number) => sum + number, 0);

describe('askWithin', () => {
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
    lookUpIn(fixture, fixture.listener.table)(request, podAsker, (outcome) => {
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
    const verdicts: Verdict[] = [
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
