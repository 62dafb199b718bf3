/** Lost questions: pairs from one socket, and the counters of the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conntrackRaceCheck, lossCheck } from '../../src/doctor/check-losses.js';
import {
  type AskedHere,
  clusterSeen,
  findingOf,
  findingsOf,
  pods,
  type ReplyHere,
  upstreamService,
} from './cluster.js';

/** AAAA questions to the Service, of which every so many are lost. */
function losing(every: number, type = 'AAAA'): (asked: AskedHere) => ReplyHere | undefined {
  let asked = 0;
  return ({ to, type: wanted }) =>
    to === upstreamService && wanted === type && ++asked % every === 0 ? 'silent' : undefined;
}

/** insert_failed rises between reads. */
function rising(): () => string {
  let reads = 0;
  return () => `entries insert_failed drop\n00000010 0000000${reads++ === 0 ? 1 : 5} 00000000\n`;
}

test('nothing is lost on a healthy node', async () => {
  const outsides = clusterSeen();
  const race = await findingOf(conntrackRaceCheck, 'conntrack-race', outsides);
  assert.deepEqual(
    [race.verdict, race.seen],
    ['ok', '0 of 100 pairs of A and AAAA lost one answer through 10.96.0.11'],
  );
  const loss = await findingOf(lossCheck, 'lost', outsides);
  assert.deepEqual([loss.verdict, loss.seen], ['ok', 'lost 0 of 200 UDP questions to 10.96.0.11']);
  const pairs = outsides.asked.filter(({ to, type }) => to === upstreamService && type === 'AAAA');
  assert.equal(pairs.length, 100, 'both checks share the pairs');
});

test('the race of connection tracking', async () => {
  const files = { '/proc/net/stat/nf_conntrack': rising() };
  const finding = await findingOf(conntrackRaceCheck, 'conntrack-race', { answers: losing(25), files });
  assert.equal(finding.verdict, 'fail');
  assert.equal(finding.seen, '4 of 100 pairs of A and AAAA lost one answer through 10.96.0.11; insert_failed +4');
});

test('a loss that connection tracking did not count is no race', async () => {
  const seen = { answers: losing(25) };
  assert.equal((await findingOf(conntrackRaceCheck, 'conntrack-race', seen)).verdict, 'ok');
  const lost = await findingOf(lossCheck, 'lost', { answers: losing(25) });
  assert.equal(lost.verdict, 'info');
  assert.equal(
    lost.seen,
    'lost 4 of 200 UDP questions to 10.96.0.11: insert_failed +0, conntrack drop +0, RcvbufErrors +0, softnet drops +0',
  );
  assert.match(lost.command ?? '', /tcpdump/);
  const much = await findingOf(lossCheck, 'lost', { answers: losing(5) });
  assert.equal(much.verdict, 'warn');
});

test('without the counter two lost pairs are a race, one is not', async () => {
  const files = { '/proc/net/stat/nf_conntrack': '' };
  const race = (every: number) => findingOf(conntrackRaceCheck, 'conntrack-race', { answers: losing(every), files });
  assert.equal((await race(50)).verdict, 'fail');
  assert.equal((await race(100)).verdict, 'ok');
});

test('a silent endpoint or Service, or too few questions left, skip both', async () => {
  const answers = ({ to, over }: AskedHere): ReplyHere | undefined =>
    to === pods[1] && over === 'udp' ? 'silent' : undefined;
  const silent = ({ to }: AskedHere): ReplyHere | undefined => (to === upstreamService ? 'silent' : undefined);
  const flags = { clusterDns: null, clusterDnsMissing: 'it is not set' };
  for (const check of [conntrackRaceCheck, lossCheck]) {
    for (const seen of [{ answers }, { answers: silent }, { flags }]) {
      assert.deepEqual(
        (await findingsOf(check, seen)).map(({ verdict }) => verdict),
        ['skipped'],
      );
    }
    const few = Object.assign(clusterSeen(), { questionsLeft: () => 50 });
    assert.equal((await findingOf(check, check === lossCheck ? 'lost' : 'conntrack-race', few)).verdict, 'skipped');
  }
});
