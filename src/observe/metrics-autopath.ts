/** coredns_autopath_success_total: search paths that were walked here to a name that is there. */
import { type Family, groupByLabels, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

export const autopathFamilies: readonly Family<Scrape>[] = [
  {
    name: 'coredns_autopath_success_total',
    help: 'Counter of requests that did autopath.',
    type: 'counter',
    samples: ({ source }) =>
      groupByLabels(source.autopaths(), ({ server }) => ({ server })).map(({ labels, members }) =>
        sample(
          labels,
          members.reduce((sum, { count }) => sum + count, 0),
        ),
      ),
  },
];
