/**
 * Families about the kernel's table of connections: a full one, or two packets that make the same entry at once, loses
 * queries of pods before any program sees them. None where the kernel shows no table.
 */
import type { ConntrackNumbers } from '../os/conntrack.js';
import { counter, type Family, gauge, labelText, type Sample, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

export const conntrackFamilies: readonly Family<Scrape>[] = [
  gauge(
    'zerohop_conntrack_entries',
    "Connections in the kernel's table.",
    ofConntrack(({ entries }) => [sample('', entries)]),
  ),
  gauge(
    'zerohop_conntrack_entries_max',
    'Connections for which the table has room.',
    ofConntrack(({ entriesMax }) => [sample('', entriesMax)]),
  ),
  counter(
    'zerohop_conntrack_failures_total',
    "Packets of the whole node that its table of connections has lost, or other packets' entries, by kind.",
    ofConntrack(({ insertFailed, drop, earlyDrop }) => [
      ...failureSamples('insert_failed', insertFailed),
      ...failureSamples('drop', drop),
      ...failureSamples('early_drop', earlyDrop),
    ]),
  ),
];

function ofConntrack(samples: (numbers: ConntrackNumbers) => Sample[]): Family<Scrape>['samples'] {
  return ({ conntrack }) => (conntrack === null ? [] : samples(conntrack));
}

function failureSamples(kind: string, count: number | null): Sample[] {
  return count === null ? [] : [sample(labelText({ kind }), count)];
}
