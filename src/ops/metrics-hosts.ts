/** coredns_hosts_*: how much the hosts files of the Corefile hold, and when one was read last. */
import { type Family, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

export const hostsFamilies: readonly Family<Scrape>[] = [
  {
    name: 'coredns_hosts_entries',
    help: 'The combined number of entries in hosts and Corefile.',
    type: 'gauge',
    samples: ({ source }) => {
      const files = source.hosts();
      const entries = files.reduce((sum, file) => sum + file.entries, 0);
      return files.length === 0 ? [] : [sample({}, entries)];
    },
  },
  {
    name: 'coredns_hosts_reload_timestamp_seconds',
    help: 'The timestamp of the last reload of hosts file.',
    type: 'gauge',
    samples: ({ source }) => {
      const files = source.hosts();
      return files.length === 0 ? [] : [sample({}, Math.max(...files.map(({ readAtMs }) => readAtMs)) / 1000)];
    },
  },
];
