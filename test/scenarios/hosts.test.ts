import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile, type World } from './world.js';

const withHosts = (lines: string, cache = 'cache') =>
  simpleCorefile.replace('  cache\n', `  ${cache}\n  prometheus 127.0.0.1:9153\n  hosts /etc/hosts {\n${lines}\n  }\n`);

async function worldWith(lines: string, cache?: string): Promise<World> {
  const world = await newWorld({
    corefile: withHosts(lines, cache),
    files: { '/etc/hosts': '10.1.0.1 a.example b.example\nfd00::1 a.example\n10.1.0.3 *.apps.example\n' },
  });
  world.upstream.answers('other.example.', 'A', ['192.0.2.1']);
  world.upstream.answers('b.example.', 'A', ['192.0.2.2']);
  return world;
}

describe('hosts', () => {
  it('answers from the file and the Corefile, and asks upstream for the rest', async () => {
    const world = await worldWith('    10.1.0.2 in.example\n    fallthrough');
    const before = world.upstream.asked();
    const a = await world.asks('a.example.', 'A');
    assert.deepEqual([a.data, a.ttls], [['10.1.0.1'], [3600]]);
    assert.deepEqual((await world.asks('a.example.', 'AAAA')).data, ['fd00::1']);
    assert.deepEqual((await world.asks('in.example.', 'A', { transport: 'tcp' })).data, ['10.1.0.2']);
    assert.deepEqual((await world.asks('x.apps.example.', 'A')).data, ['10.1.0.3']);
    assert.deepEqual((await world.asks('1.0.1.10.in-addr.arpa.', 'PTR')).data, ['a.example', 'b.example']);
    const none = await world.asks('a.example.', 'TXT');
    assert.deepEqual([none.rcode, none.data, none.message.authorities?.[0].type], ['NOERROR', [], 'SOA']);
    assert.equal(world.upstream.asked(), before);
    assert.deepEqual((await world.asks('other.example.', 'A')).data, ['192.0.2.1']);
  });

  it('is kept by the cache, whose TTLs count down', async () => {
    const world = await worldWith('    ttl 20\n    fallthrough');
    await world.asks('a.example.', 'A');
    await world.passSeconds(5);
    assert.deepEqual((await world.asks('a.example.', 'A')).ttls, [15]);
  });

  it('fails what is not in it where nothing falls through', async () => {
    const world = await worldWith('    ttl 20');
    assert.equal((await world.asks('other.example.', 'A')).rcode, 'SERVFAIL');
    assert.equal(world.upstream.asked('other.example.'), 0);
  });

  it('has what changes in the file answered within seconds, also what is cached of it', async () => {
    const world = await worldWith('    reload 2s\n    fallthrough');
    await world.asks('a.example.', 'A');
    await world.asks('b.example.', 'A');
    await world.asks('other.example.', 'A');
    world.files.set('/etc/hosts', '10.1.0.7 a.example\n');
    await world.passSeconds(4);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['10.1.0.7']);
    assert.deepEqual((await world.asks('b.example.', 'A')).data, ['192.0.2.2'], 'it is the upstream’s now');
    assert.deepEqual((await world.asks('other.example.', 'A')).data, ['192.0.2.1']);
    assert.equal(world.upstream.asked('other.example.'), 1, 'what did not change stays cached');
  });

  it('has what changes in the Corefile answered after its reload', async () => {
    const world = await worldWith('    10.1.0.2 in.example\n    fallthrough');
    await world.asks('in.example.', 'A');
    assert.equal(await world.reload(withHosts('    10.1.0.8 in.example\n    fallthrough')), 'reloaded');
    assert.deepEqual((await world.asks('in.example.', 'A')).data, ['10.1.0.8']);
  });

  it('has what changes in file and Corefile together answered after the reload', async () => {
    const world = await worldWith('    10.1.0.2 in.example\n    fallthrough');
    await world.asks('a.example.', 'A');
    await world.asks('other.example.', 'A');
    world.files.set('/etc/hosts', '10.1.0.7 a.example\n');
    const next = `${withHosts('    10.1.0.2 in.example\n    fallthrough')}# another\n`;
    assert.equal(await world.reload(next.replace('  errors\n', '')), 'reloaded');
    await world.pass(1);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['10.1.0.7']);
    await world.asks('other.example.', 'A');
    assert.equal(world.upstream.asked('other.example.'), 1, 'what did not change stays cached');
  });

  it('is counted and measured under its own name', async () => {
    const world = await worldWith('    fallthrough', '');
    await world.asks('a.example.', 'A');
    await world.asks('other.example.', 'A');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.match(body, /^coredns_hosts_entries\{hostsfile="\/etc\/hosts"\} 7$/mu);
    assert.match(body, /^coredns_hosts_reload_timestamp_seconds [\d.]+$/mu);
    assert.match(body, /^coredns_dns_responses_total\{[^}]*plugin="hosts"[^}]*\} 1$/mu);
    assert.match(body, /^coredns_dns_responses_total\{[^}]*plugin="forward"[^}]*\} 1$/mu);
  });

  it('is measured for each file, also where the entries stand in the Corefile or a file is named twice', async () => {
    const block = (zone: string, hosts: string) =>
      `${zone} {\n  bind 169.254.20.10\n  prometheus\n  forward . 10.96.0.10\n  hosts ${hosts}\n}\n`;
    const corefile = [
      block('.', '{\n    10.1.0.1 a.test\n    no_reverse\n    fallthrough\n  }'),
      block('b.test', '/etc/b.hosts {\n    fallthrough\n  }'),
      block('c.test', '/etc/b.hosts {\n    fallthrough\n    no_reverse\n  }'),
      block('d.test', '/etc/none'),
    ];
    const files = { '/etc/hosts': '', '/etc/b.hosts': '10.2.0.1 x.b.test y.b.test\n10.2.0.2 x.c.test\n' };
    const world = await newWorld({ corefile: corefile.join(''), files });
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.deepEqual(
      body.split('\n').filter((line) => line.startsWith('coredns_hosts_entries')),
      [
        'coredns_hosts_entries{hostsfile="/etc/hosts"} 1',
        'coredns_hosts_entries{hostsfile="/etc/b.hosts"} 4',
        'coredns_hosts_entries{hostsfile="/etc/none"} 0',
      ],
    );
    assert.match(body, /^coredns_hosts_reload_timestamp_seconds [\d.]+$/mu);
  });
});
