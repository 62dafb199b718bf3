import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterDns, newWorld } from './world.js';

const limited = `. {
  bind 169.254.20.10
  cache {
    success 9984 30
    denial 9984 5
  }
  forward . 10.96.0.10 {
    force_tcp
  }
}
`;

describe('answers', () => {
  it('asks once and then answers from memory, counting down', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 30 });
    const first = await world.asks('a.example.', 'A');
    assert.deepEqual(first.data, ['192.0.2.1']);
    assert.deepEqual(first.ttls, [30]);
    await world.passSeconds(29);
    const later = await world.asks('a.example.', 'A');
    assert.deepEqual(later.ttls, [1]);
    assert.equal(world.upstream.asked('a.example.', 'A'), 1);
    await world.passSeconds(1);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [30]);
    assert.equal(world.upstream.asked('a.example.', 'A'), 2);
  });

  it('sends misses over TCP only', async () => {
    const world = await newWorld();
    for (let index = 0; index < 20; index++) {
      world.upstream.answers(`n${index}.example.`, 'A', ['192.0.2.1']);
      await world.asks(`n${index}.example.`, 'A');
    }
    assert.equal(world.upstream.questions.filter(({ transport }) => transport === 'udp').length, 0);
    assert.equal(world.network.traffic('udp', clusterDns).packetsToServer, 0);
  });

  it('asks once for a hundred identical questions', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.upstream.after(50);
    const asking = Array.from({ length: 100 }, (_, index) =>
      world.client(`10.244.0.${index + 1}`).asks(index % 2 === 0 ? 'a.example.' : 'A.exAMple.', 'A', {
        transport: index % 5 === 0 ? 'tcp' : 'udp',
      }),
    );
    await world.pass(200);
    const answers = await Promise.all(asking);
    assert.deepEqual(new Set(answers.flatMap(({ data }) => data)), new Set(['192.0.2.1']));
    assert.equal(world.upstream.asked('a.example.', 'A'), 1);
    assert.equal(world.app.counters.total('coalesced'), 99);
    assert.equal(world.app.waiting, 0);
  });

  it('never lets a TTL exceed the cap and keeps each record its own', async () => {
    const world = await newWorld({ corefile: limited });
    world.upstream.on((asked) =>
      asked.name === 'a.example.'
        ? {
            answers: [
              { name: 'a.example', type: 'CNAME', ttl: 86400, data: 'b.example' },
              { name: 'b.example', type: 'A', ttl: 20, data: '192.0.2.1' },
            ],
          }
        : undefined,
    );
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [30, 20]);
    await world.passSeconds(5);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [25, 15]);
  });

  it('keeps denials as long as their SOA says and no longer than the cap', async () => {
    const world = await newWorld();
    world.upstream.nxdomain('gone.example.', { soaTtl: 600, soaMinimum: 10 });
    assert.equal((await world.asks('gone.example.', 'A')).rcode, 'NXDOMAIN');
    await world.passSeconds(9);
    const kept = await world.asks('gone.example.', 'A');
    assert.equal(kept.rcode, 'NXDOMAIN');
    assert.equal(kept.message.authorities?.length, 1);
    assert.equal(world.upstream.asked('gone.example.', 'A'), 1);
    await world.passSeconds(1);
    await world.asks('gone.example.', 'A');
    assert.equal(world.upstream.asked('gone.example.', 'A'), 2);
  });

  it('does not keep a denial without SOA, nor REFUSED, nor a TTL of 0', async () => {
    const world = await newWorld();
    world.upstream.on((asked) => (asked.name === 'bare.example.' ? { rcode: 3 } : undefined));
    world.upstream.refused('refused.example.');
    world.upstream.answers('zero.example.', 'A', ['192.0.2.1'], { ttlSeconds: 0 });
    for (const name of ['bare.example.', 'refused.example.', 'zero.example.']) {
      await world.asks(name, 'A');
      await world.asks(name, 'A');
      assert.equal(world.upstream.asked(name, 'A'), 2, name);
    }
  });

  it('keeps SERVFAIL for five seconds', async () => {
    const world = await newWorld();
    world.upstream.servfail('broken.example.');
    assert.equal((await world.asks('broken.example.', 'A')).rcode, 'SERVFAIL');
    await world.passSeconds(4);
    await world.asks('broken.example.', 'A');
    assert.equal(world.upstream.asked('broken.example.', 'A'), 1);
    await world.passSeconds(1);
    await world.asks('broken.example.', 'A');
    assert.equal(world.upstream.asked('broken.example.', 'A'), 2);
  });

  it('answers SERVFAIL within two seconds when nobody answers', async () => {
    const world = await newWorld();
    world.upstream.silent();
    const answer = await world.asks('silent.example.', 'A', { edns: {} });
    assert.equal(answer.rcode, 'SERVFAIL');
    assert.ok(answer.afterMs < 2000, `${answer.afterMs} ms`);
    assert.equal(world.app.waiting, 0);
  });

  it('cuts for UDP what it gives whole over TCP', async () => {
    const world = await newWorld();
    const many = Array.from({ length: 300 }, (_, index) => `192.0.${index >> 8}.${index & 255}`);
    world.upstream.answers('many.example.', 'A', many);
    const cut = await world.asks('many.example.', 'A');
    assert.equal(cut.message.flag_tc, true);
    assert.ok(cut.bytes.length <= 512);
    const whole = await world.asks('many.example.', 'A', { transport: 'tcp' });
    assert.equal(whole.message.flag_tc, false);
    assert.deepEqual(whole.data, many);
    assert.equal(world.upstream.asked('many.example.', 'A'), 1);
  });

  it('echoes the question byte for byte', async () => {
    const world = await newWorld();
    world.upstream.answers('mixed.example.', 'A', ['192.0.2.1']);
    for (const name of ['mIxEd.ExAmPlE.', 'MIXED.example.']) {
      const answer = await world.asks(name, 'A');
      assert.equal(`${answer.message.questions?.[0].name}.`, name);
    }
  });

  it('asks without RD when asked without RD, and keeps nothing of it', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A', { flags: 0 });
    await world.asks('a.example.', 'A');
    assert.equal(world.upstream.asked('a.example.', 'A'), 2);
    await world.asks('a.example.', 'A', { flags: 0 });
    assert.equal(world.upstream.asked('a.example.', 'A'), 2, 'what is kept answers both');
  });

  it('prefetches a name that is asked for often', async () => {
    const corefile = limited.replace('denial 9984 5', 'denial 9984 5\n    prefetch 3 1m 20%');
    const world = await newWorld({ corefile });
    world.upstream.answers('hot.example.', 'A', ['192.0.2.1'], { ttlSeconds: 30 });
    for (let second = 0; second < 60; second++) {
      const answer = await world.asks('hot.example.', 'A');
      assert.ok(answer.afterMs <= 1 || second === 0, 'no client waits');
      await world.passSeconds(1);
    }
    const asked = world.upstream.asked('hot.example.', 'A');
    assert.ok(asked >= 2 && asked <= 4, `${asked} questions in a minute`);
  });
});
