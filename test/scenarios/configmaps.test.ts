import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, outsideDns, type World } from './world.js';

const base = '/etc/coredns/Corefile.base';
const stubDomains = '/etc/kube-dns/stubDomains';
const upstreamNameservers = '/etc/kube-dns/upstreamNameservers';
const company = `{"company.example": ["${outsideDns.address}"]}`;

const template = `__PILLAR__DNS__DOMAIN__ {
  bind __PILLAR__LOCAL__DNS__
  cache
  reload 10s 0
  forward . __PILLAR__CLUSTER__DNS__ {
    force_tcp
  }
  prometheus 169.254.20.10:9253
}
. {
  bind __PILLAR__LOCAL__DNS__
  cache
  forward . __PILLAR__UPSTREAM__SERVERS__
}
`;

async function configured(files: Readonly<Record<string, string>> = {}): Promise<World> {
  const resolvConf = { '/etc/resolv.conf': 'nameserver 10.96.0.10\n' };
  const world = await newWorld({ configuration: 'files', files: { [base]: template, ...resolvConf, ...files } });
  world.upstream.answers('web.cluster.local.', 'A', ['192.0.2.1']);
  world.upstream.answers('www.company.example.', 'A', ['192.0.2.2']);
  world.outside.answers('www.company.example.', 'A', ['192.0.2.3']);
  return world;
}

async function wrongConfigMaps(world: World): Promise<number> {
  const { body } = await world.get('169.254.20.10:9253', '/metrics');
  return Number(/^coredns_nodecache_setup_errors_total\{errortype="configmap"\} (\d+)$/mu.exec(body)?.[1]);
}

describe('ConfigMaps', () => {
  it('are in force at the next look, and what is cached of other zones stays', async () => {
    const world = await configured();
    await world.asks('web.cluster.local.', 'A');
    assert.deepEqual((await world.asks('www.company.example.', 'A')).data, ['192.0.2.2']);
    world.files.set(stubDomains, company);
    await world.passSeconds(11);
    assert.deepEqual((await world.asks('www.company.example.', 'A')).data, ['192.0.2.3'], 'the stub domain, uncached');
    await world.asks('web.cluster.local.', 'A');
    assert.equal(world.upstream.asked('web.cluster.local.'), 1);
    assert.match(world.files.get('/etc/Corefile') ?? '', /\ncompany\.example:53 \{\n/u);
    world.files.delete(stubDomains);
    await world.passSeconds(11);
    assert.deepEqual((await world.asks('www.company.example.', 'A')).data, ['192.0.2.2'], 'and gone again');
  });

  it('name who is asked for everything else', async () => {
    const world = await configured({ [upstreamNameservers]: `["${outsideDns.address}"]` });
    assert.deepEqual((await world.asks('www.company.example.', 'A')).data, ['192.0.2.3']);
    assert.deepEqual((await world.asks('web.cluster.local.', 'A')).data, ['192.0.2.1']);
    world.files.set(upstreamNameservers, '[]');
    await world.passSeconds(11);
    world.upstream.answers('b.example.', 'A', ['192.0.2.4']);
    assert.deepEqual((await world.asks('b.example.', 'A')).data, ['192.0.2.4']);
  });

  it('that are wrong change nothing, are logged in one line and counted; a fixed one is used', async () => {
    const world = await configured({ [stubDomains]: company });
    await world.asks('www.company.example.', 'A');
    assert.equal(await wrongConfigMaps(world), 0);
    world.files.set(stubDomains, company.replace('"]', '"'));
    await world.passSeconds(11);
    await world.asks('www.company.example.', 'A');
    assert.equal(world.outside.asked('www.company.example.'), 1, 'cached, as the stub domain is there');
    assert.equal(await wrongConfigMaps(world), 1);
    assert.equal(world.said('invalid kube-dns ConfigMap, keeping the previous one: ').length, 1);
    assert.equal(world.app.counters.total('reloadFailed'), 0);
    world.files.set(stubDomains, company.replace('company', 'other'));
    await world.passSeconds(11);
    assert.deepEqual((await world.asks('www.company.example.', 'A')).data, ['192.0.2.2']);
    assert.equal(await wrongConfigMaps(world), 1);
  });

  it('with a template that is wrong are refused as a reload', async () => {
    const world = await configured();
    await world.asks('web.cluster.local.', 'A');
    world.files.set(base, template.replace('__PILLAR__CLUSTER__DNS__', '__PILLAR__CLUSTR__DNS__'));
    await world.passSeconds(11);
    assert.match(world.said('rejected')[0].message, /Corefile\.base:5: __PILLAR__CLUSTR__DNS__ is not a placeholder/u);
    assert.deepEqual([await wrongConfigMaps(world), world.app.counters.total('reloadFailed')], [1, 1]);
    await world.asks('web.cluster.local.', 'A');
    assert.equal(world.upstream.asked('web.cluster.local.'), 1);
    world.files.delete(base);
    await world.passSeconds(11);
    assert.match(world.said('rejected')[1].message, /Corefile\.base: no such file; mount the ConfigMap/u);
    assert.match(world.files.get('/etc/Corefile') ?? '', /forward \. 10\.96\.0\.10 \{/u);
  });

  it('that take the port of somebody else are refused, and the old listeners stay', async () => {
    const world = await configured();
    await world.network.openDatagrams({ address: '169.254.20.12', port: 53 }, { datagram() {}, error() {} });
    world.files.set(base, template.replaceAll('bind', 'bind 169.254.20.12'));
    await world.passSeconds(11);
    assert.match(world.said('rejected')[0].message, /169\.254\.20\.12 port 53: address already in use/u);
    assert.deepEqual((await world.asks('web.cluster.local.', 'A')).data, ['192.0.2.1']);
  });
});
