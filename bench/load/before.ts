/**
 * An earlier commit as a server of its own: checked out into a temporary worktree, built with the packages that are
 * installed now, and removed afterwards.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { inTemporaryFolder, undoing } from '../cleanup.js';

/** The commit that a word names, or null. */
export function resolveCommit(repository: string, word: string): string | null {
  const words = ['-C', repository, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${word}^{commit}`];
  const { status, stdout } = spawnSync('git', words, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

/** Builds the commit and runs `use` with it. Throws with the compiler's words when it gives no program. */
export function whileBuilt<T>(repository: string, commit: string, use: (entry: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder('zerohop-before-', (folder) => {
    const tree = join(folder, 'tree');
    const worktree = (...words: string[]): unknown =>
      execFileSync('git', ['-C', repository, 'worktree', ...words], { stdio: 'pipe' });
    worktree('add', '--detach', tree, commit);
    // Left behind, it would stay in the repository's list of worktrees.
    return undoing(
      () => worktree('remove', '--force', tree),
      async () => {
        symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'));
        return use(build(tree, commit));
      },
    );
  });
}

function build(tree: string, commit: string): string {
  const run = (command: string, words: readonly string[]): string => {
    const { stdout, stderr } = spawnSync(command, words, { cwd: tree, encoding: 'utf8' });
    return `${stderr}${stdout}`;
  };
  const { bin, scripts } = manifestOf(tree);
  let said = run(join(tree, 'node_modules', '.bin', 'tsc'), ['-p', '.', '--outDir', 'dist']);
  if (scripts?.bundle !== undefined) said += run('npm', ['run', '--silent', 'bundle']);
  const entry = join(tree, bin?.zerohop ?? 'dist/src/main.js');
  // The compiler writes what it can; only a program that is not there is a reason to stop.
  if (!existsSync(entry)) throw new Error(`commit ${commit} does not build: ${said}`);
  return entry;
}

interface Manifest {
  readonly bin?: { readonly zerohop: string };
  readonly scripts?: { readonly bundle?: string };
}

function manifestOf(tree: string): Manifest {
  const path = join(tree, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}
