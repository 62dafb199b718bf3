import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import type { AskOptions, ClientAnswer } from '../simulation/client.js';
import { newWorld, opening, simpleCorefile, type World, type WorldOptions } from './world.js';

const pod = 'fd00::7';
const corefileWith = (lines: string, cache = 'cache 3600') =>
  simpleCorefile.replace('  cache\n', `  ${cache}\n  prometheus 127.0.0.1:9153\n  ${lines}\n`);

async function worldWith(lines = 'dns64', options: WorldOptions = {}): Promise<World> {
  const world = await newWorld({ corefile: corefileWith(lines), ...options });
  world.upstream.answers('four.example.', 'A', ['192.0.2.1', '192.0.2.2'], { ttlSeconds: 300 });
  world.upstream.nodata('four.example.', 'AAAA', { soaMinimum: 60 });
  world.upstream.answers('six.example.', 'A', ['192.0.2.3']);
  world.upstream.answers('six.example.', 'AAAA', ['2001:db8::3']);
  world.upstream.nxdomain('gone.example.');
  return world;
}

function asks(world: World, name: string, how: AskOptions = {}, from = pod): Promise<ClientAnswer> {
  return opening(world.clock, world.client(from).asks(name, 'AAAA', how));
}

/** EDE info codes in an answer's OPT. */
const extendedErrors = ({ opt }: ClientAnswer) =>
  ((opt?.options ?? []) as unknown as { code: number; data: Buffer }[])
    .filter(({ code }) => code === 15)
    .map(({ data }) => data.readUInt16BE());

const translated = ['64:ff9b::c000:201', '64:ff9b::c000:202'];

describe('dns64', () => {
  it('makes addresses for clients over IPv6, and for no others, whatever is cached for whom', async () => {
    const world = await worldWith();
    for (const transport of ['udp', 'tcp'] as const) {
      assert.deepEqual((await asks(world, 'four.example.', { transport })).data, translated);
      const other = await asks(world, 'four.example.', { transport }, '10.244.0.7');
      assert.deepEqual([other.rcode, other.data, other.message.authorities?.length], ['NOERROR', [], 1]);
      assert.deepEqual((await asks(world, 'Four.Example.', { transport, edns: {} })).data, translated);
    }
    assert.deepEqual((await world.asks('four.example.', 'A')).data, ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(
      [world.upstream.asked('four.example.', 'A'), world.upstream.asked('four.example.', 'AAAA')],
      [1, 1],
    );
  });

  it('is told to do so for clients over IPv4, too, and by what prefix', async () => {
    const world = await worldWith('dns64 64:1337::/64 {\n    allow_ipv4\n  }');
    assert.deepEqual((await asks(world, 'four.example.', {}, '10.244.0.7')).data, [
      '64:1337::c0:2:100:0',
      '64:1337::c0:2:200:0',
    ]);
  });

  it('leaves names with addresses of their own, and names that are not there', async () => {
    const world = await worldWith();
    assert.deepEqual((await asks(world, 'six.example.')).data, ['2001:db8::3']);
    assert.equal((await asks(world, 'gone.example.')).rcode, 'NXDOMAIN');
    assert.equal(world.upstream.asked('six.example.', 'A') + world.upstream.asked('gone.example.', 'A'), 0);
  });

  it('translates those too with translate_all, but not to nothing', async () => {
    const world = await worldWith('dns64 {\n    translate_all\n  }');
    assert.deepEqual((await asks(world, 'six.example.')).data, ['64:ff9b::c000:203']);
    world.upstream.answers('only.example.', 'AAAA', ['2001:db8::4']);
    world.upstream.nodata('only.example.', 'A');
    assert.deepEqual((await asks(world, 'only.example.')).data, ['2001:db8::4']);
  });

  it('takes the smaller of the TTLs of A and SOA, counts it down, and asks again then', async () => {
    const world = await worldWith();
    assert.deepEqual((await asks(world, 'four.example.')).ttls, [60, 60]);
    await world.passSeconds(20);
    assert.deepEqual((await asks(world, 'four.example.')).ttls, [40, 40]);
    await world.passSeconds(41);
    assert.deepEqual((await asks(world, 'four.example.')).ttls, [60, 60]);
    assert.deepEqual(
      [world.upstream.asked('four.example.', 'A'), world.upstream.asked('four.example.', 'AAAA')],
      [1, 2],
    );
  });

  it('takes failures for no addresses, unless A fails as well', async () => {
    const world = await worldWith();
    const rcode = { 'broken.example.': 2, 'refused.example.': 5 };
    world.upstream.on(({ name, type }) => {
      if (type !== 'AAAA' || !Object.hasOwn(rcode, name)) return undefined;
      return { rcode: rcode[name as keyof typeof rcode] };
    });
    for (const name of ['broken.example.', 'refused.example.']) {
      world.upstream.answers(name, 'A', ['192.0.2.9'], { ttlSeconds: 700 });
    }
    world.upstream.on(({ name, type }) => (type === 'AAAA' && Object.hasOwn(rcode, name) ? { rcode: 2 } : undefined));
    const made = await asks(world, 'broken.example.');
    assert.deepEqual([made.rcode, made.data, made.ttls], ['NOERROR', ['64:ff9b::c000:209'], [600]]);
    assert.deepEqual((await asks(world, 'refused.example.')).data, ['64:ff9b::c000:209']);
    world.upstream.servfail('all.example.');
    assert.equal((await asks(world, 'all.example.')).rcode, 'SERVFAIL');
    world.upstream.nodata('half.example.', 'A');
    world.upstream.on(({ name, type }) => (name === 'half.example.' && type === 'AAAA' ? { rcode: 2 } : undefined));
    const half = await asks(world, 'half.example.');
    assert.deepEqual([half.rcode, half.data, half.message.authorities?.length], ['NOERROR', [], 1]);
  });

  it('has one deadline for both questions: a slow AAAA and a slow A together are answered, or fail before a repetition', async () => {
    const world = await worldWith();
    const slow = (ms: number): Promise<Awaited<ReturnType<typeof asks>>> => {
      world.upstream.after(ms, 'four.example.');
      return asks(world, 'four.example.');
    };
    const together = await slow(2_000);
    assert.deepEqual([together.rcode, together.data], ['NOERROR', translated]);
    assert.ok(together.afterMs < 4_200, `${together.afterMs} ms`);
    await world.passSeconds(400);
    world.upstream.answers('late.example.', 'A', ['192.0.2.9']);
    world.upstream.after(3_000, 'late.example.');
    const { rcode, afterMs } = await asks(world, 'late.example.');
    assert.equal(rcode, 'SERVFAIL');
    assert.ok(afterMs <= slowDeadlineMs + 2 * sweepPeriodMs, `${afterMs} ms`);
  });

  it('answers SERVFAIL in time when nobody answers', async () => {
    const world = await worldWith();
    world.upstream.silent();
    const { rcode, afterMs } = await asks(world, 'silent.example.');
    assert.deepEqual([rcode, afterMs <= 2000], ['SERVFAIL', true]);
    assert.equal(world.upstream.asked('silent.example.', 'A'), 0);
  });

  it('keeps aliases, and IPv4 addresses in disguise out', async () => {
    const world = await worldWith();
    const alias = { name: 'alias.example', type: 'CNAME', ttl: 90, data: 'four.example' } as const;
    world.upstream.on(({ name, type }) => {
      if (name !== 'alias.example.') return undefined;
      return type === 'A'
        ? { answers: [alias, { name: 'four.example', type: 'A', ttl: 30, data: '192.0.2.1' }] }
        : { answers: [alias] };
    });
    const { data, ttls } = await asks(world, 'alias.example.');
    assert.deepEqual(
      [data, ttls],
      [
        ['four.example', translated[0]],
        [90, 30],
      ],
    );
    world.upstream.answers('odd.example.', 'AAAA', ['::ffff:192.0.2.1', '2001:db8::1']);
    world.upstream.answers('map.example.', 'AAAA', ['::ffff:192.0.2.1']);
    world.upstream.answers('map.example.', 'A', ['192.0.2.2']);
    assert.deepEqual((await asks(world, 'odd.example.')).data, ['2001:db8::1']);
    assert.deepEqual((await asks(world, 'map.example.')).data, [translated[1]]);
  });

  it('asks once for all who wait, whether they ask for A or AAAA', async () => {
    const world = await worldWith();
    world.upstream.after(50);
    const six = ['fd00::1', 'fd00::2', 'fd00::3'].map((from) => world.client(from).asks('four.example.', 'AAAA'));
    const four = world.client('10.1.0.1').asks('four.example.', 'A');
    const plain = world.client('10.1.0.2').asks('four.example.', 'AAAA');
    for (const asked of six) assert.deepEqual((await opening(world.clock, asked)).data, translated);
    assert.equal((await opening(world.clock, four)).data.length, 2);
    assert.deepEqual((await opening(world.clock, plain)).data, []);
    assert.deepEqual(
      [world.upstream.asked('four.example.', 'A'), world.upstream.asked('four.example.', 'AAAA')],
      [1, 1],
    );
  });

  it('counts what it translates, each client’s query once', async () => {
    const world = await worldWith('log\n  dns64');
    for (let round = 0; round < 3; round++) await asks(world, 'four.example.');
    await asks(world, 'six.example.');
    await asks(world, 'four.example.', {}, '10.244.0.7');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.match(body, /^coredns_dns64_requests_translated_total\{server="dns:\/\/169.254.20.10:53"\} 3$/mu);
    const [, queries] = /^coredns_dns_requests_total\{[^}]*family="2",type="AAAA"\} (\d+)$/mu.exec(body) ?? [];
    assert.equal(queries, '4');
    assert.equal(world.log.filter(({ level }) => level === 'query').length, 5);
  });

  it('leaves validators that check by themselves to themselves', async () => {
    const world = await worldWith();
    const checking = await asks(world, 'four.example.', { flags: 0x110, edns: { dnssecOk: true } });
    assert.deepEqual([checking.rcode, checking.data], ['NOERROR', []]);
    for (const how of [{ flags: 0x110 }, { edns: { dnssecOk: true } }]) {
      assert.deepEqual((await asks(world, 'four.example.', how)).data, translated);
    }
  });

  it('translates what is made here, and tells each who asked', async () => {
    const hosts = 'hosts /h {\n    10.0.0.1 host.example\n    fallthrough\n  }';
    const world = await worldWith(`dns64\n  ${hosts}\n  whoami`.replace('dns64', 'dns64 {\n    allow_ipv4\n  }'), {
      corefile: corefileWith(`dns64\n  ${hosts}\n  whoami`).replace('forward .', 'forward example'),
    });
    assert.deepEqual((await asks(world, 'host.example.')).data, ['64:ff9b::a00:1']);
    const both = ['fd00::1', 'fd00::2'].map((from) => world.client(from).asks('who.am.i.', 'AAAA'));
    const told = async (index: number) => (await opening(world.clock, both[index])).message.additionals?.[0];
    assert.deepEqual(
      [(await told(0))!, (await told(1))!].map((record) => 'data' in record && record.data),
      ['fd00::1', 'fd00::2'],
    );
  });

  it('works without a cache, and gives stale answers with one', async () => {
    const bare = await worldWith('dns64', { corefile: corefileWith('dns64', '') });
    assert.deepEqual((await asks(bare, 'four.example.')).data, translated);
    const world = await worldWith();
    await asks(world, 'four.example.');
    world.upstream.silent('four.example.');
    await world.passSeconds(301);
    const stale = await asks(world, 'four.example.', { edns: {} });
    assert.deepEqual([stale.rcode, stale.data, stale.afterMs < 1000], ['NOERROR', translated, true]);
  });

  it('follows a reload: another prefix is another answer, and none is none', async () => {
    const world = await worldWith();
    await asks(world, 'four.example.');
    assert.equal(await world.reload(corefileWith('dns64 64:1337::/96')), 'reloaded');
    assert.deepEqual((await asks(world, 'four.example.')).data, ['64:1337::c000:201', '64:1337::c000:202']);
    assert.equal(await world.reload(corefileWith('minimal')), 'reloaded');
    assert.deepEqual((await asks(world, 'four.example.')).data, []);
    assert.equal(await world.reload(corefileWith('dns64')), 'reloaded');
    assert.deepEqual((await asks(world, 'four.example.')).data, translated);
    assert.equal(world.upstream.asked('four.example.', 'A'), 1);
  });

  it('is refreshed before it expires, where that is wanted', async () => {
    const cache = 'cache 3600 {\n    prefetch 2 1m 50%\n  }';
    const world = await worldWith('dns64', { corefile: corefileWith('dns64', cache) });
    for (let round = 0; round < 3; round++) await asks(world, 'four.example.');
    await world.passSeconds(55);
    await asks(world, 'four.example.');
    await world.passSeconds(4);
    assert.deepEqual((await asks(world, 'four.example.')).data, translated);
    assert.equal(world.said('exception').length, 0);
  });

  it('never makes fresh answers of stale ones', async () => {
    const world = await worldWith();
    world.upstream.answers('four.example.', 'A', ['192.0.2.1'], { ttlSeconds: 10 });
    await world.asks('four.example.', 'A');
    await world.passSeconds(11);
    world.upstream.servfail('four.example.');
    const stale = await asks(world, 'four.example.', { edns: {} });
    assert.deepEqual([stale.data, stale.ttls, extendedErrors(stale)], [['64:ff9b::c000:201'], [30], [3]]);
    world.upstream.nodata('four.example.', 'AAAA', { soaMinimum: 60 });
    world.upstream.answers('four.example.', 'A', ['192.0.2.9'], { ttlSeconds: 10 });
    await world.passSeconds(1);
    assert.deepEqual((await asks(world, 'four.example.')).data, ['64:ff9b::c000:209'], 'it was not kept');
    await world.passSeconds(11);
    world.upstream.servfail('four.example.');
    const own = await asks(world, 'four.example.', { edns: {} });
    assert.deepEqual([own.data, own.ttls, extendedErrors(own)], [['64:ff9b::c000:209'], [30], [3]]);
  });

  it('has what is newest, where stale answers are given at once', async () => {
    const world = await worldWith('dns64', {
      corefile: corefileWith('dns64', 'cache 3600 {\n    serve_stale 1h\n  }'),
    });
    for (const last of [1, 2, 3]) {
      world.upstream.answers('four.example.', 'A', [`192.0.2.${last}`], { ttlSeconds: 10 });
      await asks(world, 'four.example.');
      await world.pass(50);
      assert.deepEqual((await asks(world, 'four.example.')).data, [`64:ff9b::c000:20${last}`]);
      await world.passSeconds(61);
    }
  });
});
