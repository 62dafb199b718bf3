/**
 * The ClusterIP of the cluster DNS as one more -localip, as where the kubelet's settings stay as they are: pods ask the
 * address they always did. While zerohop serves, they are answered on the node; before and after, kube-proxy's rule
 * sends them to the cluster DNS. Nobody who asks all the time loses an answer at either change.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clusterAddress, localAddress } from './cluster-node.js';
import { eventually, needs, output, type Running, start } from './commands.js';
import { makePodNode, type PodNode } from './pod-node.js';
import { startZerohop } from './zerohop.js';

const corefile = `.:53 {
    bind ${localAddress} ${clusterAddress}
    template IN A {
        answer "{{ .Name }} 30 IN A 192.0.2.1"
    }
    ready :8181
}
`;
const flags = ['-localip', `${localAddress},${clusterAddress}`, '-setupinterface', '-setupiptables'];
const byClusterDns = '203.0.113.1';
const byZerohop = '192.0.2.1';
const asker = fileURLToPath(new URL('ask-steadily.js', import.meta.url));

describe('the ClusterIP as a local address', {
  skip: needs('root', 'ip', 'iptables-nft', 'conntrack', 'dig', 'curl', 'dnsmasq', 'sysctl'),
}, () => {
  let node: PodNode;
  let dns: string;
  let dnsmasq: Running;

  before(async () => {
    node = await makePodNode('iptables-nft');
    dns = `${node.name}-dns`;
    const on = (command: string): Promise<string> => output(node.command(...command.split(' ')));
    await output(['ip', 'netns', 'add', dns]);
    const inDns = (command: string): string[] => ['ip', 'netns', 'exec', dns, ...command.split(' ')];
    await on(`ip address delete ${clusterAddress}/32 dev lo`);
    await on(`ip link add dns type veth peer name eth0 netns ${dns}`);
    await on('ip address add 10.245.0.1/24 dev dns');
    await on('ip link set dns up');
    await output(inDns('ip address add 10.245.0.8/24 dev eth0'));
    await output(inDns('ip link set eth0 up'));
    await output(inDns('ip route add default via 10.245.0.1'));
    await on('sysctl -q -w net.ipv4.ip_forward=1');
    for (const protocol of ['udp', 'tcp']) {
      const rule = `-A PREROUTING -d ${clusterAddress} -p ${protocol} --dport 53 -j DNAT --to-destination 10.245.0.8:53`;
      await on(`iptables-nft -w -t nat ${rule}`);
    }
    const settings = `--conf-file=/dev/null --no-resolv --no-hosts --user=root --address=/#/${byClusterDns}`;
    dnsmasq = start(inDns(`dnsmasq --keep-in-foreground ${settings}`));
    await eventually('the cluster DNS answers by its ClusterIP', async () => {
      return (await node.digFromPod(clusterAddress, 'udp')) === byClusterDns ? true : undefined;
    });
  });
  after(async () => {
    await dnsmasq?.stop();
    await output(['ip', 'netns', 'delete', dns]);
    node?.remove();
  });

  test('no answer is lost when it comes and when it goes', async (t) => {
    const asking = start(node.inPod(process.execPath, asker, clusterAddress));
    await eventually('the pod asks', () => (asking.stdout() === '' ? undefined : true));
    for (let round = 0; round < 2; round++) {
      const zerohop = await startZerohop(node, corefile, flags);
      assert.equal(await node.digFromPod(clusterAddress, 'udp'), byZerohop);
      assert.equal(await node.digFromPod(clusterAddress, 'tcp'), byZerohop);
      await zerohop.stop();
      assert.equal(await node.digFromPod(clusterAddress, 'tcp'), byClusterDns);
    }
    const { stdout } = await asking.stop();
    const counts: Record<string, number> = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    t.diagnostic(JSON.stringify(counts));
    assert.deepEqual(Object.keys(counts).sort(), [byZerohop, byClusterDns]);
    for (const count of Object.values(counts)) assert(count > 10);
  });
});
