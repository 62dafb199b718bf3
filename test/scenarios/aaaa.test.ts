import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SoaAnswer } from 'dns-packet';
import { newWorld, simpleCorefile, type World } from './world.js';

const withPolicy = (lines: string) => simpleCorefile.replace('  cache\n', `  cache 30\n  ${lines}\n`);

async function worldWith(lines: string): Promise<World> {
  const world = await newWorld({ corefile: withPolicy(lines) });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  world.upstream.nxdomain('gone.example.');
  world.upstream.nodata('empty.example.', 'A');
  return world;
}

const aaaaAsked = (world: World) => world.upstream.asked(undefined, 'AAAA');

describe('AAAA', () => {
  it('is denied by the usual template without asking anybody, with a SOA', async () => {
    const world = await worldWith('template ANY AAAA {\n    rcode NXDOMAIN\n  }');
    const before = world.upstream.asked();
    const answer = await world.asks('a.example.', 'AAAA');
    assert.equal(answer.rcode, 'NXDOMAIN');
    const [soa] = answer.message.authorities as SoaAnswer[];
    assert.deepEqual([soa.name, soa.ttl, soa.data.minimum], ['.', 30, 30]);
    assert.equal(world.upstream.asked(), before);
    assert.equal(world.app.counters.total('aaaaSynthesized'), 1);
  });

  it('is warned of once, with the remedy', async () => {
    const world = await worldWith('aaaa nxdomain');
    const lines = world.said('musl');
    assert.equal(lines.length, 1);
    assert.match(lines[0].message, /aaaa (nodata|smart)/u);
    await world.asks('a.example.', 'AAAA');
    assert.equal(world.said('musl').length, 1);
  });

  it('has no data under `nodata`', async () => {
    const world = await worldWith('aaaa nodata');
    const answer = await world.asks('a.example.', 'AAAA');
    assert.deepEqual([answer.rcode, answer.data, answer.message.authorities?.length], ['NOERROR', [], 1]);
    assert.equal(aaaaAsked(world), 0);
    assert.equal(world.said('musl').length, 0);
  });

  it('follows the A under `smart`, which is asked once for both', async () => {
    const world = await worldWith('aaaa smart');
    const both = Promise.all([world.asking('a.example.', 'AAAA'), world.asking('a.example.', 'A')]);
    await world.pass(100);
    const [aaaa, a] = await both;
    assert.deepEqual([aaaa.rcode, aaaa.data, a.data], ['NOERROR', [], ['192.0.2.1']]);
    assert.equal(world.upstream.asked('a.example.'), 1);
    assert.equal((await world.asks('gone.example.', 'AAAA')).rcode, 'NXDOMAIN');
    assert.equal((await world.asks('empty.example.', 'AAAA')).rcode, 'NOERROR');
    assert.equal((await world.asks('gone.example.', 'AAAA')).rcode, 'NXDOMAIN');
    assert.equal(world.upstream.asked('gone.example.'), 1);
    assert.equal(aaaaAsked(world), 0);
  });

  it('fails under `smart` when the A query fails', async () => {
    const world = await worldWith('aaaa smart');
    world.upstream.silent('silent.example.');
    assert.equal((await world.asks('silent.example.', 'AAAA')).rcode, 'SERVFAIL');
  });

  it('is denied by a template without an answer, for the names that match, with a SOA', async () => {
    const world = await worldWith(
      'template IN AAAA example {\n    match .*[.]apps[.]example[.]\n    fallthrough\n  }\n  template IN TXT',
    );
    world.upstream.answers('a.example.', 'AAAA', ['2001:db8::1']);
    for (const [name, type] of [
      ['x.apps.example.', 'AAAA'],
      ['x.example.org.', 'TXT'],
    ] as const) {
      for (const time of ['made', 'kept']) {
        const { rcode, message } = await world.asks(name, type);
        assert.deepEqual([rcode, message.answers, message.authorities?.[0].type], ['NOERROR', [], 'SOA'], time);
      }
      assert.equal(world.upstream.asked(name, type), 0);
    }
    assert.deepEqual((await world.asks('a.example.', 'AAAA')).data, ['2001:db8::1']);
  });

  it('follows a template for A under `smart`, and nobody is asked', async () => {
    const world = await worldWith(
      'aaaa smart\n  template IN A made.example {\n    answer "{{ .Name }} 60 IN A 198.51.100.7"\n    }\n' +
        '  template IN A none.example {\n    rcode NXDOMAIN\n  }\n' +
        '  template IN A alias.example {\n    answer "{{ .Name }} 60 IN CNAME a.example."\n  }',
    );
    const made = await world.asks('www.made.example.', 'AAAA');
    assert.deepEqual([made.rcode, made.data], ['NOERROR', []]);
    assert.equal((await world.asks('none.example.', 'AAAA')).rcode, 'NXDOMAIN');
    assert.deepEqual((await world.asks('www.made.example.', 'A')).data, ['198.51.100.7']);
    for (const name of ['www.made.example.', 'none.example.']) assert.equal(world.upstream.asked(name), 0);
    const alias = await world.asks('alias.example.', 'AAAA');
    assert.deepEqual([alias.rcode, alias.data, world.upstream.asked('a.example.')], ['NOERROR', [], 1]);
  });

  it('is asked for under `forward`', async () => {
    const world = await worldWith('aaaa forward');
    world.upstream.answers('a.example.', 'AAAA', ['2001:db8::1']);
    assert.deepEqual((await world.asks('a.example.', 'AAAA')).data, ['2001:db8::1']);
    assert.equal(aaaaAsked(world), 1);
  });
});

describe('template', () => {
  it('makes answers that are kept and counted down', async () => {
    const world = await worldWith('template IN A example.org {\n    answer "{{ .Name }} 60 IN A 198.51.100.7"\n  }');
    const first = await world.asks('www.example.org.', 'A');
    assert.deepEqual([first.data, first.ttls], [['198.51.100.7'], [30]]);
    await world.passSeconds(3);
    assert.deepEqual((await world.asks('www.example.org.', 'A')).ttls, [27]);
    assert.equal(world.upstream.asked('www.example.org.'), 0);
  });

  it('denies with the zone’s SOA, so that the denial is kept', async () => {
    const world = await worldWith('template ANY ANY local {\n    rcode NXDOMAIN\n  }');
    const answer = await world.asks('printer.local.', 'A');
    assert.equal(answer.rcode, 'NXDOMAIN');
    assert.equal((answer.message.authorities as SoaAnswer[])[0].ttl, 30);
    await world.passSeconds(2);
    assert.deepEqual((await world.asks('printer.local.', 'A')).ttls, [28]);
  });

  it('leaves the rest to the upstream with fallthrough, and fails without', async () => {
    const template = (end: string) =>
      `template IN A example {\n    match ^made[.]\n    answer "{{ .Name }} 60 IN A 198.51.100.7"\n    ${end}\n  }`;
    const open = await worldWith(template('fallthrough'));
    assert.deepEqual((await open.asks('made.example.', 'A')).data, ['198.51.100.7']);
    assert.deepEqual((await open.asks('a.example.', 'A')).data, ['192.0.2.1']);
    const closed = await worldWith(template(''));
    assert.equal((await closed.asks('a.example.', 'A')).rcode, 'SERVFAIL');
    assert.match(closed.said('no match')[0].message, /a\.example\. A/u);
  });

  it('follows an alias of its own upstream', async () => {
    const world = await worldWith(
      'template IN A alias.example {\n    answer "{{ .Name }} 60 IN CNAME a.example."\n  }',
    );
    const answer = await world.asks('alias.example.', 'A');
    assert.deepEqual(answer.data, ['a.example', '192.0.2.1']);
    assert.equal(world.upstream.asked('a.example.'), 1);
  });

  it('says why with ederror, to those who can read it, and keeps nothing of that', async () => {
    const world = await worldWith('template IN A example.org {\n    rcode NXDOMAIN\n    ederror 15 "not here"\n  }');
    const { opt } = await world.asks('x.example.org.', 'A', { edns: {} });
    const option = opt?.options.find(({ code }) => (code as unknown as number) === 15) as { data?: Buffer } | undefined;
    assert.equal(option?.data?.subarray(2).toString(), 'not here');
    assert.equal((await world.asks('x.example.org.', 'A')).opt, undefined);
  });
});
