/**
 * What the simulation of the whole program (test/simulation/whole.test.ts) has found, each reduced to the few steps
 * that show it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectionsPerUpstreamMax, waitersPerQuestionMax } from '../../src/limits.js';
import { Client, encodeQuery } from '../simulation/client.js';
import { seededRandom } from '../simulation/random.js';
import { record } from '../simulation/records.js';
import { newWorld, opening, simpleCorefile } from './world.js';

const withSmart = simpleCorefile.replace('  errors\n', '  errors\n  aaaa smart\n');

describe('found by the simulation', () => {
  it("aaaa smart: a failure for the name's A came back with the question for A", async () => {
    const world = await newWorld({ corefile: withSmart });
    world.upstream.servfail('a.example.');
    const { rcode, message } = await world.asks('a.example.', 'AAAA');
    assert.equal(rcode, 'SERVFAIL');
    assert.deepEqual(message.questions, [{ name: 'a.example', type: 'AAAA', class: 'IN' }]);
  });

  it("who joined another listener's question was answered and counted there", async () => {
    const second = { address: '169.254.20.11', port: 53 };
    const corefile = simpleCorefile
      .replace('20.10\n', `20.10 ${second.address}\n`)
      .replace('  errors\n', '  prometheus 127.0.0.1:9253\n');
    const { clock, network, ...world } = await newWorld({ corefile });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.upstream.after(100);
    const first = world.asking('a.example.', 'A');
    const joined = new Client({ network, clock, random: seededRandom(1) }, second).asks('a.example.', 'A');
    await opening(clock, Promise.all([first, joined]));
    const { body } = await world.get('127.0.0.1:9253', '/metrics');
    for (const address of ['169.254.20.10', second.address]) {
      assert.match(
        body,
        new RegExp(`coredns_dns_requests_total\\{server="dns://${address}:53".*type="A".*\\} 1\\n`, 'u'),
      );
    }
  });

  it('an address that a reload took back could not be opened while its last client was being answered', async () => {
    const second = { address: '169.254.20.11', port: 53 };
    const withBoth = simpleCorefile.replace('20.10\n', `20.10 ${second.address}\n`);
    const { clock, network, ...world } = await newWorld({ corefile: withBoth });
    const client = new Client({ network, clock, random: seededRandom(1) }, second);
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    network.faults.windowBytes = 10;
    const slow = client.connects();
    slow.pause();
    slow.sends(encodeQuery('a.example.', 'A', 1));
    await world.pass(100);
    assert.equal(await world.reload(simpleCorefile), 'reloaded');
    await world.pass(100);
    assert.equal(await world.reload(withBoth), 'reloaded');
    assert.deepEqual((await opening(clock, client.asks('a.example.', 'A'))).data, ['192.0.2.1']);
  });

  it('an address that was gone from the configuration was served on by the old one as long as anybody asked', async () => {
    const withBoth = simpleCorefile.replace('20.10\n', '20.10 169.254.20.11\n');
    const { clock, network, ...world } = await newWorld({ corefile: withBoth });
    const client = new Client({ network, clock, random: seededRandom(1) }, { address: '169.254.20.11', port: 53 });
    world.upstream.on(({ name }) => (name === 'last.example.' ? undefined : null));
    world.upstream.answers('last.example.', 'A', ['192.0.2.1']);
    world.upstream.after(500, 'last.example.');
    const last = client.asks('last.example.', 'A');
    await world.pass(10);
    await world.reload(simpleCorefile);
    const late = Array.from({ length: 50 }, async (_, index) => {
      await new Promise<void>((resolve) => clock.after(100 * index, resolve));
      return client.asks(`n${index}.example.`, 'A').then(
        () => 'an answer',
        () => 'none',
      );
    });
    assert.deepEqual((await opening(clock, last)).data, ['192.0.2.1'], 'what was asked before is answered');
    assert.deepEqual([...new Set(await clock.until(Promise.all(late)))], ['none']);
  });

  it('who found no room to wait got SERVFAIL although a stale answer was known', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 10 });
    await world.asks('a.example.', 'A');
    await world.passSeconds(11);
    world.upstream.silent('a.example.');
    const pods = Array.from({ length: 64 }, (_, index) => world.client(`10.244.0.${index}`));
    const asking = Array.from({ length: waitersPerQuestionMax + 50 }, (_, index) =>
      pods[index % pods.length].asks('a.example.', 'A'),
    );
    const answers = await opening(world.clock, Promise.all(asking));
    assert.equal(world.app.counters.total('overloadedWaiters'), 50);
    assert.deepEqual([...new Set(answers.map(({ rcode }) => rcode))], ['NOERROR']);
  });

  it('an upstream that had closed two connections after one answer each could soon not be asked any more', async () => {
    const world = await newWorld();
    world.upstream.on(({ name }) =>
      name.startsWith('silent') ? null : { answers: [record(name, 'A', 30, '192.0.2.1')] },
    );
    await world.pass(10);
    // The one that the program has opened by itself.
    world.upstream.closeConnections();
    const silent = world.asking('silent.example.', 'A');
    for (const name of ['first.example.', 'second.example.']) {
      await world.pass(10);
      await world.asks(name, 'A');
      world.upstream.closeConnections();
    }
    await opening(world.clock, silent);
    for (let number = 0; number < connectionsPerUpstreamMax + 10; number++) {
      const { rcode, afterMs } = await world.asks(`n${number}.example.`, 'A');
      assert.deepEqual([rcode, afterMs], ['NOERROR', 0]);
    }
  });
});
