/**
 * A file that is written beside the one it replaces and then put in its place, so that whoever reads finds one or
 * the other and never a part. On a file system that loses power the reader's checksum has the last word.
 */
import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';

/** Writes to `PATH.new`; throws the system's error. */
export function replaceWhole(path: string): {
  write(bytes: Uint8Array): void;
  commit(): void;
  abandon(): void;
} {
  const beside = `${path}.${process.pid}.new`;
  const file = openSync(beside, 'w', 0o600);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(file);
    isOpen = false;
  };
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    },
    commit() {
      close();
      renameSync(beside, path);
    },
    abandon() {
      if (!isOpen) return;
      close();
      unlinkSync(beside);
    },
  };
}

/** The bytes of a file, undefined when there is none; throws any other error. */
export function readWhole(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
