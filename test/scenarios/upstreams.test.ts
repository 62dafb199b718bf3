import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer, DecodedPacket } from 'dns-packet';
import { clusterDns, newWorld, type World } from './world.js';

const forwarding = (lines: string, to = '10.96.0.10 192.0.2.53') => `. {
  bind 169.254.20.10
  errors
  forward . ${to} {
${lines}
  }
}
`;

const block = (lines: string, to: string, zone: string) => `${zone} {
  bind 169.254.20.10
  errors
  ${lines}
  forward . ${to}
}
`;

function optOf({ additionals }: DecodedPacket): Extract<Answer, { type: 'OPT' }> | undefined {
  return additionals?.find((additional) => additional.type === 'OPT');
}

async function worldWith(lines: string, to?: string): Promise<World> {
  const world = await newWorld({ corefile: forwarding(lines, to) });
  for (const upstream of [world.upstream, world.outside]) upstream.answers('a.example.', 'A', ['192.0.2.1']);
  return world;
}

const metricsOnly = 'example.org {\n bind 169.254.20.10\n prometheus 169.254.20.10:9253\n}\n';

describe('upstreams', () => {
  it('are asked in turn, and one that is gone is left out', async () => {
    const world = await worldWith('policy round_robin');
    for (let index = 0; index < 10; index++) await world.asks('a.example.', 'A');
    assert.deepEqual([world.upstream.asked('a.example.'), world.outside.asked('a.example.')], [5, 5]);
    world.upstream.stop();
    for (let index = 0; index < 10; index++) {
      const answer = await world.asks('a.example.', 'A');
      assert.deepEqual(answer.data, ['192.0.2.1']);
      assert.ok(answer.afterMs < 50);
    }
  });

  it('are asked over the transport of the client, over TCP with force_tcp', async () => {
    const world = await worldWith('policy sequential');
    await world.asks('a.example.', 'A');
    await world.asks('a.example.', 'A', { transport: 'tcp' });
    assert.deepEqual(
      ['udp', 'tcp'].map((how) => world.upstream.asked('a.example.', 'A', how as 'udp')),
      [1, 1],
    );
    const forced = await worldWith('policy sequential\n force_tcp');
    await forced.asks('a.example.', 'A');
    assert.equal(forced.network.traffic('udp', clusterDns).packetsToServer, 0);
  });

  it('are asked again over TCP when they cut an answer', async () => {
    const world = await worldWith('policy sequential');
    const many = Array.from({ length: 60 }, (_, index) => `192.0.2.${index}`);
    world.upstream.answers('many.example.', 'A', many);
    const answer = await world.asks('many.example.', 'A', { edns: { size: 1232 } });
    assert.deepEqual(answer.data, many);
    assert.deepEqual(
      ['udp', 'tcp'].map((how) => world.upstream.asked('many.example.', 'A', how as 'udp')),
      [1, 1],
    );
  });

  it('are asked over UDP with the size of bufsize, each server block with its own, and their long answers are taken', async () => {
    const sizes = { 'a.example': 'bufsize 4096', 'b.example': 'bufsize 512', 'c.example': 'bufsize', 'd.example': '' };
    const corefile = Object.entries(sizes).map(([zone, line]) => block(line, '10.96.0.10', zone));
    const world = await newWorld({ corefile: corefile.join('') });
    // They take 3 kB.
    const many = Array.from({ length: 100 }, (_, index) => `192.0.2.${index}`);
    for (const zone of Object.keys(sizes)) world.upstream.answers(`many.${zone}.`, 'A', many);
    const whole = await world.asks('many.a.example.', 'A', { edns: { size: 4096 } });
    assert.deepEqual(whole.data, many);
    assert.equal(world.upstream.asked('many.a.example.', 'A', 'tcp'), 0);
    for (const zone of ['b', 'c', 'd']) await world.asks(`many.${zone}.example.`, 'A', { edns: { size: 4096 } });
    const asked = world.upstream.questions.filter(
      ({ name, transport }) => name.startsWith('many.') && transport === 'udp',
    );
    assert.deepEqual(
      asked.map(({ name, message }) => [name, optOf(message)?.udpPayloadSize]),
      [
        ['many.a.example.', 4096],
        ['many.b.example.', 512],
        ['many.c.example.', 1232],
        ['many.d.example.', 1232],
      ],
    );
  });

  it('whose long answers are lost as fragments are asked again for 1232 bytes, and give them over TCP', async () => {
    const world = await newWorld({ corefile: block('bufsize 4096', '10.96.0.10', '.') });
    const many = Array.from({ length: 100 }, (_, index) => `192.0.2.${index}`);
    world.upstream.answers('many.example.', 'A', many);
    world.upstream.answers('few.example.', 'A', ['192.0.2.1']);
    await world.asks('few.example.', 'A');
    world.upstream.on(({ name, message, transport }) => {
      const isLost = transport === 'udp' && name === 'many.example.' && (optOf(message)?.udpPayloadSize ?? 0) > 1500;
      return isLost ? null : undefined;
    });
    const answer = await world.asks('many.example.', 'A', { edns: { size: 4096 } });
    assert.deepEqual(answer.data, many);
    assert.ok(answer.afterMs < 500, `${answer.afterMs} ms`);
  });

  it('pass a question on for the rcodes of failover', async () => {
    const world = await worldWith('policy sequential\n failover SERVFAIL REFUSED');
    world.upstream.servfail('b.example.');
    world.outside.answers('b.example.', 'A', ['192.0.2.2']);
    assert.deepEqual((await world.asks('b.example.', 'A')).data, ['192.0.2.2']);
  });

  it('leave names of `except` to nobody', async () => {
    const world = await worldWith('except internal.example');
    assert.equal((await world.asks('x.internal.example.', 'A')).rcode, 'SERVFAIL');
    assert.equal(world.upstream.asked('x.internal.example.'), 0);
  });

  it('refuse beyond max_concurrent', async () => {
    const world = await worldWith('max_concurrent 2\n policy sequential');
    world.upstream.after(500);
    for (const name of ['b', 'c', 'd']) world.upstream.answers(`${name}.example.`, 'A', ['192.0.2.1']);
    const asking = ['b', 'c', 'd'].map((name) => world.asking(`${name}.example.`, 'A'));
    await world.pass(1000);
    assert.deepEqual(
      (await Promise.all(asking)).map(({ rcode }) => rcode),
      ['NOERROR', 'NOERROR', 'REFUSED'],
    );
    assert.equal(world.app.counters.total('forwardMaxConcurrentRejects'), 1);
  });

  it('that say SERVFAIL or REFUSED have said so: the errors log is about what we could not do', async () => {
    const world = await worldWith('max_concurrent 1\n except internal.example', '10.96.0.10');
    world.upstream.servfail('failing.example.');
    world.upstream.refused('refused.example.');
    world.upstream.silent('silent.example.');
    const rcodes: string[] = [];
    for (const name of ['failing', 'refused', 'failing'])
      rcodes.push((await world.asks(`${name}.example.`, 'A')).rcode);
    assert.deepEqual(rcodes, ['SERVFAIL', 'REFUSED', 'SERVFAIL']);
    assert.deepEqual(world.said('plugin/errors'), []);
    const silent = world.asking('silent.example.', 'A');
    await world.pass(1);
    for (const name of ['other.example.', 'x.internal.example.']) await world.asks(name, 'A');
    await world.passSeconds(5);
    assert.equal((await silent).rcode, 'SERVFAIL');
    assert.deepEqual(
      world.said('plugin/errors').map(({ message }) => message.split(': ').slice(1, 3).join(': ')),
      [
        '5 other.example. A: concurrent queries exceeded maximum 1',
        '2 x.internal.example. A: plugin/forward',
        '2 silent.example. A: read udp 10.96.0.10:53',
      ],
    );
  });

  it('come from a resolv.conf and change with it', async () => {
    const files = { '/etc/resolv.conf': 'nameserver 10.96.0.10\n' };
    const world = await newWorld({ corefile: '. {\n bind 169.254.20.10\n forward . /etc/resolv.conf\n}\n', files });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.outside.answers('a.example.', 'A', ['192.0.2.2']);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    world.files.set('/etc/resolv.conf', 'nameserver 192.0.2.53\n');
    await world.passSeconds(5);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.2']);
    assert.equal(world.said('upstreams 192.0.2.53 from /etc/resolv.conf').length, 1);
  });

  it('that no resolv.conf names fail for their zone, with one sentence', async () => {
    const world = await newWorld({ corefile: '. {\n bind 169.254.20.10\n forward . /etc/resolv.conf\n}\n' });
    assert.equal((await world.asks('a.example.', 'A')).rcode, 'SERVFAIL');
    assert.equal(world.said('/etc/resolv.conf: cannot be read').length, 1);
  });

  it('that are this server itself are never asked, and the others are', async () => {
    const corefile =
      '. {\n bind 169.254.20.10\n loop\n forward . 169.254.20.10 10.96.0.10 {\n policy sequential\n }\n}\n';
    const world = await newWorld({ corefile });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    assert.deepEqual(
      world.log.filter(({ level }) => level === 'error').map(({ message }) => message),
      [
        "Corefile:4: upstream 169.254.20.10:53 is this server's own address, and its queries come back here, so it is not used; " +
          'write the address of a real resolver in this forward or its resolv.conf',
      ],
    );
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    assert.equal(world.app.counters.total('upstreamHedges'), 0);
  });

  it('that send questions back are found out and not asked any more, until their resolv.conf changes', async () => {
    const corefile = `. {\n bind 169.254.20.10\n loop\n forward . /etc/resolv.conf {\n policy sequential\n }\n}\n${metricsOnly}`;
    const world = await newWorld({ corefile, files: { '/etc/resolv.conf': 'nameserver 192.0.2.53\n' } });
    const behind = world.client('10.96.0.10');
    let sendsBack = true;
    world.upstream.on(({ name, type }) => {
      if (!sendsBack) return undefined;
      void behind.asks(name, type as never).then(console.log, console.log);
      return null;
    });
    world.outside.answers('a.example.', 'A', ['192.0.2.1']);
    world.files.set('/etc/resolv.conf', 'nameserver 10.96.0.10\nnameserver 192.0.2.53\n');
    await world.passSeconds(6);
    assert.deepEqual(
      world.said('sends our').map(({ message }) => message),
      [
        'Corefile:1: upstream 10.96.0.10:53 of . sends our queries back to us, so it is no longer used; ' +
          'write the address of a real resolver in its forward or resolv.conf',
      ],
    );
    const before = world.upstream.asked();
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    assert.equal(world.upstream.asked(), before);
    const state = async (): Promise<string[]> =>
      (await world.get('169.254.20.10:9253', '/metrics')).body
        .split('\n')
        .filter((line) => line.startsWith('zerohop_upstream_state') && line.endsWith(' 1'));
    assert.deepEqual(await state(), [
      'zerohop_upstream_state{to="10.96.0.10:53",state="looping"} 1',
      'zerohop_upstream_state{to="192.0.2.53:53",state="up"} 1',
    ]);
    sendsBack = false;
    world.upstream.answers('b.example.', 'A', ['192.0.2.2']);
    world.files.set('/etc/resolv.conf', 'nameserver 10.96.0.10\nnameserver 192.0.2.53\noptions edns0\n');
    await world.passSeconds(5);
    assert.deepEqual((await world.asks('b.example.', 'A')).data, ['192.0.2.2']);
  });

  it('that are all this server itself fail at once', async () => {
    const corefile = '. {\n bind 169.254.20.10\n loop\n forward . 169.254.20.10\n}\n';
    const world = await newWorld({ corefile });
    await world.passSeconds(3);
    const answer = await world.asks('a.example.', 'A');
    assert.equal(answer.rcode, 'SERVFAIL');
    assert.ok(answer.afterMs < 10);
    assert.equal(world.app.waiting, 0);
  });

  it('fail a question on the way and get it again elsewhere', async () => {
    const world = await worldWith('policy sequential\n force_tcp');
    for (const upstream of [world.upstream, world.outside]) upstream.answers('b.example.', 'A', ['192.0.2.1']);
    world.upstream.after(100);
    const asking = world.asking('b.example.', 'A');
    await world.pass(50);
    world.network.resetConnections(clusterDns);
    world.upstream.after(0);
    await world.pass(500);
    assert.deepEqual((await asking).data, ['192.0.2.1']);
    assert.ok(world.app.counters.total('upstreamRetries') >= 1);
  });
});
