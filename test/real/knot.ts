/**
 * A real Knot DNS in place of the cluster DNS, with its own folder and configuration, that counts queries per
 * protocol: what arrived there is what zerohop really asked.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusterAddress, type Node } from './cluster-node.js';
import { eventually, output, type Running, run, start } from './commands.js';
import { zones } from './zones.js';

export interface Knot {
  /** Queries since the start, by protocol and by type. */
  counted(): Promise<Counted>;
  /** Says this to it, as an operator does with knotc. */
  control(...words: string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface Counted {
  readonly udp: number;
  readonly tcp: number;
  /** By type name: `A`, `AAAA`. */
  readonly types: ReadonlyMap<string, number>;
}

/** Where a Knot runs, when that is not the node itself. */
export interface KnotPlace {
  readonly address: string;
  /** The command line that runs `command` there. */
  command(...command: string[]): string[];
}

/** Starts Knot on the node's cluster address, port 53, UDP and TCP, and waits until it answers its control socket. `served`: its zones' files. */
export async function startKnot(
  node: Node,
  place: KnotPlace = { address: clusterAddress, command: node.command },
  served: Readonly<Record<string, string>> = zones,
): Promise<Knot> {
  const folder = join(node.folder, `knot-${place.address}`);
  mkdirSync(folder, { recursive: true });
  for (const [zone, text] of Object.entries(served)) writeFileSync(join(folder, zoneFile(zone)), text);
  const configuration = join(folder, 'knot.conf');
  writeFileSync(configuration, knotConfiguration(folder, place.address, Object.keys(served)));
  const server = start(place.command('knotd', '-c', configuration));
  const control = ['knotc', '-s', join(folder, 'knot.sock')];
  await eventually('knotd answers its control socket', async () => {
    failIfEnded(server);
    return (await run([...control, 'zone-status', String(Object.keys(served).at(-1))])).status === 0 ? true : undefined;
  });
  return {
    async counted() {
      const lines = await output([...control, '--', 'stats', 'mod-stats']);
      const value = (name: string): number => Number(new RegExp(`${name}\\] = (\\d+)`).exec(lines)?.[1] ?? 0);
      const types = [...lines.matchAll(/query-type\[(\w+)\] = (\d+)/g)];
      return {
        udp: value('request-protocol\\[udp4'),
        tcp: value('request-protocol\\[tcp4'),
        types: new Map(types.map(([, type, count]) => [type, Number(count)])),
      };
    },
    async control(...words) {
      await output([...control, ...words]);
    },
    async stop() {
      await server.stop();
    },
  };
}

function failIfEnded(server: Running): void {
  if (/error|critical/.test(server.stderr())) throw new Error(`knotd: ${server.stderr()}`);
}

function knotConfiguration(folder: string, address: string, names: readonly string[]): string {
  return `server:
    rundir: "${folder}"
    listen: ${address}@53
    tcp-workers: 2
    udp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 30
database:
    storage: "${folder}"
    journal-db-max-size: 1M
    kasp-db-max-size: 5M
    timer-db-max-size: 1M
mod-stats:
  - id: all
    request-protocol: on
    query-type: on
template:
  - id: default
    storage: "${folder}"
    global-module: mod-stats/all
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
zone:
${names.map((zone) => `  - domain: ${zone}\n    file: ${zoneFile(zone)}`).join('\n')}
`;
}

function zoneFile(zone: string): string {
  return zone === '.' ? 'root.zone' : `${zone}.zone`;
}
