/** coredns_acl_*: what the rules of `acl` said of queries, by server and by the zone of the rules. */
import { type Family, groupByLabels, type Labels, sample } from './exposition.js';
import type { AclNumbers, Scrape } from './metrics-source.js';

export const aclFamilies: readonly Family<Scrape>[] = [
  family('blocked', 'block', zoneLabels),
  family('filtered', 'filter', zoneLabels),
  family('dropped', 'drop', zoneLabels),
  family('allowed', 'allow', ({ server }) => ({ server, view: '' })),
];

function zoneLabels({ server, zone }: AclNumbers): Labels {
  return { server, zone, view: '' };
}

function family(word: string, action: AclNumbers['action'], labelsOf: (numbers: AclNumbers) => Labels): Family<Scrape> {
  return {
    name: `coredns_acl_${word}_requests_total`,
    help: `Counter of DNS requests being ${word}.`,
    type: 'counter',
    samples: ({ source }) =>
      groupByLabels(
        source.acls().filter((numbers) => numbers.action === action),
        labelsOf,
      ).map(({ labels, members }) =>
        sample(
          labels,
          members.reduce((sum, { count }) => sum + count, 0),
        ),
      ),
  };
}
