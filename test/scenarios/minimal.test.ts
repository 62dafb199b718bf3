import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile, type World } from './world.js';

async function worldWith(lines: string): Promise<World> {
  const world = await newWorld({ corefile: simpleCorefile.replace('  cache\n', `  cache 30\n  ${lines}\n`) });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  world.upstream.nxdomain('gone.example.');
  return world;
}

describe('any', () => {
  it('answers ANY by itself, over both transports, and asks upstream for the rest', async () => {
    const world = await worldWith('any');
    for (const transport of ['udp', 'tcp'] as const) {
      const { rcode, message } = await world.asks('a.example.', 'ANY', { transport });
      assert.deepEqual([rcode, message.answers?.map(({ type }) => type)], ['NOERROR', ['HINFO']]);
    }
    assert.equal(world.upstream.asked('a.example.'), 0);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
  });

  it('takes the place of what is cached for ANY when it comes with a reload', async () => {
    const world = await worldWith('');
    world.upstream.nodata('a.example.', 'ANY' as never);
    await world.asks('a.example.', 'ANY');
    assert.equal(await world.reload(simpleCorefile.replace('  cache\n', '  cache 30\n  any\n')), 'reloaded');
    const { message } = await world.asks('a.example.', 'ANY');
    assert.deepEqual(
      message.answers?.map(({ type }) => type),
      ['HINFO'],
    );
  });
});

describe('minimal', () => {
  const template =
    'template IN TXT t.example {\n answer "{{ .Name }} 20 IN TXT yes"\n authority "example. 20 IN NS ns.example."\n additional "ns.example. 20 IN A 192.0.2.9"\n fallthrough\n }';

  it('leaves of a positive answer its answers alone, also when it is cached', async () => {
    const sections = async (world: World) => {
      const { message } = await world.asks('t.example.', 'TXT');
      return [message.answers, message.authorities, message.additionals].map((section) => section?.length);
    };
    const whole = await worldWith(template);
    assert.deepEqual(await sections(whole), [1, 1, 1]);
    const world = await worldWith(`minimal\n  ${template}`);
    assert.deepEqual(await sections(world), [1, 0, 0]);
    assert.deepEqual(await sections(world), [1, 0, 0]);
  });

  it('leaves a denial its SOA', async () => {
    const world = await worldWith('minimal');
    const { rcode, message } = await world.asks('gone.example.', 'A');
    assert.deepEqual([rcode, message.authorities?.map(({ type }) => type)], ['NXDOMAIN', ['SOA']]);
  });
});
