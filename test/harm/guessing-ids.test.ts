/**
 * Somebody guesses the id of a request on its UDP port: wrong ones first, in the end the right one. After the first wrong one
 * nothing is taken from that port, and the question is asked where the guesses are worth nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { queryDeadlineMs, slowDeadlineMs, triesPerQuestionMax } from '../../src/limits.js';
import { Asking, answerTo, type Query, question, ScriptedUpstream, server, TestWorld } from '../upstream/scripted.js';

const forged = ['6.6.6.6'];
const rightMs = 20;

/** The upstream, which answers after 20 ms, and beside it somebody who knows everything but the id. */
async function attacked(guess: (query: Query) => void, transports: readonly ('udp' | 'tcp')[] = ['udp', 'tcp']) {
  const world = new TestWorld();
  const upstream = new ScriptedUpstream(world, server(1));
  await upstream.listen(...transports);
  const asking = new Asking(world, world.start({ transport: 'client' }));
  upstream.onQuery = (query) => {
    world.clock.after(rightMs, () => query.reply(answerTo(query)));
    if (query.transport === 'udp') guess(query);
  };
  return { world, upstream, asking, clock: world.clock };
}

/** Guesses this often before the right id. */
const guesses = (wrong: number) => (query: Query) => {
  for (let guess = 1; guess <= wrong; guess++) {
    query.reply(answerTo(query, { id: (query.id + guess) % 65_536, addresses: forged }));
  }
  query.reply(answerTo(query, { addresses: forged }));
};

const addressOf = (message: Buffer | undefined) => [...(message?.subarray(-4) ?? [])].join('.');

describe('somebody who guesses ids', () => {
  const ways: readonly [string, (query: Query) => void][] = [
    ['after 100 wrong ids', guesses(100)],
    ['after one wrong id', guesses(1)],
    [
      'after the right id for another question',
      (query) => {
        query.reply(answerTo(query, { question: question('other.example'), addresses: forged }));
        query.reply(answerTo(query, { addresses: forged }));
      },
    ],
    [
      'after a datagram of one byte',
      (query) => {
        query.reply(Uint8Array.of(query.id >> 8));
        query.reply(answerTo(query, { addresses: forged }));
      },
    ],
    [
      'after a query',
      (query) => {
        query.reply(query.bytes);
        query.reply(answerTo(query, { addresses: forged }));
      },
    ],
  ];
  for (const [when, guess] of ways) {
    it(`is not believed with the right one ${when}: TCP has the answer`, async () => {
      const { world, upstream, asking, clock } = await attacked(guess);
      const asked = asking.ask('a.example');
      await clock.pass(100);
      assert.equal(addressOf(asked.got?.message), '10.1.2.3');
      assert.deepEqual(
        upstream.queries.map(({ transport }) => transport),
        ['udp', 'tcp'],
      );
      assert.equal(world.counters.total('upstreamDisturbedRetries'), 1);
      assert.equal(world.counters.total('upstreamRetries'), 0);
      assert.equal(world.counters.total('upstreamOneWay'), 0, 'UDP is not found to lead nowhere');
      assert.deepEqual(world.logged, []);
    });
  }

  it('is not believed for a hundred questions at once, nor for those after them', async () => {
    const { world, asking, clock } = await attacked(guesses(20));
    for (let round = 0; round < 5; round++) {
      const all = Array.from({ length: 100 }, (_, index) => asking.ask(`n${index}.example`));
      await clock.pass(300);
      for (const { got } of all) assert.equal(addressOf(got?.message), '10.1.2.3');
    }
    assert.equal(world.counters.total('upstreamDisturbedRetries'), 500);
    assert.equal(world.counters.total('upstreamTimeouts'), 0);
  });

  it('is not believed where UDP is all there is: another port has the answer', async () => {
    let attacks = 2;
    const { world, upstream, asking, clock } = await attacked(
      (query) => {
        if (query.name !== '' && attacks-- > 0) guesses(100)(query);
      },
      ['udp'],
    );
    const asked = asking.ask('a.example');
    await clock.pass(queryDeadlineMs);
    assert.equal(addressOf(asked.got?.message), '10.1.2.3');
    const ports = upstream.queries.filter(({ name }) => name !== '').map(({ from }) => from.port);
    assert.deepEqual([ports.length, new Set(ports).size], [3, 3]);
    assert.equal(world.counters.total('upstreamDisturbedRetries'), 2);
  });

  it('is not believed where TCP is silent', async () => {
    let attacks = 1;
    const { upstream, asking, clock } = await attacked((query) => {
      if (attacks-- > 0) guesses(100)(query);
    });
    const { onQuery } = upstream;
    upstream.onQuery = (query) => {
      if (query.transport === 'udp') onQuery(query);
    };
    const asked = asking.ask('a.example');
    await clock.pass(queryDeadlineMs);
    assert.equal(addressOf(asked.got?.message), '10.1.2.3');
  });

  it('who finds every port has the question fail, after a few tries', async () => {
    const { world, upstream, asking, clock } = await attacked(guesses(3), ['udp']);
    const asked = asking.ask('a.example');
    await clock.pass(slowDeadlineMs);
    assert.match(asked.got?.text ?? '', /^(malformed|unreachable|timeout)/);
    assert.ok(upstream.queries.length <= triesPerQuestionMax, `${upstream.queries.length}`);
    assert.equal(world.network.open.datagramSockets, 1, 'the upstream’s own');
  });
});

describe('a network that doubles answers', () => {
  it('changes nothing, though the second comes when the port has its next request out', async () => {
    const { world, upstream, asking, clock } = await attacked(() => {});
    const { onQuery } = upstream;
    upstream.onQuery = (query) => {
      onQuery(query);
      world.clock.after(rightMs + 10, () => query.reply(answerTo(query)));
    };
    for (let asked = 0; asked < 20; asked++) {
      const one = asking.ask(`n${asked}.example`);
      await clock.pass(rightMs + 5);
      assert.equal(addressOf(one.got?.message), '10.1.2.3');
    }
    assert.ok(upstream.queries.every(({ transport }) => transport === 'udp'));
    assert.equal(upstream.queries.length, 20);
    assert.equal(world.counters.total('upstreamDisturbedRetries'), 0);
    assert.ok(world.counters.total('answersRejectedId') >= 10);
  });
});
