import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { askWithin } from '../../src/resolve/within.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import type { Decoded } from './lane-fixture.js';
import { query } from './lane-fixture.js';
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

  it('gives failures as answers', async () => {
    const fixture = waiting('. {\n forward . 192.0.2.1\n}');
    const within = asks(fixture, 'a.test');
    fixture.asked[0].fails();
    await turn();
    assert.equal(within[0].answer?.rcode, 'SERVFAIL');
  });
});
