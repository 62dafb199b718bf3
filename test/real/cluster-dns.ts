/**
 * The cluster DNS as kube-proxy presents it: real Knots in a namespace of pods, and in the node's namespace one
 * ClusterIP that DNAT rules spread over them, connection by connection: at random, in turn, or by source port. An
 * endpoint can be made to swallow what it is sent without a word, as a pod does whose node is gone, or to accept
 * connections and never answer, as a pod does that hangs.
 */
import { clusterAddress, type Node } from './cluster-node.js';
import { output } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { firstInLine } from './timing.js';
import { endpointAddresses, thirdEndpointAddress } from './zones.js';

/** How new connections are spread: kube-proxy's way with iptables, IPVS's `rr`, IPVS's `sh` with ports. */
export type Balance = 'at random' | 'in turn' | 'by source port';

export interface ClusterDns {
  /** The endpoints with these indexes take packets and say nothing; the others answer. */
  silence(...indexes: number[]): Promise<void>;
  /** The endpoints with these indexes accept connections and answer nothing; the others answer. */
  hang(...indexes: number[]): Promise<void>;
  /** From now on new connections to the ClusterIP go to this endpoint alone, as session affinity does it; null: to any. */
  pinTo(index: number | null): Promise<void>;
  /** From now on new connections are spread over the first `count` endpoints in this way. */
  balance(how: Balance, count: 2 | 3): Promise<void>;
  stop(): Promise<void>;
}

/** Takes the ClusterIP off the node's loopback and puts rules in its place. Of three endpoints names know two. */
export async function startClusterDns(node: Node, count: 2 | 3 = 2): Promise<ClusterDns> {
  const addresses = [...endpointAddresses, thirdEndpointAddress].slice(0, count);
  const pods = `${node.name}-pods`;
  const inPods = (...command: string[]): string[] => ['ip', 'netns', 'exec', pods, ...command];
  await output(['ip', 'netns', 'add', pods]);
  await output(node.command('ip', 'address', 'del', `${clusterAddress}/32`, 'dev', 'lo'));
  await output(node.command('ip', 'link', 'add', 'pods', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pods));
  await output(node.command('ip', 'address', 'add', '10.244.0.1/16', 'dev', 'pods'));
  await output(node.command('ip', 'link', 'set', 'pods', 'up'));
  await output(node.command('ip', 'route', 'add', 'default', 'dev', 'pods'));
  for (const address of addresses) {
    await output(inPods('ip', 'address', 'add', `${address}/16`, 'dev', 'eth0'));
  }
  await output(inPods('ip', 'link', 'set', 'eth0', 'up'));
  await output(inPods('ip', 'link', 'set', 'lo', 'up'));
  const knots: Knot[] = [];
  for (const address of addresses) {
    const command = (...words: string[]): string[] => inPods(...firstInLine, ...words);
    knots.push(await startKnot(node, { address, command }));
  }

  const to = (address: string): string[] => ['-j', 'DNAT', '--to-destination', `${address}:53`];

  /** `rules` are the matches and targets for one protocol, in order. */
  async function spread(rules: (protocol: 'udp' | 'tcp') => readonly (readonly string[])[]): Promise<void> {
    await output(node.command('iptables', '-w', '-t', 'nat', '-F', 'OUTPUT'));
    for (const protocol of ['udp', 'tcp'] as const) {
      const rule = ['-w', '-t', 'nat', '-A', 'OUTPUT', '-d', clusterAddress, '-p', protocol, '--dport', '53'];
      for (const rest of rules(protocol)) await output(node.command('iptables', ...rule, ...rest));
    }
  }

  function pinTo(index: number | null): Promise<void> {
    return index === null ? balance('at random', 2) : spread(() => [to(addresses[index])]);
  }

  function balance(how: Balance, among: 2 | 3): Promise<void> {
    return spread(() =>
      addresses.slice(0, among).map((address, index) => {
        const left = among - index;
        return left === 1 ? to(address) : [...matching[how](left), ...to(address)];
      }),
    );
  }

  async function drop(...matches: string[][]): Promise<void> {
    await output(inPods('iptables', '-w', '-F', 'INPUT'));
    for (const match of matches) await output(inPods('iptables', '-w', '-A', 'INPUT', ...match, '-j', 'DROP'));
  }
  await pinTo(null);

  return {
    pinTo,
    balance,
    silence: (...indexes) => drop(...indexes.map((index) => ['-d', addresses[index]])),
    hang: (...indexes) =>
      drop(
        ...indexes.flatMap((index) => [
          ['-d', addresses[index], '-p', 'udp'],
          // A handshake has packets of 60 bytes and less.
          ['-d', addresses[index], '-p', 'tcp', '-m', 'length', '--length', '61:65535'],
        ]),
      ),
    async stop() {
      for (const knot of knots) await knot.stop();
      await output(['ip', 'netns', 'delete', pods]);
    },
  };
}

/** Matches one of `left` new connections. */
const matching: Readonly<Record<Balance, (left: number) => string[]>> = {
  'at random': (left) => ['-m', 'statistic', '--mode', 'random', '--probability', String(1 / left)],
  'in turn': (left) => ['-m', 'statistic', '--mode', 'nth', '--every', String(left), '--packet', '0'],
  // The lowest bit tells connect() from bind() in Linux, so those above it are taken.
  'by source port': (left) => ['-m', 'u32', '--u32', `0>>22&0x3C@0>>17&3=${left === 3 ? '0:1' : '2'}`],
};
