/** One client floods an upstream with misses while another asks a little: the second is not to notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionInflightMax, connectionsPerUpstreamMax, upstreamQueueMax } from '../../src/limits.js';
import { openUpstream } from '../simulation/upstream.js';
import { request, server, TestWorld } from './scripted.js';

const flood = 50_000;
const floodPerMs = 25;

test('50,000 distinct misses of one client beside 100 a second of another', async () => {
  const world = new TestWorld();
  const { clock } = world;
  world.network.setFaultsTo(server(1), { latencyMs: 0.2 });
  const opening = openUpstream(world.network, clock, server(1));
  await clock.pass(1);
  const upstream = await opening;
  // Served serially, 4 ms each: 64 connections can do 16,000 a second, and 25,000 come.
  upstream.isSerial = true;
  upstream.after(4);
  upstream.on(({ question }) => ({ answers: [{ type: 'A', name: question.name, ttl: 5, data: '10.1.2.3' }] }));
  const forwards = world.start({});
  const floods = new Map<string, number>();
  const took: number[] = [];
  let others = 0;
  let inflightMost = 0;
  for (let ms = 0; ms < flood / floodPerMs; ms++) {
    for (let count = 0; count < floodPerMs; count++) {
      const asked = request(`f${ms}-${count}.example`, { client: '10.244.0.1' });
      forwards.ask(asked, (outcome) => {
        const how = outcome.ok ? 'ok' : outcome.why;
        floods.set(how, (floods.get(how) ?? 0) + 1);
      });
    }
    if (ms % 10 === 0) {
      const startMs = clock.nowMs();
      others++;
      forwards.ask(request(`o${ms}.example`, { client: '10.244.0.2' }), (outcome) => {
        assert(outcome.ok, outcome.ok ? '' : outcome.text);
        took.push(clock.nowMs() - startMs);
      });
    }
    inflightMost = Math.max(inflightMost, forwards.inflight());
    await clock.pass(1);
  }
  await clock.pass(2_000);
  took.sort((one, other) => one - other);
  assert.equal(took.length, others);
  const p99Ms = took[Math.floor(took.length * 0.99)];
  assert(p99Ms < 100, `p99 ${p99Ms} ms`);
  const ended = [...floods.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(ended, flood);
  assert((floods.get('overloaded') ?? 0) > 0, 'the flood was more than could be served');
  assert(
    inflightMost <= upstreamQueueMax + connectionsPerUpstreamMax * connectionInflightMax + floodPerMs + 1,
    `${inflightMost}`,
  );
  forwards.stop();
});
