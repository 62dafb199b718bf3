/**
 * A pod asks one question from each of thousands of source addresses while the upstream is slow, so that each place in
 * the queue before the upstream has another client. Everybody gets an outcome, and a victim that comes later its answer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connectionInflightMax,
  connectionsPerUpstreamMax,
  queryDeadlineMs,
  sweepPeriodMs,
  udpSocketsPerUpstreamMax,
  upstreamQueueMax,
} from '../../src/limits.js';
import { answerTo, request, ScriptedUpstream, server, TestWorld } from '../upstream/scripted.js';

const placesOf = { tcp: connectionInflightMax * connectionsPerUpstreamMax, udp: udpSocketsPerUpstreamMax } as const;

for (const transport of ['tcp', 'udp'] as const) {
  for (const each of [1, 2]) {
    test(`over ${transport}, ${each} of each client: all have an outcome, and the next are answered`, async () => {
      const world = new TestWorld();
      const upstream = await ScriptedUpstream.start(world, server(1));
      upstream.onQuery = () => {};
      const forwards = world.start({ transport });
      const outcomes = new Map<string, number>();
      const count = placesOf[transport] + upstreamQueueMax + 1_000;
      const flood = (round: number): void => {
        for (let index = 0; index < count; index++) {
          const asked = request(`q${round}-${index}`, {
            client: `client ${round}-${Math.floor(index / each)}`,
            clientTransport: transport,
          });
          forwards.ask(asked, (outcome) => {
            const how = outcome.ok ? 'ok' : outcome.why;
            outcomes.set(how, (outcomes.get(how) ?? 0) + 1);
          });
        }
      };
      const rounds = 3;
      for (let round = 0; round < rounds; round++) {
        flood(round);
        await world.clock.pass(2 * sweepPeriodMs);
      }
      // Some are answered, so that those who wait are taken out of the queue.
      upstream.onQuery = (query) => query.reply(answerTo(query));
      for (const query of upstream.queries.slice(-placesOf[transport])) query.reply(answerTo(query));
      let answered = false;
      await world.clock.pass(queryDeadlineMs);
      forwards.ask(request('victim', { client: 'victim', clientTransport: transport }), (outcome) => {
        answered = outcome.ok;
      });
      await world.clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
      assert.ok(answered);
      assert.equal(
        [...outcomes.values()].reduce((sum, one) => sum + one, 0),
        rounds * count,
      );
      assert.ok((outcomes.get('overloaded') ?? 0) > 0, 'the queue was full');
      assert.equal(forwards.inflight(), 0);
      forwards.stop();
    });
  }
}
