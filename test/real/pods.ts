/**
 * Pods as the network sees them: namespaces of their own, each with one veth to the node's. What runs in them reaches
 * the node-local address as pods do, across a link.
 */
import { fileURLToPath } from 'node:url';
import type { Node } from './cluster-node.js';
import { output } from './commands.js';

export interface Pod {
  /** The node's address on this pod's link. */
  readonly gateway: string;
  /** The command line that runs `command` inside. */
  command(...command: string[]): string[];
}

/** Makes so many pods on the node. */
export async function makePods(node: Node, count: number): Promise<{ readonly pods: Pod[]; remove(): Promise<void> }> {
  const names = Array.from({ length: count }, (_, index) => `${node.name}-pod${index}`);
  const pods: Pod[] = [];
  for (const [index, name] of names.entries()) {
    const [gateway, address] = [`10.250.${index}.1`, `10.250.${index}.2`];
    const command = (...inner: string[]): string[] => ['ip', 'netns', 'exec', name, ...inner];
    await output(['ip', 'netns', 'add', name]);
    const link = `pod${index}`;
    await output(node.command('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name));
    await output(node.command('ip', 'address', 'add', `${gateway}/30`, 'dev', link));
    await output(node.command('ip', 'link', 'set', link, 'up'));
    await output(command('ip', 'address', 'add', `${address}/30`, 'dev', 'eth0'));
    await output(command('ip', 'link', 'set', 'eth0', 'up'));
    await output(command('ip', 'link', 'set', 'lo', 'up'));
    await output(command('ip', 'route', 'add', 'default', 'via', gateway));
    pods.push({ gateway, command });
  }
  return {
    pods,
    async remove() {
      for (const name of names) await output(['ip', 'netns', 'delete', name]);
    },
  };
}

export interface CheckingWish {
  readonly server: string;
  readonly port: number;
  readonly questions: number;
  /** Ports that are asked from; the kernel spreads them over the server's threads. */
  readonly sockets: number;
  /** Of `n0` to `n249.default.svc.cluster.local.`, whose addresses are known. */
  readonly names: number;
  /** Of `x0` and so on, which do not exist. */
  readonly absentNames: number;
}

export interface CheckingReport {
  readonly right: number;
  /** Not within five seconds. */
  readonly lost: number;
  /** The first few answers that are not what they should be, each in a sentence. */
  readonly wrong: readonly string[];
}

const program = fileURLToPath(new URL('./checking-client.js', import.meta.url));

/** Asks from the pod as fast as answers come, and looks at every one of them. */
export async function askChecking(pod: Pod, wish: CheckingWish): Promise<CheckingReport> {
  return JSON.parse(await output(pod.command(process.execPath, program, JSON.stringify(wish)), 60_000));
}
