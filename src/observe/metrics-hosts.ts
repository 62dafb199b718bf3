/** coredns_hosts_*: how much the hosts files of the Corefile hold, and when one was read last. */
import { type Family, groupByLabels, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

export const hostsFamilies: readonly Family<Scrape>[] = [
  {
    name: 'coredns_hosts_entries',
    help: 'The combined number of entries in hosts and Corefile.',
    type: 'gauge',
    // A file that several blocks name is counted for the one that finds most of its names in its zones.
    samples: ({ source }) =>
      groupByLabels(source.hosts(), ({ file }) => ({ hostsfile: file })).map(({ labels, members }) =>
        sample(labels, Math.max(...members.map(({ entries }) => entries))),
      ),
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
