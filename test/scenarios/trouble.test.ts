/**
 * A cluster DNS that does everything wrong in turn, before the whole program: forty pods ask for forty names at once,
 * and what they get, when, and what it costs the upstream is counted.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { askAgainLeast, triesPerQuestionMax } from '../../src/limits.js';
import { answerTo, type Query, question, ScriptedUpstream } from '../upstream/scripted.js';
import { clusterDns, newWorld, opening, type World } from './world.js';

const pods = 40;

const good = (query: Query): void => query.reply(answerTo(query));
const silent = (): void => {};

interface Troubled extends World {
  readonly dns: ScriptedUpstream;
  /** Asks for forty names; time passes by itself until the answers are there. */
  ask(label?: string): Promise<Answers>;
  /** The same without waiting. */
  begin(label?: string): Promise<Answers>;
  /** Questions of pods that reached the upstream. */
  readonly asked: number;
  /** Events since the trouble began. */
  total(event: Parameters<World['app']['total']>[0]): number;
}

/** Rcodes of the forty answers, and the time that the last of them took. */
interface Answers {
  readonly rcodes: readonly string[];
  readonly lastMs: number;
}

/** All is well at first: the names of `known` have been asked for, and have expired. */
async function troubled(): Promise<Troubled> {
  const world = await newWorld();
  world.upstream.stop();
  const dns = await opening(world.clock, ScriptedUpstream.start(world, clusterDns));
  const begin: Troubled['begin'] = async (label = 'n') => {
    const asking = Array.from({ length: pods }, (_, index) =>
      world.client(`10.244.0.${index + 1}`).asks(`${label}${index}.example.`, 'A'),
    );
    const answers = await Promise.all(asking);
    const lastMs = Math.max(...answers.map(({ afterMs }) => afterMs));
    return { rcodes: [...new Set(answers.map(({ rcode }) => rcode))], lastMs };
  };
  const ask: Troubled['ask'] = (label) => opening(world.clock, begin(label));
  assert.deepEqual((await ask('known')).rcodes, ['NOERROR']);
  await world.passSeconds(61);
  dns.queries.length = 0;
  const before = new Map<string, number>();
  const { app } = world;
  const total: Troubled['total'] = (event) => app.total(event) - (before.get(event) ?? 0);
  const events = ['upstreamRetries', 'upstreamHedges', 'upstreamTimeouts', 'upstreamConnects'] as const;
  for (const event of events) before.set(event, app.total(event));
  return {
    ...{ ...world, dns, ask, begin, total },
    get asked() {
      return dns.names().filter((name) => name.includes('example')).length;
    },
  };
}

/** Names that were asked for before are answered all the same, soon. */
async function knownAreStale(world: Troubled): Promise<void> {
  const { rcodes, lastMs } = await world.ask('known');
  assert.deepEqual(rcodes, ['NOERROR']);
  assert.ok(lastMs < 500, `${lastMs} ms`);
}

/** Other names fail within the time that a client waits. */
async function unknownFail(world: Troubled): Promise<void> {
  const { rcodes, lastMs } = await world.ask();
  assert.deepEqual(rcodes, ['SERVFAIL']);
  assert.ok(lastMs < 2_000, `${lastMs} ms`);
}

describe('a cluster DNS', () => {
  it('that answers out of order: every answer finds its question, nothing is asked twice', async () => {
    const world = await troubled();
    let waiting: Query[] = [];
    world.dns.onQuery = (query) => {
      if (waiting.length === 0) {
        world.clock.after(5, () => {
          for (const one of waiting.reverse()) good(one);
          waiting = [];
        });
      }
      waiting.push(query);
    };
    assert.deepEqual((await world.ask()).rcodes, ['NOERROR']);
    assert.deepEqual([world.asked, world.total('answersRejectedId')], [pods, 0]);
  });

  it('whose answers come one byte at a time: the same', async () => {
    const world = await troubled();
    world.network.setFaultsTo(clusterDns, { chunks: 1, latencyMs: 1 });
    assert.deepEqual((await world.ask()).rcodes, ['NOERROR']);
    assert.deepEqual([world.asked, world.total('answersRejectedMalformed')], [pods, 0]);
  });

  it('that closes after each answer: nobody fails, and no question is asked more often than tries allow', async () => {
    const world = await troubled();
    const seen = new Set<Query['stream']>();
    world.dns.onQuery = (query) => {
      if (seen.has(query.stream)) return;
      seen.add(query.stream);
      good(query);
      query.stream?.end();
    };
    const { rcodes, lastMs } = await world.ask();
    assert.deepEqual(rcodes, ['NOERROR']);
    assert.ok(lastMs < 500, `${lastMs} ms`);
    assert.ok(world.asked <= pods * triesPerQuestionMax, `${world.asked}`);
    assert.equal(world.total('upstreamTimeouts'), 0);
  });

  it('that resets connections in the middle of an answer: half an answer is none, and each is had whole', async () => {
    const world = await troubled();
    let resets = 0;
    world.dns.onQuery = (query) => {
      if (resets >= 3) return good(query);
      resets++;
      query.stream?.write(Buffer.from([0, answerTo(query).length, ...answerTo(query).subarray(0, 20)]));
      world.clock.after(1, () => void world.network.resetConnections(clusterDns));
    };
    assert.deepEqual((await world.ask()).rcodes, ['NOERROR']);
    assert.equal(world.total('answersRejectedMalformed'), 0);
    assert.ok(world.total('upstreamRetries') > 0);
    assert.ok(world.asked <= pods * triesPerQuestionMax, `${world.asked}`);
  });

  it('that answers with wrong ids and questions before the right ones: counted, passed over, nothing asked twice', async () => {
    const world = await troubled();
    world.dns.onQuery = (query) => {
      query.reply(answerTo(query, { id: (query.id + 1) % 65_536, addresses: ['192.0.2.66'] }));
      query.reply(answerTo(query, { question: question('other.example'), addresses: ['192.0.2.66'] }));
      good(query);
    };
    const client = world.client('10.244.9.9');
    assert.deepEqual((await opening(world.clock, client.asks('one.example.', 'A'))).data, ['10.1.2.3']);
    assert.deepEqual((await world.ask()).rcodes, ['NOERROR']);
    assert.equal(world.asked, pods + 1);
    const rejected = world.total('answersRejectedId') + world.total('answersRejectedQuestion');
    assert.equal(rejected, 2 * (pods + 1));
  });

  it('that answers eight seconds late: SERVFAIL within two, known names stale within half, and late answers change nothing', async () => {
    const world = await troubled();
    world.dns.onQuery = (query) => void world.clock.after(8_000, () => good(query));
    await unknownFail(world);
    await knownAreStale(world);
    assert.equal(world.app.total('stalePatience') + world.app.total('staleOnFailure'), pods);
    const extra = world.asked - 2 * pods;
    assert.ok(extra <= askAgainLeast, `${extra} asked again`);
    await world.passSeconds(9);
    assert.equal(world.total('upstreamTimeouts'), 2 * pods);
    assert.equal(world.app.waiting, 0);
  });

  it('that accepts and never answers: the same, and its connections are given up', async () => {
    const world = await troubled();
    world.dns.onQuery = silent;
    await knownAreStale(world);
    await unknownFail(world);
    assert.ok(world.asked - 2 * pods <= askAgainLeast, `${world.asked}`);
    world.dns.onQuery = good;
    await world.pass(1_000);
    const back = await world.ask('back');
    assert.deepEqual(back.rcodes, ['NOERROR']);
    assert.ok(back.lastMs < 100, `${back.lastMs} ms`);
  });

  it('that refuses connections: known names are stale at once, others SERVFAIL soon, and connects are few', async () => {
    const world = await troubled();
    world.dns.die();
    await knownAreStale(world);
    await unknownFail(world);
    // Twice forty questions, three tries each at the most, and several on each connection.
    assert.ok(world.total('upstreamConnects') <= 2 * pods, `${world.total('upstreamConnects')}`);
    assert.ok(world.app.total('upstreamConnectFailures') > 0);
    await world.pass(1_500);
    assert.equal(world.said(' is down after 3 failures').length, 1);
  });

  it('that restarts with questions in hand: they are asked again, and nobody fails', async () => {
    const world = await troubled();
    world.dns.onQuery = silent;
    const asking = world.begin();
    await world.pass(20);
    world.dns.die();
    await world.pass(50);
    world.dns.onQuery = good;
    await world.dns.listen();
    const { rcodes, lastMs } = await opening(world.clock, asking);
    assert.deepEqual(rcodes, ['NOERROR']);
    assert.ok(lastMs < 1_000, `${lastMs} ms`);
    assert.ok(world.asked <= 3 * pods, `${world.asked}`);
  });
});
