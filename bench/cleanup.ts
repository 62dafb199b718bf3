/**
 * What a bench puts into the world is taken out of it again: at the end, when something throws, and when the process
 * is told to stop (which must then be done by `process.exit`). Processes are not its business; they end by
 * test/real/commands.ts in the same cases.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The youngest last. */
const pending: (() => void)[] = [];

process.on('exit', () => {
  for (const undo of pending.splice(0).reverse()) undo();
});

/** Runs `use`, and then `undo`, whatever `use` does. */
export async function undoing<T>(undo: () => void, use: () => Promise<T>): Promise<T> {
  pending.push(undo);
  try {
    return await use();
  } finally {
    const at = pending.indexOf(undo);
    if (at >= 0) {
      pending.splice(at, 1);
      undo();
    }
  }
}

/** Runs `use` with a new folder that is gone afterwards. */
export async function inTemporaryFolder<T>(prefix: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  return undoing(
    () => rmSync(folder, { recursive: true, force: true }),
    () => use(folder),
  );
}
