/** The open files limit, RLIMIT_NOFILE. Node.js raises it to the hard limit at start; only its starter can do more. */
import { readFileSync } from 'node:fs';

/** The advice for `needed` files, as the end of a sentence. */
export function raiseOpenFiles(needed = 0): string {
  const settings = 'ulimit -n, LimitNOFILE= of a systemd unit, or the default of the container runtime';
  return `raise the limit to ${Math.max(1024, needed)} or more (${settings})`;
}

/** Infinity without a limit, null without /proc. */
export function openFilesMax(): number | null {
  let text: string;
  try {
    text = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return null;
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  if (soft === undefined) return null;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
