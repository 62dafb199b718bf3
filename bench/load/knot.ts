/** A configuration of Knot DNS that is authoritative for everything that is asked, with the zones' files beside it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../../test/real/packets.js';
import { zones } from './names.js';

/** Writes everything into `folder` and returns where the configuration is. */
export function knotConfiguration(folder: string, { address, port }: Place): string {
  const its = zones();
  for (const { name, text } of its) writeFileSync(join(folder, `${name}.zone`), text);
  const path = join(folder, 'knot.conf');
  writeFileSync(
    path,
    `server:
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
${its.map(({ name }) => `  - domain: ${name}\n    file: ${name}.zone\n`).join('')}`,
  );
  return path;
}
