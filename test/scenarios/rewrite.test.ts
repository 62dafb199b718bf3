import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import dnsPacket, { type Answer } from 'dns-packet';
import { slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import type { AskOptions } from '../simulation/client.js';
import type { Asked } from '../simulation/upstream.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const withLines = (...lines: string[]) => simpleCorefile.replace('  cache\n', `  cache 30\n  ${lines.join('\n  ')}\n`);

async function worldWith(...lines: string[]): Promise<World> {
  const world = await newWorld({ corefile: withLines(...lines.map((line) => `rewrite ${line}`)) });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 20 });
  return world;
}

/** Records as `owner type data`. */
const written = (records: readonly Answer[] = []) =>
  records.map((record) => `${record.name} ${record.type} ${JSON.stringify((record as { data: unknown }).data)}`);

async function answerTo(world: World, name: string, type = 'A', options?: AskOptions) {
  const { message, rcode } = await world.asks(name, type, options);
  const { questions, answers, authorities, additionals } = message;
  return {
    rcode,
    question: questions?.[0].name,
    answers: written(answers),
    authorities: written(authorities),
    additionals: written(additionals),
  };
}

/** What was asked for clients; at the start the upstream is asked for the root's SOA. */
const askedIn = ({ upstream }: World) => upstream.questions.filter(({ name }) => name !== '.');

/** The data of an option as the upstream got it; null without it. */
function optionAsked({ message }: Asked, code: number): string | null {
  const opt = message.additionals?.find(({ type }) => type === 'OPT') as
    | { options?: { code: number; data: Buffer }[] }
    | undefined;
  return opt?.options?.find((option) => option.code === code)?.data.toString('hex') ?? null;
}

describe('rewrite name', () => {
  it('asks another name and answers the one that was asked, from the cache the second time', async () => {
    const world = await worldWith('name red.example a.example');
    for (const name of ['red.example', 'RED.Example']) {
      const { question, answers } = await answerTo(world, name);
      assert.deepEqual([question, answers], [name, [`${name} A "192.0.2.1"`]]);
    }
    assert.equal(world.upstream.asked('a.example.'), 1);
    assert.equal(world.upstream.asked('red.example.'), 0);
    assert.deepEqual((await answerTo(world, 'a.example')).answers, ['a.example A "192.0.2.1"']);
    assert.equal(world.upstream.asked('a.example.'), 2, 'what is kept is kept under the name that was asked');
  });

  it('asks once for clients that ask at once', async () => {
    const world = await worldWith('name red.example a.example');
    const answers = Promise.all([1, 2, 3].map(() => world.asking('red.example', 'A')));
    await world.pass(10);
    assert.deepEqual(
      (await answers).map(({ data }) => data),
      [['192.0.2.1'], ['192.0.2.1'], ['192.0.2.1']],
    );
    assert.equal(world.upstream.asked('a.example.'), 1);
  });

  it('leaves answers as they are without answer auto, and leads names back with it, in all sections', async () => {
    const records = {
      answers: [
        { type: 'CNAME', name: 'a.service.consul', ttl: 9, data: 'B.service.consul' },
        {
          type: 'SRV',
          name: 'b.service.consul',
          ttl: 9,
          data: { priority: 0, weight: 0, port: 80, target: 'c.service.consul' },
        },
        { type: 'MX', name: 'b.service.consul', ttl: 9, data: { preference: 1, exchange: 'mail.other.test' } },
      ] as Answer[],
      authorities: [{ type: 'NS', name: 'x.service.consul', ttl: 9, data: 'ns.service.consul' }] as Answer[],
      additionals: [{ type: 'A', name: 'c.service.consul', ttl: 9, data: '192.0.2.3' }] as Answer[],
    };
    const ask = async (rule: string) => {
      const world = await worldWith(rule);
      world.upstream.on(({ name }) => (name === 'a.service.consul.' ? records : undefined));
      return answerTo(world, 'a.coredns.rocks', 'SRV');
    };
    const plain = await ask('name suffix .coredns.rocks .service.consul');
    assert.deepEqual(plain.answers[0], 'a.service.consul CNAME "B.service.consul"');
    const whole = await ask('name suffix .coredns.rocks .service.consul answer auto');
    assert.deepEqual(whole.answers, [
      'a.coredns.rocks CNAME "b.coredns.rocks"',
      'b.coredns.rocks SRV {"priority":0,"weight":0,"port":80,"target":"c.coredns.rocks"}',
      'b.coredns.rocks MX {"preference":1,"exchange":"mail.other.test"}',
    ]);
    assert.deepEqual(whole.authorities, ['x.coredns.rocks NS "ns.coredns.rocks"']);
    assert.deepEqual(whole.additionals, ['c.coredns.rocks A "192.0.2.3"']);
    assert.equal(whole.question, 'a.coredns.rocks');
  });

  it('takes a pattern apart, and puts the answer together by another', async () => {
    const world = await worldWith(
      'stop {\n name regex (.*)-(us-west-1)\\.coredns\\.rocks {1}.service.{2}.consul\n answer name (.*)\\.service\\.(us-west-1)\\.consul {1}-{2}.coredns.rocks\n }',
    );
    world.upstream.answers('ftp.service.us-west-1.consul.', 'A', ['10.10.10.10', '10.20.20.20']);
    assert.deepEqual((await answerTo(world, 'ftp-us-west-1.coredns.rocks')).answers, [
      'ftp-us-west-1.coredns.rocks A "10.10.10.10"',
      'ftp-us-west-1.coredns.rocks A "10.20.20.20"',
    ]);
  });

  it('keeps denials under the name that was asked', async () => {
    const world = await worldWith('name suffix .coredns.rocks .service.consul answer auto');
    world.upstream.nxdomain('gone.service.consul.');
    for (const time of [1, 2]) assert.equal((await answerTo(world, 'gone.coredns.rocks')).rcode, 'NXDOMAIN', `${time}`);
    assert.equal(world.upstream.asked('gone.service.consul.'), 1);
  });

  it('gives SERVFAIL and a line where the name would be none, and asks nobody', async () => {
    const world = await worldWith(`name prefix a ${'b'.repeat(61)}`);
    assert.equal((await answerTo(world, 'aaaa.example')).rcode, 'SERVFAIL');
    assert.deepEqual(askedIn(world), []);
    assert.equal(world.said('the rewritten aaaa.example. is not a valid name').length, 1);
  });

  it('is before templates and hosts, as what it asks is made by them too', async () => {
    const world = await newWorld({
      corefile: withLines(
        'rewrite name red.example t.example',
        'rewrite name host.example h.example',
        'template IN A t.example {\n answer "{{ .Name }} 20 IN A 192.0.2.8"\n }',
        'hosts {\n 192.0.2.9 h.example\n fallthrough\n }',
      ),
    });
    assert.deepEqual((await answerTo(world, 'red.example')).answers, ['red.example A "192.0.2.8"']);
    assert.deepEqual((await answerTo(world, 'host.example')).answers, ['host.example A "192.0.2.9"']);
    assert.deepEqual(askedIn(world), []);
  });

  it('refreshes what is kept, and is stale when it must be, by the name that was asked', async () => {
    const world = await worldWith('name red.example a.example');
    await world.asks('red.example', 'A');
    await world.passSeconds(21);
    world.upstream.servfail('a.example.');
    const { rcode, message } = await world.asks('red.example', 'A');
    assert.deepEqual([rcode, written(message.answers)], ['NOERROR', ['red.example A "192.0.2.1"']]);
  });

  it('forgets what it kept by other rules when these come with a reload', async () => {
    const world = await worldWith('name red.example a.example');
    world.upstream.answers('b.example.', 'A', ['192.0.2.2']);
    await world.asks('red.example', 'A');
    assert.equal(await world.reload(withLines('rewrite name red.example b.example')), 'reloaded');
    assert.deepEqual((await world.asks('red.example', 'A')).data, ['192.0.2.2']);
    const rule = (pattern: string) => withLines(`rewrite name regex ${pattern} a.example`);
    assert.equal(await world.reload(rule('RED')), 'reloaded');
    world.upstream.answers('red.example.', 'A', ['192.0.2.3']);
    assert.deepEqual((await world.asks('red.example', 'A')).data, ['192.0.2.3'], 'names are in lower case');
    assert.equal(await world.reload(rule('(?i)RED')), 'reloaded');
    assert.deepEqual((await world.asks('red.example', 'A')).data, ['192.0.2.1']);
  });
});

describe('rewrite type, class, ttl and rcode', () => {
  it('asks another type and answers the one that was asked, kept', async () => {
    const world = await worldWith('type ANY HINFO');
    world.upstream.answers('a.example.', 'HINFO', [{ cpu: 'x', os: 'y' }]);
    for (const time of [1, 2]) {
      const { message } = await world.asks('a.example', 'ANY');
      assert.deepEqual([message.questions?.[0].type, message.answers?.[0].type], ['ANY', 'HINFO'], `${time}`);
    }
    assert.equal(world.upstream.asked('a.example.', 'HINFO'), 1);
  });

  it('asks another class', async () => {
    const world = await worldWith('class CH IN');
    const { message } = await world.asks('a.example', 'A', { class: 'CH' });
    assert.deepEqual([message.questions?.[0].class, written(message.answers)], ['CH', ['a.example A "192.0.2.1"']]);
  });

  it('sets TTLs, or keeps them within a range, and keeps the answer as long', async () => {
    const world = await worldWith('continue {\n ttl regex (.*)\\.example 15\n }', 'ttl exact b.example 30-300');
    world.upstream.answers('b.example.', 'A', ['192.0.2.2'], { ttlSeconds: 1 });
    assert.deepEqual((await world.asks('a.example', 'A')).ttls, [15]);
    assert.deepEqual((await world.asks('b.example', 'A')).ttls, [30]);
    await world.passSeconds(16);
    await world.asks('a.example', 'A');
    assert.equal(world.upstream.asked('a.example.'), 2);
  });

  it('changes an rcode, of an answer without records too', async () => {
    const world = await worldWith('rcode regex (.*)\\.coredns\\.rocks SERVFAIL NOERROR');
    world.upstream.servfail('a.coredns.rocks.');
    world.upstream.servfail('a.example.org.');
    assert.equal((await answerTo(world, 'a.coredns.rocks')).rcode, 'NOERROR');
    assert.equal((await answerTo(world, 'a.example.org')).rcode, 'SERVFAIL');
  });
});

describe('rewrite cname', () => {
  it('asks for where an alias leads now', async () => {
    const world = await worldWith('cname exact my-app.com.cdn.example.net. my-app.com.other.cdn.com.');
    world.upstream.on(({ name, type }) =>
      name === 'my-app.com.' && type === 'A'
        ? {
            answers: [
              { type: 'CNAME', name: 'my-app.com', ttl: 20, data: 'my-app.com.cdn.example.net' },
              { type: 'A', name: 'my-app.com.cdn.example.net', ttl: 20, data: '20.2.0.1' },
            ],
          }
        : undefined,
    );
    world.upstream.answers('my-app.com.other.cdn.com.', 'A', ['30.3.1.1', '30.3.1.2']);
    const expected = [
      'my-app.com CNAME "my-app.com.other.cdn.com"',
      'my-app.com.other.cdn.com A "30.3.1.1"',
      'my-app.com.other.cdn.com A "30.3.1.2"',
    ];
    for (const time of [1, 2]) assert.deepEqual((await answerTo(world, 'my-app.com')).answers, expected, `${time}`);
    assert.equal(world.upstream.asked('my-app.com.'), 1);
  });

  it('waits for both answers together no longer than for one', async () => {
    const world = await worldWith('cname b.example c.example');
    world.upstream.on(({ name }) =>
      name === 'd.example.'
        ? { answers: [{ type: 'CNAME', name: 'd.example', ttl: 20, data: 'b.example' }] }
        : undefined,
    );
    world.upstream.after(1_500, 'd.example.');
    world.upstream.silent('c.example.');
    const { rcode, afterMs } = await world.asks('d.example', 'A');
    assert.equal(rcode, 'SERVFAIL');
    assert.ok(afterMs < slowDeadlineMs + 2 * sweepPeriodMs, `${afterMs} ms`);
  });
});

describe('rewrite edns0', () => {
  it('sends an option to upstreams, over UDP and TCP, and none to clients', async () => {
    const world = await newWorld({
      corefile: withLines('rewrite edns0 local set 0xffee 0x61626364').replace('force_tcp', 'policy random'),
    });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.upstream.answers('b.example.', 'A', ['192.0.2.1']);
    for (const [name, transport] of [
      ['a.example', 'udp'],
      ['b.example', 'tcp'],
    ] as const) {
      const { opt, data } = await world.asks(name, 'A', { transport, edns: {} });
      assert.deepEqual([opt?.options, data], [[], ['192.0.2.1']]);
      const asked = askedIn(world).at(-1)!;
      assert.deepEqual([asked.transport, optionAsked(asked, 0xffee)], [transport, '61626364']);
    }
    await world.asks('a.example', 'A');
    assert.equal(world.upstream.asked('a.example.'), 1, 'what is the same for everybody is kept');
  });

  it('keeps nothing of what may depend on who asks, and asks for each', async () => {
    const world = await worldWith('edns0 local set 0xffee {client_ip}');
    const answers = Promise.all(
      ['10.244.0.1', '10.244.0.2'].map((address) => world.client(address).asks('a.example', 'A')),
    );
    await world.pass(10);
    assert.deepEqual(
      (await answers).map(({ data }) => data),
      [['192.0.2.1'], ['192.0.2.1']],
    );
    assert.deepEqual(
      askedIn(world)
        .map((asked) => optionAsked(asked, 0xffee))
        .sort(),
      ['0af40001', '0af40002'],
    );
    await world.asks('a.example', 'A');
    assert.equal(world.upstream.asked('a.example.'), 3);
  });

  it('keeps what holds for every network, where it tells the client’s', async () => {
    const world = await worldWith('edns0 subnet set 24 56');
    const scoped =
      (scope: number) =>
      ({ name, question }: Asked) => ({
        answers: [{ type: 'A', name: question.name, ttl: 20, data: '192.0.2.1' } as Answer],
        additionals: [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: 1232,
            flags: 0,
            options: [{ code: 8, data: Buffer.from([0, 1, 24, name.startsWith('n') ? scope : 0, 10, 244, 0]) }],
          } as unknown as Answer,
        ],
      });
    world.upstream.speaksEdns = false;
    world.upstream.on(scoped(24));
    for (const name of ['near.example', 'near.example', 'all.example', 'all.example']) {
      assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1']);
    }
    assert.equal(optionAsked(askedIn(world)[0], 8), '000118000af400');
    assert.deepEqual([world.upstream.asked('near.example.'), world.upstream.asked('all.example.')], [2, 1]);
  });

  for (const serveStale of ['verify', 'immediate', 'verify 200ms']) {
    for (const rule of ['subnet set 24 56', 'local append 0xffee 0x61']) {
      it(`leaves what held for everybody to failures, once "${rule}" brings what does not, with ${serveStale}`, async () => {
        const world = await newWorld({
          corefile: withLines(`rewrite edns0 ${rule}`).replace(
            'cache 30',
            `cache 30 {\n    serve_stale 1h ${serveStale}\n  }`,
          ),
        });
        const code = rule.startsWith('subnet') ? 8 : 0xffee;
        let now = { scope: 0, data: '192.0.2.1' };
        world.upstream.speaksEdns = false;
        world.upstream.on(({ question }) => {
          const option = { code: 8, data: Buffer.from([0, 1, 24, now.scope, 10, 244, 0]) };
          const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [option] };
          return {
            answers: [{ type: 'A', name: question.name, ttl: 10, data: now.data }],
            additionals: [opt as unknown as Answer],
          };
        });
        // Who sends an option of its own that is sent on is answered alone.
        const own = { edns: { options: [{ code, data: Buffer.from('b') }] } };
        await world.asks('a.example', 'A');
        await world.passSeconds(11);
        now = { scope: 24, data: '192.0.2.2' };
        await world.asks('a.example', 'A', own);
        await world.pass(50);
        for (let times = 0; times < 3; times++) {
          assert.deepEqual((await world.asks('a.example', 'A', own)).data, ['192.0.2.2']);
          await world.passSeconds(3);
        }
        world.upstream.stop();
        assert.deepEqual((await world.asks('a.example', 'A')).data, ['192.0.2.1']);
      });
    }
  }
});

describe('a block without rewrite', () => {
  it('passes on what upstreams say, as it is', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { flags: dnsPacket.AUTHENTIC_DATA });
    const { message } = await world.asks('a.example', 'A', { edns: { dnssecOk: true } });
    assert.equal(message.flag_ad, true);
    const rewriting = await worldWith('name red.example a.example');
    rewriting.upstream.answers('a.example.', 'A', ['192.0.2.1'], { flags: dnsPacket.AUTHENTIC_DATA });
    const { message: other } = await rewriting.asks('red.example', 'A', { edns: { dnssecOk: true } });
    assert.equal(other.flag_ad, false, 'what is not as it was signed is not authentic');
  });
});
