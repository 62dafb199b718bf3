/** Which of the instances on this node serves, seen from this one: zerohop_instance_role, zerohop_stand_by_instances. */
import { type Family, sample } from './exposition.js';
import { roles, type Scrape } from './metrics-source.js';

export const handoverFamilies: readonly Family<Scrape>[] = [
  {
    name: 'zerohop_instance_role',
    help: 'Role of this instance: 1 for one of starting, serving, standing_by. Without -handover always serving.',
    type: 'gauge',
    samples: ({ source }) => {
      const now = source.instance().role;
      return roles.map((role) => sample({ role: role.replace(' ', '_') }, role === now ? 1 : 0));
    },
  },
  {
    name: 'zerohop_stand_by_instances',
    help: 'Other instances that are standby or starting while this one serves.',
    type: 'gauge',
    samples: ({ source }) => [sample({}, source.instance().standBys)],
  },
];
