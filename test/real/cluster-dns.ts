/**
 * The cluster DNS as kube-proxy presents it: two real Knots in a namespace of pods, and in the node's namespace one
 * ClusterIP that DNAT rules with `statistic --mode random` spread over them, connection by connection. An endpoint
 * can be made to swallow what it is sent without a word, as a pod does whose node is gone.
 */
import { clusterAddress, type Node } from './cluster-node.js';
import { output } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { firstInLine } from './timing.js';
import { endpointAddresses } from './zones.js';

export interface ClusterDns {
  /** The endpoints with these indexes take packets and say nothing; the others answer. */
  silence(...indexes: number[]): Promise<void>;
  /** From now on new connections to the ClusterIP go to this endpoint alone, as session affinity does it; null: to any. */
  pinTo(index: number | null): Promise<void>;
  stop(): Promise<void>;
}

/** Takes the ClusterIP off the node's loopback and puts rules in its place. */
export async function startClusterDns(node: Node): Promise<ClusterDns> {
  const pods = `${node.name}-pods`;
  const inPods = (...command: string[]): string[] => ['ip', 'netns', 'exec', pods, ...command];
  await output(['ip', 'netns', 'add', pods]);
  await output(node.command('ip', 'address', 'del', `${clusterAddress}/32`, 'dev', 'lo'));
  await output(node.command('ip', 'link', 'add', 'pods', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pods));
  await output(node.command('ip', 'address', 'add', '10.244.0.1/16', 'dev', 'pods'));
  await output(node.command('ip', 'link', 'set', 'pods', 'up'));
  await output(node.command('ip', 'route', 'add', 'default', 'dev', 'pods'));
  for (const address of endpointAddresses) {
    await output(inPods('ip', 'address', 'add', `${address}/16`, 'dev', 'eth0'));
  }
  await output(inPods('ip', 'link', 'set', 'eth0', 'up'));
  await output(inPods('ip', 'link', 'set', 'lo', 'up'));
  const knots: Knot[] = [];
  for (const address of endpointAddresses) {
    const command = (...words: string[]): string[] => inPods(...firstInLine, ...words);
    knots.push(await startKnot(node, { address, command }));
  }

  async function pinTo(index: number | null): Promise<void> {
    await output(node.command('iptables', '-w', '-t', 'nat', '-F', 'OUTPUT'));
    for (const protocol of ['udp', 'tcp']) {
      const rule = [
        'iptables',
        '-w',
        '-t',
        'nat',
        '-A',
        'OUTPUT',
        '-d',
        clusterAddress,
        '-p',
        protocol,
        '--dport',
        '53',
      ];
      const to = (address: string): string[] => ['-j', 'DNAT', '--to-destination', `${address}:53`];
      if (index !== null) {
        await output(node.command(...rule, ...to(endpointAddresses[index])));
        continue;
      }
      const half = ['-m', 'statistic', '--mode', 'random', '--probability', '0.5'];
      await output(node.command(...rule, ...half, ...to(endpointAddresses[0])));
      await output(node.command(...rule, ...to(endpointAddresses[1])));
    }
  }
  await pinTo(null);

  return {
    pinTo,
    async silence(...indexes) {
      await output(inPods('iptables', '-w', '-F', 'INPUT'));
      for (const index of indexes) {
        await output(inPods('iptables', '-w', '-A', 'INPUT', '-d', endpointAddresses[index], '-j', 'DROP'));
      }
    },
    async stop() {
      for (const knot of knots) await knot.stop();
      await output(['ip', 'netns', 'delete', pods]);
    },
  };
}
