/**
 * `-pidfile`: the process id in a file once we serve, gone again when we end, as CoreDNS has it. What cannot be
 * written is a line in the log; a file that another process has put there since is left alone.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Log } from './outside/log.js';

/** Writes it, and gives what takes it away; null is no file. */
export function writePidFile(path: string | null, log: Log): () => void {
  if (path === null) return () => {};
  const text = `${process.pid}\n`;
  try {
    writeFileSync(path, text);
  } catch (error) {
    log.error(`-pidfile: ${(error as Error).message}`);
  }
  return () => {
    try {
      if (readFileSync(path, 'utf8') === text) rmSync(path);
    } catch {
      // It is not there, or not ours to take away.
    }
  };
}
