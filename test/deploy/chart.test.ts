/** The chart, rendered by a real helm, gives the objects of the kustomize overlays, and refuses what cannot work. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { parse } from 'yaml';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';
import {
  cannotRender,
  chartImage,
  type DaemonSet,
  daemonSet,
  deployed,
  type HelmOptions,
  helm,
  helmTemplate,
  type KubernetesObject,
  kustomize,
  objectsIn,
  ofKind,
  tool,
  withKernelLane,
  withoutLabels,
} from './kubernetes.js';

const skip = cannotRender;

/** The values that the chart demands. */
const demanded = ['mode=ipvs', `image.repository=${chartImage.repository}`];

/** Which values give which overlay. */
const counterparts: Readonly<Record<string, readonly string[]>> = {
  ipvs: ['mode=ipvs'],
  iptables: ['mode=iptables'],
  nftables: ['mode=nftables'],
  cilium: ['mode=cilium'],
  'aaaa-nodata': ['aaaa=nodata'],
  'high-availability': ['highAvailability=true'],
};

for (const [overlay, values] of Object.entries(counterparts)) {
  test(`the chart with ${values.join(', ')} gives the objects of overlays/${overlay}`, { skip }, () => {
    const fromChart = helmTemplate(values).filter((one) => !isHook(one));
    const fromKustomize = kustomize(repositoryPath('deploy', 'overlays', overlay));
    assert.deepEqual(fromChart.map(comparable), fromKustomize.map(comparable));
  });
}

test('kernelLane gives what the components of the kernel lane give, with every overlay', { skip }, () => {
  for (const [overlay, values] of Object.entries(counterparts)) {
    const fromChart = helmTemplate([...values, 'kernelLane.enabled=true']).filter((one) => !isHook(one));
    assert.deepEqual(fromChart.map(comparable), withKernelLane(overlay).map(comparable), overlay);
  }
});

/** A pod of `helm test` is not part of the release. */
function isHook({ metadata }: KubernetesObject): boolean {
  return metadata.annotations?.['helm.sh/hook'] !== undefined;
}

/** Without what differs on purpose: a Corefile's comments, the registry, and labels about the release. */
function comparable(one: KubernetesObject): KubernetesObject {
  const plain = withoutLabels(one, ofRelease);
  if (plain.kind === 'ConfigMap') {
    return { ...plain, data: { Corefile: (plain.data?.['Corefile'] ?? '').replace(/^#.*\n/gm, '') } };
  }
  return JSON.parse(JSON.stringify(plain).replace(chartImage.repository, 'REGISTRY/zerohop'));
}

const ofRelease = /^(?:helm\.sh\/chart|app\.kubernetes\.io\/(?:instance|managed-by|version))$/;

test('labels say of which release, chart and version an object is', { skip }, () => {
  const version = programVersion();
  const objects = helmTemplate([
    ...['mode=cilium', 'podMonitor.enabled=true', 'prometheusRule.enabled=true', 'dashboard.enabled=true'],
    ...['networkPolicy.namespaces={team-a}', 'networkPolicy.podSelector.matchLabels.egress=restricted'],
  ]);
  assert.equal(objects.length, 11);
  for (const { kind, metadata } of objects) {
    const { 'app.kubernetes.io/component': component, 'k8s-app': app, ...labels } = metadata.labels ?? {};
    assert.equal(component, kind === 'Pod' ? 'test' : 'cache');
    const others = Object.entries(labels).filter(
      ([name]) => !/^(?:grafana_dashboard|kubernetes\.io\/name)$/.test(name),
    );
    assert.deepEqual(Object.fromEntries(others), {
      'app.kubernetes.io/instance': 'node-local-dns',
      'app.kubernetes.io/managed-by': 'Helm',
      'app.kubernetes.io/name': 'zerohop',
      'app.kubernetes.io/part-of': 'zerohop',
      'app.kubernetes.io/version': version,
      'helm.sh/chart': `zerohop-${version}`,
    });
  }
});

test('podMonitor and iptablesLegacy give what the components give', { skip }, () => {
  const objects = helmTemplate(['podMonitor.enabled=true', 'iptablesLegacy=true']);
  const [monitor] = objectsIn(deployed('components', 'pod-monitor', 'pod-monitor.yaml'));
  assert.deepEqual(withoutLabels(ofKind(objects, 'PodMonitor'), ofRelease), monitor);
  const { add } = daemonSet(objects).spec.template.spec.containers[0].securityContext.capabilities;
  assert.deepEqual(add, ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW']);
});

test('networkPolicy lets restricted pods ask the cache, as the component does', { skip }, () => {
  const policy = ['networkPolicy.namespaces={team-a}', 'networkPolicy.podSelector.matchLabels.egress=restricted'];
  const allowed = (...values: string[]) => {
    const { metadata, spec } = ofKind(helmTemplate([...policy, ...values]), 'NetworkPolicy');
    const { egress } = spec as { egress: { to: unknown[]; ports: unknown[] }[] };
    assert.equal(metadata.namespace, 'team-a');
    return egress[0];
  };
  const [component] = objectsIn(deployed('components', 'network-policy', 'network-policy.yaml'));
  const { egress } = component.spec as { egress: { to: unknown[]; ports: unknown[] }[] };
  const [address, pods] = egress[0].to;
  assert.deepEqual(allowed(), { to: [address], ports: egress[0].ports });
  assert.deepEqual(allowed('mode=cilium'), { to: [pods], ports: egress[0].ports });
  const { to } = allowed('mode=iptables', 'clusterDnsAddress={10.3.0.10,fd00::a}');
  assert.deepEqual(to, [address, { ipBlock: { cidr: '10.3.0.10/32' } }, { ipBlock: { cidr: 'fd00::a/128' } }]);
});

/** What cannot work, and what helm says of it. */
const refusals: readonly { sets: readonly string[]; options?: HelmOptions; says: RegExp }[] = [
  { sets: ['mode=ipvs'], says: /image\.repository is REGISTRY\/zerohop, a placeholder.* --set image\.repository=/ },
  {
    sets: ['mode=ipvs', 'image.repository=REGISTRY/team/zerohop'],
    says: /image\.repository is REGISTRY\/team\/zerohop, a placeholder/,
  },
  { sets: [demanded[1]], says: /mode is empty.*--set mode=iptables, ipvs or nftables.*--set mode=cilium/ },
  {
    sets: demanded,
    options: { namespace: 'dns' },
    says: /the namespace is dns\..*--namespace kube-system, or --set upstream=ADDRESS/,
  },
  {
    sets: [...demanded, 'mode=iptables', 'upstream=10.3.0.10'],
    options: { namespace: 'dns' },
    says: /the namespace is dns\. Pods find the Service kube-dns .* or --set clusterDnsAddress=ADDRESS/,
  },
  {
    sets: [...demanded, 'mode=cilium', 'upstream=10.3.0.10'],
    options: { namespace: 'dns' },
    says: /the namespace is dns\. In mode cilium .*: --namespace kube-system/,
  },
  { sets: [...demanded, 'mode=cilium', 'highAvailability=true'], says: /highAvailability is true in mode cilium/ },
  {
    sets: [...demanded, 'readyPort=9255'],
    options: { values: { corefile: '.:53 {\n    health\n}\n' } },
    says: /corefile has no ready, .* on port 9255: .* Add .*: ready __PILLAR__LOCAL__DNS__:9255/,
  },
  {
    sets: demanded,
    options: { values: { corefile: '.:53 {\n    # health\n    ready\n}\n' } },
    says: /corefile has no health/,
  },
  {
    sets: [...demanded, 'podMonitor.enabled=true', 'serviceMonitor.enabled=true'],
    says: /podMonitor\.enabled and serviceMonitor\.enabled are both true/,
  },
  {
    sets: [...demanded, 'networkPolicy.namespaces={team-a}'],
    says: /networkPolicy\.podSelector is empty.*--set networkPolicy\.podSelector/,
  },
  {
    sets: [...demanded, 'mode=iptables', 'networkPolicy.namespaces={team-a}'],
    says: /helm does not know the address of the cluster DNS.*--set clusterDnsAddress=ADDRESS/,
  },
];

test('what cannot work is refused with a sentence that says what to set', { skip }, () => {
  for (const { sets, options, says } of refusals) {
    assert.throws(() => helm('template', sets, options), says, sets.join(' '));
  }
});

test('another namespace is good when all addresses are given', { skip }, () => {
  const values = ['mode=iptables', 'upstream=10.3.0.10', 'clusterDnsAddress=10.3.0.10'];
  const objects = helmTemplate(values, { namespace: 'dns' });
  for (const { kind, metadata } of objects) assert.equal(metadata.namespace, 'dns', kind);
  assert(!objects.some(({ metadata }) => metadata.name === 'kube-dns-upstream'));
});

test('values that are none are refused by the schema', { skip }, () => {
  const wrong = [
    ...['mode=ebtables', 'aaaa=no', 'localAdress=1.2.3.4', 'localAddress=node', 'localAddress=', 'extraArgs={workers}'],
    ...['image.tag=a/b', 'image.digest=sha256:12', 'image.registry=r', 'healthPort=0', 'metricsPort=70000'],
    ...['podLabels.k8s-app=mine', 'podMonitor=true', 'clusterNames.cache.success=many', 'clusterNames.forward.to={a}'],
    ...['ipFamilyPolicy=Dual', 'ipFamilies={IPv5}', 'updateStrategy.type=Recreate', 'extraEnv={A=B}'],
    ...['networkPolicy.podSelector.egress=restricted', 'clusterDnsService=10.96.0.10', 'upstream=a b'],
    ...['kernelLane=true', 'kernelLane.mode=try', 'kernelLane.linger=long', 'kernelLane.folder=/sys/fs/bpf'],
  ];
  for (const value of wrong) {
    assert.throws(() => helmTemplate([value]), /values don't meet the specifications/, value);
  }
});

test('in every mode the notes name commands that show whether pods ask the cache', { skip }, () => {
  for (const mode of ['iptables', 'ipvs', 'nftables', 'cilium']) {
    const [, notes] = helm('install', [...demanded, `mode=${mode}`]).split('\nNOTES:\n');
    assert.match(notes, /kubectl -n kube-system rollout status daemonset\/node-local-dns/);
    assert.match(notes, /helm -n kube-system test node-local-dns --logs/);
    assert.match(notes, /helm -n kube-system uninstall node-local-dns/);
    const isKubelets = mode === 'ipvs' || mode === 'nftables';
    assert.equal(notes.includes('clusterDNS: ["169.254.20.10"]'), isKubelets, mode);
    assert.equal(notes.includes('kubectl run resolv'), isKubelets, mode);
    assert.equal(notes.includes(':9253/proxy/metrics" | grep ^coredns_dns_requests_total'), !isKubelets, mode);
    assert.match(notes, /AAAA queries get NXDOMAIN/);
    for (const line of notes.split('\n')) assert.equal(line, line.trimEnd());
  }
  const [, quiet] = helm('install', [...demanded, 'aaaa=forward']).split('\nNOTES:\n');
  assert.doesNotMatch(quiet, /AAAA/);
});

test('helm finds nothing wrong with the chart, and its versions and image are those of the program', { skip }, () => {
  execFileSync(tool('helm'), ['lint', '--strict', repositoryPath('deploy', 'chart')], { stdio: 'pipe' });
  const version = programVersion();
  const { version: chart, appVersion, annotations } = parse(deployed('chart', 'Chart.yaml'));
  assert.deepEqual([chart, appVersion], [version, version]);
  const [image] = parse(annotations['artifacthub.io/images']) as { image: string }[];
  const { repository } = parse(deployed('chart', 'values.yaml')).image;
  assert.equal(image.image, `${repository}:${version}`);
  assert.equal(
    (daemonSet(helmTemplate([])) as DaemonSet).spec.template.spec.containers[0].image,
    `${chartImage.repository}:${version}`,
  );
  assert.match(
    deployed('components', 'image', 'kustomization.yaml'),
    new RegExp(`newTag: ${version.replaceAll('.', '\\.')}\\n`),
  );
});

test('what Artifact Hub reads is in its form', () => {
  const { annotations, icon, keywords, maintainers, home, sources } = parse(deployed('chart', 'Chart.yaml'));
  assert.match(icon, /^data:image\/svg\+xml;base64,/);
  assert(keywords.includes('nodelocaldns') && maintainers.length > 0 && home !== '' && sources.length > 0);
  const lists = ['links', 'images', 'changes'].map((name) => parse(annotations[`artifacthub.io/${name}`]));
  for (const list of lists) assert(Array.isArray(list) && list.length > 0);
  const kinds = lists[2].map(({ kind }: { kind: string }) => kind);
  for (const kind of kinds)
    assert(['added', 'changed', 'deprecated', 'removed', 'fixed', 'security'].includes(kind), kind);
});
