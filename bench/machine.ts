/** What the figures depend on and nobody remembers later: the machine, its load, the commit, the cores in use. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Over the last minute, before the bench added its own. */
  readonly loadBefore: number;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? '?',
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
    loadBefore: loadavg()[0],
  };
}

export interface Commit {
  /** Short, `?` outside a repository. */
  readonly name: string;
  /** The working tree differs from it in what is built. */
  readonly dirty: boolean;
}

/** The commit of the working tree in this folder. */
export function commitOf(folder: string): Commit {
  const git = (...words: string[]): string =>
    execFileSync('git', ['-C', folder, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return { name: git('rev-parse', '--short', 'HEAD'), dirty: git('status', '--porcelain', '--', 'src') !== '' };
  } catch {
    return { name: '?', dirty: true };
  }
}

/** The first two cores this process may use: one for the server, one for the load. Null when there is but one. */
export function twoCores(status = readFileSync('/proc/self/status', 'utf8')): { server: number; load: number } | null {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  const cores = list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return cores.length < 2 ? null : { server: cores[0], load: cores[1] };
}
