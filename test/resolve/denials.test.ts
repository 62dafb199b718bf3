import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waiterQueryBytesMax } from '../../src/limits.js';
import { query } from './context-fixture.js';
import { AskedBy, soa, type WaitingFixture, waiting } from './waiting-fixture.js';

const corefile = 'cluster.local {\n cache\n forward . 192.0.2.1\n}\n';

/** Asks from a pod, without an answer yet. */
function asks({ serve }: WaitingFixture, name: string, how?: Parameters<typeof query>[2]): AskedBy {
  const client = new AskedBy(0, { address: '10.0.0.1', port: 4000 });
  serve(query(name, 'A', how), client);
  return client;
}

const askedNames = ({ asked }: WaitingFixture) => asked.map(({ name }) => name);
const denies = (world: WaitingFixture, name: string) =>
  world.asked.find((one) => one.name === name)!.answers({ rcode: 3, answers: [], authorities: soa(30) });

describe('what a denial leads to', () => {
  it('is a question for the name above it, whose denial answers the next client', () => {
    const world = waiting(corefile);
    asks(world, 'www.a.com.svc.cluster.local');
    denies(world, 'www.a.com.svc.cluster.local.');
    assert.deepEqual(askedNames(world), ['com.svc.cluster.local.']);
    denies(world, 'com.svc.cluster.local.');
    const next = asks(world, 'www.b.com.svc.cluster.local');
    assert.equal(next.rcode, 'NXDOMAIN');
    assert.deepEqual(askedNames(world), ['com.cluster.local.'], 'the next step of a walk');
  });

  it('is nothing where it was asked with DO, or fails', () => {
    const world = waiting(corefile);
    asks(world, 'www.a.com.svc.cluster.local', { dnssecOk: true });
    denies(world, 'www.a.com.svc.cluster.local.');
    asks(world, 'www.b.com.svc.cluster.local');
    world.asked[0].fails();
    assert.deepEqual(askedNames(world), []);
  });

  it('joins a client that asks for the same meanwhile, and is no miss of a client', () => {
    const world = waiting(corefile);
    asks(world, 'www.a.com.svc.cluster.local');
    denies(world, 'www.a.com.svc.cluster.local.');
    const client = asks(world, 'com.svc.cluster.local');
    assert.deepEqual(askedNames(world), ['com.svc.cluster.local.']);
    denies(world, 'com.svc.cluster.local.');
    assert.equal(client.rcode, 'NXDOMAIN');
    assert.equal(world.misses.size, 1, 'the next step of a walk');
  });
});

describe('a query below a cut that has ended', () => {
  /** `com.svc` was denied until just now. */
  const ended = () => {
    const world = waiting(corefile);
    asks(world, 'www.a.com.svc.cluster.local');
    for (const name of ['www.a.com.svc', 'com.svc', 'com']) denies(world, `${name}.cluster.local.`);
    world.clock.passMs(30_000);
    return world;
  };

  it('waits for it to be asked again, and is answered from it', async () => {
    const world = ended();
    world.isWatched();
    const clients = ['www.b.com.svc.cluster.local', 'www.c.com.svc.cluster.local'].map((name) => asks(world, name));
    assert.deepEqual(askedNames(world), ['com.svc.cluster.local.', 'com.cluster.local.'], 'the next step as well');
    world.clock.passMs(4);
    denies(world, 'com.svc.cluster.local.');
    await Promise.resolve();
    assert.deepEqual(
      clients.map(({ rcode }) => rcode),
      ['NXDOMAIN', 'NXDOMAIN'],
    );
    assert.deepEqual(askedNames(world), ['com.cluster.local.']);
    assert.deepEqual(
      world.told.map(([, durationMs]) => durationMs),
      [4, 4],
    );
    assert.equal(world.misses.waiters, 0);
  });

  it('is asked itself where the name exists by now, or nothing comes', async () => {
    for (const end of ['answers', 'fails'] as const) {
      const world = ended();
      const client = asks(world, 'www.b.com.svc.cluster.local');
      const next = asks(world, 'www.b.com.svc.cluster.local');
      world.asked.find(({ name }) => name === 'com.svc.cluster.local.')![end]();
      await Promise.resolve();
      assert.ok(askedNames(world).includes('www.b.com.svc.cluster.local.'), end);
      assert.equal(world.misses.waiters, 2, end);
      world.asked.find(({ name }) => name === 'www.b.com.svc.cluster.local.')!.answers();
      assert.deepEqual([client.data, next.data], [['192.0.2.0'], ['192.0.2.0']]);
    }
  });

  it('is asked itself where it is too long to be kept', () => {
    const world = ended();
    const long = Buffer.concat([query('www.b.com.svc.cluster.local', 'A', {}), Buffer.alloc(waiterQueryBytesMax)]);
    // Padding (RFC 7830).
    const optDataAt = query('www.b.com.svc.cluster.local', 'A', {}).length;
    long.writeUInt16BE(waiterQueryBytesMax, optDataAt - 2);
    long.writeUInt16BE(12, optDataAt);
    long.writeUInt16BE(waiterQueryBytesMax - 4, optDataAt + 2);
    world.serve(long, new AskedBy(1, { address: '10.0.0.1', port: 4000 }));
    assert.deepEqual(askedNames(world), ['www.b.com.svc.cluster.local.']);
  });

  it('loses no client to an exception', async () => {
    const world = ended();
    const client = asks(world, 'www.b.com.svc.cluster.local');
    denies(world, 'com.svc.cluster.local.');
    world.context.written = () => {
      throw new Error('a bug');
    };
    await Promise.resolve();
    assert.deepEqual([client.replies, world.total('panics')], [[null], 1]);
  });
});

describe('a search domain of the node', () => {
  const outside = '. {\n cache\n nxdomain_cut on\n forward . 192.0.2.2\n}\n';
  /** A walk to a name under `com` has come to `corp.test`. */
  const walked = (cuts: 'on' | 'off') => {
    // Only the first block's answers are kept here.
    const world = waiting(outside.replace(' on', ` ${cuts}`) + corefile);
    asks(world, 'www.a.com.default.svc.cluster.local');
    denies(world, 'www.a.com.default.svc.cluster.local.');
    denies(world, 'default.svc.cluster.local.');
    asks(world, 'www.a.com.corp.test');
    denies(world, 'www.a.com.corp.test.');
    return world;
  };

  it('has cuts as those of the cluster have, where its block has them', async () => {
    const world = walked('on');
    assert.ok(askedNames(world).includes('com.corp.test.'));
    denies(world, 'com.corp.test.');
    assert.equal(asks(world, 'www.b.com.corp.test').rcode, 'NXDOMAIN');
    world.clock.passMs(30_000);
    const held = asks(world, 'www.c.com.corp.test');
    assert.deepEqual(askedNames(world).slice(-1), ['com.corp.test.']);
    denies(world, 'com.corp.test.');
    await Promise.resolve();
    assert.equal(held.rcode, 'NXDOMAIN');
    asks(world, 'www.b.com.else.test');
    assert.deepEqual(askedNames(world).slice(-1), ['www.b.com.else.test.'], 'no other domain');
  });

  it('has none in a block without, and none above a name that exists', () => {
    assert.ok(!askedNames(walked('off')).includes('com.corp.test.'));
    const world = walked('on');
    asks(world, 'www.b.net.corp.test');
    world.asked.find(({ name }) => name === 'www.b.net.corp.test.')!.answers();
    asks(world, 'www.c.net.corp.test');
    denies(world, 'www.c.net.corp.test.');
    assert.ok(!askedNames(world).includes('net.corp.test.'));
  });
});
