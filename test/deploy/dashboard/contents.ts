/**
 * The dashboard as a whole: its variables, and its panels from overview.ts and details.ts. To change it, edit these
 * files, then `npm run dashboard`.
 */
import { rows } from './details.js';
import { panelsOf } from './grafana.js';
import { stats, worst } from './overview.js';
import { series } from './queries.js';

const datasource = { type: 'prometheus', uid: '$datasource' };
const address = 'docs/OPERATIONS.md';

/** A choice of one or several values of a label; all of them at first. */
function variable(name: string, label: string, definition: string, more: object): object {
  return {
    name,
    label,
    type: 'query',
    datasource,
    definition,
    query: { query: definition, refId: name },
    current: { selected: true, text: ['All'], value: ['$__all'] },
    includeAll: true,
    multi: true,
    hide: 0,
    options: [],
    refresh: 2,
    regex: '',
    sort: 1,
    ...more,
  };
}

/** "All" of cluster, node and instance is every value and none; "All" of job is the jobs of zerohop, and not CoreDNS's. */
const any = { allValue: '.*' };
const variables = [
  {
    name: 'datasource',
    label: 'Data source',
    type: 'datasource',
    query: 'prometheus',
    current: {},
    hide: 0,
    includeAll: false,
    multi: false,
    options: [],
    refresh: 1,
    regex: '',
  },
  variable('cluster', 'Cluster', 'label_values(zerohop_cache_limit_bytes, cluster)', any),
  variable('job', 'Job', 'label_values(zerohop_cache_limit_bytes{cluster=~"$cluster"}, job)', { hide: 2 }),
  variable('node', 'Node', 'label_values(up{job=~"$job",cluster=~"$cluster"}, node)', any),
  variable('instance', 'Instance', 'label_values(up{job=~"$job",cluster=~"$cluster",node=~"$node"}, instance)', any),
  {
    name: 'runbook',
    label: 'Runbook',
    description: 'Address of docs/OPERATIONS.md.',
    type: 'textbox',
    query: address,
    current: { selected: true, text: address, value: address },
    hide: 2,
    options: [{ selected: true, text: address, value: address }],
  },
];

const starts = {
  datasource,
  enable: true,
  expr: `changes(${series('process_start_time_seconds')}[2m]) > 0`,
  iconColor: 'blue',
  name: 'Starts',
  titleFormat: 'another process',
  textFormat: '{{node}} {{instance}}',
  step: '1m',
};

/** The dashboard, as it is written to deploy/monitoring/dashboard/zerohop.json. */
export const made = {
  uid: 'zerohop',
  title: 'zerohop: node-local DNS',
  description: 'zerohop, the node-local DNS cache: eight numbers, the ten worst nodes, and details in rows.',
  tags: ['dns', 'kubernetes', 'zerohop'],
  editable: true,
  graphTooltip: 1,
  refresh: '30s',
  schemaVersion: 39,
  version: 1,
  weekStart: '',
  timezone: '',
  fiscalYearStartMonth: 0,
  time: { from: 'now-1h', to: 'now' },
  timepicker: {},
  links: [
    {
      title: 'Runbook',
      type: 'link',
      icon: 'doc',
      url: `\${runbook}`,
      targetBlank: true,
      asDropdown: false,
      includeVars: false,
      keepTime: false,
      tags: [],
      tooltip: address,
    },
  ],
  annotations: { list: [starts] },
  templating: { list: variables },
  panels: panelsOf({ stats, table: worst, rows }),
};
