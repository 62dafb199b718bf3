import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
