import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, opening, simpleCorefile, type World } from './world.js';

const withAcl = (lines: string) =>
  simpleCorefile.replace('  cache\n', `  cache\n  log\n  prometheus 127.0.0.1:9153\n  acl example {\n${lines}\n  }\n`);

async function worldWith(lines: string): Promise<World> {
  const world = await newWorld({ corefile: withAcl(lines) });
  world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
  world.upstream.answers('b.test.', 'A', ['192.0.2.2']);
  return world;
}

const extendedErrors = (options: unknown) =>
  ((options ?? []) as { code: number; data: Buffer }[])
    .filter(({ code }) => code === 15)
    .map(({ data }) => data.readUInt16BE());

describe('acl', () => {
  it('blocks, filters and drops by address, over both transports, also what is cached', async () => {
    const world = await worldWith('    block net 10.9.0.1\n    filter net 10.9.0.2\n    drop net 10.9.0.3');
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    for (const transport of ['udp', 'tcp'] as const) {
      const from = (address: string) =>
        opening(world.clock, world.client(address).asks('a.example.', 'A', { transport, edns: {}, timeoutMs: 2000 }));
      const blocked = await from('10.9.0.1');
      assert.deepEqual([blocked.rcode, blocked.data, extendedErrors(blocked.opt?.options)], ['REFUSED', [], [15]]);
      const filtered = await from('10.9.0.2');
      assert.deepEqual([filtered.rcode, filtered.data, extendedErrors(filtered.opt?.options)], ['NOERROR', [], [17]]);
      await assert.rejects(from('10.9.0.3'));
      assert.deepEqual((await from('10.9.0.4')).data, ['192.0.2.1']);
    }
    assert.equal(world.upstream.asked('a.example.'), 1);
    const other = await opening(world.clock, world.client('10.9.0.1').asks('b.test.', 'A'));
    assert.deepEqual(other.data, ['192.0.2.2'], 'not a name of its zones');
  });

  it('counts and logs what it says', async () => {
    const world = await worldWith('    block net 10.9.0.1\n    filter type MX');
    await opening(world.clock, world.client('10.9.0.1').asks('a.example.', 'A'));
    await world.asks('a.example.', 'MX');
    await world.asks('a.example.', 'A');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    const labels = 'server="dns://169.254.20.10:53",zone="example.",view=""';
    assert.ok(body.includes(`coredns_acl_blocked_requests_total{${labels}} 1`), body);
    assert.ok(body.includes(`coredns_acl_filtered_requests_total{${labels}} 1`));
    assert.ok(body.includes('coredns_acl_allowed_requests_total{server="dns://169.254.20.10:53",view=""} 1'));
    assert.match(body, /^coredns_dns_responses_total\{[^}]*rcode="REFUSED",plugin="acl"\} 1$/mu);
    assert.equal(world.log.filter(({ level, message }) => level === 'query' && message.includes('REFUSED')).length, 1);
  });

  it('comes and goes with a reload, and what is cached stays', async () => {
    const world = await worldWith('    allow');
    await world.asks('a.example.', 'A');
    assert.equal(await world.reload(withAcl('    block')), 'reloaded');
    assert.equal((await world.asks('a.example.', 'A')).rcode, 'REFUSED');
    assert.equal(await world.reload(simpleCorefile), 'reloaded');
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    assert.equal(world.upstream.asked('a.example.'), 1);
  });
});
