import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AskOptions } from '../simulation/client.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const withLines = (lines: string) => simpleCorefile.replace('  cache\n', `  cache 30\n  ${lines}\n`);

async function worldWith(lines: string): Promise<World> {
  const world = await newWorld({ corefile: withLines(lines) });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  world.upstream.nxdomain('gone.example.');
  return world;
}

/** aa, ra and rd of an answer, those that it has. */
async function flags(world: World, name: string, options?: AskOptions): Promise<string> {
  const { message } = await world.asks(name, 'A', options);
  const { flag_aa: aa, flag_ra: ra, flag_rd: rd } = message;
  return [aa && 'aa', ra && 'ra', rd && 'rd'].filter(Boolean).join(' ');
}

/** RD of what the upstream was asked about the name, one after the other. */
const recursion = ({ upstream }: World) =>
  upstream.questions.filter(({ name }) => name === 'a.example.').map(({ message }) => message.flag_rd);

describe('header response', () => {
  it('sets and clears flags of all answers: asked for, cached, denied, made, failed', async () => {
    const world = await worldWith(
      'header {\n response set ra aa\n response clear rd\n }\n any\n aaaa nodata\n template IN A t.example {\n answer "{{ .Name }} 9 IN A 192.0.2.3"\n }',
    );
    for (const name of ['a.example', 'a.example', 'gone.example', 't.example', 'refused.example']) {
      for (const transport of ['udp', 'tcp'] as const)
        assert.equal(await flags(world, name, { transport }), 'aa ra', name);
    }
    const { message } = await world.asks('a.example', 'AAAA');
    assert.deepEqual([message.flag_aa, message.flag_rd], [true, false]);
  });

  it('clears RA, which all our answers have, and leaves what it says nothing of', async () => {
    const world = await worldWith('header {\n clear ra\n }');
    assert.equal(await flags(world, 'a.example'), 'rd');
    assert.equal(await flags(world, 'a.example', { flags: 0 }), '');
  });

  it('holds for what is cached when it comes with a reload, which keeps the cache', async () => {
    const world = await worldWith('');
    assert.equal(await flags(world, 'a.example'), 'ra rd');
    assert.equal(await world.reload(withLines('header {\n response set aa\n }')), 'reloaded');
    assert.equal(await flags(world, 'a.example'), 'aa ra rd');
    assert.equal(world.upstream.asked('a.example.'), 1);
  });
});

describe('header query', () => {
  it('asks upstreams with RD whatever the client asked, and answers with the client’s', async () => {
    const world = await worldWith('header {\n query set rd\n }');
    assert.equal(await flags(world, 'a.example', { flags: 0 }), 'ra');
    assert.deepEqual(recursion(world), [true]);
  });

  it('asks without RD, and keeps what is said then', async () => {
    const world = await worldWith('header {\n query clear rd\n }');
    for (const time of [1, 2]) assert.equal(await flags(world, 'a.example'), 'ra rd', `${time}`);
    assert.deepEqual(recursion(world), [false]);
    assert.equal(await world.reload(withLines('')), 'reloaded');
    await flags(world, 'a.example');
    assert.deepEqual(recursion(world), [false, true], 'what was asked otherwise is asked again');
  });
});
