/**
 * A Kubernetes node as far as DNS sees one: a network namespace with the node-local address and the cluster DNS's
 * address on its loopback, and an /etc/resolv.conf of its own. Programs run in it with `command`; nothing outside
 * sees it, so every port is free and no other test is disturbed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from './commands.js';

/** Where pods ask. */
export const localAddress = '169.254.20.10';
/** Where the cluster DNS answers. */
export const clusterAddress = '10.96.0.10';

export interface Node {
  readonly name: string;
  /** A folder of the test's own, gone with the node. */
  readonly folder: string;
  /** The command line that runs `command` inside. */
  command(...command: string[]): string[];
  /** What programs inside find in /etc/resolv.conf. */
  writeResolvConf(text: string): void;
  remove(): void;
}

let made = 0;

/** Makes a node; needs root. It is removed at the latest when the process exits. */
export async function makeNode(): Promise<Node> {
  made += 1;
  const name = `zerohop-${process.pid}-${made}`;
  const settings = join('/etc/netns', name);
  const folder = join('/tmp', name);
  mkdirSync(settings, { recursive: true });
  mkdirSync(folder, { recursive: true });
  let removed = false;
  const remove = (): void => {
    if (removed) return;
    removed = true;
    process.off('exit', remove);
    execFileSync('ip', ['netns', 'delete', name]);
    rmSync(settings, { recursive: true });
    rmSync(folder, { recursive: true });
  };
  const command = (...inner: string[]): string[] => ['ip', 'netns', 'exec', name, ...inner];
  const writeResolvConf = (text: string): void => writeFileSync(join(settings, 'resolv.conf'), text);
  writeResolvConf(podResolvConf);
  await output(['ip', 'netns', 'add', name]);
  process.on('exit', remove);
  await output(command('ip', 'link', 'set', 'lo', 'up'));
  for (const address of [localAddress, clusterAddress]) {
    await output(command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo'));
  }
  return { name, folder, command, writeResolvConf, remove };
}

/** As kubelet writes it for a pod in the namespace `default`. */
export const podResolvConf = `search default.svc.cluster.local svc.cluster.local cluster.local
nameserver ${localAddress}
options ndots:5
`;
