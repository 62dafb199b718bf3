/** What `kubectl kustomize` makes of deploy/: objects as Kubernetes wants them, arguments and Corefiles as we do. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { parseFlags } from '../../src/config/flags.js';
import { fillPillars } from '../../src/config/generated-corefile.js';
import { parseConfig } from '../../src/config/load.js';
import type { ServeOptions } from '../../src/config/serve-options.js';
import { programVersion } from '../../src/config/version.js';
import { testOptions } from '../config/options.js';
import { repositoryPath } from '../corpus/repository.js';
import {
  cannotRender,
  type DaemonSet,
  daemonSet,
  deployed,
  expanded,
  type KubernetesObject,
  kustomize,
  kustomized,
  objectsIn,
  ofKind,
  type Probe,
  unknownFields,
  validate,
  withKernelLane,
} from './kubernetes.js';
import { podSecurityLevel } from './pod-security.js';

const overlays = readdirSync(repositoryPath('deploy', 'overlays')).sort();
const onHost = overlays.filter((overlay) => overlay !== 'cilium');
const rendered = new Map<string, KubernetesObject[]>(
  cannotRender
    ? []
    : overlays.map((overlay) => [overlay, kustomize(repositoryPath('deploy', 'overlays', overlay))] as const),
);
const skip = cannotRender;
/** As pods of kube-system have it. */
const environment = { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.7.7', KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
/** `app.kubernetes.io/…`, on every object and pod. */
const ourLabels = { component: 'cache', name: 'zerohop', 'part-of': 'zerohop' };

test('every overlay, and deploy/ itself, is as the schemas of Kubernetes say, without unknown fields', { skip }, () => {
  const base = kustomize(repositoryPath('deploy'));
  assert.deepEqual(base, rendered.get('ipvs'));
  const monitor = objectsIn(deployed('components', 'pod-monitor', 'pod-monitor.yaml'));
  const all = [...base, ...[...rendered.values()].flat(), ...monitor];
  for (const one of all) assert.equal(one.metadata.namespace, 'kube-system', one.kind);
  validate(all);
  assert.equal(unknownFields(all), '');
});

test('objects that are wrong are found out', { skip }, () => {
  const set = setOf('ipvs');
  const without = structuredClone(set) as { spec: { selector?: unknown } };
  delete without.spec.selector;
  assert.throws(() => validate([without as KubernetesObject]), /selector/);
  assert.throws(() => validate([{ ...set, apiVersion: 'extensions/v1beta1' }]), /is of apps\/v1/);
  assert.match(unknownFields([{ ...set, spec: { ...set.spec, maxSurge: 1 } }]), /'"maxSurge"' does not exist/);
});

test('objects have the names, and pods the labels, that node-cache’s have', { skip }, () => {
  for (const objects of rendered.values()) {
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    for (const name of ['ConfigMap node-local-dns', 'DaemonSet node-local-dns', 'Service kube-dns-upstream']) {
      assert(names.includes(name), name);
    }
    const { selector, template } = daemonSet(objects).spec;
    assert.deepEqual(selector.matchLabels, { 'k8s-app': 'node-local-dns' });
    assert.equal(template.metadata.labels['k8s-app'], 'node-local-dns');
    const [metrics] = objects.filter(({ kind, metadata }) => `${kind} ${metadata.name}` === 'Service node-local-dns');
    assert.deepEqual((metrics.spec as { selector: unknown }).selector, selector.matchLabels);
  }
});

test('objects and pods have the labels that Kubernetes recommends', { skip }, () => {
  for (const one of [...rendered.values()].flat()) {
    const podLabels = one.kind === 'DaemonSet' ? [(one as DaemonSet).spec.template.metadata.labels] : [];
    for (const labels of [one.metadata.labels ?? {}, ...podLabels]) {
      for (const [name, value] of Object.entries(ourLabels)) {
        assert.equal(labels[`app.kubernetes.io/${name}`], value, `${one.kind} ${one.metadata.name}`);
      }
    }
  }
});

test('the image is named in one place, and that one can be pulled from nowhere', { skip }, () => {
  const version = programVersion();
  const all = [...rendered.values(), kustomize(repositoryPath('deploy', 'preflight'))].flat();
  const images = all.flatMap((one) =>
    [...JSON.stringify(one).matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image),
  );
  assert.deepEqual([...new Set(images)], [`REGISTRY/zerohop:${version}`]);
  const folder = repositoryPath('deploy');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));
  const naming = files.filter((file) => /^[^#]*newName:/m.test(deployed(file)));
  assert.deepEqual(naming, ['components/image/kustomization.yaml']);
});

test('an overlay of somebody else names the image', { skip }, () => {
  const own = 'images: [{ name: REGISTRY/zerohop, newName: registry.example/dns/zerohop, newTag: 1.2.3 }]\n';
  const objects = kustomized(`resources: [../../deploy/overlays/high-availability]\n${own}`);
  const images = objects.filter(({ kind }) => kind === 'DaemonSet').map((one) => imageOf(one as DaemonSet));
  assert.deepEqual(images, ['registry.example/dns/zerohop:1.2.3', 'registry.example/dns/zerohop:1.2.3']);
});

for (const overlay of overlays) {
  test(`${overlay}: two pods may be on one node, and the old one goes last`, { skip }, () => {
    const { updateStrategy, minReadySeconds, template } = setOf(overlay).spec;
    assert.deepEqual(updateStrategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
    assert(minReadySeconds > 0);
    const [container] = template.spec.containers;
    if (template.spec.hostNetwork) assert.equal(container.ports, undefined);
    // SIGTERM, then at most 5 s until the process ends by itself.
    assert(template.spec.terminationGracePeriodSeconds > 5);
  });

  test(`${overlay}: nothing is allowed that is not needed`, { skip }, () => {
    const { spec } = setOf(overlay).spec.template;
    const { securityContext, resources } = spec.containers[0];
    assert.deepEqual(spec.securityContext, { seccompProfile: { type: 'RuntimeDefault' } });
    assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
    assert.equal(securityContext.readOnlyRootFilesystem, true);
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(spec.priorityClassName, 'system-node-critical');
    assert.equal(spec.tolerations.length, 3);
    assert(resources.requests !== undefined && resources.limits['cpu'] === undefined);
    assert.equal(podSecurityLevel(spec), spec.hostNetwork ? 'privileged' : 'baseline');
    const wanted = spec.hostNetwork ? ['NET_ADMIN', 'NET_BIND_SERVICE'] : ['NET_BIND_SERVICE'];
    assert.deepEqual(securityContext.capabilities.add, wanted);
    assert.equal(securityContext.runAsUser, spec.hostNetwork ? 0 : 65532);
    assert.equal(securityContext.allowPrivilegeEscalation, !spec.hostNetwork);
  });

  test(`${overlay}: the arguments are understood, and find the cluster DNS in the environment`, { skip }, () => {
    const { enableServiceLinks, dnsPolicy } = setOf(overlay).spec.template.spec;
    assert.deepEqual({ enableServiceLinks, dnsPolicy }, { enableServiceLinks: true, dnsPolicy: 'Default' });
    const options = optionsOf(overlay);
    assert.deepEqual(options.clusterDns.endpoint, { address: '10.96.7.7', port: 53 });
    assert.equal(options.setupInterface, overlay !== 'cilium');
    assert.equal(options.setupRules, overlay !== 'cilium');
    assert.equal(options.handoverPath, overlay === 'cilium' ? null : '/run/zerohop/handover.sock');
  });

  test(`${overlay}: what it writes lies in a volume, and so does what it reads`, { skip }, () => {
    const { containers, volumes } = setOf(overlay).spec.template.spec;
    const mounts = containers[0].volumeMounts;
    assert.deepEqual(mounts.map(({ name }) => name).sort(), volumes.map(({ name }) => name).sort());
    const { corefilePath, handoverPath, controlPath, baseCorefilePath, kubeDnsFolder } = optionsOf(overlay);
    const mountOf = (path: string) => mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
    assert.equal(mountOf(corefilePath)?.readOnly, undefined, corefilePath);
    assert(mountOf(corefilePath));
    for (const path of [handoverPath, controlPath]) if (path !== null) assert.equal(mountOf(path)?.name, 'run');
    assert.notEqual(controlPath, null);
    assert.equal(mountOf(baseCorefilePath)?.readOnly, true);
    assert.equal(mountOf(`${kubeDnsFolder}/stubDomains`)?.readOnly, true);
  });

  test(`${overlay}: the Corefile is served without warning but that of AAAA, and asks the cluster DNS over TCP`, {
    skip,
  }, () => {
    const { blocks, warnings, config } = corefileOf(overlay);
    assert.deepEqual(
      warnings.filter((message) => !message.startsWith('AAAA queries get NXDOMAIN')),
      [],
    );
    assert.equal(blocks.length, 4);
    for (const block of blocks) {
      assert.equal(block.aaaa, overlay === 'aaaa-nodata' ? 'nodata' : 'nxdomain');
      const isRest = block.zones[0].zone === '.';
      assert.equal(block.forwards[0].transport, isRest ? 'client' : 'tcp');
    }
    assert(config.reload !== null);
  });

  test(`${overlay}: probes ask where the Corefile serves`, { skip }, () => {
    const { config } = corefileOf(overlay);
    const { startupProbe, livenessProbe, readinessProbe } = setOf(overlay).spec.template.spec.containers[0];
    const at = ({ httpGet: { host, port } }: Probe) => `${host ?? '::'} ${port}`;
    for (const probe of [startupProbe, livenessProbe]) {
      assert.equal(probe.httpGet.path, '/health');
      assert.equal(at(probe), placeOf(config.health));
    }
    assert.equal(readinessProbe.httpGet.path, '/ready');
    assert.equal(at(readinessProbe), placeOf(config.ready));
  });
}

test('iptables: the address of kube-dns is listened on as well', { skip }, () => {
  assert.deepEqual(optionsOf('iptables').localAddresses, ['169.254.20.10', '10.96.0.10']);
  for (const overlay of onHost.filter((name) => name !== 'iptables')) {
    assert.deepEqual(optionsOf(overlay).localAddresses, ['169.254.20.10']);
  }
});

test('iptables: the address is Kubernetes’ to fill in, whatever it is', { skip }, () => {
  const [localip] = setOf('iptables').spec.template.spec.containers[0].args;
  assert.equal(localip, '-localip=169.254.20.10,$(KUBE_DNS_SERVICE_HOST)');
  assert.deepEqual(expanded([localip], { KUBE_DNS_SERVICE_HOST: 'fd00::a' }), ['-localip=169.254.20.10,fd00::a']);
  assert(!/\b10\.\d+\.\d+\.\d+/.test(JSON.stringify([...rendered.values()])), 'no address of some other cluster');
});

test('high-availability: the second DaemonSet is the first but for its name, and has pods of its own', { skip }, () => {
  const sets = (rendered.get('high-availability') ?? []).filter(({ kind }) => kind === 'DaemonSet');
  const [first, standby] = sets.map((one) => JSON.stringify(one));
  assert.equal(sets.length, 2);
  const renamed = standby.replaceAll('"node-local-dns-standby"', '"node-local-dns"');
  assert.deepEqual(JSON.parse(renamed), JSON.parse(first));
  assert.equal(standby.match(/"k8s-app":"node-local-dns-standby"/g)?.length, 2);
});

test('nftables: the rules are a table of our own', { skip }, () => {
  assert.equal(optionsOf('nftables').firewall, 'nftables');
  assert.equal(optionsOf('ipvs').firewall, 'auto');
});

test('cilium: what asks kube-dns is led to the pods, by the names of their ports', { skip }, () => {
  const objects = rendered.get('cilium') ?? [];
  const { redirectFrontend, redirectBackend } = ofKind(objects, 'CiliumLocalRedirectPolicy').spec as {
    redirectFrontend: unknown;
    redirectBackend: { localEndpointSelector: unknown; toPorts: { name: string; port: string; protocol: string }[] };
  };
  assert.deepEqual(redirectFrontend, { serviceMatcher: { serviceName: 'kube-dns', namespace: 'kube-system' } });
  const { selector, template } = daemonSet(objects).spec;
  assert.deepEqual(redirectBackend.localEndpointSelector, selector);
  const ports = redirectBackend.toPorts.map(({ name, port, protocol }) => {
    return { name, containerPort: Number(port), protocol };
  });
  assert.deepEqual(ports, template.spec.containers[0].ports);
});

test('components: AAAA without record is the base but for that; NET_RAW is for iptables-legacy alone', () => {
  const withoutComments = (text: string) => text.replace(/^#.*\n/gm, '');
  const nodata = withoutComments(deployed('components', 'aaaa-nodata', 'Corefile'));
  const base = withoutComments(deployed('base', 'Corefile'));
  assert.equal(nodata, base.replaceAll(/template ANY AAAA \{\n\s*rcode NXDOMAIN\n\s*\}/g, 'aaaa nodata'));
  assert.match(
    deployed('components', 'iptables-legacy', 'kustomization.yaml'),
    /capabilities\/add\/-\n\s*value: NET_RAW/,
  );
  for (const name of readdirSync(repositoryPath('deploy', 'components'))) {
    assert(existsSync(repositoryPath('deploy', 'components', name, 'kustomization.yaml')));
  }
});

for (const overlay of overlays) {
  test(`kernel-lane with ${overlay}: every pod has the arguments, BPF and PERFMON, and the node's folder`, {
    skip,
  }, () => {
    const objects = withKernelLane(overlay);
    validate(objects);
    assert.equal(unknownFields(objects), '');
    const sets = objects.filter(({ kind }) => kind === 'DaemonSet') as DaemonSet[];
    assert.equal(sets.length, overlay === 'high-availability' ? 2 : 1);
    for (const set of sets) {
      const { kernelLane, kernelLaneFolder, localAddresses } = optionsIn(set);
      assert.deepEqual([kernelLane, localAddresses], ['on', optionsOf(overlay).localAddresses]);
      const { containers, volumes } = set.spec.template.spec;
      const [{ securityContext, volumeMounts }] = containers;
      const { add } = securityContext.capabilities;
      assert.deepEqual([...add].sort(), ['BPF', 'NET_ADMIN', 'NET_BIND_SERVICE', 'PERFMON']);
      assert.deepEqual([securityContext.runAsUser, securityContext.runAsNonRoot], [0, undefined]);
      assert.equal(securityContext.allowPrivilegeEscalation, false);
      const mount = volumeMounts.find(({ mountPath }) => kernelLaneFolder.startsWith(`${mountPath}/`));
      const volume = volumes.find(({ name }) => name === mount?.name);
      assert.deepEqual(volume?.hostPath, { path: '/sys/fs/bpf', type: 'Directory' });
      // AppArmor's profile of container runtimes denies to write there.
      assert(!kernelLaneFolder.startsWith('/sys/'));
    }
    assert.equal(podSecurityLevel(sets[0].spec.template.spec), 'privileged');
  });
}

test('kernel-lane-cilium: the Corefile is that of the overlay, on addresses that the kernel can know', { skip }, () => {
  const withoutComments = (text: string) => text.replace(/^#.*\n/gm, '');
  const { data } = ofKind(withKernelLane('cilium'), 'ConfigMap');
  const ofOverlay = withoutComments(deployed('overlays', 'cilium', 'Corefile'));
  assert.equal(withoutComments(data?.['Corefile'] ?? ''), ofOverlay.replaceAll('bind 0.0.0.0', 'bind eth0'));
});

test('network-policy: pods of a namespace may ask the cache on port 53, over UDP and TCP', { skip }, () => {
  const objects = kustomized('namespace: team-a\ncomponents: [../../deploy/components/network-policy]\n');
  validate(objects);
  assert.equal(unknownFields(objects), '');
  const [policy] = objects;
  assert.equal(policy.metadata.namespace, 'team-a');
  const { podSelector, policyTypes, egress } = policy.spec as {
    podSelector: { matchLabels: object };
    policyTypes: string[];
    egress: { to: { ipBlock?: { cidr: string }; podSelector?: unknown }[]; ports: unknown[] }[];
  };
  assert.deepEqual(policyTypes, ['Egress']);
  assert(Object.keys(podSelector.matchLabels).length > 0, 'never all pods of a namespace');
  const [localAddress] = optionsOf('ipvs').localAddresses;
  assert.equal(egress[0].to[0].ipBlock?.cidr, `${localAddress}/32`);
  assert.deepEqual(egress[0].to[1].podSelector, setOf('cilium').spec.selector);
  assert.deepEqual(egress[0].ports, [
    { port: 53, protocol: 'UDP' },
    { port: 53, protocol: 'TCP' },
  ]);
});

function imageOf(one: DaemonSet): string {
  return one.spec.template.spec.containers[0].image;
}

function setOf(overlay: string): DaemonSet {
  return daemonSet(rendered.get(overlay) ?? []);
}

function optionsOf(overlay: string): ServeOptions {
  return optionsIn(setOf(overlay));
}

function optionsIn({ spec }: DaemonSet): ServeOptions {
  const command = parseFlags(expanded(spec.template.spec.containers[0].args, environment), environment);
  assert.equal(command.kind, 'serve', JSON.stringify(command));
  return (command as Extract<typeof command, { kind: 'serve' }>).options;
}

function corefileOf(overlay: string): { config: Config; blocks: Config['blocks']; warnings: string[] } {
  const { localAddresses, clusterDns, prometheusAddress } = optionsOf(overlay);
  const template = ofKind(rendered.get(overlay) ?? [], 'ConfigMap').data?.['Corefile'] ?? '';
  const values = { localAddresses, clusterDns, prometheusAddress, upstreamServers: [] };
  const text = fillPillars(template, 'Corefile.base', values);
  const config = parseConfig(text, 'Corefile.base', { ...testOptions() });
  return { config, blocks: config.blocks, warnings: config.warnings.map(({ message }) => message) };
}

/** `ADDRESS PORT`; nothing when it is not served. */
function placeOf(served: Config['health'] | Config['ready']): string {
  return (served?.addresses ?? []).map(({ address, port }) => `${address} ${port}`).join(', ');
}
