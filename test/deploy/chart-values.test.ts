/** Every value of values.yaml does something that Kubernetes and the program understand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../src/config/flags.js';
import { fillPillars } from '../../src/config/generated-corefile.js';
import { parseConfig } from '../../src/config/load.js';
import { testOptions } from '../config/options.js';
import { chartValues, madeFiles, schemaAt } from './chart-files.js';
import {
  cannotRender,
  daemonSet,
  deployed,
  expanded,
  helmTemplate,
  type KubernetesObject,
  ofKind,
  unknownFields,
  validate,
} from './kubernetes.js';

const skip = cannotRender;
const environment = { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.7.7', KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

type Values = Readonly<Record<string, unknown>>;

/** A value, and what is then in the objects, as JSON, and is not without it. */
interface Case {
  readonly path: string;
  readonly value: unknown;
  readonly gives: RegExp;
  /** What the value needs beside it. */
  readonly beside?: readonly string[];
}

const cases: readonly Case[] = [
  { path: 'aaaa', value: 'smart', gives: /\n {4}aaaa smart\n/ },
  { path: 'image.repository', value: 'other.example/dns', gives: /"image":"other\.example\/dns:/ },
  { path: 'image.tag', value: '9.0.1', gives: /"image":"registry\.example\/zerohop:9\.0\.1"/ },
  { path: 'image.digest', value: digest, gives: /zerohop@sha256:0123/, beside: ['image.tag=9.0.1'] },
  { path: 'image.pullPolicy', value: 'Always', gives: /"imagePullPolicy":"Always"/ },
  { path: 'imagePullSecrets', value: [{ name: 'key' }], gives: /"imagePullSecrets":\[\{"name":"key"\}\]/ },
  { path: 'mode', value: 'nftables', gives: /"-firewall=nftables"/ },
  {
    path: 'localAddress',
    value: ['169.254.25.10', 'fd00::25'],
    gives: /"-localip=169\.254\.25\.10,fd00::25".*"host":"169\.254\.25\.10"/s,
  },
  {
    path: 'clusterDnsService',
    value: 'rke2-coredns-rke2-coredns',
    gives: /,\$\(RKE2_COREDNS_RKE2_COREDNS_SERVICE_HOST\)"/,
    beside: ['mode=iptables'],
  },
  {
    path: 'clusterDnsAddress',
    value: ['10.3.0.10', 'fd00::a'],
    gives: /"-localip=169\.254\.20\.10,10\.3\.0\.10,fd00::a"/,
    beside: ['mode=iptables'],
  },
  { path: 'clusterDnsSelector', value: { app: 'dns' }, gives: /"selector":\{"app":"dns"\}/ },
  { path: 'upstream', value: '10.3.0.10:5353', gives: /"-upstreamsvc=10\.3\.0\.10:5353"/ },
  { path: 'clusterDomain', value: 'corp.internal', gives: /"corp\.internal:53 \{/ },
  { path: 'clusterNames.cache.ttl', value: 20, gives: /^"?.*cluster\.local:53 \{[^}]*\n {4}cache 20 \{\n/m },
  { path: 'clusterNames.cache.success', value: '5000 10', gives: /\n {8}success 5000 10\n/ },
  { path: 'clusterNames.cache.denial', value: '5000 2', gives: /\n {8}denial 5000 2\n/ },
  { path: 'clusterNames.cache.prefetch', value: '10 1m 10%', gives: /denial 9984 5\n {8}prefetch 10 1m 10%\n/ },
  { path: 'clusterNames.cache.serveStale', value: '24h', gives: /denial 9984 5\n {8}serve_stale 24h\n/ },
  { path: 'clusterNames.cache.options', value: ['servfail 1s'], gives: /denial 9984 5\n {8}servfail 1s\n/ },
  { path: 'clusterNames.forward.options', value: ['prefer_udp'], gives: /CLUSTER__DNS__ \{\n {8}prefer_udp\n/ },
  { path: 'outsideNames.cache.ttl', value: 0, gives: /\n {4}cache\n {4}forward \. __PILLAR__UPSTREAM__SERVERS__\n/ },
  { path: 'outsideNames.cache.success', value: '5000 10', gives: /cache 30 \{\n {8}success 5000 10\n/ },
  { path: 'outsideNames.cache.denial', value: '5000 2', gives: /cache 30 \{\n {8}denial 5000 2\n/ },
  { path: 'outsideNames.cache.prefetch', value: '10', gives: /cache 30 \{\n {8}prefetch 10\n/ },
  { path: 'outsideNames.cache.serveStale', value: '0', gives: /cache 30 \{\n {8}serve_stale 0\n/ },
  { path: 'outsideNames.cache.options', value: ['keepttl'], gives: /cache 30 \{\n {8}keepttl\n/ },
  {
    path: 'outsideNames.forward.to',
    value: ['10.0.0.2', '10.0.0.3'],
    gives: /\n {4}forward \. 10\.0\.0\.2 10\.0\.0\.3\n/,
  },
  { path: 'outsideNames.forward.options', value: ['max_fails 3'], gives: /UPSTREAM__SERVERS__ \{\n {8}max_fails 3\n/ },
  {
    path: 'extraServerBlocks',
    value: 'corp:53 {\n    forward . 10.0.0.9\n}\n',
    gives: /\}\n\ncorp:53 \{\n {4}forward/,
  },
  {
    path: 'corefile',
    value: '.:53 {\n    forward . 10.0.0.9\n    health\n    ready\n}\n',
    gives: /"Corefile":"\.:53 \{\n {4}forward \. 10\.0\.0\.9\n/,
  },
  { path: 'healthPort', value: 9254, gives: /health __PILLAR__LOCAL__DNS__:9254\n.*"-health-port=9254".*"port":9254/s },
  { path: 'readyPort', value: 9255, gives: /ready __PILLAR__LOCAL__DNS__:9255\n.*"path":"\/ready","port":9255/s },
  {
    path: 'metricsPort',
    value: 9353,
    gives: /prometheus :9353\n.*"prometheus\.io\/port":"9353".*"\$1:9353".*"targetPort":9353/s,
    beside: ['podMonitor.enabled=true'],
  },
  { path: 'page', value: '127.0.0.1:9999', gives: /"-page=127\.0\.0\.1:9999"/ },
  { path: 'highAvailability', value: true, gives: /"name":"node-local-dns-standby"/ },
  { path: 'iptablesLegacy', value: true, gives: /"NET_RAW"/ },
  {
    path: 'kernelLane.enabled',
    value: true,
    gives:
      /"-kernellane=on","-kernellanefolder=\/run\/bpf\/zerohop".*"BPF","PERFMON".*"path":"\/sys\/fs\/bpf","type":"Directory"/s,
  },
  { path: 'kernelLane.mode', value: 'beside', gives: /"-kernellane=beside"/, beside: ['kernelLane.enabled=true'] },
  { path: 'kernelLane.linger', value: '10m', gives: /"-kernellanelinger=10m"/, beside: ['kernelLane.enabled=true'] },
  { path: 'extraArgs', value: ['-workers=2', '-syncinterval=10s'], gives: /"-workers=2","-syncinterval=10s"/ },
  { path: 'extraEnv', value: [{ name: 'A', value: 'b' }], gives: /"env":\[\{"name":"A","value":"b"\}\]/ },
  {
    path: 'extraVolumes',
    value: [{ name: 'hosts', emptyDir: {} }],
    gives: /"emptyDir":\{\},"name":"hosts"|"name":"hosts","emptyDir":\{\}/,
  },
  {
    path: 'extraVolumeMounts',
    value: [{ name: 'run', mountPath: '/etc/hosts.d' }],
    gives: /"mountPath":"\/etc\/hosts\.d"/,
  },
  { path: 'serviceAccount.create', value: false, gives: /"serviceAccountName":"default"/ },
  {
    path: 'serviceAccount.name',
    value: 'dns',
    gives: /"serviceAccountName":"dns".*"kind":"ServiceAccount","metadata":\{"name":"dns"/s,
  },
  { path: 'serviceAccount.annotations', value: { role: 'none' }, gives: /"annotations":\{"role":"none"\}/ },
  { path: 'podAnnotations', value: { team: 'dns' }, gives: /"annotations":\{[^}]*"team":"dns"/ },
  { path: 'podLabels', value: { team: 'dns' }, gives: /"template":\{"metadata":\{"labels":\{[^}]*"team":"dns"/ },
  { path: 'priorityClassName', value: 'mine', gives: /"priorityClassName":"mine"/ },
  { path: 'resources', value: { limits: { memory: '1Gi' } }, gives: /"limits":\{"memory":"1Gi"\}/ },
  { path: 'nodeSelector', value: { disk: 'ssd' }, gives: /"nodeSelector":\{"disk":"ssd"/ },
  {
    path: 'affinity',
    value: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'dns', operator: 'DoesNotExist' }] }],
        },
      },
    },
    gives: /"affinity":\{"nodeAffinity"/,
  },
  { path: 'tolerations', value: [{ operator: 'Exists' }], gives: /"tolerations":\[\{"operator":"Exists"\}\]/ },
  {
    path: 'updateStrategy',
    value: { type: 'OnDelete', rollingUpdate: null },
    gives: /"updateStrategy":\{"type":"OnDelete"\}/,
  },
  { path: 'ipFamilyPolicy', value: 'PreferDualStack', gives: /("ipFamilyPolicy":"PreferDualStack".*){2}/s },
  { path: 'ipFamilies', value: ['IPv6', 'IPv4'], gives: /("ipFamilies":\["IPv6","IPv4"\].*){2}/s },
  {
    path: 'networkPolicy.namespaces',
    value: ['team-a', 'team-b'],
    gives: /"NetworkPolicy","metadata":\{"name":"node-local-dns","namespace":"team-a".*"namespace":"team-b"/s,
    beside: ['networkPolicy.podSelector.matchLabels.egress=restricted'],
  },
  {
    path: 'networkPolicy.podSelector',
    value: { matchExpressions: [{ key: 'egress', operator: 'Exists' }] },
    gives: /"podSelector":\{"matchExpressions":\[\{"key":"egress","operator":"Exists"\}\]\}/,
    beside: ['networkPolicy.namespaces={team-a}'],
  },
  { path: 'podMonitor.enabled', value: true, gives: /"kind":"PodMonitor"/ },
  { path: 'podMonitor.labels', value: { release: 'p' }, gives: /"release":"p"/, beside: ['podMonitor.enabled=true'] },
  { path: 'podMonitor.interval', value: '15s', gives: /"interval":"15s"/, beside: ['podMonitor.enabled=true'] },
  { path: 'serviceMonitor.enabled', value: true, gives: /"kind":"ServiceMonitor"/ },
  {
    path: 'serviceMonitor.labels',
    value: { release: 'p' },
    gives: /"release":"p"/,
    beside: ['serviceMonitor.enabled=true'],
  },
  { path: 'serviceMonitor.interval', value: '15s', gives: /"interval":"15s"/, beside: ['serviceMonitor.enabled=true'] },
  { path: 'prometheusRule.enabled', value: true, gives: /"kind":"PrometheusRule"/ },
  {
    path: 'prometheusRule.labels',
    value: { release: 'p' },
    gives: /"release":"p"/,
    beside: ['prometheusRule.enabled=true'],
  },
  { path: 'dashboard.enabled', value: true, gives: /"grafana_dashboard":"1"/ },
  { path: 'dashboard.labels', value: { folder: 'dns' }, gives: /"folder":"dns"/, beside: ['dashboard.enabled=true'] },
  {
    path: 'dashboard.annotations',
    value: { folder: 'dns' },
    gives: /"annotations":\{"folder":"dns"\}/,
    beside: ['dashboard.enabled=true'],
  },
  {
    path: 'runbookAddress',
    value: 'https://d.example/',
    gives: /https:\/\/d\.example\/docs\/OPERATIONS/,
    beside: ['prometheusRule.enabled=true'],
  },
];

test('every value of values.yaml is tried here', () => {
  assert.deepEqual(
    cases.map(({ path }) => path),
    chartValues().map(({ path }) => path),
  );
});

test('each does what it says, and Kubernetes knows every field of what comes out', { skip }, () => {
  const all: KubernetesObject[] = [];
  for (const { path, value, gives, beside = [] } of cases) {
    const objects = helmTemplate(beside, { values: nested(path.split('.'), value) });
    assert.match(asText(objects), gives, path);
    assert.doesNotMatch(asText(helmTemplate(withoutNeeded(path, beside))), gives, `${path} by default`);
    all.push(...objects);
  }
  validate(all);
  assert.equal(unknownFields(all), '');
});

/** A policy is refused without its other half. */
function withoutNeeded(path: string, beside: readonly string[]): readonly string[] {
  return path.startsWith('networkPolicy.') ? [] : beside;
}

function nested(path: readonly string[], value: unknown): Values {
  return path.reduceRight((inside, key) => ({ [key]: inside }), value) as Values;
}

/** The objects as JSON, but with the lines of the Corefile as lines. */
function asText(objects: readonly KubernetesObject[]): string {
  return JSON.stringify(objects).replaceAll('\\n', '\n');
}

test('together they give a Corefile and arguments that the program accepts', { skip }, () => {
  const skipped = ['corefile', 'mode', 'upstream', 'image.repository'];
  const objects = cases
    .filter(
      ({ path }) => /^(?:aaaa|cluster|outside|extra|health|ready|metrics|local)/.test(path) && !skipped.includes(path),
    )
    .map(({ path, value }) => nested(path.split('.'), value));
  const values = objects.reduce(merged, { mode: 'iptables' });
  const rendered = helmTemplate([], { values: values as Values });
  const here = { ...environment, KUBE_DNS_SERVICE_HOST: '10.3.0.10' };
  const command = parseFlags(expanded(daemonSet(rendered).spec.template.spec.containers[0].args, here), here);
  assert(command.kind === 'serve', JSON.stringify(command));
  const { localAddresses, clusterDns, prometheusAddress, workers, healthPort } = command.options;
  assert.deepEqual(localAddresses, ['169.254.25.10', 'fd00::25', '10.3.0.10', 'fd00::a']);
  assert.deepEqual([workers, healthPort], [2, 9254]);
  const template = ofKind(rendered, 'ConfigMap').data?.['Corefile'] ?? '';
  const text = fillPillars(template, 'Corefile', {
    localAddresses,
    clusterDns,
    prometheusAddress,
    upstreamServers: [],
  });
  const config = parseConfig(text, 'Corefile', { ...testOptions() });
  assert.deepEqual(
    config.blocks.map(({ zones }) => zones[0].zone),
    ['corp.internal.', 'in-addr.arpa.', 'ip6.arpa.', '.', 'corp.'],
  );
  assert.deepEqual(config.health?.addresses, [{ address: '169.254.25.10', port: 9254 }]);
});

function merged(left: unknown, right: unknown): unknown {
  if (!isPlain(left) || !isPlain(right)) return right;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return Object.fromEntries([...keys].map((key) => [key, key in right ? merged(left[key], right[key]) : left[key]]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

test('the made files are as values.yaml, the icon, the rules and the dashboard have them: npm run chart', () => {
  for (const [path, text] of Object.entries(madeFiles())) assert.equal(deployed('chart', path), text, path);
});

test('the README names no value that is none', () => {
  const [prose] = deployed('chart', 'README.md').split('<!-- values:begin');
  const named = [...prose.matchAll(/(?:`|--set(?:-file)? )(\w+(?:\.\w+)*)(?:=|`)/g)].map(([, path]) => path);
  const paths = chartValues().map(({ path }) => path);
  const others = named.filter((path) => !paths.includes(path));
  assert(named.length - others.length > 8);
  assert.deepEqual([...new Set(others)].sort(), ['baseline', 'clusterDNS', 'localRedirectPolicy', 'privileged']);
});

test('the schema is strict, and knows no value that values.yaml does not', () => {
  interface Node {
    readonly type?: string;
    readonly properties?: Readonly<Record<string, Node>>;
    readonly additionalProperties?: unknown;
    readonly description?: string;
  }
  const schema = JSON.parse(deployed('chart', 'values.schema.json')) as Node;
  const paths = chartValues().map(({ path }) => path);
  const walk = (node: Node, path: readonly string[]): void => {
    if (node.properties === undefined) return;
    assert.equal(node.additionalProperties, false, path.join('.'));
    for (const [key, inside] of Object.entries(node.properties)) {
      const name = [...path, key].join('.');
      if (paths.includes(name)) assert(inside.description, name);
      else if (name !== 'global')
        assert(
          paths.some((each) => each.startsWith(`${name}.`)),
          name,
        );
      if (!paths.includes(name)) walk(inside, [...path, key]);
    }
  };
  walk(schema, []);
  for (const path of paths) assert(schemaAt(schema as Parameters<typeof schemaAt>[0], path), path);
});
