/** Writing a file as a whole: whoever opens it finds the old text or the new one, never a part of one. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Puts `text` at `path`, through a file beside it. Throws, and leaves what is there, when that cannot be done. */
export function replaceFile(path: string, text: string): void {
  const beside = `${path}.${process.pid}.new`;
  try {
    writeFileSync(beside, text);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
