/**
 * Names below one that does not exist, before the whole program: what is answered without a question upstream, with
 * which SOA, and what is asked all the same.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import dnsPacket from 'dns-packet';
import { clusterDns, newWorld, outsideDns, type World } from './world.js';

const block = (zone: string, to: string, lines = '') =>
  `${zone} {\n bind 169.254.20.10\n prometheus 127.0.0.1:9153\n errors\n cache {\n success 9984 30\n denial 9984 5\n }\n ${lines}\n forward . ${to} {\n force_tcp\n }\n}\n`;
const corefileWith = (lines = '') => block('cluster.local', clusterDns.address, lines) + block('.', outsideDns.address);

const above = 'com.default.svc.cluster.local.';
const below = 'www.example.com.default.svc.cluster.local.';

/** A cluster DNS that has denied `com` in the namespace `default`, and would deny all else. */
async function denied(lines = '', name = above): Promise<World> {
  const world = await newWorld({ corefile: corefileWith(lines) });
  const exists = ['default.svc.cluster.local.', 'web.default.svc.cluster.local.'];
  world.upstream.on(({ name }) => ({ rcode: exists.includes(name) ? 0 : 3, authorities: soaOf() }));
  assert.equal((await world.asks(name, 'A')).rcode, 'NXDOMAIN');
  return world;
}

function soaOf(): dnsPacket.Answer[] {
  const data = {
    mname: 'ns.dns.cluster.local',
    rname: 'hostmaster.cluster.local',
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: 5,
  };
  return [{ name: 'cluster.local', type: 'SOA', class: 'IN', ttl: 5, data }];
}

const times = (world: World, name: string) => world.upstream.asked(name);

describe('a name below one that does not exist', () => {
  it('does not exist either, at once and over both transports, with the same SOA and what is left of its TTL', async () => {
    const world = await denied();
    await world.passSeconds(2);
    for (const transport of ['udp', 'tcp'] as const) {
      const answer = await world.asks(below.toUpperCase(), 'A', { transport, edns: {} });
      assert.deepEqual([answer.rcode, answer.ttls, answer.data], ['NXDOMAIN', [3], []]);
      assert.deepEqual(answer.message.questions?.[0].name, below.toUpperCase().slice(0, -1));
      const [soa] = answer.message.authorities as dnsPacket.SoaAnswer[];
      assert.deepEqual(
        [soa.name, soa.data.mname].map((name) => name.toLowerCase()),
        ['cluster.local', 'ns.dns.cluster.local'],
      );
      assert.ok(answer.opt !== undefined);
    }
    assert.equal(times(world, below), 0);
    await world.stop();
  });

  it('is denied for every type, as CoreDNS denies it', async () => {
    const world = await denied();
    for (const type of ['AAAA', 'SRV', 'CNAME', 'MX']) assert.equal((await world.asks(below, type)).rcode, 'NXDOMAIN');
    assert.equal(times(world, below), 0);
    await world.stop();
  });

  it('is asked about when the denial is over: a name created meanwhile is seen then, and not later', async () => {
    const world = await denied();
    world.upstream.answers(below, 'A', ['10.96.1.1']);
    await world.pass(4_900);
    assert.equal((await world.asks(below, 'A')).rcode, 'NXDOMAIN');
    await world.pass(200);
    assert.deepEqual((await world.asks(below, 'A')).data, ['10.96.1.1']);
    await world.stop();
  });

  it('is a hit of kind denial, and counted apart', async () => {
    const world = await denied();
    await world.asks(below, 'A');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.match(String(body), /zerohop_nxdomain_cut_answers_total\{[^}]*zones="cluster.local."[^}]*\} 1\n/);
    assert.match(String(body), /coredns_cache_hits_total\{[^}]*type="denial",zones="cluster.local."[^}]*\} 1\n/);
    await world.stop();
  });
});

describe('what is asked all the same', () => {
  const asksFor = async (world: World, name: string, how = {}, type = 'A') => {
    const before = times(world, name);
    await world.asks(name, type, how);
    assert.equal(times(world, name) - before, 1, name);
    await world.stop();
  };

  it('names below a port, a protocol or the name of the DNS service', async () => {
    for (const label of ['_tcp', 'tcp', 'UDP', 'sctp', '*', 'any']) {
      const name = `${label}.web.default.svc.cluster.local.`;
      await asksFor(await denied('', name), `_http.${name}`.toLowerCase(), {}, 'SRV');
    }
    await asksFor(await denied('', 'dns.cluster.local.'), 'ns.dns.cluster.local.');
  });

  it('names below one that exists without records', async () => {
    const world = await newWorld({ corefile: corefileWith() });
    world.upstream.on(() => ({ authorities: soaOf() }));
    await world.asks('default.svc.cluster.local.', 'A');
    await asksFor(world, 'web.default.svc.cluster.local.');
  });

  it('names below one of which only another type was denied: CoreDNS denies TXT of every namespace', async () => {
    const world = await newWorld({ corefile: corefileWith() });
    world.upstream.on(() => ({ rcode: 3, authorities: soaOf() }));
    await world.asks('default.svc.cluster.local.', 'TXT');
    await asksFor(world, 'web.default.svc.cluster.local.');
  });

  it('questions of types of which CoreDNS may deny no name', async () => {
    for (const type of ['TXT', 'SOA', 'HINFO']) await asksFor(await denied(), below, {}, type);
  });

  it('questions with DO or CD', async () => {
    await asksFor(await denied(), below, { edns: { dnssecOk: true } });
    await asksFor(await denied(), below, { flags: dnsPacket.RECURSION_DESIRED | dnsPacket.CHECKING_DISABLED });
  });

  it('names below a stale denial', async () => {
    const lines = 'cache {\n denial 9984 5\n serve_stale 1h\n }';
    const world = await newWorld({ corefile: corefileWith().replace(/cache \{[^}]*\}/, lines) });
    const namespace = 'default.svc.cluster.local.';
    world.upstream.on(({ name }) => ({ rcode: name === namespace ? 0 : 3, authorities: soaOf() }));
    await world.asks(above, 'A');
    await world.passSeconds(6);
    await asksFor(world, below);
  });

  it('names of another server block, and the zone itself', async () => {
    const corefile = block('default.svc.cluster.local', outsideDns.address) + corefileWith();
    const world = await newWorld({ corefile });
    world.upstream.on(() => ({ rcode: 3, authorities: soaOf() }));
    world.outside.on(() => ({ rcode: 3, authorities: soaOf() }));
    await world.asks('svc.cluster.local.', 'A');
    await world.asks('web.default.svc.cluster.local.', 'A');
    assert.equal(world.outside.asked('web.default.svc.cluster.local.'), 1);
    await world.asks('cluster.local.', 'A');
    await world.asks('a.b.cluster.local.', 'A');
    assert.equal(times(world, 'a.b.cluster.local.'), 1);
    await world.stop();
  });

  it('names of a block in which a directive decides about names', async () => {
    await asksFor(await denied('template ANY A other.test {\n rcode NXDOMAIN\n }'), below);
    await asksFor(await denied('hosts {\n 192.0.2.1 a.test\n fallthrough\n }'), below);
  });

  it('names of a block with nxdomain_cut off, from the reload on, and of one that is not the cluster domain', async () => {
    await asksFor(await denied('nxdomain_cut off'), below);
    const world = await denied();
    await world.asks(below, 'A');
    assert.equal(times(world, below), 0);
    await world.reload(corefileWith('nxdomain_cut off'));
    await asksFor(world, below);
    const root = await newWorld({ corefile: corefileWith() });
    root.outside.on(() => ({ rcode: 3, authorities: soaOf() }));
    await root.asks('example.test.', 'A');
    await root.asks('www.example.test.', 'A');
    assert.equal(root.outside.asked('www.example.test.'), 1);
    await root.stop();
  });

  it('but nothing in a root with nxdomain_cut on', async () => {
    const corefile = block('.', outsideDns.address, 'nxdomain_cut on');
    const world = await newWorld({ corefile });
    world.outside.on(() => ({ rcode: 3, authorities: soaOf() }));
    await world.asks('example.test.', 'A');
    assert.equal((await world.asks('www.example.test.', 'A')).rcode, 'NXDOMAIN');
    assert.equal(world.outside.asked('www.example.test.'), 0);
    await world.stop();
  });

  it('names with an answer of their own, which is fresh', async () => {
    const world = await newWorld({ corefile: corefileWith() });
    world.upstream.on(() => ({ rcode: 3, authorities: soaOf() }));
    world.upstream.answers(below, 'A', ['10.96.1.1']);
    await world.asks(below, 'A');
    await world.asks(above, 'A');
    assert.deepEqual((await world.asks(below, 'A')).data, ['10.96.1.1']);
    await world.stop();
  });
});

describe('AAAA of such a name', () => {
  it('is denied by the policy that asks for A first, without asking', async () => {
    const world = await denied('aaaa smart');
    const answer = await world.asks(below, 'AAAA');
    assert.equal(answer.rcode, 'NXDOMAIN');
    assert.equal(times(world, below), 0);
    await world.stop();
  });
});

describe('the query log', () => {
  it('has answers from a cut, too', async () => {
    const world = await denied('log');
    await world.asks(below, 'A');
    assert.equal(world.said(below).length, 1);
    await world.stop();
  });
});
