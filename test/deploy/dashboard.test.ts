/** The dashboard as Grafana reads it: complete, nothing over anything else, and asking for metrics that there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { families } from '../../src/process/endpoints.js';
import { page } from '../docs/pages.js';
import { made } from './dashboard/contents.js';
import { dashboard, overview, type Panel, panels, rows } from './dashboard/written.js';

const source = { type: 'prometheus', uid: '$datasource' };
const present = families.filter(({ isFormer }) => !isFormer).map(({ name }) => name);

test('the written dashboard is what its contents make: npm run dashboard writes it', () => {
  assert.deepEqual(dashboard, JSON.parse(JSON.stringify(made)));
});

test('it has what Grafana needs to import it, and its variables', () => {
  assert.equal(dashboard.uid, 'zerohop');
  assert(dashboard.schemaVersion >= 39, 'Grafana 10.4 and later');
  assert.deepEqual(
    dashboard.templating.list.map(({ name, type, hide, allValue = '' }) => [name, type, hide, allValue]),
    [
      ['datasource', 'datasource', 0, ''],
      ['cluster', 'query', 0, '.*'],
      ['job', 'query', 2, ''],
      ['node', 'query', 0, '.*'],
      ['instance', 'query', 0, '.*'],
      ['runbook', 'textbox', 2, ''],
    ],
  );
  const ids = [...panels, ...rows].map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test('at the top are eight numbers in one line, and the ten worst nodes; all else is in closed rows', () => {
  const stats = overview.slice(0, 8);
  assert.deepEqual(
    stats.map(({ title }) => title),
    [
      'Nodes with a cache',
      'Queries',
      'Hit ratio',
      'p99 answer time',
      'SERVFAIL',
      'Stale',
      'Upstreams down',
      'Lost or shed',
    ],
  );
  for (const { title, type, gridPos, links = [], fieldConfig } of stats) {
    assert.deepEqual([type, gridPos.y, gridPos.w], ['stat', 0, 3], title);
    assert.equal(links.length, 1, title);
    assert((fieldConfig?.defaults.thresholds?.steps.length ?? 0) > 1, title);
    const [{ title: details, url }] = fieldConfig?.defaults.links ?? [];
    assert.equal(url.split('viewPanel=')[1], String(panels.find((panel) => panel.title === details)?.id), title);
  }
  assert.deepEqual(
    overview.slice(8).map(({ title, type }) => [title, type]),
    [['Ten worst nodes', 'table']],
  );
  for (const { title, collapsed } of rows) assert.equal(collapsed, true, title);
});

test('an instance of the worst nodes links to this dashboard with only that instance chosen', () => {
  const text = JSON.stringify(overview.at(-1));
  assert.match(text, /"url":"\/d\/zerohop\?[^"]*&var-instance=\$\{__data\.fields\.instance\}"/);
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

test('panels lie side by side, and those of a row below it', () => {
  for (const { title, gridPos, panels: inside = [] } of rows) {
    assert.equal(Math.min(...inside.map((panel) => panel.gridPos.y)), gridPos.y + gridPos.h, title);
  }
  for (const all of [dashboard.panels, ...rows.map(({ panels: inside = [] }) => inside)]) {
    for (const [index, one] of all.entries()) {
      assert(one.gridPos.x + one.gridPos.w <= 24, one.title);
      for (const other of all.slice(index + 1)) assert(!overlap(one, other), `${one.title} and ${other.title}`);
    }
  }
});

function overlap({ gridPos: one }: Panel, { gridPos: other }: Panel): boolean {
  const across = one.x < other.x + other.w && other.x < one.x + one.w;
  return across && one.y < other.y + other.h && other.y < one.y + one.h;
}

test('it asks for metrics that are exported under their present names, of the chosen instances', () => {
  const chosen = 'job=~"$job",cluster=~"$cluster",node=~"$node",instance=~"$instance"';
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      const metrics = [...expr.matchAll(/\b(up|(?:zerohop|coredns|process|nodejs)_\w+)\{([^}]*)\}/g)];
      assert(metrics.length > 0, title);
      for (const [, metric, labels] of metrics) {
        const family = metric.replace(/_(?:bucket|sum|count)$/, '');
        assert(metric === 'up' || present.includes(metric) || present.includes(family), `${title}: ${metric}`);
        assert(labels.startsWith(chosen), `${title}: ${metric}`);
      }
    }
  }
});

/** Metrics of our own that have no panel, each with its reason. */
const withoutPanel: Readonly<Record<string, string>> = {
  zerohop_upstream_healthy: 'zerohop_upstream_state says more',
  zerohop_build_info: 'coredns_build_info says the same',
  zerohop_answering_threads: 'it is what -workers says, and stays so',
};

test('every metric of our own has a panel', () => {
  const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
  const missing = present.filter((name) => name.startsWith('zerohop_') && !asked.includes(name));
  assert.deepEqual(missing.sort(), Object.keys(withoutPanel).sort());
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
      'Queries and answers',
      'Answer times',
      'Cache',
      'Kernel lane',
      'Upstreams',
      'Limits and losses',
      'AAAA, templates, acl and hosts',
      'Processes',
      'Updates, configuration and takeovers',
    ],
  );
});
