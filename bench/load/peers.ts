/**
 * Debian's servers that zerohop is measured against, each with what its manual says for this task: one thread that
 * answers, as zerohop has one; no validation, as nobody does any; room for as many answers. What is not named is as
 * the package has it. Knot is no cache, it is authoritative for what is asked: the floor; the echo is not even that.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { knotConfiguration } from './knot.js';
import { firstQuestion } from './names.js';
import { cacheTtlSeconds, entries, type Server, type ServerWish } from './servers.js';

export function unbound(program: string): Server {
  return {
    name: 'unbound',
    able: 'misses',
    hasMetrics: false,
    entriesMax: entries,
    command: (wish) => [program, '-d', '-c', written(wish, 'unbound.conf', unboundConfiguration(wish))],
  };
}

function unboundConfiguration({ folder, at, upstream }: ServerWish): string {
  return `server:
    interface: ${at.address}
    port: ${at.port}
    access-control: 127.0.0.0/8 allow
    access-control: 10.0.0.0/8 allow
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

/** Its own bound, as far as its manual recommends. */
const dnsmasqEntriesMax = 10_000;

/** It asks others over UDP only, so misses are not compared. */
export function dnsmasq(program: string): Server {
  return {
    name: 'dnsmasq',
    able: 'cache',
    hasMetrics: false,
    entriesMax: dnsmasqEntriesMax,
    command: (wish) => [
      program,
      '--keep-in-foreground',
      `--conf-file=${written(wish, 'dnsmasq.conf', dnsmasqConfiguration(wish))}`,
    ],
  };
}

function dnsmasqConfiguration({ at, upstream }: ServerWish): string {
  return `port=${at.port}
listen-address=${at.address}
bind-interfaces
user=root
group=root
pid-file=
no-resolv
no-hosts
server=${upstream.address}#${upstream.port}
cache-size=${dnsmasqEntriesMax}
dns-forward-max=1000
log-facility=-
`;
}

/** Its packet cache in front of the upstream, which it asks over TCP. */
export function dnsdist(program: string): Server {
  return {
    name: 'dnsdist',
    able: 'misses',
    hasMetrics: true,
    entriesMax: entries,
    command: (wish) => [
      program,
      '--supervised',
      '--disable-syslog',
      '-C',
      written(wish, 'dnsdist.conf', dnsdistConfiguration(wish)),
    ],
  };
}

function dnsdistConfiguration({ at, upstream, sidePorts }: ServerWish): string {
  return `setLocal("${at.address}:${at.port}")
setSecurityPollSuffix("")
newServer({address="${upstream.address}:${upstream.port}", tcpOnly=true, checkName="${firstQuestion}."})
getPool(""):setCache(newPacketCache(${2 * entries}, {maxTTL=${cacheTtlSeconds}, maxNegativeTTL=${cacheTtlSeconds}}))
webserver("127.0.0.1:${sidePorts[0]}")
setWebserverConfig({statsRequireAuthentication=false})
`;
}

/** Authoritative for the names of the bench. */
export function knot(program: string): Server {
  return {
    name: 'knot (authoritative)',
    able: 'names',
    hasMetrics: false,
    entriesMax: 0,
    command: ({ folder, at }) => [program, '-c', knotConfiguration(folder, at)],
  };
}

/** The same runtime with nothing to do: receives, adds an address, sends. */
export function echo(): Server {
  return {
    name: 'echo (Node.js)',
    able: 'packets',
    hasMetrics: false,
    entriesMax: 0,
    command: ({ at }) => [process.execPath, fileURLToPath(new URL('./echo.js', import.meta.url)), String(at.port)],
  };
}

function written({ folder }: ServerWish, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
