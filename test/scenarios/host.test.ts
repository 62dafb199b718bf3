import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostOptions } from '../../src/host/host.js';
import { type FakeNode, newFakeNode } from '../host/fake-node.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const host: HostOptions = {
  addresses: ['169.254.20.10'],
  interfaceName: 'nodelocaldns',
  firewall: 'auto',
  dnsPort: 53,
  healthPort: 8080,
  syncIntervalMs: 60_000,
  atExit: 'taken out',
};
const watched = simpleCorefile.replace(
  '  cache\n',
  '  cache\n  ready 169.254.20.10:8181 {\n    monitor continuously\n  }\n  prometheus 169.254.20.10:9253\n',
);
const ready = (world: World) => world.get('169.254.20.10:8181', '/ready');
const ruleCount = ({ rules }: FakeNode): number => [...rules.values()].flat().length;

async function newNodeWorld(node: FakeNode): Promise<World> {
  return newWorld({ corefile: watched, host, run: node.run });
}

describe('interface and firewall rules', () => {
  it('gets link and rules, is ready then, and has neither after the end', async () => {
    const node = newFakeNode();
    const world = await newNodeWorld(node);
    await world.passSeconds(2);
    assert.deepEqual(await ready(world), { status: 200, body: 'OK' });
    assert.deepEqual(node.links.get('nodelocaldns')?.addresses, ['169.254.20.10/32']);
    assert.equal(ruleCount(node), 12);
    await world.stop();
    assert.deepEqual([ruleCount(node), node.links.size], [0, 1]);
  });

  it('is answered, but not ready, while its rules cannot be written; the metric counts', async () => {
    const node = newFakeNode();
    for (const name of ['iptables', 'iptables-save', 'iptables-nft-save', 'nft']) node.missing.add(name);
    const world = await newNodeWorld(node);
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.passSeconds(2);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
    assert.deepEqual(await ready(world), { status: 503, body: 'rules' });
    const { body } = await world.get('169.254.20.10:9253', '/metrics');
    assert.match(body, /coredns_nodecache_setup_errors_total\{errortype="iptables"\} [12]\n/u);
    assert.match(body, /coredns_nodecache_setup_errors_total\{errortype="interface_add"\} 0\n/u);
    node.missing.clear();
    await world.passSeconds(4);
    assert.deepEqual(await ready(world), { status: 200, body: 'OK' });
    assert.equal(world.said('iptables-save is not installed').length, 1);
  });

  it('is not ready any more while its link cannot be restored, with `monitor continuously`', async () => {
    const node = newFakeNode();
    const world = await newNodeWorld(node);
    await world.passSeconds(2);
    node.missing.add('ip');
    await world.passSeconds(60);
    assert.deepEqual(await ready(world), { status: 503, body: 'interface' });
    node.missing.clear();
    await world.passSeconds(4);
    assert.deepEqual(await ready(world), { status: 200, body: 'OK' });
  });

  it('is left as it was found when a start fails', async () => {
    const node = newFakeNode();
    // The address of the cluster DNS is taken.
    const corefile = watched.replace('bind 169.254.20.10', 'bind 10.96.0.10');
    await assert.rejects(newWorld({ corefile, host, run: node.run }), /cannot listen on 10\.96\.0\.10/u);
    assert(node.ran.includes('ip link add nodelocaldns type dummy'));
    assert.deepEqual([ruleCount(node), node.links.size], [0, 1]);
  });
});
