/**
 * A pod asks 600 times at once for what is not joined in the front: each of its questions under way has an id and a port of
 * its own, so that a forged answer fits one of them 600 times as easily. The same question is asked upstream once.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { newWorld, type World } from '../scenarios/world.js';
import type { ClientAnswer } from '../simulation/client.js';
import type { Asked } from '../simulation/upstream.js';

const clients = 600;

/** One block that asks over UDP, where ids can be guessed. */
const corefile = (lines: string) => `. {
  bind 169.254.20.10
  errors
  cache 30
  ${lines}
  forward . 10.96.0.10
}
`;

/** The upstream takes 40 ms, so that all of them are under way at once. */
async function slowWorld(lines: string): Promise<World> {
  const world = await newWorld({ corefile: corefile(lines) });
  world.upstream.after(40);
  for (const name of ['real.test.', 'x.test.']) world.upstream.answers(name, 'A', ['192.0.2.7'], { ttlSeconds: 20 });
  return world;
}

/** Asks for each of the names in turn until so many have been asked, from so many addresses; gives all answers. */
async function askMany(
  world: World,
  name: (index: number) => string,
  address: (index: number) => string = (index) => `10.244.0.${1 + (index % 20)}`,
): Promise<ClientAnswer[]> {
  const answers = Promise.all(
    Array.from({ length: clients }, (_, index) => world.client(address(index)).asks(name(index), 'A', { id: index })),
  );
  await world.pass(3_000);
  return answers;
}

/** Spelled in other ways; the letters are those of `x.test` or the like. */
const spelled = (name: string) => (index: number) =>
  [...name].map((letter, at) => ((index >> at) & 1 ? letter.toUpperCase() : letter)).join('');

function check(answers: readonly ClientAnswer[], name: (index: number) => string): void {
  answers.forEach(({ message, rcode }, index) => {
    const [question] = message.questions ?? [];
    const addresses = (message.answers ?? []).filter(({ type }) => type === 'A') as { data: string }[];
    assert.deepEqual(
      [rcode, message.id, question.name, addresses.map(({ data }) => data)],
      ['NOERROR', index, name(index), ['192.0.2.7']],
    );
  });
}

describe('600 clients at once', () => {
  const alias = 'template IN A x.test {\n answer "{{ .Name }} 30 IN CNAME real.test."\n fallthrough\n}';
  const cases: readonly [string, string, string, number?][] = [
    ['a template’s alias', alias, 'real.test.'],
    ['a rewritten name', 'rewrite name x.test real.test', 'real.test.'],
    ['a redirected alias', 'rewrite cname exact other.test. real.test.', 'real.test.'],
    ['the client’s subnet', 'rewrite edns0 subnet set 24 56', 'x.test.'],
    ['what the client sent as an option', 'rewrite edns0 local append 0xffee 0x61', 'x.test.'],
    ['the query’s name as an option', 'rewrite edns0 local set 0xffee {qname}', 'x.test.'],
    ['the client’s address as an option', 'rewrite edns0 local set 0xffee {client_ip}', 'x.test.', 20],
    ['another RD', 'header {\n query clear rd\n}', 'x.test.'],
    ['nothing special', '', 'x.test.'],
  ];
  for (const [what, lines, asked, times = 1] of cases) {
    it(`ask upstream once for ${what}`, async () => {
      const world = await slowWorld(lines);
      if (lines.startsWith('rewrite cname')) {
        world.upstream.answers('x.test.', 'CNAME', []);
        world.upstream.on(({ name, question }) =>
          name === 'x.test.'
            ? { answers: [{ type: 'CNAME', name: question.name, ttl: 0, data: 'other.test' }] }
            : undefined,
        );
      }
      const name = spelled('x.test');
      check(await askMany(world, name), name);
      assert.equal(world.upstream.asked(asked), times);
    });
  }

  it('ask upstream once for what dns64 translates, with the client’s subnet', async () => {
    const world = await slowWorld('rewrite edns0 subnet set 24 56\n  dns64 {\n allow_ipv4\n }');
    world.upstream.nodata('x.test.', 'AAAA');
    const answers = Promise.all(
      Array.from({ length: clients }, (_, index) =>
        world.client(`10.244.0.${1 + (index % 20)}`).asks('x.test', 'AAAA'),
      ),
    );
    await world.pass(3_000);
    for (const { data } of await answers) assert.deepEqual(data, ['64:ff9b::c000:207']);
    assert.deepEqual([world.upstream.asked('x.test.', 'AAAA'), world.upstream.asked('x.test.', 'A')], [1, 1]);
  });

  it('of 300 subnets ask once for each, and each gets its own subnet’s answer', async () => {
    const world = await slowWorld('rewrite edns0 subnet set 24 56');
    world.upstream.speaksEdns = false;
    world.upstream.on((asked) => {
      const subnet = subnetOf(asked);
      const data = `192.0.${subnet[5]}.${subnet[6]}`;
      const opt = {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        flags: 0,
        options: [{ code: 8, data: scoped(subnet) }],
      };
      return {
        answers: [{ type: 'A', name: asked.question.name, ttl: 20, data }],
        additionals: [opt as unknown as Answer],
      };
    });
    const answers = await askMany(
      world,
      () => 'x.test',
      (index) => `10.${200 + Math.floor((index % 300) / 100)}.${index % 100}.${1 + Math.floor(index / 300)}`,
    );
    answers.forEach(({ message, data }, index) => {
      const third = 200 + Math.floor((index % 300) / 100);
      assert.deepEqual([message.id, data], [index, [`192.0.${third}.${index % 100}`]]);
    });
    assert.equal(world.upstream.asked('x.test.'), 300);
  });
});

function subnetOf({ message }: Asked): Buffer {
  const opt = message.additionals?.find(({ type }) => type === 'OPT') as { options?: { code: number; data: Buffer }[] };
  return opt.options!.find(({ code }) => code === 8)!.data;
}

/** The subnet as an answer has it that holds for that one alone. */
function scoped(subnet: Buffer): Buffer {
  const data = Buffer.from(subnet);
  data[3] = data[2];
  return data;
}
