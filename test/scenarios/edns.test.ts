/**
 * Upstreams that cannot do anything with an OPT, before the whole program: clients that sent none do not notice ours, and
 * those that sent DO get what there is, of which nothing is kept as an answer to DO.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withoutOptMs } from '../../src/limits.js';
import type { Asked, Reply } from '../simulation/upstream.js';
import { newWorld, type World } from './world.js';

const corefile = '. {\n bind 169.254.20.10\n errors\n cache 30\n forward . 10.96.0.10\n}\n';

const hasOpt = ({ message }: Asked): boolean => message.additionals?.some(({ type }) => type === 'OPT') ?? false;

/** An upstream that says this to queries with an OPT and is well without, over UDP and TCP. */
async function disliking(says: (asked: Asked) => Reply): Promise<World> {
  const world = await newWorld({ corefile });
  for (const name of ['a', 'b', 'c']) world.upstream.answers(`${name}.example.`, 'A', ['192.0.2.1']);
  world.upstream.on((asked) => (hasOpt(asked) ? says(asked) : undefined));
  return world;
}

/** Whether the queries about this name had an OPT. */
const optsOf = ({ upstream }: World, name: string): boolean[] =>
  upstream.questions.filter((asked) => asked.name === `${name}.example.`).map(hasOpt);

describe('an upstream that cannot take an OPT', () => {
  for (const [what, says] of Object.entries<(asked: Asked) => Reply>({
    'says FORMERR': () => ({ rcode: 1 }),
    'says NOTIMP': () => ({ rcode: 4 }),
    'says SERVFAIL': () => ({ rcode: 2 }),
    'drops the query': () => null,
    'says FORMERR with nothing but a header': ({ bytes }) =>
      Buffer.concat([bytes.subarray(0, 2), Buffer.from('81810000000000000000', 'hex')]),
  })) {
    it(`${what}: clients without EDNS are answered, at once when that is known`, async () => {
      const world = await disliking(says);
      const first = await world.asks('a.example.', 'A');
      assert.deepEqual([first.rcode, first.data, first.opt], ['NOERROR', ['192.0.2.1'], undefined]);
      assert.ok(first.afterMs < 500, `${first.afterMs} ms`);
      const second = await world.asks('b.example.', 'A');
      assert.deepEqual([second.rcode, second.data], ['NOERROR', ['192.0.2.1']]);
      assert.ok(second.afterMs < 20, `${second.afterMs} ms`);
      assert.deepEqual(optsOf(world, 'b'), [false]);
      // It is asked with one again after a while; nobody is the worse for it.
      await world.pass(withoutOptMs);
      const third = await world.asks('c.example.', 'A', { edns: {} });
      assert.deepEqual([third.rcode, third.data, third.opt?.udpPayloadSize], ['NOERROR', ['192.0.2.1'], 1232]);
      assert.equal(optsOf(world, 'c')[0], true);
      assert.ok(third.afterMs < 500, `${third.afterMs} ms`);
    });
  }

  for (const speaksEdns of [true, false]) {
    it(`gives clients with DO what it has, each time anew, and others theirs (OPT in the error: ${speaksEdns})`, async () => {
      const world = await disliking(() => ({ rcode: 1 }));
      world.upstream.speaksEdns = speaksEdns;
      for (let count = 1; count <= 3; count++) {
        const answer = await world.asks('a.example.', 'A', { edns: { dnssecOk: true } });
        assert.deepEqual([answer.rcode, answer.data], ['NOERROR', ['192.0.2.1']]);
        assert.equal(optsOf(world, 'a').length, 2 * count);
      }
      await world.asks('a.example.', 'A');
      await world.asks('a.example.', 'A');
      assert.equal(optsOf(world, 'a').length, 7);
    });
  }

  it('and says SERVFAIL: to DO that is the answer, since DNSSEC is what may have failed', async () => {
    const world = await disliking(() => ({ rcode: 2 }));
    const answer = await world.asks('a.example.', 'A', { edns: { dnssecOk: true } });
    assert.equal(answer.rcode, 'SERVFAIL');
    assert.deepEqual(optsOf(world, 'a'), [true]);
  });
});
