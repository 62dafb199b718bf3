import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile, type World } from './world.js';

const hosts = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];

async function worldWith(lines: string, cache = 'cache'): Promise<World> {
  const corefile = simpleCorefile.replace('  cache\n', `  ${cache}\n  ${lines}\n`);
  const world = await newWorld({ corefile });
  world.upstream.answers('a.example.', 'A', hosts, { ttlSeconds: 30 });
  return world;
}

/** Each answer's addresses in their order, so many times. */
async function orders(world: World, times: number, transport: 'udp' | 'tcp' = 'udp'): Promise<string[]> {
  const seen: string[] = [];
  for (let round = 0; round < times; round++) {
    seen.push((await world.asks('a.example.', 'A', { transport })).data.join(' '));
  }
  return seen;
}

describe('loadbalance', () => {
  it('gives cached addresses in every order, over both transports, and asks once', async () => {
    const world = await worldWith('loadbalance round_robin');
    for (const transport of ['udp', 'tcp'] as const) {
      const seen = await orders(world, 60, transport);
      assert.equal(new Set(seen).size, 6);
      for (const order of seen) assert.deepEqual(order.split(' ').sort(), hosts);
    }
    assert.equal(world.upstream.asked('a.example.'), 1);
  });

  it('does so without a cache, too; and without it they stay as they came', async () => {
    const seen = await orders(await worldWith('loadbalance', ''), 40);
    assert.ok(new Set(seen).size > 3);
    assert.deepEqual(new Set(await orders(await worldWith(''), 10)), new Set([hosts.join(' ')]));
  });

  it('puts preferred networks first', async () => {
    const world = await worldWith('loadbalance {\n    prefer 192.0.2.3/32 192.0.2.2/32\n  }');
    assert.deepEqual(new Set(await orders(world, 10)), new Set(['192.0.2.3 192.0.2.2 192.0.2.1']));
  });

  it('counts TTLs down and mixes stale answers as well', async () => {
    const world = await worldWith('loadbalance');
    await orders(world, 1);
    await world.passSeconds(10);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [20, 20, 20]);
    world.upstream.silent('a.example.');
    await world.passSeconds(30);
    const seen = await orders(world, 12);
    assert.ok(new Set(seen).size > 1);
    assert.ok(world.upstream.asked('a.example.') > 1);
  });

  it('puts aliases before addresses', async () => {
    const alias = { name: 'b.example', type: 'CNAME', ttl: 30, data: 'c.example' } as const;
    const addresses = hosts.map((data) => ({ name: 'c.example', type: 'A', ttl: 30, data }) as const);
    for (const [lines, first] of [
      ['loadbalance', 'CNAME'],
      ['', 'A'],
    ]) {
      const world = await worldWith(lines);
      world.upstream.on(({ name }) => (name === 'b.example.' ? { answers: [...addresses, alias] } : undefined));
      const { message } = await world.asks('b.example.', 'A');
      assert.equal(message.answers?.length, 4);
      assert.equal(message.answers?.[0].type, first);
    }
  });
});
