/**
 * zerohop with the kernel lane on a node, and pods that ask it over every kind of link: from the second or third question
 * on the kernel answers, and says what the process says.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, needs, output } from '../real/commands.js';
import { LaneNode, type LaneZerohop, nodeNeeds, type Place, server, server6 } from './lane-node.js';
import type { PodClient } from './pod-client.js';
import { laneIsMissing } from './possible.js';
import { query, said, withoutTtls } from './zones.js';

/** Of every kind that the kernel answers. */
const queries = [
  query('web'),
  query('mIXed-cASE', { edns: 1232 }),
  query('web', { type: 'AAAA' }),
  query('text', { type: 'TXT', edns: 4096 }),
  query('_http._tcp.web', { type: 'SRV' }),
  query('mail', { type: 'MX' }),
  query('secure', { type: 'UNKNOWN_65', edns: 1232 }),
  query('alias'),
  query('any.wild'),
  query('nobody'),
  query('nobody', { type: 'AAAA', edns: 512 }),
];

describe('the kernel answers', { skip: laneIsMissing || needs(...nodeNeeds, 'ethtool') }, () => {
  let node: LaneNode;
  let zerohop: LaneZerohop;
  before(async () => {
    node = await LaneNode.make();
    zerohop = await node.start({ lines: 'aaaa nodata\n    cache 300' });
    assert.ok(zerohop.said('kernel lane: on'));
  });
  after(() => node?.remove());

  /** Over both families, from one of these addresses. */
  async function answersAll(client: PodClient, servers: readonly string[] = [server, server6]): Promise<void> {
    for (const at of servers) {
      const overTcp = await client.askOverTcp(at, queries);
      const given = await node.fromKernel(client, at, queries);
      for (const [index, answer] of given.entries())
        assert.deepEqual(withoutTtls(answer), withoutTtls(overTcp[index]!), said(overTcp[index]));
    }
  }

  async function checksums(pod: Place, state: 'on' | 'off'): Promise<void> {
    await output(pod.command('ethtool', '-K', 'eth0', 'tx', state));
  }

  test('a pod behind a veth, with checksums made by the pod or by the kernel', async () => {
    const before = await zerohop.metric('zerohop_kernel_answers_total');
    const pod = await node.addPod('veth0');
    await answersAll(pod.client);
    await checksums(pod, 'off');
    await answersAll(pod.client);
    await eventually('all are counted', async () => {
      const answers = await zerohop.metric('zerohop_kernel_answers_total{stale="false"}');
      return answers - before >= 4 * queries.length || undefined;
    });
    const [on, links] = await zerohop.metrics('zerohop_kernel_lane{why=""}', 'zerohop_kernel_links{state="attached"}');
    // Perhaps lo too, over which it asks itself.
    assert.deepEqual([on, links >= 1], [1, true]);
  });

  test('a pod behind a bridge port, with checksums made by the pod or by the kernel', async () => {
    const pod = await node.addPod('port0', 'cni0');
    // Packets of a port are received by the bridge, where the program is.
    assert.equal(pod.link, 'cni0');
    await answersAll(pod.client);
    await checksums(pod, 'off');
    await answersAll(pod.client);
  });

  test('the node itself', async () => {
    await answersAll(await node.addClient(node));
  });

  test('the third question at the latest, a second after the first', async () => {
    const pod = await node.addPod('veth1');
    const [first] = await pod.client.ask(server, [query('dual')]);
    assert.equal(said(first), 'NOERROR 10.1.0.3');
    await pod.client.ask(server, [query('dual')]);
    await eventually('it is published', async () => {
      const before = node.given();
      await pod.client.ask(server, [query('dual')]);
      return node.given() > before || undefined;
    });
  });

  test('to zerohop in a pod of its own', async () => {
    const own = await node.addNamespace('own0');
    const asker = await node.addPod('veth2');
    const inPod = await node.start({
      lines: 'aaaa nodata\n    cache 300',
      place: own,
      addresses: [own.address, own.address6],
    });
    await answersAll(asker.client, [own.address, own.address6]);
    await checksums(asker, 'off');
    await answersAll(asker.client, [own.address, own.address6]);
    assert.ok((await inPod.metric('zerohop_kernel_links{state="attached"}')) >= 1);
    await inPod.stop();
  });
});
