/**
 * What is applied: the overlays of deploy/ as kustomize renders them, less what a Kubernetes of 2020 does not know,
 * and the pods that ask.
 */
import { readFileSync } from 'node:fs';
import { repositoryPath } from '../corpus/repository.js';
import { type KubernetesObject, kustomize, objectsIn, withKernelLane } from '../deploy/kubernetes.js';

export const image = 'k8s.local/zerohop:test';

/** An overlay for this cluster; `name` is the DaemonSet's, so that there may be a second one beside the first. */
export function overlay(folder: string, name = 'node-local-dns'): KubernetesObject[] {
  const objects = kustomize(repositoryPath('deploy', 'overlays', folder)).map(forOldCluster);
  return name === 'node-local-dns' ? objects : objects.filter(({ kind }) => kind === 'DaemonSet').map(named(name));
}

/** The overlay with the component of the kernel lane. */
export function overlayWithKernelLane(folder: string): KubernetesObject[] {
  return withKernelLane(folder).map(forOldCluster);
}

/** node-cache's manifest with nothing but the image changed. */
export function dropIn(): KubernetesObject[] {
  const text = readFileSync(repositoryPath('test', 'kubernetes', 'node-cache.yaml'), 'utf8');
  return objectsIn(text.replace(/image: .*$/m, `image: ${image}`));
}

interface Changeable {
  metadata: { name: string };
  spec: {
    selector: { matchLabels: Record<string, string> };
    updateStrategy: { rollingUpdate: { maxSurge?: number; maxUnavailable: number } };
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        containers: {
          image: string;
          imagePullPolicy: string;
          livenessProbe: { terminationGracePeriodSeconds?: number };
        }[];
      };
    };
  };
}

/** DaemonSets have maxSurge since 1.22, probes a grace period of their own since 1.25; nothing is pulled here. */
function forOldCluster(one: KubernetesObject): KubernetesObject {
  if (one.kind !== 'DaemonSet') return one;
  const changed = structuredClone(one) as KubernetesObject & Changeable;
  changed.spec.updateStrategy.rollingUpdate = { maxUnavailable: 1 };
  const [container] = changed.spec.template.spec.containers;
  container.image = image;
  container.imagePullPolicy = 'Never';
  delete container.livenessProbe.terminationGracePeriodSeconds;
  return changed;
}

/** The same DaemonSet under another name, for pods with a label of their own. */
function named(name: string): (one: KubernetesObject) => KubernetesObject {
  return (one) => {
    const changed = structuredClone(one) as KubernetesObject & Changeable;
    changed.metadata.name = name;
    changed.spec.selector.matchLabels = { 'k8s-app': name };
    changed.spec.template.metadata.labels = { 'k8s-app': name };
    return changed;
  };
}

/** A client pod with dig and Node.js, this folder of the machine as /asker, and two web servers behind two Services. */
export function clients(askerFolder: string): KubernetesObject[] {
  const server = { name: 'web', image: 'k8s.local/tools:1', imagePullPolicy: 'Never' };
  const pod = (
    name: string,
    labels: Readonly<Record<string, string>>,
    container: object,
    volumes: readonly object[] = [],
  ) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: { terminationGracePeriodSeconds: 0, containers: [container], volumes },
  });
  const service = (name: string, more: object) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...more },
  });
  const listens = { command: ['nc', '-lk', '8080'], ports: [{ containerPort: 8080 }] };
  const mount = { name: 'asker', mountPath: '/asker', readOnly: true };
  return [
    pod('web-1', { app: 'web' }, { ...server, ...listens }),
    pod('web-2', { app: 'web' }, { ...server, ...listens }),
    service('web', {}),
    service('webh', { clusterIP: 'None' }),
    pod('client', { app: 'client' }, { ...server, name: 'client', volumeMounts: [mount] }, [
      { name: 'asker', hostPath: { path: askerFolder } },
    ]),
  ];
}
