/** The chart, rendered by a real helm, gives the objects of the kustomize overlays, and refuses values that are none. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseFlags } from '../../src/config/flags.js';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';
import {
  cannotRender,
  daemonSet,
  deployed,
  helmTemplate,
  type KubernetesObject,
  kustomize,
  objectsIn,
  ofKind,
  tool,
  unknownFields,
  validate,
} from './kubernetes.js';

const skip = cannotRender;

/** Which values give which overlay. */
const counterparts: Readonly<Record<string, readonly string[]>> = {
  ipvs: [],
  iptables: ['mode=iptables'],
  nftables: ['mode=nftables'],
  cilium: ['mode=cilium'],
  'aaaa-nodata': ['aaaa=nodata'],
  'high-availability': ['highAvailability=true'],
};

for (const [overlay, values] of Object.entries(counterparts)) {
  const written = values.length === 0 ? 'without values' : values.join(', ');
  test(`the chart ${written} gives the objects of overlays/${overlay}`, { skip }, () => {
    const fromChart = helmTemplate(values).map(withoutComments);
    assert.deepEqual(fromChart, kustomize(repositoryPath('deploy', 'overlays', overlay)).map(withoutComments));
  });
}

/** A Corefile's comments are for who edits it, and differ. */
function withoutComments(one: KubernetesObject): KubernetesObject {
  if (one.kind !== 'ConfigMap') return one;
  return { ...one, data: { Corefile: (one.data?.['Corefile'] ?? '').replace(/^#.*\n/gm, '') } };
}

test('podMonitor and iptablesLegacy give what the components give', { skip }, () => {
  const objects = helmTemplate(['podMonitor=true', 'iptablesLegacy=true']);
  const [monitor] = objectsIn(deployed('components', 'pod-monitor', 'pod-monitor.yaml'));
  assert.deepEqual(ofKind(objects, 'PodMonitor'), monitor);
  const { add } = daemonSet(objects).spec.template.spec.containers[0].securityContext.capabilities;
  assert.deepEqual(add, ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW']);
});

test('every other value does something that Kubernetes and our own flags understand', { skip }, () => {
  const objects = helmTemplate([
    ...['localAddress=169.254.25.10', 'clusterDnsAddress=10.3.0.10', 'clusterDomain=corp.internal', 'mode=iptables'],
    ...['aaaa=smart', 'extraArgs={-workers=2,-syncinterval=10s}', 'image.repository=registry.example/dns'],
    ...['image.tag=9.0.1', 'image.pullPolicy=Always', 'imagePullSecrets[0].name=key', 'priorityClassName=mine'],
    ...['resources.limits.memory=1Gi', 'nodeSelector.disk=ssd', 'tolerations[0].operator=Exists'],
  ]);
  validate(objects);
  assert.equal(unknownFields(objects), '');
  const text = JSON.stringify(objects);
  for (const part of ['registry.example/dns:9.0.1', 'Always', '"name":"key"', '"mine"', '"1Gi"', '"disk":"ssd"']) {
    assert(text.includes(part), part);
  }
  const { args, livenessProbe } = daemonSet(objects).spec.template.spec.containers[0];
  const command = parseFlags(args, { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.3.0.11' });
  assert(command.kind === 'serve');
  assert.deepEqual(command.options.localAddresses, ['169.254.25.10', '10.3.0.10']);
  assert.deepEqual([command.options.workers, command.options.syncIntervalMs], [2, 10_000]);
  assert.equal(livenessProbe.httpGet.host, '169.254.25.10');
  const corefile = ofKind(objects, 'ConfigMap').data?.['Corefile'] ?? '';
  assert.match(corefile, /^corp\.internal:53 \{/);
  assert.equal(corefile.match(/^ {4}aaaa smart$/gm)?.length, 4);
});

test('values that are none are refused with a sentence', { skip }, () => {
  for (const value of ['mode=ebtables', 'aaaa=no', 'localAdress=1.2.3.4', 'localAddress=node', 'extraArgs={workers}']) {
    assert.throws(() => helmTemplate([value]), /values don't meet the specifications/, value);
  }
});

test('helm finds nothing wrong with the chart, and its version is that of the program', { skip }, () => {
  execFileSync(tool('helm'), ['lint', '--strict', repositoryPath('deploy', 'chart')], { stdio: 'pipe' });
  const version = programVersion();
  const { version: chart, appVersion } = parse(deployed('chart', 'Chart.yaml'));
  assert.deepEqual([chart, appVersion], [version, version]);
  assert.equal(parse(deployed('chart', 'values.yaml')).image.tag, version);
  assert.match(deployed('base', 'kustomization.yaml'), new RegExp(`newTag: ${version.replaceAll('.', '\\.')}\\n`));
});
