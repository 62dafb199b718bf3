/**
 * An upstream whose answers over UDP arrive damaged, before the whole program: what clients get over UDP and over TCP,
 * when, and that nothing of it is kept.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cut, cutInOpt, type Damaged, garbled, misplacedOpt } from '../upstream/damaged.js';
import { answerTo, type Query, ScriptedUpstream } from '../upstream/scripted.js';
import { clusterDns, newWorld, opening, type World } from './world.js';

const corefile = '. {\n bind 169.254.20.10\n errors\n cache 30\n forward . 10.96.0.10\n}\n';

interface Damaging extends World {
  readonly dns: ScriptedUpstream;
  /** Questions about this name that reached the upstream, by their transports. */
  askedFor(name: string): string[];
}

/** From now on answers over UDP are damaged so; over TCP they are good, or nobody listens. */
async function damaging(make: Damaged, tcp: 'good' | 'closed' | 'damaged'): Promise<Damaging> {
  const world = await newWorld({ corefile });
  world.upstream.stop();
  const dns = new ScriptedUpstream(world, clusterDns);
  await opening(world.clock, tcp === 'closed' ? dns.listen('udp') : dns.listen());
  dns.onQuery = (query: Query) =>
    query.reply(query.transport === 'udp' || tcp === 'damaged' ? make(query) : answerTo(query));
  const askedFor = (name: string): string[] =>
    dns.queries.filter((query) => query.name === name).map(({ transport }) => transport);
  return { ...world, dns, askedFor };
}

describe('an answer that was cut on its way', () => {
  for (const [what, make] of Object.entries({ ...cut, ...cutInOpt })) {
    it(`is had over TCP, and kept: ${what}`, async () => {
      const world = await damaging(make, 'good');
      for (const transport of ['udp', 'tcp'] as const) {
        const answer = await world.asks('a.example.', 'A', { transport });
        assert.deepEqual([answer.rcode, answer.data, answer.afterMs < 20], ['NOERROR', ['10.1.2.3'], true]);
      }
      const withoutOpt = what in cutInOpt ? ['udp'] : [];
      assert.deepEqual(world.askedFor('a.example'), ['udp', ...withoutOpt, 'tcp']);
    });

    it(`is TC over UDP and a failure over TCP where the upstream has no TCP, soon, and not kept: ${what}`, async () => {
      const world = await damaging(make, 'closed');
      for (const edns of [undefined, {}]) {
        const over = await world.asks('a.example.', 'A', edns === undefined ? {} : { edns });
        assert.deepEqual([over.rcode, over.data, over.message.flag_tc], ['NOERROR', [], true]);
        assert.ok(over.afterMs < 500, `${over.afterMs} ms`);
        const again = await world.asks('a.example.', 'A', {
          transport: 'tcp',
          ...(edns === undefined ? {} : { edns }),
        });
        assert.deepEqual([again.rcode, again.message.flag_tc], ['SERVFAIL', false]);
        assert.ok(again.afterMs < 500, `${again.afterMs} ms`);
      }
      world.dns.onQuery = (query) => query.reply(answerTo(query));
      const well = await world.asks('a.example.', 'A');
      assert.deepEqual(well.data, ['10.1.2.3']);
      assert.equal(well.message.flag_tc, false);
    });
  }

  it('is stale data over TCP, where there are some', async () => {
    const world = await damaging(cut['the end is in the data'], 'closed');
    const { onQuery } = world.dns;
    world.dns.onQuery = (query) => query.reply(answerTo(query));
    await world.asks('a.example.', 'A');
    await world.passSeconds(60);
    world.dns.onQuery = onQuery;
    const answer = await world.asks('a.example.', 'A', { transport: 'tcp' });
    assert.deepEqual([answer.rcode, answer.data], ['NOERROR', ['10.1.2.3']]);
  });
});

describe('an answer that makes no sense', () => {
  for (const [what, make] of [
    ...Object.entries({ ...garbled, ...misplacedOpt }),
    ['is cut over TCP as well', cut['an address has three bytes']] as const,
  ]) {
    it(`is none, over UDP as over TCP, and not kept: ${what}`, async () => {
      const world = await damaging(make, 'damaged');
      for (const transport of ['udp', 'tcp'] as const) {
        const answer = await world.asks('a.example.', 'A', { transport });
        assert.deepEqual([answer.rcode, answer.message.flag_tc], ['SERVFAIL', false]);
        assert.ok(answer.afterMs < 500, `${answer.afterMs} ms`);
      }
      assert.equal(world.said('dns: bad message').length > 0, true);
      world.dns.onQuery = (query) => query.reply(answerTo(query));
      assert.deepEqual((await world.asks('a.example.', 'A')).data, ['10.1.2.3']);
    });
  }
});
