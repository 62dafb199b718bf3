/**
 * A container on a node as the kubelet makes one: a root file system of its own, volumes in it, capabilities and
 * network of the node. It is a mount namespace that ends with its process, so nothing is left behind. The image is
 * this machine's /usr with the program in /app.
 */
import { mkdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { builtEntry, repositoryPath } from '../corpus/repository.js';
import type { Node } from './cluster-node.js';
import { type Running, start } from './commands.js';

export interface ContainerWishes {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Folders and files of this machine by where they are inside. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Files that /etc starts with; what the program writes there does not outlive it. */
  readonly etc: Readonly<Record<string, string>>;
  readonly rootFileSystem: 'read-only' | 'writable';
}

/** Starts zerohop with these arguments. The paths in its messages are those inside. */
export function startContainer(node: Node, name: string, wishes: ContainerWishes): Running {
  const folder = join(node.folder, name);
  mkdirSync(join(folder, 'etc'), { recursive: true });
  for (const [file, text] of Object.entries(wishes.etc)) writeFileSync(join(folder, 'etc', file), text);
  const script = join(folder, 'enter');
  writeFileSync(script, enter(folder, wishes));
  const io = process.env['ZEROHOP_IO'] === undefined ? {} : { ZEROHOP_IO: process.env['ZEROHOP_IO'] };
  const variables = Object.entries({ PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...io, ...wishes.environment });
  const environment = ['env', '-i', ...variables.map(([variable, value]) => `${variable}=${value}`)];
  const inside = ['unshare', '--mount', '--propagation', 'private', 'sh', script, ...wishes.arguments];
  return start(node.command(...environment, ...inside));
}

const build = dirname(dirname(builtEntry));

/** What the shell does before it becomes the program; the root is made in memory. */
function enter(folder: string, { volumes, rootFileSystem }: ContainerWishes): string {
  const root = join(folder, 'root');
  const bind = (from: string, to: string): string[] => [
    ...(statSync(from).isFile()
      ? [`mkdir -p '${root}${dirname(to)}'`, `touch '${root}${to}'`]
      : [`mkdir -p '${root}${to}'`]),
    `mount --rbind '${realpathSync(from)}' '${root}${to}'`,
  ];
  const node = dirname(dirname(process.execPath));
  return [
    'set -e',
    `mkdir -p '${root}'`,
    `mount -t tmpfs none '${root}'`,
    `for folder in /bin /sbin /lib /lib64; do [ ! -e $folder ] || cp -a $folder '${root}'; done`,
    ...['/usr', '/proc', '/sys', '/dev', ...(node.startsWith('/usr') ? [] : [node])].flatMap((path) =>
      bind(path, path),
    ),
    ...bind(build, '/app/dist'),
    ...bind(repositoryPath('node_modules'), '/app/node_modules'),
    `cp '${repositoryPath('package.json')}' '${root}/app'`,
    `mkdir -p '${root}/etc' '${root}/tmp' '${root}/run'`,
    `cp -a '${join(folder, 'etc')}/.' /etc/alternatives '${root}/etc'`,
    ...Object.entries(volumes).flatMap(([inside, path]) => bind(path, inside)),
    ...(rootFileSystem === 'read-only' ? [`mount -o remount,ro '${root}'`] : []),
    `exec chroot '${root}' '${process.execPath}' /app/dist/zerohop/main.js "$@"`,
    '',
  ].join('\n');
}

/**
 * A ConfigMap as the kubelet mounts it: files that are links through `..data` to a dated folder, of which a new one
 * takes the place at once.
 */
export class ConfigMapVolume {
  readonly folder: string;
  #version = 0;
  #keys: readonly string[] = [];

  constructor(folder: string, data: Readonly<Record<string, string>>) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.publish(data);
  }

  publish(data: Readonly<Record<string, string>>): void {
    const before = `..${this.#version}`;
    this.#version++;
    const now = `..${this.#version}`;
    mkdirSync(join(this.folder, now));
    for (const [key, text] of Object.entries(data)) writeFileSync(join(this.folder, now, key), text);
    symlinkSync(now, join(this.folder, '..data_tmp'));
    renameSync(join(this.folder, '..data_tmp'), join(this.folder, '..data'));
    const keys = Object.keys(data);
    for (const key of keys) {
      if (!this.#keys.includes(key)) symlinkSync(join('..data', key), join(this.folder, key));
    }
    for (const key of this.#keys) if (!keys.includes(key)) rmSync(join(this.folder, key));
    this.#keys = keys;
    rmSync(join(this.folder, before), { recursive: true, force: true });
  }
}
