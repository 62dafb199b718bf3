/** The dashboard and the alerts as objects: kustomize and the chart give the same, of the files that people read. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { repositoryPath } from '../corpus/repository.js';
import {
  cannotRender,
  deployed,
  helmTemplate,
  type KubernetesObject,
  kustomize,
  objectsIn,
  ofKind,
  unknownFields,
  validate,
  withoutLabels,
} from './kubernetes.js';

const skip = cannotRender;
const values = ['serviceMonitor.enabled=true', 'prometheusRule.enabled=true', 'dashboard.enabled=true'];
/** Labels that say which release made an object, and of what. */
const ofRelease = /^(?:app\.kubernetes\.io|helm\.sh)\//;
const kinds = ['PrometheusRule', 'ServiceMonitor'];

test('components and values give the same objects', { skip }, () => {
  const fromKustomize = withComponents(['components/service-monitor', 'monitoring/rules', 'monitoring/dashboard']);
  const fromChart = helmTemplate(values);
  for (const kind of kinds) {
    const [one, other] = [fromChart, fromKustomize].map((objects) => withoutLabels(ofKind(objects, kind), ofRelease));
    assert.deepEqual(one, other);
  }
  const [ours, theirs] = [fromKustomize, fromChart].map((objects) => withoutLabels(dashboardIn(objects), ofRelease));
  assert.deepEqual(theirs.metadata, ours.metadata);
  assert.deepEqual(Object.keys(theirs.data ?? {}), Object.keys(ours.data ?? {}));
  const [left, right] = [ours, theirs].map(({ data }) => JSON.parse(data?.['zerohop.json'] ?? ''));
  assert.deepEqual(right, left);
  assert.deepEqual(left, JSON.parse(deployed('monitoring', 'dashboard', 'zerohop.json')));
});

test('they are as the schemas say, and without values or components none of them is there', { skip }, () => {
  const objects = helmTemplate(values);
  const ours = [...kinds.map((kind) => ofKind(objects, kind)), dashboardIn(objects)];
  validate(ours);
  assert.equal(unknownFields(ours), '');
  const plain = JSON.stringify(helmTemplate([]));
  for (const word of [...kinds, 'dashboard']) assert(!plain.includes(word), word);
});

test('the operator’s rules are those of rules.yaml', () => {
  const [rule] = objectsIn(deployed('monitoring', 'rules', 'prometheus-rule.yaml'));
  assert.deepEqual(rule.spec, parse(deployed('monitoring', 'rules', 'rules.yaml')));
});

test('the ServiceMonitor finds a port of the Service, and names the node as the PodMonitor does', () => {
  const [monitor] = objectsIn(deployed('components', 'service-monitor', 'service-monitor.yaml'));
  const [service] = objectsIn(deployed('base', 'metrics.yaml'));
  const [pods] = objectsIn(deployed('components', 'pod-monitor', 'pod-monitor.yaml'));
  const [endpoint] = (monitor.spec as { endpoints: { port: string; relabelings: { targetLabel: string }[] }[] })
    .endpoints;
  const { ports } = service.spec as { ports: { name: string }[] };
  assert.deepEqual(
    ports.map(({ name }) => name),
    [endpoint.port],
  );
  const { relabelings } = (pods.spec as { podMetricsEndpoints: { relabelings: { targetLabel: string }[] }[] })
    .podMetricsEndpoints[0];
  assert.deepEqual(endpoint.relabelings[0], relabelings.at(-1));
});

test('runbookAddress goes in front of every link to the runbook', { skip }, () => {
  const objects = helmTemplate([...values, 'runbookAddress=https://wiki.example/zerohop/']);
  const text = JSON.stringify([ofKind(objects, 'PrometheusRule'), dashboardIn(objects)]);
  const links = text.match(/[\w:/.]*docs\/OPERATIONS\.md/g) ?? [];
  assert(links.length > 25);
  for (const link of links) assert.equal(link, 'https://wiki.example/zerohop/docs/OPERATIONS.md');
});

test('kubectl apply can keep the dashboard in an annotation', () => {
  assert(JSON.stringify(deployed('monitoring', 'dashboard', 'zerohop.json')).length < 262_144);
});

/** The base with these components of deploy/. */
function withComponents(components: readonly string[]): KubernetesObject[] {
  const folder = mkdtempSync(join(repositoryPath('dist'), 'overlay-'));
  const paths = (names: readonly string[]) => names.map((name) => `  - ../../deploy/${name}\n`).join('');
  const text = `resources:\n${paths(['base'])}components:\n${paths(components)}`;
  try {
    writeFileSync(join(folder, 'kustomization.yaml'), text);
    return kustomize(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function dashboardIn(objects: readonly KubernetesObject[]): KubernetesObject {
  const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('-dashboard'));
  assert(found);
  return found;
}
