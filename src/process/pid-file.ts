/**
 * `-pidfile`: the process id in a file once we serve, gone again when we end, as CoreDNS has it. What cannot be
 * written is a line in the log; a file that another process has put there since is left alone, though its id may be
 * ours, as process 1 of two containers is.
 */
import { lstatSync, rmSync } from 'node:fs';
import { readTrusted, replaceText } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Random } from '../os/random.js';

/** It holds one number. */
const pidFileBytesMax = 32;

/** Writes it, and gives what takes it away; null is no file. */
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
      // It is not there, or not ours to take away.
    }
  };
}
