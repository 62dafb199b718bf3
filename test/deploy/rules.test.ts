/** The rules by themselves: promtool finds them right, each is tried both ways, and each alert has its runbook entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { durationBucketsSeconds } from '../../src/counters.js';
import { families } from '../../src/process/endpoints.js';
import { repositoryPath } from '../corpus/repository.js';
import { codeIn, page, section, tableRows } from '../docs/pages.js';
import { needs, run } from '../real/commands.js';
import { deployed } from './kubernetes.js';

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleTest {
  readonly name: string;
  readonly alert_rule_test?: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly { readonly exp_labels: Readonly<Record<string, string>> }[];
  }[];
  readonly promql_expr_test?: readonly { readonly expr: string }[];
}

const groups: readonly { readonly rules: readonly Rule[] }[] = parse(
  deployed('monitoring', 'rules', 'rules.yaml'),
).groups;
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const tests: readonly RuleTest[] = parse(deployed('monitoring', 'rules', 'rules.test.yaml')).tests;
const skip = needs('promtool');
/** It takes 15 seconds of processor time, and may have to share the processor. */
const promtoolMs = 120_000;

test('promtool finds the rules right, and each does what its test says', { skip }, async () => {
  for (const [command, file] of [
    ['check', 'rules.yaml'],
    ['test', 'rules.test.yaml'],
  ]) {
    const path = repositoryPath('deploy', 'monitoring', 'rules', file);
    const { status, stdout, stderr } = await run(['promtool', command, 'rules', path], promtoolMs);
    assert.equal(status, 0, stdout + stderr);
  }
});

test('each alert is tried three times: before it should fire, when it should, and when all is well again', () => {
  for (const { alert } of alerts) {
    const tried = tests.filter(({ name }) => name.startsWith(`${alert}: `));
    const outcomes = tried.flatMap((one) => one.alert_rule_test ?? []).filter(({ alertname }) => alertname === alert);
    assert.deepEqual(
      outcomes.map(({ exp_alerts }) => exp_alerts.length),
      [0, 1, 0],
      alert,
    );
  }
});

test('a test that begins with a name tries an alert of this name', () => {
  const names = alerts.map(({ alert }) => alert);
  const tried = tests.flatMap(({ name }) => /^Zerohop\w+/.exec(name)?.[0] ?? []);
  assert.deepEqual(tried.sort(), names.sort());
});

test('what is critical concerns a cluster: one node wakes nobody', () => {
  const critical = alerts.filter(({ labels }) => labels?.['severity'] === 'critical').map(({ alert }) => alert);
  assert.deepEqual(critical, ['ZerohopErrorBudgetBurnFast', 'ZerohopAbsent', 'ZerohopManyDown']);
  const fired = tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
  for (const { alertname, exp_alerts } of fired.filter(({ alertname }) => critical.includes(alertname))) {
    for (const { exp_labels } of exp_alerts) {
      const labels = Object.keys(exp_labels).filter((label) => label !== 'severity');
      assert(
        labels.every((label) => ['cluster', 'job'].includes(label)),
        alertname,
      );
    }
  }
});

test('the bound of the objective is a bucket of the histogram', () => {
  const bounds = rules.flatMap(({ expr }) =>
    [...expr.matchAll(/request_duration_seconds_bucket\{[^}]*le="([^"]+)"/g)].map(([, bound]) => bound),
  );
  assert.deepEqual(bounds, ['1.024']);
  assert(durationBucketsSeconds.map(String).includes(bounds[0]));
});

test('each recording rule is tried', () => {
  const tried = tests.flatMap((one) => one.promql_expr_test ?? []).map(({ expr }) => expr);
  assert.deepEqual(tried.sort(), rules.flatMap(({ record }) => record ?? []).sort());
});

test('docs/MONITORING.md lists each recorded series, and no other', () => {
  const listed = tableRows(page('docs/MONITORING.md'), 'series').flatMap(([names]) => codeIn(names));
  assert.deepEqual(listed.sort(), rules.flatMap(({ record }) => record ?? []).sort());
});

test('what is queried is exported under its present name or recorded, and of our own instances alone', () => {
  const present = families.filter(({ isFormer }) => !isFormer).map(({ name }) => name);
  const known = new Set([...present, ...rules.flatMap(({ record }) => record ?? []), 'up']);
  for (const { alert, record, expr } of rules) {
    const name = alert ?? record;
    const metrics = expr.match(/\b(?:up\b|(?:zerohop:|zerohop_|coredns_|process_|nodejs_)[\w:]+)/g) ?? [];
    assert(metrics.length > 0, name);
    for (const metric of metrics) {
      assert(known.has(metric) || known.has(metric.replace(/_(?:bucket|sum|count)$/, '')), `${name}: ${metric}`);
    }
    const exported = metrics.filter((metric) => !metric.startsWith('zerohop:'));
    assert.equal(expr.split('job=~"(.+/)?node-local-dns"').length - 1, exported.length, name);
  }
});

test('each alert says how bad it is, what is the matter, and where it is written what to do', () => {
  assert(alerts.length > 20);
  assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  for (const { alert = '', labels, annotations } of alerts) {
    assert.match(alert, /^Zerohop[A-Z]/);
    assert.match(labels?.['severity'] ?? '', /^(?:critical|warning|info)$/, alert);
    assert.deepEqual(Object.keys(annotations ?? {}), ['summary', 'description', 'runbook_url'], alert);
    assert.equal(annotations?.['runbook_url'], `docs/OPERATIONS.md#${alert.toLowerCase()}`);
  }
});

test('docs/OPERATIONS.md has an entry for each alert, and for no other', () => {
  const runbook = section(page('docs/OPERATIONS.md'), '## Alerts');
  const entries = [...runbook.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading);
  assert.deepEqual(
    entries,
    alerts.map(({ alert }) => alert),
    'in the order of rules.yaml',
  );
  for (const entry of entries) assert(section(`${runbook}\n`, `### ${entry}`).trim().length > 100, entry);
});
