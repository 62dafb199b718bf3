/**
 * What stands for the cluster DNS: a Knot DNS on the load's core that is authoritative for everything that is asked.
 * It must not be the bottleneck of misses, and its CPU is nobody's figure.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../../test/real/packets.js';
import { firstQuestion, zone, zoneFile } from './questions.js';
import { whileServing } from './serving.js';

export interface UpstreamWish {
  readonly knotd: string;
  readonly core: number;
  readonly folder: string;
  readonly at: Place;
}

/** Runs `use` while the upstream serves. */
export async function whileUpstreamServes<T>(wish: UpstreamWish, use: () => Promise<T>): Promise<T> {
  const folder = join(wish.folder, 'knot');
  mkdirSync(folder);
  writeFileSync(join(folder, 'zone'), zoneFile());
  const configuration = join(folder, 'knot.conf');
  writeFileSync(configuration, knotConfiguration(folder, wish.at));
  const serving = { core: wish.core, at: wish.at, question: firstQuestion };
  return whileServing([wish.knotd, '-c', configuration], serving, use);
}

function knotConfiguration(folder: string, { address, port }: Place): string {
  return `server:
    rundir: "${folder}"
    listen: ${address}@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 60
log:
  - target: stderr
    any: warning
database:
    storage: "${folder}"
    journal-db-max-size: 1M
    kasp-db-max-size: 5M
    timer-db-max-size: 1M
template:
  - id: default
    storage: "${folder}"
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: ${zone}
    file: zone
`;
}
