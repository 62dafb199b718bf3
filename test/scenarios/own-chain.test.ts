/**
 * Server blocks that ask other blocks of the same server through its own listeners: CoreDNS's way to several providers over
 * TLS. Only what would come back to the block that asks is refused.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client } from '../simulation/client.js';
import { seededRandom } from '../simulation/random.js';
import { newWorld, opening, type World } from './world.js';

const chain = (third = '192.0.2.53') => `.:53 {
  bind 169.254.20.10
  errors
  loop
  forward . 169.254.20.10:5301 169.254.20.10:5302
}
.:5301 {
  bind 169.254.20.10
  errors
  cache
  forward . 10.96.0.10
}
.:5302 {
  bind 169.254.20.10
  errors
  cache
  forward . ${third}
}
`;

function answering(world: World): World {
  for (const upstream of [world.upstream, world.outside]) {
    upstream.answers('a.example.', 'A', ['192.0.2.1']);
    upstream.answers('b.corp.example.', 'A', ['192.0.2.2']);
    upstream.answers('a.svc.cluster.local.', 'A', ['10.96.0.7']);
  }
  return world;
}

/** What is said of loops. */
const loops = (world: World) => [...world.said("this server's own address"), ...world.said('sends our queries back')];

describe('a chain of our own listeners', () => {
  it('is asked, over UDP and TCP, and nothing is called a loop', async () => {
    const world = answering(await newWorld({ corefile: chain() }));
    await world.passSeconds(5);
    for (const transport of ['udp', 'tcp'] as const) {
      const { rcode, data } = await world.asks('a.example', 'A', { transport });
      assert.deepEqual([rcode, data], ['NOERROR', ['192.0.2.1']]);
    }
    assert.deepEqual(loops(world), []);
  });

  it('answers many at once', async () => {
    const world = answering(await newWorld({ corefile: chain() }));
    const names = Array.from({ length: 500 }, (_, at) => `n${at}.example.`);
    for (const upstream of [world.upstream, world.outside]) {
      upstream.on(({ name }) => ({ answers: [{ type: 'A', name: name.slice(0, -1), ttl: 30, data: '192.0.2.9' }] }));
    }
    const asking = names.map((name, at) => world.client(`10.244.0.${at % 50}`).asks(name as never, 'A'));
    await world.pass(1500);
    for (const { rcode } of await Promise.all(asking)) assert.equal(rcode, 'NOERROR');
    assert.equal(world.app.waiting, 0);
  });

  it('goes on by the other block when one has no answer, where failover says so', async () => {
    const corefile = chain('192.0.2.99').replace('169.254.20.10:5302', '169.254.20.10:5302 {\nfailover SERVFAIL\n}');
    const world = answering(await newWorld({ corefile }));
    for (let time = 0; time < 4; time++) assert.equal((await world.asks('a.example', 'A')).rcode, 'NOERROR');
  });

  it('that has become a circle by a reload is refused, and asked again after the next', async () => {
    const world = answering(await newWorld({ corefile: chain() }));
    assert.equal(await world.reload(chain('169.254.20.10').replaceAll('10.96.0.10', '169.254.20.10')), 'reloaded');
    const { rcode, afterMs } = await world.asks('a.example', 'A');
    assert.deepEqual([rcode, afterMs < 10], ['SERVFAIL', true]);
    assert.equal(await world.reload(chain()), 'reloaded');
    assert.equal((await world.asks('a.example', 'A')).rcode, 'NOERROR');
  });

  it('that has become a circle by a name is refused as soon as its addresses are known', async () => {
    const corefile = chain()
      .replace('forward . 192.0.2.53', 'forward . 192.0.2.53 back.test {\npolicy sequential\n}')
      .replace('169.254.20.10:5301 ', '');
    const world = answering(await newWorld({ corefile }));
    world.outside.answers('back.test.', 'A', ['169.254.20.10'], { ttlSeconds: 30 });
    await world.asks('a.example', 'A');
    await world.passSeconds(5);
    await world.asks('x.example', 'A');
    assert.equal(world.said("upstream 169.254.20.10:53 is this server's own address").length, 1);
    assert.equal((await world.asks('a.example', 'A')).rcode, 'NOERROR');
    assert.equal(world.app.waiting, 0);
  });
});

describe('loop', () => {
  it('finds out that what another block asks comes back to the one that has it', async () => {
    const world = await newWorld({ corefile: chain() });
    const behind = world.client('10.96.0.10');
    world.upstream.on(({ name, type }) => {
      if (type !== 'HINFO') return undefined;
      void behind.asks(name as never, type as never).catch(() => {});
      return null;
    });
    world.outside.answers('a.example.', 'A', ['192.0.2.1']);
    // They were looked at when nothing came back yet.
    assert.equal(await world.reload(`${chain()}# again\n`), 'reloaded');
    await world.passSeconds(6);
    assert.deepEqual(
      loops(world).map(({ message }) => message.slice(0, message.indexOf(','))),
      ['Corefile:1: upstream 169.254.20.10:5301 of . sends our queries back to us'],
    );
    assert.deepEqual((await world.asks('a.example', 'A')).data, ['192.0.2.1'], 'by the other block');
  });
});

describe('a question that would come back', () => {
  const corefile = `corp.example:53 {
  bind 169.254.20.10
  errors
  forward . 169.254.20.10:5301
}
.:5301 {
  bind 169.254.20.10
  errors
  forward . 169.254.20.10:53 192.0.2.53 {
    policy sequential
  }
}
`;

  it('is asked of others, or fails at once; those that do not come back are asked', async () => {
    const world = answering(await newWorld({ corefile: corefile.replace(' 192.0.2.53', '') }));
    const { rcode, afterMs } = await world.asks('b.corp.example', 'A', { edns: {} });
    assert.deepEqual([rcode, afterMs < 10], ['SERVFAIL', true]);
    assert.equal(world.app.waiting, 0);
    const other = answering(await newWorld({ corefile: corefile.replace('corp.example:53', '.:53') }));
    assert.deepEqual(
      (await other.asks('b.corp.example', 'A')).data,
      ['192.0.2.2'],
      'the second block has somebody else',
    );
  });

  it('is kept from the upstream that would bring it back, and no other is', async () => {
    const world = answering(
      await newWorld({
        corefile: corefile.replace(
          'corp.example:53 {',
          'sub.corp.example:53 {\n bind 169.254.20.10\n forward . 192.0.2.53\n}\ncorp.example:53 {',
        ),
      }),
    );
    const at = { address: '169.254.20.10', port: 5301 };
    const client = new Client(
      { network: world.network.from('10.244.0.7'), clock: world.clock, random: seededRandom(3) },
      at,
    );
    assert.deepEqual((await opening(world.clock, client.asks('b.corp.example', 'A'))).data, ['192.0.2.2']);
    assert.equal(world.said('names in corp.example. come back').length, 1);
  });
});

describe('a name that is rewritten and asked of ourselves again', () => {
  const corefile = `corp.example {
  bind 169.254.20.10
  errors
  rewrite name suffix .corp.example .svc.cluster.local answer auto
  forward . 169.254.20.10
}
cluster.local {
  bind 169.254.20.10
  errors
  forward . 10.96.0.10
}
`;

  it('is answered by the block that serves it then; one that no rule is about fails at once', async () => {
    const world = answering(await newWorld({ corefile }));
    assert.deepEqual((await world.asks('a.corp.example', 'A')).data, ['10.96.0.7']);
    const { rcode, afterMs } = await world.asks('corp.example', 'A');
    assert.deepEqual([rcode, afterMs < 10], ['SERVFAIL', true]);
    assert.equal(world.app.waiting, 0);
  });
});
