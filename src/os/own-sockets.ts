/** Which of the host's sockets are this process's, whoever opened them: what /proc/net lists has no owner. */
import { readdirSync, readlinkSync } from 'node:fs';

/** The inodes of all sockets of this process; none where there is no /proc. */
export function ownSockets(): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const fd of entries('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/u.exec(target(`/proc/self/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(Number(inode));
  }
  return inodes;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** It may be closed by now: the one that the folder was read with is. */
function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
