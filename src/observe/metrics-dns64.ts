/** coredns_dns64_*: answers whose AAAA records were made of A records. */
import { zonePlaces } from '../counters.js';
import { type Family, groupByLabels, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

export const dns64Families: readonly Family<Scrape>[] = [
  {
    name: 'coredns_dns64_requests_translated_total',
    help: 'Counter of DNS requests translated by dns64.',
    type: 'counter',
    samples: ({ served }) =>
      groupByLabels(
        served.filter(({ numbers }) => numbers[zonePlaces.translated] > 0),
        ({ labels }) => ({ server: labels['server'] ?? '' }),
      ).map(({ labels, members }) =>
        sample(
          labels,
          members.reduce((sum, { numbers }) => sum + numbers[zonePlaces.translated], 0),
        ),
      ),
  },
];
