/**
 * How servers under test are started that take node-cache's command line: zerohop, and any `--peer`. All servers get
 * the same task: one address, one upstream, a cache in which nothing expires during a run, no log of queries. A
 * server is one entry here or in peers.ts; nothing else of the bench knows any by name.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf } from '../../test/corpus/repository.js';
import type { Place } from '../../test/real/packets.js';
import { type Ability, abilities, type Workload } from './workloads.js';

export interface Server {
  /** As the table has it. */
  readonly name: string;
  readonly able: Ability;
  /** The command that serves in the foreground, its configuration written into `folder`. */
  command(wish: ServerWish): readonly string[];
  /** Whether the first of `sidePorts` serves /metrics. */
  readonly hasMetrics: boolean;
  /** How many entries its cache can be told to keep; 0 when there is none. */
  readonly entriesMax: number;
}

export interface ServerWish {
  readonly folder: string;
  readonly at: Place;
  readonly upstream: Place;
  /** Free ports of 127.0.0.1 for what is served beside DNS. */
  readonly sidePorts: readonly [number, number];
  readonly aaaa: Workload['aaaa'];
}

export function isAble(server: Server, { needs }: Pick<Workload, 'needs'>): boolean {
  return abilities.indexOf(server.able) >= abilities.indexOf(needs);
}

/** Answers kept per kind, and for how long: more than is asked, longer than a run. */
export const entries = 100_000;
export const cacheTtlSeconds = 3600;

/** What is not the same for all servers of a kind. */
export interface Extras {
  /** Flags of the program's own. */
  readonly flags?: readonly string[];
  /** A file that the Corefile imports. */
  readonly imports?: string;
  /** Entries kept of each kind. */
  readonly entries?: number;
}

/** zerohop from this built entry, which may be an older one, run as its first line says. */
export function zerohop(name: string, entry: string, extras: Extras = {}): Server {
  const command = commandOf(entry);
  const flags = [...flagsApart(command), ...(extras.flags ?? [])];
  return nodeCacheLike(name, command, { ...extras, flags });
}

/** Turns off the sockets that instances on one node would share, in versions that have them. */
function flagsApart([program, ...words]: readonly string[]): readonly string[] {
  const help = spawnSync(program, [...words, '-help'], { encoding: 'utf8' }).stdout ?? '';
  const names = ['handover', 'control'].filter((name) => new RegExp(`^ +--${name} `, 'm').test(help));
  return names.map((name) => `-${name}=`);
}

/** Any program that takes node-cache's command line and a Corefile. */
export function nodeCacheLike(name: string, program: readonly string[], extras: Extras = {}): Server {
  return {
    name,
    able: 'misses',
    hasMetrics: true,
    entriesMax: extras.entries ?? entries,
    command(wish) {
      const path = join(wish.folder, 'Corefile');
      // The template as well, so that the one that this machine may have is not used.
      const base = join(wish.folder, 'Corefile.base');
      for (const file of [path, base]) writeFileSync(file, corefile(wish, extras));
      const alone = ['-localip', wish.at.address, '-setupinterface=false', '-setupiptables=false'];
      const metrics = ['-metrics-listen-address', `127.0.0.1:${wish.sidePorts[1]}`];
      return [...program, '-conf', path, '-basecorefile', base, ...alone, ...metrics, ...(extras.flags ?? [])];
    },
  };
}

/** As the Corefile that is deployed with node-cache: errors and metrics are on, the log is off. */
function corefile({ at, upstream, sidePorts, aaaa }: ServerWish, extras: Extras): string {
  const kept = `${extras.entries ?? entries} ${cacheTtlSeconds}`;
  const more = [
    ...(aaaa === 'policy' ? ['    template ANY AAAA {\n        rcode NOERROR\n    }\n'] : []),
    ...(extras.imports === undefined ? [] : [`    import ${extras.imports}\n`]),
  ];
  return `.:${at.port} {
    bind ${at.address}
    errors
    cache {
        success ${kept}
        denial ${kept}
    }
${more.join('')}    forward . ${upstream.address}:${upstream.port} {
        force_tcp
    }
    prometheus 127.0.0.1:${sidePorts[0]}
}
`;
}
