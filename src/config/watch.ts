/**
 * Watching files by looking at them. Kubernetes changes a mounted ConfigMap by swapping the `..data` symlink, which
 * file events of a path miss; so each look resolves the path anew. A look is a stat; the content is hashed only when
 * the stat differs. A change counts when the content differs from before and two looks in a row agree on it, so that
 * a file in the middle of being written is left alone.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Clock, Timer } from '../os/clock.js';

/** How files are looked at; tests bring their own. */
export interface Look {
  /** Changes whenever the file may have changed: device, inode, size, times. Undefined: nothing is there. */
  stat(path: string): string | undefined;
  /** A digest of the content; of the entries' names for a folder. Undefined: it cannot be read. */
  digest(path: string): string | undefined;
}

interface Seen {
  stat: string | undefined;
  digest: string | undefined;
}

/** How soon after a look that found a difference the next one comes, if `periodMs` is longer. */
const settleMs = 500;

/**
 * Calls `changed` when the content of any of `paths()` is another than at the call (or at the last `changed`) and
 * two looks in a row agree on it. There is a look every `periodMs`, and an early one after a difference. A path that
 * joins `paths()` is taken as it is then; one that leaves is forgotten.
 */
export function watchFiles(
  clock: Clock,
  paths: () => readonly string[],
  periodMs: number,
  changed: () => void,
  look: Look = systemLook,
): Timer {
  const seen = new Map<string, Seen>();
  lookAt(seen, paths(), look);
  let settled = digests(seen);
  /** What the last look found, empty if nothing new. */
  let lastDifference = '';
  let early: Timer | null = null;

  function lookAgain(): void {
    early?.stop();
    early = null;
    lookAt(seen, paths(), look);
    for (const path of settled.keys()) if (!seen.has(path)) settled.delete(path);
    for (const [path, { digest }] of seen) if (!settled.has(path)) settled.set(path, digest);
    const now = digests(seen);
    const isDifferent = [...now].some(([path, digest]) => settled.get(path) !== digest);
    const difference = isDifferent ? JSON.stringify([...now].map(([path, digest]) => [path, digest ?? null])) : '';
    const isAgreed = isDifferent && difference === lastDifference;
    lastDifference = isAgreed ? '' : difference;
    if (isAgreed) {
      settled = now;
      changed();
    } else if (isDifferent && settleMs < periodMs) {
      early = clock.after(settleMs, lookAgain);
    }
  }

  const regular = clock.every(periodMs, lookAgain);
  return {
    stop() {
      regular.stop();
      early?.stop();
    },
  };
}

function lookAt(seen: Map<string, Seen>, paths: readonly string[], look: Look): void {
  for (const path of seen.keys()) if (!paths.includes(path)) seen.delete(path);
  for (const path of paths) {
    const stat = look.stat(path);
    const before = seen.get(path);
    if (before !== undefined && before.stat === stat) continue;
    seen.set(path, { stat, digest: stat === undefined ? undefined : look.digest(path) });
  }
}

function digests(seen: ReadonlyMap<string, Seen>): Map<string, string | undefined> {
  return new Map([...seen].map(([path, { digest }]) => [path, digest]));
}

/** The machine's files. */
export const systemLook: Look = {
  stat(path) {
    try {
      const stat = statSync(path, { bigint: true });
      return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
    } catch {
      return undefined;
    }
  },
  digest(path) {
    try {
      const content = statSync(path).isDirectory() ? readdirSync(path).sort().join('\n') : readFileSync(path);
      const digest = createHash('sha256').update(content).digest('hex');
      // It may have been a TLS key, and a buffer is not cleared when it is freed.
      if (typeof content !== 'string') content.fill(0);
      return digest;
    } catch {
      return undefined;
    }
  },
};
