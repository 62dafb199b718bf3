/**
 * Instances that follow each other on one endpoint while dnsperf asks for cached names and new ones: nobody is left
 * without an answer when one takes over, when one leaves, or when one that was about to take over dies. The same for
 * longer, at full rate and with figures, is `npm run prove`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { metricsAgeMs } from '../../src/limits.js';
import { eventually, needs } from './commands.js';
import { question } from './loopback.js';
import { openTcp, openUdp } from './packets.js';
import { hotNames, type Instance, type LoadReport, newSpot, onLoopback, type Spot } from './several.js';
import { goodAnswer } from './stand-in.js';
import { untilGood } from './timing.js';

const portable =
  process.env['ZEROHOP_IO'] === 'portable' ? 'the portable way of input and output has no hand-over' : false;

describe('instances that follow each other', { skip: portable || needs('dnsperf') }, () => {
  let spot: Spot;
  let serving: Instance;
  before(async () => {
    spot = await newSpot();
    serving = await spot.start();
  });
  after(() => spot.remove());

  /** Runs `change` while questions are asked; the reports of hits and of misses. */
  async function meanwhile(seconds: number, change: () => Promise<void>): Promise<LoadReport[]> {
    const loads = [
      spot.load({ perSecond: 2_000, seconds, names: 'hits' }),
      spot.load({ perSecond: 100, seconds, names: 'misses' }),
    ];
    await pause(400);
    await change();
    return Promise.all(loads);
  }

  function assertNothingLost(reports: readonly LoadReport[]): void {
    for (const { sent, lost, rcodes } of reports) {
      assert.equal(lost, 0);
      assert.deepEqual([...rcodes], [['NOERROR', sent]]);
    }
  }

  /** What /metrics says, whoever answers there. */
  async function counted(series: string): Promise<number> {
    await pause(metricsAgeMs);
    const page = await (await fetch(`http://127.0.0.1:${spot.watchPort}/metrics`)).text();
    const line = page.split('\n').find((text) => text.startsWith(`zerohop_${series} `));
    return Number(line?.split(' ').at(-1));
  }

  test('two upgrades: nothing is lost, the old one ends with 0, and the new one has its cache', async () => {
    await spot.load({ perSecond: 2_000, seconds: 1, names: 'hits' });
    const asked = spot.upstream.asked;
    const reports = await meanwhile(3, async () => {
      for (let times = 0; times < 2; times++) {
        const next = await spot.start();
        const { status, tookMs } = await serving.stop();
        assert.equal(status, 0);
        assert.ok(tookMs < 5_000);
        serving = next;
      }
    });
    assertNothingLost(reports);
    // A thousand cached names would have been asked for again, had they not been handed over twice.
    const again = spot.upstream.asked - asked - reports[1].sent;
    assert.ok(again < 100, `${again} asked upstream`);
  });

  test('the one that serves leaves, and the one that stood by serves again', async () => {
    assertNothingLost(
      await meanwhile(2, async () => {
        const next = await spot.start();
        await eventually('the older one stands by', () =>
          serving.said('this instance is standby') ? true : undefined,
        );
        assert.equal(await counted('instance_role{role="serving"}'), 1);
        assert.equal(await counted('takeovers_total{cause="start"}'), 1);
        assert.equal(await counted('stand_by_instances'), 1);
        assert.ok((await counted('handover_entries_total{direction="taken"}')) >= hotNames);
        assert.equal((await next.stop()).status, 0);
        await eventually('it serves again', () => (serving.said('the serving instance is exiting') ? true : undefined));
      }),
    );
  });

  test('several workers on both sides', async () => {
    assertNothingLost(
      await meanwhile(3, async () => {
        const next = await spot.start(['-workers', '3']);
        await serving.stop();
        serving = await spot.start(['-workers', '2']);
        await next.stop();
      }),
    );
  });

  test('the one that serves is killed: the other one serves, and only what it had received is lost', async (t) => {
    let rounds = 0;
    const lost = await untilGood(
      async () => {
        const [hits, misses] = await meanwhile(4, async () => {
          const gone = serving.count('the serving instance is gone');
          const next = await spot.start();
          await next.kill();
          await eventually('the older one serves', () =>
            serving.count('the serving instance is gone') > gone ? true : undefined,
          );
        });
        rounds++;
        t.diagnostic(`round ${rounds}: ${hits.lost} hits and ${misses.lost} misses lost`);
        return hits.lost + misses.lost;
      },
      (sum) => sum <= 70,
    );
    // A batch that it had received, and queries upstream. What waited in its sockets is not lost. On a loaded machine it
    // may be killed just when it has waited long for its turn, and has received all that came meanwhile.
    assert.ok(lost <= 70, `${lost} lost`);
    assert.equal(await counted('takeovers_total{cause="gone"}'), rounds);
    assert.equal(await counted('stand_by_instances'), 0);
  });

  test('one that is killed before it takes over costs nothing', async () => {
    assertNothingLost(
      await meanwhile(3, async () => {
        for (const afterMs of [120, 220, 320]) {
          const next = spot.begin();
          await pause(afterMs);
          if (next.said('packets come to this instance')) break;
          await next.kill();
        }
      }),
    );
  });

  test('a connection that is held open is answered what it has asked, and new ones go to the successor', async () => {
    const held = await openTcp(spot.place);
    held.send(question(1, 'held', 1));
    await held.receive(1);
    const next = await spot.start();
    held.send(question(2, 'still', 1));
    await held.receive(2);
    const fresh = await openTcp(spot.place);
    const stopped = serving.stop();
    held.send(question(3, 'last', 1));
    fresh.send(question(4, 'fresh', 1));
    await held.receive(3);
    await fresh.receive(4);
    assert.equal((await stopped).status, 0);
    fresh.send(question(5, 'later', 1));
    await fresh.receive(5);
    for (const client of [held, fresh]) client.close();
    serving = next;
  });
});

describe('two instances', { skip: portable }, () => {
  test('what a newer answer has ended with one does not come back with the other', async (context) => {
    // TTL, length and the four bytes of the address.
    const ttlFromEnd = 10;
    let says: 'TTL 1' | 'TTL 0' | 'SERVFAIL' = 'TTL 1';
    const answer = (query: Buffer): Buffer => {
      const message = goodAnswer(query);
      if (says === 'SERVFAIL') message[3] |= 2;
      message.writeUInt32BE(says === 'TTL 1' ? 1 : 0, message.length - ttlFromEnd);
      return message;
    };
    const ttlOf = (message: Buffer): number => message.readUInt32BE(message.length - ttlFromEnd);
    const spot = await newSpot({ ...onLoopback, answer });
    context.after(() => spot.remove());
    const older = await spot.start();
    const newer = await spot.start();
    await eventually('the older one stands by', () => (older.said('this instance is standby') ? true : undefined));
    const client = await openUdp(spot.place);
    let id = 0;
    const asks = async (): Promise<Buffer> => {
      client.send(question(++id, 'ended', 1));
      return client.receive(id);
    };
    const given = async (): Promise<number> => {
      const page = await (await fetch(`http://127.0.0.1:${spot.watchPort}/metrics`)).text();
      return Number(/^zerohop_handover_entries_total\{direction="given"\} (\d+)$/m.exec(page)?.[1]);
    };
    assert.equal(ttlOf(await asks()), 1);
    await eventually('the other one hears of it', async () => ((await given()) === 1 ? true : undefined));
    says = 'TTL 0';
    await eventually('there is a newer one', async () => (ttlOf(await asks()) === 0 ? true : undefined));
    await eventually('the other one hears of that', async () => ((await given()) === 2 ? true : undefined));
    says = 'SERVFAIL';
    await newer.kill();
    await eventually('it serves', () => (older.said('the serving instance is gone') ? true : undefined));
    assert.equal((await asks())[3] & 0x0f, 2);
    client.close();
  });
});
