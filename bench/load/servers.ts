/**
 * How each server under test is started: its command and the configuration written for it. All get the same task:
 * one address, one upstream, a cache in which nothing expires during a run, no log of queries. A server is one entry
 * here; nothing else of the bench knows any by name.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../../test/real/packets.js';
import type { Workload } from './workloads.js';

export interface Server {
  /** As the table has it. */
  readonly name: string;
  /** The command that serves in the foreground, its configuration written into `folder`. */
  command(wish: ServerWish): readonly string[];
}

export interface ServerWish {
  readonly folder: string;
  readonly at: Place;
  readonly upstream: Place;
  /** A free port of 127.0.0.1 for what is served beside DNS. */
  readonly sidePort: number;
  readonly aaaa: Workload['aaaa'];
}

/** Answers kept per kind, and for how long: more than is asked, longer than a run. */
const entries = 100_000;
const ttlSeconds = 3600;

/** zerohop from this built entry, as `node dist/src/main.js`. */
export function zerohop(name: string, entry: string): Server {
  return {
    name,
    command(wish) {
      const path = join(wish.folder, 'Corefile');
      writeFileSync(path, corefile(wish));
      const alone = ['-localip', wish.at.address, '-setupinterface=false', '-setupiptables=false', '-handover='];
      const metrics = ['-metrics-listen-address', `127.0.0.1:${wish.sidePort}`];
      return [process.execPath, entry, '-conf', path, ...alone, ...metrics];
    },
  };
}

function corefile({ at, upstream, aaaa }: ServerWish): string {
  return `.:${at.port} {
    bind ${at.address}
    errors
    cache {
        success ${entries} ${ttlSeconds}
        denial ${entries} ${ttlSeconds}
    }
    ${aaaa === 'policy' ? 'aaaa nodata' : ''}
    forward . ${upstream.address}:${upstream.port} {
        force_tcp
    }
}
`;
}

/**
 * Unbound as a cache in front of the same upstream: one thread, as zerohop has one answering thread; no validation,
 * as the others do none; memory for about as many answers as zerohop may keep.
 */
export function unbound(program: string): Server {
  return {
    name: 'unbound',
    command(wish) {
      const path = join(wish.folder, 'unbound.conf');
      writeFileSync(path, unboundConfiguration(wish));
      return [program, '-d', '-c', path];
    },
  };
}

function unboundConfiguration({ folder, at, upstream }: ServerWish): string {
  return `server:
    interface: ${at.address}
    port: ${at.port}
    access-control: 127.0.0.0/8 allow
    num-threads: 1
    directory: "${folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 0
    do-ip6: no
    module-config: "iterator"
    do-not-query-localhost: no
    msg-cache-size: 32m
    rrset-cache-size: 64m
    outgoing-range: 8192
    num-queries-per-thread: 4096
    tcp-upstream: yes
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: ${upstream.address}@${upstream.port}
`;
}
