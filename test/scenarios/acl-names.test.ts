/**
 * `acl` judges every name that is asked for a client: its own and each in the place of it or behind it, in the block that
 * asks and in the one that the name belongs to; and what one client was told is not told to one who may not have it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { newWorld, opening, type World } from './world.js';

/** May have everything, and not what is below secret.test. */
const friend = '10.1.0.1';
const otherFriend = '10.1.0.2';
const stranger = '10.9.0.1';
const rules = 'acl secret.test {\nallow net 10.1.0.0/16\nblock\n}';

const oneBlock = (lines: string, acl = rules) => `. {
bind 169.254.20.10
cache 30
prometheus 127.0.0.1:9153
${acl}
${lines}
forward . 10.96.0.10 {
force_tcp
}
}
`;

const twoBlocks = (lines: string, acl = rules.replace('acl secret.test', 'acl')) => `. {
bind 169.254.20.10
cache 30
${lines}
forward . 192.0.2.53 10.96.0.10 {
force_tcp
policy sequential
}
}
secret.test {
bind 169.254.20.10
cache 30
${acl}
forward . 10.96.0.10 {
force_tcp
}
}
`;

async function worldWith(corefile: string): Promise<World> {
  const world = await newWorld({
    corefile,
    files: { '/etc/pods.conf': 'search first.test secret.test open.test\n' },
  });
  for (const upstream of [world.upstream, world.outside]) {
    upstream.answers('a.secret.test.', 'A', ['192.0.2.66'], { ttlSeconds: 20 });
    upstream.nodata('a.secret.test.', 'AAAA');
    upstream.nxdomain('a.first.test.');
    upstream.answers('a.open.test.', 'A', ['192.0.2.1']);
    upstream.on(({ name }) =>
      name === 'alias.test.'
        ? { answers: [{ type: 'CNAME', name: 'alias.test', ttl: 9, data: 'old.test' }] as Answer[] }
        : undefined,
    );
  }
  return world;
}

const errorsOf = (options: unknown) =>
  ((options ?? []) as { code: number; data: Buffer }[])
    .filter(({ code }) => code === 15)
    .map(({ data }) => data.readUInt16BE());

const asks = (world: World, client: string, name: string, type = 'A') =>
  opening(world.clock, world.client(client).asks(name, type as 'A', { edns: {}, timeoutMs: 3000 }));

/** Each way to a name of secret.test, and the name by which it is reached. */
const ways: readonly (readonly [string, string, string])[] = [
  ['rewrite name', 'rewrite name exact public.test a.secret.test', 'public.test.'],
  ['rewrite name suffix', 'rewrite name suffix .public.test .secret.test answer auto', 'a.public.test.'],
  ['rewrite name regex', 'rewrite name regex (.*)\\.public\\.test {1}.secret.test', 'a.public.test.'],
  ['rewrite cname', 'rewrite cname exact old.test. a.secret.test.', 'alias.test.'],
  ['template', 'template IN A public.test {\nanswer "{{ .Name }} 60 IN CNAME a.secret.test."\n}', 'public.test.'],
  [
    'template, by another',
    'template IN A public.test {\nanswer "{{ .Name }} 60 IN CNAME next.test."\n}\n' +
      'template IN A next.test {\nanswer "{{ .Name }} 60 IN CNAME a.secret.test."\n}',
    'public.test.',
  ],
];

for (const [where, corefile] of [
  ['in one block', oneBlock],
  ['in another block', twoBlocks],
] as const) {
  describe(`a name that may not be asked for, ${where}`, () => {
    for (const [what, lines, name] of ways) {
      it(`is not reached by ${what}, before or after others have it`, async () => {
        const world = await worldWith(corefile(lines));
        const refused = async (): Promise<void> => {
          const { rcode, data, opt } = await asks(world, stranger, name);
          assert.deepEqual([rcode, data, errorsOf(opt?.options)], ['REFUSED', [], [15]]);
        };
        await refused();
        assert.equal(world.upstream.asked('a.secret.test.') + world.outside.asked('a.secret.test.'), 0);
        for (const client of [friend, otherFriend, friend]) {
          assert.equal((await asks(world, client, name)).data.at(-1), '192.0.2.66');
        }
        await refused();
        assert.equal(world.upstream.asked('a.secret.test.', 'A') + world.outside.asked('a.secret.test.', 'A'), 1);
        // At the same moment, in both orders.
        await world.passSeconds(60);
        for (const order of [
          [stranger, friend],
          [friend, stranger],
        ]) {
          await world.passSeconds(60);
          const asking = order.map((client) => world.client(client).asks(name as never, 'A'));
          await world.pass(100);
          const rcodes = (await Promise.all(asking)).map(({ rcode }) => rcode);
          assert.deepEqual(
            rcodes,
            order.map((client) => (client === friend ? 'NOERROR' : 'REFUSED')),
          );
        }
      });
    }

    it('is filtered and dropped as it would be by its own name', async () => {
      const acl = (action: string) =>
        `acl${where === 'in one block' ? ' secret.test' : ''} {\n${action} net 10.9.0.0/16\n}`;
      for (const [what, lines, name] of ways) {
        const filtering = await worldWith(corefile(lines, acl('filter')));
        const { rcode, data, opt } = await asks(filtering, stranger, name);
        assert.deepEqual([rcode, data, errorsOf(opt?.options)], ['NOERROR', [], [17]], what);
        const dropping = await worldWith(corefile(lines, acl('drop')));
        await assert.rejects(asks(dropping, stranger, name), what);
        assert.equal(dropping.app.waiting, 0);
        assert.equal((await asks(dropping, friend, name)).rcode, 'NOERROR');
      }
    });

    it('is no longer given by what was kept before the rules were there, nor by what is kept past its time', async () => {
      for (const [what, lines, name] of ways) {
        const world = await worldWith(corefile(lines, ''));
        assert.equal((await asks(world, stranger, name)).data.at(-1), '192.0.2.66');
        assert.equal(await world.reload(corefile(lines)), 'reloaded');
        assert.equal((await asks(world, stranger, name)).rcode, 'REFUSED', what);
        assert.equal((await asks(world, friend, name)).data.at(-1), '192.0.2.66');
        assert.equal(await world.reload(corefile(lines, rules.replace('10.1.0.0/16', '10.2.0.0/16'))), 'reloaded');
        assert.equal((await asks(world, friend, name)).rcode, 'REFUSED', what);
        for (const upstream of [world.upstream, world.outside]) upstream.silent('a.secret.test.');
        await world.passSeconds(120);
        assert.equal((await asks(world, friend, name)).rcode, 'REFUSED', what);
      }
    });
  });
}

describe('a client’s own name', () => {
  it('is judged as well as the one in its place: what either is refused is refused', async () => {
    const world = await worldWith(oneBlock('rewrite name exact a.secret.test a.open.test'));
    assert.equal((await asks(world, stranger, 'a.secret.test.')).rcode, 'REFUSED');
    assert.deepEqual((await asks(world, friend, 'a.secret.test.')).data, ['192.0.2.1']);
  });

  it('is counted once, however many names are asked for it', async () => {
    const world = await worldWith(oneBlock('rewrite name exact public.test a.secret.test'));
    await asks(world, friend, 'public.test.');
    await asks(world, stranger, 'public.test.');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    const labels = 'server="dns://169.254.20.10:53"';
    assert.ok(body.includes(`coredns_acl_blocked_requests_total{${labels},zone="secret.test.",view=""} 1`), body);
    assert.match(body, /^coredns_dns_responses_total\{[^}]*rcode="REFUSED",plugin="acl"\} 1$/mu);
  });

  it('is judged by the type that is asked in the place of its own', async () => {
    const acl = 'acl secret.test {\nblock type A net 10.9.0.0/16\n}';
    const smart = await worldWith(oneBlock('aaaa smart', acl));
    for (const before of [true, false]) {
      assert.equal((await asks(smart, stranger, 'a.secret.test.', 'AAAA')).rcode, 'REFUSED', `${before}`);
      assert.equal((await asks(smart, friend, 'a.secret.test.', 'AAAA')).rcode, 'NOERROR');
    }
    const retyped = await worldWith(oneBlock('rewrite type TXT A', acl));
    assert.equal((await asks(retyped, stranger, 'a.secret.test.', 'TXT')).rcode, 'REFUSED');
  });
});

describe('dns64', () => {
  it('makes no addresses of those that a client may not have', async () => {
    const v6 = { friend: 'fd00:1::1', stranger: 'fd00:9::1' };
    const world = await worldWith(oneBlock('dns64', 'acl secret.test {\nblock type A net fd00:9::/32\n}'));
    for (const time of [1, 2]) {
      const { rcode, data } = await asks(world, v6.stranger, 'a.secret.test.', 'AAAA');
      assert.deepEqual([rcode, data], ['NOERROR', []], `${time}`);
      assert.deepEqual((await asks(world, v6.friend, 'a.secret.test.', 'AAAA')).data, ['64:ff9b::c000:242']);
    }
    assert.equal(world.upstream.asked('a.secret.test.', 'A'), 1);
  });
});

describe('a refresh', () => {
  it('asks for those who had the answer, whose rules it goes by', async () => {
    const acl = 'acl secret.test {\nallow net 10.1.0.0/16 fd00:1::/32\nblock type A\n}';
    for (const [lines, client, name, type, data] of [
      ['dns64', 'fd00:1::1', 'a.secret.test.', 'AAAA', '64:ff9b::c000:242'],
      ['rewrite name public.test a.secret.test', friend, 'public.test.', 'A', '192.0.2.66'],
      [ways[4][1], friend, 'public.test.', 'A', '192.0.2.66'],
    ]) {
      const world = await worldWith(oneBlock(lines, acl).replace('cache 30', 'cache 30 {\nprefetch 1 1m 90%\n}'));
      for (let time = 0; time < 6; time++) {
        assert.equal((await asks(world, client, name, type)).data.at(-1), data, `${lines}, ${time}`);
        await world.passSeconds(5);
      }
      assert.ok(world.upstream.asked('a.secret.test.', 'A') > 1, lines);
    }
  });
});

describe('autopath', () => {
  it('walks no further than the client may, and keeps apart what others have found', async () => {
    for (const corefile of [oneBlock, twoBlocks]) {
      const world = await worldWith(corefile('autopath /etc/pods.conf'));
      for (const time of [1, 2]) {
        const { rcode, data } = await asks(world, stranger, 'a.first.test.');
        assert.deepEqual([rcode, data], ['NXDOMAIN', []], `${time}: it goes on by itself`);
        assert.deepEqual((await asks(world, friend, 'a.first.test.')).data, ['a.secret.test', '192.0.2.66']);
      }
      assert.equal(world.upstream.asked('a.secret.test.', 'A') + world.outside.asked('a.secret.test.', 'A'), 1);
      assert.equal((await asks(world, stranger, 'a.secret.test.')).rcode, 'REFUSED');
    }
  });
});

describe('what is kept for clients of one kind', () => {
  it('is shared by them, also over a reload, and clients that rules do not tell apart are of one', async () => {
    const lines = 'rewrite name exact public.test a.secret.test';
    const acl = 'acl secret.test {\nallow net 10.1.0.0/16\nallow net 10.2.0.0/16\nblock\n}';
    const world = await worldWith(oneBlock(lines, acl));
    for (const client of ['10.1.0.1', '10.2.0.1', '10.1.0.9']) {
      assert.deepEqual((await asks(world, client, 'public.test.')).data, ['192.0.2.66']);
    }
    assert.equal(await world.reload(oneBlock(`${lines}\nerrors`, acl)), 'reloaded');
    assert.deepEqual((await asks(world, '10.2.0.7', 'public.test.')).data, ['192.0.2.66']);
    assert.equal(world.upstream.asked('a.secret.test.', 'A'), 1);
  });
});
