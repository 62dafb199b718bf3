/** An API server that has only a few objects to read: enough for helm's `lookup`, and for `--dry-run=server`. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { repositoryPath } from '../corpus/repository.js';
import { tool } from './kubernetes.js';

/** Which kinds the chart's objects are of, by group and version. */
const kinds: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: { configmaps: 'ConfigMap', pods: 'Pod', serviceaccounts: 'ServiceAccount', services: 'Service' },
  'apps/v1': { daemonsets: 'DaemonSet' },
  'cilium.io/v2': { ciliumlocalredirectpolicies: 'CiliumLocalRedirectPolicy' },
};

/** An object of the namespace kube-system, by its path there: `configmaps/kube-proxy`. */
export type ObjectsOfCluster = Readonly<Record<string, object>>;

/** What `helm install --dry-run=server` prints in a cluster with these objects; rejects with what helm says against it. */
export async function helmInCluster(objects: ObjectsOfCluster, sets: readonly string[]): Promise<string> {
  const answers = new Map(Object.entries({ ...discovery(), ...atPaths(objects) }));
  const server = createServer(({ url = '' }, response) => {
    const answer = answers.get(url.split('?')[0]);
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const flags = ['--namespace', 'kube-system', '--dry-run=server', '--disable-openapi-validation'];
  const sources = ['--kube-apiserver', `http://127.0.0.1:${port}`, ...sets.flatMap((value) => ['--set', value])];
  const command = ['install', 'node-local-dns', repositoryPath('deploy', 'chart'), ...flags, ...sources];
  try {
    return (await promisify(execFile)(tool('helm'), command)).stdout;
  } finally {
    server.close();
  }
}

function discovery(): Record<string, unknown> {
  const groups = Object.keys(kinds).filter((version) => version.includes('/'));
  const lists = Object.entries(kinds).map(([groupVersion, named]) => {
    const resources = Object.entries(named).map(([name, kind]) => {
      return { name, singularName: kind.toLowerCase(), namespaced: true, kind, verbs: ['get', 'list'] };
    });
    const path = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
    return [path, { kind: 'APIResourceList', groupVersion, resources }] as const;
  });
  return {
    '/version': { major: '1', minor: '35', gitVersion: 'v1.35.0' },
    '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
    '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupOf) },
    ...Object.fromEntries(lists),
  };
}

function groupOf(groupVersion: string): object {
  const [name, version] = groupVersion.split('/');
  return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
}

function atPaths(objects: ObjectsOfCluster): Record<string, object> {
  const entries = Object.entries(objects).map(([path, object]) => {
    const [plural, name] = path.split('/');
    const metadata = { name, namespace: 'kube-system' };
    return [
      `/api/v1/namespaces/kube-system/${path}`,
      { apiVersion: 'v1', kind: kinds['v1'][plural], metadata, ...object },
    ];
  });
  return Object.fromEntries(entries);
}
