/**
 * What an alias made here leads to is asked of the whole server, as a client's question would be: the zone that the name
 * is in, with its cache, policies, aliases and upstreams.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { newWorld, type World } from './world.js';

/** One block for all names with these lines, and one for the cluster's; each asks its own upstream. */
const corefile = (outside: string, cluster = '') => `. {
  bind 169.254.20.10
  errors
  cache 30
  ${outside}
  forward . 192.0.2.53 {
    force_tcp
  }
}
cluster.local {
  bind 169.254.20.10
  errors
  cache 30
  ${cluster}
  forward . 10.96.0.10 {
    force_tcp
  }
}
`;

const alias = (name: string, target: string, types = 'ANY') =>
  `template IN ${types} ${name} {\nanswer "{{ .Name }} 60 IN CNAME ${target}"\nfallthrough\n}`;

async function worldWith(outside: string, cluster?: string): Promise<World> {
  const world = await newWorld({ corefile: corefile(outside, cluster) });
  world.upstream.answers('web.svc.cluster.local.', 'A', ['10.96.7.7'], { ttlSeconds: 20 });
  world.upstream.answers('web.svc.cluster.local.', 'AAAA', ['fd00::7'], { ttlSeconds: 20 });
  world.upstream.nxdomain('gone.svc.cluster.local.');
  return world;
}

const written = (records: readonly Answer[] = []) =>
  records.map((record) => `${record.name} ${record.type} ${(record as { data: unknown }).data}`);

const errorsOf = (options: unknown) =>
  ((options ?? []) as { code: number; data: Buffer }[])
    .filter(({ code }) => code === 15)
    .map(({ data }) => [data.readUInt16BE(), data.toString('utf8', 2)]);

describe('what a template’s alias leads to', () => {
  it('is asked in the zone that the name is in, and taken from its cache', async () => {
    const world = await worldWith(alias('web.example', 'web.svc.cluster.local.'));
    const { message } = await world.asks('web.example', 'A');
    assert.deepEqual(written(message.answers), [
      'web.example CNAME web.svc.cluster.local',
      'web.svc.cluster.local A 10.96.7.7',
    ]);
    assert.deepEqual(
      [world.upstream.asked('web.svc.cluster.local.', 'A'), world.outside.asked('web.example.')],
      [1, 0],
    );
    await world.asks('web.svc.cluster.local', 'A');
    assert.equal(world.upstream.asked('web.svc.cluster.local.', 'A'), 1, 'what it has is in the cache of its zone');
  });

  it('comes from the cache, the template and the AAAA policy of that zone, too', async () => {
    const cluster = `aaaa nodata\ntemplate IN A made.cluster.local {\nanswer "{{ .Name }} 60 IN A 10.1.1.1"\n}`;
    const made = alias('made.example', 'made.cluster.local.');
    const world = await worldWith(`${made}\n${alias('web.example', 'web.svc.cluster.local.')}`, cluster);
    await world.asks('web.svc.cluster.local', 'A');
    assert.deepEqual((await world.asks('web.example', 'A')).data, ['web.svc.cluster.local', '10.96.7.7']);
    assert.equal(world.upstream.asked('web.svc.cluster.local.', 'A'), 1);
    assert.deepEqual((await world.asks('made.example', 'A')).data, ['made.cluster.local', '10.1.1.1']);
    const aaaa = await world.asks('web.example', 'AAAA');
    assert.deepEqual([aaaa.rcode, aaaa.data], ['NOERROR', ['web.svc.cluster.local']]);
    assert.equal(world.upstream.asked('web.svc.cluster.local.', 'AAAA'), 0);
  });

  it('leads through several blocks, and is asked once for clients that ask at once', async () => {
    const world = await worldWith(
      `${alias('a.example', 'b.cluster.local.')}\n${alias('c.example', 'web.svc.cluster.local.')}`,
      alias('b.cluster.local', 'c.example.'),
    );
    const asking = [1, 2, 3].map((client) => world.client(`10.244.0.${client}`).asks('a.example', 'A'));
    await world.pass(20);
    for (const { data } of await Promise.all(asking)) {
      assert.deepEqual(data, ['b.cluster.local', 'c.example', 'web.svc.cluster.local', '10.96.7.7']);
    }
    assert.equal(world.upstream.asked('web.svc.cluster.local.', 'A'), 1);
  });

  it('is translated where the block of the name translates, for the client that asks', async () => {
    const world = await worldWith(alias('web.example', 'only4.cluster.local.'), 'dns64');
    world.upstream.answers('only4.cluster.local.', 'A', ['192.0.2.1']);
    world.upstream.nodata('only4.cluster.local.', 'AAAA');
    const asking = world.client('fd00::1').asks('web.example', 'AAAA');
    await world.pass(20);
    assert.deepEqual((await asking).data, ['only4.cluster.local', '64:ff9b::c000:201']);
  });

  it('is not there where no block serves the name', async () => {
    const world = await newWorld({
      corefile: `example {\nbind 169.254.20.10\n${alias('a.example', 'b.test.')}\n}\n`,
    });
    assert.deepEqual((await world.asks('a.example', 'A')).data, ['b.test']);
  });
});

describe('an answer that has come from another name', () => {
  const chain = `${alias('a.example', 'b.cluster.local.')}`;

  it('is not kept where what that leads to could not be had, however long the chain', async () => {
    const world = await worldWith(chain, alias('b.cluster.local', 'web.svc.cluster.local.'));
    world.upstream.servfail('web.svc.cluster.local.');
    assert.deepEqual((await world.asks('a.example', 'A')).data, ['b.cluster.local', 'web.svc.cluster.local']);
    world.upstream.answers('web.svc.cluster.local.', 'A', ['10.96.7.7']);
    await world.passSeconds(6);
    assert.equal((await world.asks('a.example', 'A')).data.at(-1), '10.96.7.7');
  });

  it('is not kept where that was past its time', async () => {
    const world = await worldWith(alias('a.example', 'web.svc.cluster.local.'));
    await world.asks('web.svc.cluster.local', 'A');
    world.upstream.servfail('web.svc.cluster.local.');
    await world.passSeconds(25);
    assert.equal((await world.asks('a.example', 'A')).data.at(-1), '10.96.7.7', 'stale');
    world.upstream.answers('web.svc.cluster.local.', 'A', ['10.96.8.8']);
    await world.passSeconds(2);
    assert.equal((await world.asks('a.example', 'A')).data.at(-1), '10.96.8.8');
  });

  it('is not kept for others where that depended on who asked', async () => {
    const world = await worldWith(
      alias('a.example', 'web.svc.cluster.local.'),
      'rewrite edns0 local set 0xffee {client_ip}',
    );
    for (const client of ['10.244.0.1', '10.244.0.2']) {
      const asking = world.client(client).asks('a.example', 'A');
      await world.pass(10);
      assert.equal((await asking).data.at(-1), '10.96.7.7');
    }
    const asked = world.upstream.questions.filter(({ name }) => name === 'web.svc.cluster.local.');
    const told = asked.map(({ message }) => {
      const opt = message.additionals?.find(({ type }) => type === 'OPT') as unknown as { options: { data: Buffer }[] };
      return opt.options[0].data.join('.');
    });
    assert.deepEqual(told, ['10.244.0.1', '10.244.0.2']);
  });

  it('is asked for in the words of a client of this address', async () => {
    const rules = ['server_ip', 'server_port', 'protocol'].map(
      (name, at) => `rewrite continue edns0 local set ${0xff10 + at} {${name}}`,
    );
    const world = await worldWith(alias('a.example', 'web.svc.cluster.local.'), rules.join('\n'));
    await world.asks('a.example', 'A');
    const [{ message }] = world.upstream.questions.filter(({ name }) => name === 'web.svc.cluster.local.');
    const opt = message.additionals?.find(({ type }) => type === 'OPT') as unknown as { options: { data: Buffer }[] };
    assert.deepEqual(
      opt.options.map(({ data }) => data.toString('hex')),
      ['a9fe140a', '0035', Buffer.from('udp').toString('hex')],
    );
  });

  it('is refreshed where that is due for it', async () => {
    const world = await newWorld({
      corefile: corefile(alias('a.example', 'web.svc.cluster.local.')).replaceAll(
        'cache 30',
        'cache 30 {\nserve_stale 1h\n}',
      ),
    });
    world.upstream.answers('web.svc.cluster.local.', 'A', ['10.96.7.7'], { ttlSeconds: 5 });
    await world.asks('a.example', 'A');
    world.upstream.answers('web.svc.cluster.local.', 'A', ['10.96.8.8'], { ttlSeconds: 5 });
    await world.passSeconds(70);
    await world.asks('a.example', 'A');
    await world.passSeconds(1);
    await world.asks('a.example', 'A');
    await world.passSeconds(1);
    assert.equal((await world.asks('a.example', 'A')).data.at(-1), '10.96.8.8');
  });
});

describe('what rewrite cname leads to', () => {
  const rule = 'rewrite cname exact old.example.net. web.svc.cluster.local.';
  it('is asked in the zone that the name is in', async () => {
    const world = await worldWith(rule);
    world.outside.on(({ name }) =>
      name === 'a.example.'
        ? { answers: [{ type: 'CNAME', name: 'a.example', ttl: 9, data: 'old.example.net' }] as Answer[] }
        : undefined,
    );
    assert.deepEqual(written((await world.asks('a.example', 'A')).message.answers), [
      'a.example CNAME web.svc.cluster.local',
      'web.svc.cluster.local A 10.96.7.7',
    ]);
    await world.asks('web.svc.cluster.local', 'A');
    assert.equal(world.upstream.asked('web.svc.cluster.local.', 'A'), 1);
    assert.equal(world.outside.asked('web.svc.cluster.local.'), 0);
  });
});

describe('a chain of names', () => {
  const steps = (count: number) =>
    Array.from({ length: count }, (_, at) => {
      const zone = (step: number) => (step % 2 === 0 ? 'example' : 'cluster.local');
      return {
        zone: zone(at),
        line: alias(`s${at}.${zone(at)}`, at === count - 1 ? 'web.svc.cluster.local.' : `s${at + 1}.${zone(at + 1)}.`),
      };
    });
  const chain = (count: number) => {
    const of = (zone: string) =>
      steps(count)
        .filter((step) => step.zone === zone)
        .map(({ line }) => line)
        .join('\n');
    return worldWith(of('example'), of('cluster.local'));
  };

  it('may be ten questions long, over all blocks together', async () => {
    const { rcode, data } = await (await chain(10)).asks('s0.example', 'A');
    assert.deepEqual([rcode, data.length, data.at(-1)], ['NOERROR', 11, '10.96.7.7']);
  });

  it('ends in SERVFAIL with a reason when it is longer', async () => {
    const world = await chain(11);
    const { rcode, data, opt, afterMs } = await world.asks('s0.example', 'A', { edns: {} });
    assert.deepEqual([rcode, data], ['SERVFAIL', []]);
    assert.deepEqual(errorsOf(opt?.options), [[0, 'alias loop, or an alias chain of more than 10 names']]);
    assert.ok(afterMs < 20);
    assert.equal(world.said('s0.example. A: alias loop').length, 1);
    assert.equal(world.said('alias loop').length, 1, 'said once, for the name that was asked');
  });

  for (const [what, outside, cluster] of [
    ['of a name to itself', alias('a.example', 'a.example.'), ''],
    ['within a block', `${alias('a.example', 'b.example.')}\n${alias('b.example', 'a.example.')}`, ''],
    ['from block to block', alias('a.example', 'b.cluster.local.'), alias('b.cluster.local', 'a.example.')],
  ]) {
    it(`ends in SERVFAIL at once when it is a circle ${what}, also for many who ask`, async () => {
      const world = await worldWith(outside, cluster);
      const asking = Array.from({ length: 20 }, (_, at) => world.client(`10.244.1.${at}`).asks('a.example', 'A'));
      await world.pass(50);
      for (const { rcode } of await Promise.all(asking)) assert.equal(rcode, 'SERVFAIL');
      assert.equal(world.app.waiting, 0);
    });
  }

  it('ends in SERVFAIL where addresses are translated, for many who ask', async () => {
    const back = alias('b.cluster.local', 'a.example.');
    for (const [outside, cluster] of [
      [`dns64\n${alias('a.example', 'b.cluster.local.')}`, back],
      [`dns64\n${alias('a.example', 'b.cluster.local.')}`, `dns64\n${back}`],
    ]) {
      const world = await worldWith(outside, cluster);
      const asking = Array.from({ length: 20 }, (_, at) => world.client(`fd00::${at + 1}`).asks('a.example', 'AAAA'));
      await world.pass(100);
      assert.equal(world.app.waiting, 0);
      for (const { rcode } of await Promise.all(asking)) assert.equal(rcode, 'SERVFAIL');
    }
  });

  it('ends when rewritten aliases of two names lead to each other, for clients of both at once', async () => {
    const world = await worldWith('rewrite cname exact x.test. b.example.\nrewrite cname exact y.test. a.example.');
    const alias = (name: string, data: string): Answer => ({ type: 'CNAME', name, ttl: 9, data });
    world.outside.on(({ name }) => {
      if (name === 'a.example.') return { answers: [alias('a.example', 'x.test')] };
      return name === 'b.example.' ? { answers: [alias('b.example', 'y.test')] } : undefined;
    });
    const asking = [world.asking('a.example', 'A'), world.asking('b.example', 'A'), world.asking('a.example', 'A')];
    await world.pass(500);
    assert.equal(world.app.waiting, 0);
    for (const { rcode } of await Promise.all(asking)) assert.equal(rcode, 'SERVFAIL');
  });

  it('has the time of one question', async () => {
    const world = await worldWith('rewrite cname exact old.example.net. slow.svc.cluster.local.');
    world.upstream.silent('slow.svc.cluster.local.');
    world.outside.after(1500, 'a.example.');
    world.outside.on(({ name }) =>
      name === 'a.example.'
        ? { answers: [{ type: 'CNAME', name: 'a.example', ttl: 9, data: 'old.example.net' }] as Answer[] }
        : undefined,
    );
    const { rcode, afterMs } = await world.asks('a.example', 'A', { timeoutMs: 9000 });
    assert.equal(rcode, 'SERVFAIL');
    assert.ok(afterMs <= 2000, `${afterMs}`);
    assert.equal(world.app.waiting, 0);
  });
});
