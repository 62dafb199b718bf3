/**
 * A node whose firewall drops what it does not know, with a pod behind a veth: what the node's rules are for. Nothing
 * of ours is set up yet. `conntrack -L` shows what the kernel tracks, because the firewall asks it to.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { output, run } from './commands.js';

/** In which of the kernel's firewalls everything of this node is, Kubernetes' marks included. */
export const firewalls = ['iptables-nft', 'iptables-legacy', 'nftables'] as const;
export type NodeFirewall = (typeof firewalls)[number];

export const localAddress6 = 'fd00:53::10';
/** The node's own address, as the pod sees it; its port 8181 is let in. */
export const nodeAddress = '10.244.0.1';

export interface PodNode extends Node {
  /** The command line that runs `command` in the pod. */
  inPod(...command: string[]): string[];
  /** One question with one try of a second: what dig prints with +short, or undefined without an answer. */
  digFromPod(address: string, over: 'udp' | 'tcp'): Promise<string | undefined>;
  /** The lines of the firewall that are ours, of both families. */
  ownRules(): Promise<string[]>;
  /** Takes our addresses off the loopback. */
  dropOwnAddresses(): Promise<void>;
  /** Takes our rules out, as somebody does who knows nothing of us. */
  dropOwnRules(): Promise<void>;
  /** The addresses of ours that the node has. */
  ownAddresses(): Promise<string[]>;
  /** What the kernel tracks, a line a flow. */
  flows(): Promise<string[]>;
}

/** The program of each family. */
export function iptablesOf(firewall: NodeFirewall): string[] {
  return firewall === 'nftables' ? [] : [firewall, firewall.replace('iptables', 'ip6tables')];
}

/** Needs root, ip, conntrack, dig and the firewall's programs. */
export async function makePodNode(firewall: NodeFirewall): Promise<PodNode> {
  const node = await makeNode();
  const on = (...command: string[]): Promise<string> => output(node.command(...command));
  const pod = `${node.name}-pod`;
  const inPod = (...command: string[]): string[] => ['ip', 'netns', 'exec', pod, ...command];
  await output(['ip', 'netns', 'add', pod]);
  const removePod = (): void => {
    process.off('exit', removePod);
    execFileSync('ip', ['netns', 'delete', pod]);
  };
  process.on('exit', removePod);
  await on('ip', 'address', 'delete', `${localAddress}/32`, 'dev', 'lo');
  await on('ip', 'link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod);
  await addressed(node.command, 'pod', [`${nodeAddress}/24`, 'fd00:244::1/64']);
  await addressed(inPod, 'eth0', ['10.244.0.7/24', 'fd00:244::7/64']);
  await output(inPod('ip', 'route', 'add', 'default', 'via', nodeAddress));
  await output(inPod('ip', '-6', 'route', 'add', 'default', 'via', 'fd00:244::1'));
  if (firewall === 'nftables') await loadNftables(node);
  else for (const program of iptablesOf(firewall)) await loadIptables(node, program);

  const shell = (script: string): Promise<string> => on('sh', '-c', script);
  return {
    ...node,
    inPod,
    async digFromPod(address, over) {
      const how = over === 'tcp' ? '+tcp' : '+notcp';
      const dig = ['dig', '-r', '+short', '+tries=1', '+time=1', how, `@${address}`, 'web.example.', 'A'];
      const { status, stdout } = await run(inPod(...dig));
      return status === 0 && !stdout.startsWith(';') ? stdout.trim() : undefined;
    },
    async ownRules() {
      const listing = iptablesOf(firewall).map((program) => `${program}-save`);
      const text = await shell((listing.length === 0 ? ['nft list ruleset'] : listing).join('; '));
      return text.split('\n').filter((line) => /NodeLocal DNS Cache|zerohop/.test(line));
    },
    async dropOwnAddresses() {
      const drop = (address: string): string => `ip address delete ${address} dev lo`;
      await shell(`${drop(`${localAddress}/32`)} && ${drop(`${localAddress6}/128`)}`);
    },
    async dropOwnRules() {
      if (firewall === 'nftables') await on('nft', 'delete', 'table', 'inet', 'zerohop');
      for (const program of iptablesOf(firewall)) {
        await shell(`${program}-save | grep -v "NodeLocal DNS Cache" | ${program}-restore -w`);
      }
    },
    async ownAddresses() {
      const listed = await on('ip', '-oneline', 'address', 'show');
      return [localAddress, localAddress6].filter((address) => listed.includes(` ${address}/`));
    },
    async flows() {
      const text = await shell('conntrack -L -f ipv4; conntrack -L -f ipv6');
      return text.split('\n').filter(Boolean);
    },
    remove() {
      removePod();
      node.remove();
    },
  };
}

async function addressed(inside: Node['command'], link: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const now = address.includes(':') ? ['nodad'] : [];
    await output(inside('ip', 'address', 'add', address, 'dev', link, ...now));
  }
  await output(inside('ip', 'link', 'set', link, 'up'));
}

/** As a kubelet marks it, and a careful operator fills it. */
async function loadIptables(node: Node, program: string): Promise<void> {
  const text = `*mangle
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp --dport 8181 -j ACCEPT
${program.startsWith('ip6') ? '-A INPUT -p ipv6-icmp -j ACCEPT\n' : ''}COMMIT
`;
  const path = join(node.folder, `${program}.rules`);
  writeFileSync(path, text);
  await output(node.command('sh', '-c', `${program}-restore -w < ${path}`));
}

/** As kube-proxy marks it in its nftables mode. */
async function loadNftables(node: Node): Promise<void> {
  const text = `table ip kube-proxy {
}
table inet host {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname lo accept
    ct state established accept
    tcp dport 8181 accept
    meta l4proto ipv6-icmp accept
  }
}
`;
  const path = join(node.folder, 'nftables.rules');
  writeFileSync(path, text);
  await output(node.command('nft', '-f', path));
}
