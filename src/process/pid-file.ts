/**
 * `-pidfile`: the process id in a file while we serve, as in CoreDNS. A failed write is a log line. The file is removed
 * only if it is still ours: another process's may have the same id, as process 1 of two containers has.
 */
import { lstatSync, rmSync } from 'node:fs';
import type { Log } from '../os/log.js';
import type { Random } from '../os/random.js';
import { readTrusted, replaceText } from '../os/replacement.js';

const pidFileBytesMax = 32;

/** Returns the function that removes the file; null: no file. */
export function writePidFile(path: string | null, { log, random }: { log: Log; random: Random }): () => void {
  if (path === null) return () => {};
  const text = `${process.pid}\n`;
  let inode: number;
  try {
    replaceText(path, text, random);
    inode = lstatSync(path).ino;
  } catch (error) {
    log.error(`-pidfile: ${(error as Error).message}`);
    return () => {};
  }
  return () => {
    try {
      const bytes = readTrusted(path, pidFileBytesMax) ?? '';
      if (Buffer.from(bytes).toString() === text && lstatSync(path).ino === inode) rmSync(path);
    } catch {
      // Not there, or not ours.
    }
  };
}
