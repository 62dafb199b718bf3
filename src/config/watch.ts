/**
 * Watches files by polling. Kubernetes changes a mounted ConfigMap by swapping the `..data` symlink, which file events of a
 * path miss; so each look resolves the path anew. A look is a stat, and a hash of the content if the stat differs. A change
 * counts if two looks in a row agree on it, so that a half-written file is not read.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Clock, Timer } from '../os/clock.js';

/** Access to files, injected in tests. */
export interface Look {
  /** Device, inode, size and times; undefined: no file. */
  stat(path: string): string | undefined;
  /** A digest of the content, or of a folder's names; undefined: unreadable. */
  digest(path: string): string | undefined;
}

interface Seen {
  stat: string | undefined;
  digest: string | undefined;
}

/** The next look after one with a difference, if `periodMs` is longer. */
const readsApartMs = 500;

/**
 * Calls `changed` when the content of any of `paths()` differs from that at the call (or at the last `changed`) and two
 * looks in a row agree on it. Looks every `periodMs`, and earlier after a difference. The first look at a new path gives
 * its initial content.
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
  /** The result of the last look, empty without a difference. */
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
    } else if (isDifferent && readsApartMs < periodMs) {
      early = clock.after(readsApartMs, lookAgain);
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
      // The file may be a TLS key, and freed buffers are not cleared.
      if (typeof content !== 'string') content.fill(0);
      return digest;
    } catch {
      return undefined;
    }
  },
};
