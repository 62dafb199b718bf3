import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { askAgainAfterMs, oneWayMs, wayHeardMs } from '../../src/limits.js';
import { Transports } from '../../src/upstream/upstream.js';
import { Asking, answerTo, type Got, ScriptedUpstream, TestWorld } from './scripted.js';

test('as wanted, until one way is found to be the only one, and again after a while', () => {
  const transports = new Transports();
  assert.equal(transports.usual('udp', 0), 'udp');
  assert.equal(transports.learn('tcp', 0), true);
  assert.equal(transports.learn('tcp', 1), false);
  assert.equal(transports.usual('udp', oneWayMs), 'tcp');
  assert.equal(transports.usual('udp', oneWayMs + 1), 'udp');
});

test('a way that worked lately is used again; a lost packet is no proof against it', () => {
  const transports = new Transports();
  transports.heard('udp', 1_000);
  assert.equal(transports.afterSilence('udp', 1_000 + wayHeardMs - 1), 'udp');
  assert.equal(transports.learn('tcp', 2_000), false);
  assert.equal(transports.usual('udp', 2_000), 'udp');
  assert.equal(transports.afterSilence('udp', 1_000 + wayHeardMs), 'tcp');
});

test('the other way works after all: nothing is believed any more', () => {
  const transports = new Transports();
  transports.learn('tcp', 0);
  transports.heard('udp', 10);
  assert.equal(transports.usual('udp', 20), 'udp');
});

async function only(transport: 'udp' | 'tcp', settings: Partial<ForwardConfig>, isSilent: boolean) {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  if (isSilent) {
    const { onQuery } = upstream;
    upstream.onQuery = (query) => {
      if (query.transport === transport) onQuery(query);
    };
  } else {
    upstream.die();
    await upstream.listen(transport);
  }
  const asking = new Asking(world, world.start(settings));
  return { world, upstream, asking, clock: world.clock };
}

for (const isSilent of [true, false]) {
  const words = isSilent ? 'silent' : 'refused';
  test(`TCP only, UDP ${words}: found out by the first question, remembered for the next`, async () => {
    const { world, asking, clock } = await only('tcp', { transport: 'udp' }, isSilent);
    const first = asking.ask('a');
    await clock.pass(600);
    assert.equal(first.got?.text, 'rcode 0');
    const second = asking.ask('b');
    await clock.pass(3);
    assert.equal(second.got?.text, 'rcode 0');
    assert.equal(world.counters.total('upstreamOneWay'), 1);
    assert.deepEqual(
      world.logged.filter((line) => line.includes('only')),
      ['info upstream 10.0.0.1:53 answers over TCP only; using only that for 5 minutes'],
    );
  });

  test(`UDP only, TCP ${words}: a client’s question over TCP is asked over UDP`, async () => {
    const { asking, clock } = await only('udp', { transport: 'client' }, isSilent);
    const first = asking.ask('a', { clientTransport: 'tcp' });
    await clock.pass(600);
    assert.equal(first.got?.text, 'rcode 0');
    const second = asking.ask('b', { clientTransport: 'tcp' });
    await clock.pass(3);
    assert.equal(second.got?.text, 'rcode 0');
  });
}

test('UDP that is slow the first time is not the only way: what was asked beside it over TCP had no time to answer', async () => {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  upstream.onQuery = (query) => void world.clock.after(askAgainAfterMs + 50, () => query.reply(answerTo(query)));
  const asking = new Asking(world, world.start({ transport: 'client' }));
  const first = asking.ask('a');
  await world.clock.pass(askAgainAfterMs + 60);
  assert.equal(first.got?.text, 'rcode 0');
  asking.ask('b', { clientTransport: 'tcp' });
  await world.clock.pass(5);
  assert.equal(upstream.queries.at(-1)?.transport, 'tcp');
  assert.equal(world.counters.total('upstreamOneWay'), 0);
});

/** The answer records of an answer with TC; -1 for one without. */
function cutTo({ got }: { readonly got: Got | null }): number {
  return got !== null && (got.message[2] & 0x02) !== 0 ? got.message.readUInt16BE(6) : -1;
}

for (const isSilent of [true, false]) {
  const words = isSilent ? 'silent' : 'refused';
  test(`UDP only, TCP ${words}, and the answer is cut: it is passed on with TC, and found out for the next one`, async () => {
    const { world, upstream, asking, clock } = await only('udp', { transport: 'client' }, isSilent);
    const reply = upstream.onQuery;
    upstream.onQuery = (query) => {
      if (query.transport === 'udp') query.reply(answerTo(query, { truncated: true, addresses: ['10.1.2.3'] }));
      else reply(query);
    };
    const first = asking.ask('a');
    await clock.pass(2_000);
    assert.deepEqual([first.got?.text, cutTo(first)], ['rcode 0', 1]);
    const second = asking.ask('b');
    const overTcp = asking.ask('c', { clientTransport: 'tcp' });
    await clock.pass(askAgainAfterMs + 30);
    assert.deepEqual([second.got?.text, cutTo(second)], ['rcode 0', 1]);
    assert.deepEqual([overTcp.got?.text, cutTo(overTcp)], ['rcode 0', 1]);
    assert.equal(world.counters.total('upstreamTcpRetries'), 3);
    assert.equal(world.counters.total('upstreamCutAnswers'), 3);
    assert.deepEqual(
      world.logged.filter((line) => line.includes('only')),
      ['info upstream 10.0.0.1:53 answers over UDP only; using only that for 5 minutes'],
    );
    assert.equal(world.counters.total('upstreamTimeouts'), 0);
  });
}

test('TCP is there again: the next answer that is cut is had whole, and UDP is not the only way any more', async () => {
  const { upstream, asking, clock } = await only('udp', { transport: 'client' }, false);
  upstream.onQuery = (query) => query.reply(answerTo(query, { truncated: query.transport === 'udp' }));
  asking.ask('a');
  await clock.pass(2_000);
  await upstream.listen('tcp');
  const whole = asking.ask('b');
  await clock.pass(5);
  assert.deepEqual([whole.got?.text, cutTo(whole)], ['rcode 0', -1]);
  asking.ask('c', { clientTransport: 'tcp' });
  await clock.pass(5);
  assert.equal(upstream.queries.at(-1)?.transport, 'tcp');
});

test('an answer cut within a record is passed on without records', async () => {
  const { upstream, asking, clock } = await only('udp', { transport: 'client' }, false);
  upstream.onQuery = (query) => query.reply(answerTo(query, { truncated: true }).subarray(0, -3));
  const asked = asking.ask('a');
  await clock.pass(2_000);
  assert.deepEqual([asked.got?.text, cutTo(asked)], ['rcode 0', 0]);
  assert.equal(asked.got?.message.length, 12 + 'a'.length + 2 + 4);
});

test('cut over UDP by an upstream whose TCP worked a moment ago: the cut answer, but nothing is concluded', async () => {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  const asking = new Asking(world, world.start({ transport: 'client' }));
  asking.ask('a', { clientTransport: 'tcp' });
  await world.clock.pass(5);
  upstream.onQuery = (query) => {
    if (query.transport === 'udp') query.reply(answerTo(query, { truncated: true }));
  };
  const cut = asking.ask('b');
  await world.clock.pass(2_000);
  assert.equal(cut.got?.text, 'rcode 0');
  assert.equal(world.counters.total('upstreamOneWay'), 0);
});

test('force_tcp is never UDP', async () => {
  const { upstream, asking, clock } = await only('udp', { transport: 'tcp' }, false);
  asking.ask('a');
  await clock.pass(2_500);
  assert.equal(asking.got.length, 1);
  assert.equal(upstream.queries.filter(({ name }) => name === 'a').length, 0);
});
