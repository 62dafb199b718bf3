/** Directives have their say in one order (src/plugins/registry.ts), whatever the order in which they are written. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { pluginOrder } from '../../src/plugins/registry.js';
import { newWorld, opening, type World } from './world.js';

/** In the opposite order. */
const directives: Readonly<Record<string, string>> = {
  whoami: 'whoami',
  forward: 'forward test 10.96.0.10 {\nforce_tcp\n}',
  hosts: 'hosts {\n10.1.0.1 both.test\n10.1.0.1 known.test\nfd00::1 known.test\nfallthrough\n}',
  template: 'template IN A test {\nmatch ^(both|new)\nanswer "{{ .Name }} 60 IN A 10.2.0.2"\nfallthrough\n}',
  cache: 'cache',
  any: 'any',
  aaaa: 'aaaa nodata',
  acl: 'acl {\nblock net 10.9.0.1\n}\nacl new.test {\nblock net 10.9.0.2\n}',
  rewrite: 'rewrite name exact old.test new.test',
  local: 'local',
};
const corefile = `. {\nbind 169.254.20.10\n${Object.values(directives).join('\n')}\n}\n`;

describe('the order of execution', () => {
  let world: World;
  before(async () => {
    world = await newWorld({ corefile });
    for (const name of ['both.test.', 'known.test.', 'new.test.', 'old.test.', 'up.test.']) {
      world.upstream.answers(name, 'A', ['192.0.2.1']);
    }
  });
  const blocked = (name: string, type: 'A' | 'AAAA') => opening(world.clock, world.client('10.9.0.1').asks(name, type));

  it('is not that of the Corefile', () => {
    const names: readonly string[] = pluginOrder;
    const written = Object.keys(directives);
    assert.deepEqual(
      written.toReversed(),
      names.filter((name) => written.includes(name)),
    );
  });

  it('local, acl: names of this machine are for everybody', async () => {
    assert.deepEqual((await blocked('localhost.', 'A')).data, ['127.0.0.1']);
    assert.equal((await blocked('up.test.', 'A')).rcode, 'REFUSED');
  });

  it('acl, aaaa: who may not ask gets no policy', async () => {
    assert.equal((await blocked('up.test.', 'AAAA')).rcode, 'REFUSED');
    assert.equal((await world.asks('up.test.', 'AAAA')).rcode, 'NOERROR');
  });

  it('aaaa, hosts: an address that is known is not told', async () => {
    assert.deepEqual((await world.asks('known.test.', 'AAAA')).data, []);
  });

  it('rewrite, acl: the new name is one to be judged, also when another client has its answer cached', async () => {
    assert.deepEqual((await world.asks('old.test.', 'A')).data, ['10.2.0.2']);
    const other = world.client('10.9.0.2');
    for (const name of ['old.test.', 'new.test.']) {
      assert.equal((await opening(world.clock, other.asks(name, 'A'))).rcode, 'REFUSED', name);
    }
    assert.deepEqual((await opening(world.clock, other.asks('known.test.', 'A'))).data, ['10.1.0.1']);
  });

  it('acl, cache: what is kept is not for everybody', async () => {
    assert.deepEqual((await world.asks('known.test.', 'A')).data, ['10.1.0.1']);
    assert.equal((await blocked('known.test.', 'A')).rcode, 'REFUSED');
  });

  it('any, forward', async () => {
    const [record] = (await world.asks('up.test.', 'ANY')).message.answers ?? [];
    assert.equal(record.type, 'HINFO');
    assert.equal(world.upstream.asked('up.test.'), 0);
  });

  it('rewrite, template: the new name is the one that is made', async () => {
    assert.deepEqual((await world.asks('old.test.', 'A')).data, ['10.2.0.2']);
    assert.equal(world.upstream.asked('new.test.') + world.upstream.asked('old.test.'), 0);
  });

  it('template, hosts, forward, whoami', async () => {
    assert.deepEqual((await world.asks('both.test.', 'A')).data, ['10.2.0.2']);
    assert.equal(world.upstream.asked('both.test.') + world.upstream.asked('known.test.'), 0);
    assert.deepEqual((await world.asks('up.test.', 'A')).data, ['192.0.2.1']);
    const who = (await world.asks('nobody.example.', 'A')).message;
    assert.deepEqual([who.answers, who.additionals?.[0]?.type], [[], 'A']);
  });
});
