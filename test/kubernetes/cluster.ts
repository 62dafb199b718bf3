/**
 * The one-node cluster that test/kubernetes/run is given: a folder with the commands `up`, `down`, `kubectl`, `node`
 * and `import`. Everything here waits for what it started, with a limit.
 */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { KubernetesObject } from '../deploy/kubernetes.js';

const execute = promisify(execFile);

export interface Cluster {
  /** Where its commands lie. */
  readonly folder: string;
  /** Brings it up, kubelet telling new pods to ask this address. */
  up(clusterDns: string): Promise<void>;
  down(): void;
  /** Puts an image archive where the node finds it. */
  importImage(archive: string): Promise<void>;
  /** Standard output of kubectl. Throws when it fails. */
  kubectl(...parameters: string[]): Promise<string>;
  /** `kubectl apply` of these objects. */
  apply(objects: readonly KubernetesObject[]): Promise<void>;
  /** A program of the node. Throws when it fails. */
  node(...command: string[]): Promise<string>;
  /** What a shell line in a pod prints, and its status. */
  inPod(pod: string, line: string): Promise<{ readonly status: number; readonly text: string }>;
}

/** The cluster whose commands lie in this folder. */
export function clusterIn(folder: string): Cluster {
  const command = (name: string) => join(folder, name);
  const run = async (file: string, parameters: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const { stdout } = await execute(file, parameters, {
      env: { ...process.env, ...environment },
      maxBuffer: 64 << 20,
      timeout: 300_000,
    });
    return stdout;
  };
  const kubectl = (...parameters: string[]) => run(command('kubectl'), parameters);
  return {
    folder,
    async up(clusterDns) {
      await run(command('up'), [], { K8S_CLUSTER_DNS: clusterDns });
    },
    down: () => void execFileSync(command('down'), ['--keep-logs'], { stdio: 'inherit' }),
    async importImage(archive) {
      await run(command('import'), [archive]);
    },
    kubectl,
    async apply(objects) {
      const text = objects.map((one) => stringify(one)).join('---\n');
      const applied = execute(command('kubectl'), ['apply', '-f', '-'], { timeout: 60_000 });
      applied.child.stdin?.end(text);
      await applied;
    },
    node: (...parameters) => run(command('node'), parameters),
    async inPod(pod, line) {
      try {
        return { status: 0, text: (await kubectl('exec', pod, '--', 'sh', '-c', line)).trim() };
      } catch (error) {
        const { code, stdout } = error as { code?: number; stdout?: string };
        return { status: code ?? 1, text: (stdout ?? '').trim() };
      }
    },
  };
}

/** A row of the table. */
export interface Result {
  readonly tried: string;
  readonly holds: boolean;
  readonly seen: string;
  /** Of the questions that were asked meanwhile. */
  readonly lost: string;
  readonly took: string;
}

/** Looks every 50 ms until there is something other than undefined; throws after so many seconds. */
export async function until<Found>(
  what: string,
  seconds: number,
  look: () => Promise<Found | undefined>,
): Promise<Found> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await pause(50);
  }
}

/** Seconds that this takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

export function inSeconds(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}

export interface PodState {
  readonly name: string;
  readonly isReady: boolean;
  readonly restarts: number;
  readonly isLeaving: boolean;
}

/** The pods of kube-system with this label. */
export async function podsWith(cluster: Cluster, label: string): Promise<PodState[]> {
  const text = await cluster.kubectl('-n', 'kube-system', 'get', 'pods', '-l', label, '-o', 'json');
  const { items } = JSON.parse(text) as {
    items: {
      metadata: { name: string; deletionTimestamp?: string };
      status: {
        conditions?: { type: string; status: string }[];
        containerStatuses?: { restartCount: number }[];
      };
    }[];
  };
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    isReady: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
    isLeaving: metadata.deletionTimestamp !== undefined,
  }));
}

/** The name of the one pod with this label that is ready and not one of these. */
export function readyPod(cluster: Cluster, label: string, except: readonly string[] = []): Promise<string> {
  return until(`a ready pod ${label}`, 90, async () => {
    const pods = await podsWith(cluster, label);
    return pods.find(({ name, isReady, isLeaving }) => isReady && !isLeaving && !except.includes(name))?.name;
  });
}
