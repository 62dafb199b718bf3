/** The dashboard as Grafana reads it: complete, nothing over anything else, and asking for metrics that there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyNames } from '../../src/process/endpoints.js';
import { page } from '../docs/pages.js';
import { dashboard, type Panel, panels } from './dashboard.js';

const rows = dashboard.panels.filter(({ type }) => type === 'row');
const source = { type: 'prometheus', uid: '$datasource' };

test('it has what Grafana needs to import it, and its variables', () => {
  assert.equal(dashboard.uid, 'zerohop');
  assert(dashboard.schemaVersion >= 39, 'Grafana 10.4 and later');
  assert.deepEqual(
    dashboard.templating.list.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
      ['runbook', 'textbox'],
    ],
  );
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test('every panel says what it shows, and asks the chosen data source', () => {
  assert(panels.length > 40);
  assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
  for (const { title, type, description = '', datasource, targets = [] } of panels) {
    assert.match(type, /^(?:stat|timeseries|heatmap|table)$/, title);
    assert(description.length > 20, title);
    assert.deepEqual(datasource, source, title);
    assert(targets.length > 0, title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const target of targets) assert.deepEqual(target.datasource, source, title);
  }
});

test('panels lie side by side', () => {
  const all = dashboard.panels;
  for (const [index, one] of all.entries()) {
    assert(one.gridPos.x + one.gridPos.w <= 24, one.title);
    for (const other of all.slice(index + 1)) assert(!overlap(one, other), `${one.title} and ${other.title}`);
  }
});

function overlap({ gridPos: one }: Panel, { gridPos: other }: Panel): boolean {
  const across = one.x < other.x + other.w && other.x < one.x + one.w;
  return across && one.y < other.y + other.h && other.y < one.y + one.h;
}

test('it asks for metrics that are exported, of the chosen job and instances', () => {
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      const metrics = [...expr.matchAll(/\b(up|(?:zerohop|coredns|process|nodejs)_\w+)\{([^}]*)\}/g)];
      assert(metrics.length > 0, title);
      for (const [, metric, labels] of metrics) {
        const family = metric.replace(/_(?:bucket|sum|count)$/, '');
        assert(metric === 'up' || familyNames.includes(metric) || familyNames.includes(family), `${title}: ${metric}`);
        assert(labels.startsWith('job="$job",instance=~"$instance"'), `${title}: ${metric}`);
      }
    }
  }
});

/** Metrics of our own that have no panel, each with its reason. */
const withoutPanel: Readonly<Record<string, string>> = {
  zerohop_upstream_healthy: 'zerohop_upstream_state says more',
};

test('every metric of our own has a panel', () => {
  const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
  const missing = familyNames.filter((name) => name.startsWith('zerohop_') && !asked.includes(name));
  assert.deepEqual(missing, Object.keys(withoutPanel));
});

test('every link into the runbook has its entry there', () => {
  const headings = [...page('docs/OPERATIONS.md').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.toLowerCase());
  const links = panels.flatMap(({ links = [] }) => links.map(({ url }) => url));
  assert(links.length > 20);
  for (const link of links) {
    const [, anchor] = /^\$\{runbook\}#(.+)$/.exec(link) ?? [];
    assert(headings.includes(anchor), link);
  }
});

test('what an operator looks for is in a row of its own', () => {
  assert.deepEqual(
    rows.map(({ title }) => title),
    [
      'Now',
      'Queries and answers',
      'Templates, acl and hosts',
      'Latency',
      'Cache',
      'Upstreams',
      'Refusals and limits',
      'Process',
    ],
  );
});
