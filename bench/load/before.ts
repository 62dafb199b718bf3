/**
 * An earlier commit as a server of its own: checked out into a temporary worktree, built with the packages that are
 * installed now, and removed afterwards.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Built {
  /** The full name of the commit. */
  readonly commit: string;
  readonly entry: string;
}

/** The commit that a word names, or null. */
export function resolveCommit(repository: string, word: string): string | null {
  const words = ['-C', repository, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${word}^{commit}`];
  const { status, stdout } = spawnSync('git', words, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

/** Builds the commit in `folder`/before and runs `use` with it. Throws with the compiler's words when it gives no program. */
export async function whileBuilt<T>(
  { repository, commit, folder }: { readonly repository: string; readonly commit: string; readonly folder: string },
  use: (built: Built) => Promise<T>,
): Promise<T> {
  const tree = join(folder, 'before');
  const git = (...words: string[]) => execFileSync('git', ['-C', repository, ...words], { stdio: 'pipe' });
  git('worktree', 'add', '--detach', tree, commit);
  const remove = () => git('worktree', 'remove', '--force', tree);
  // A bench that is interrupted ends by process.exit, and a worktree left behind would stay in the repository's list.
  process.once('exit', remove);
  try {
    symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'));
    return await use({ commit, entry: build(tree, commit) });
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function build(tree: string, commit: string): string {
  const compiler = join(tree, 'node_modules', '.bin', 'tsc');
  const { stdout, stderr } = spawnSync(compiler, ['-p', '.', '--outDir', 'dist'], { cwd: tree, encoding: 'utf8' });
  const entry = join(tree, 'dist', 'src', 'main.js');
  // The compiler writes what it can; only a program that is not there is a reason to stop.
  if (!existsSync(entry)) throw new Error(`commit ${commit} does not build: ${stderr}${stdout}`);
  return entry;
}
