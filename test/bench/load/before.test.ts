import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { resolveCommit, whileBuilt } from '../../../bench/load/before.js';
import { repositoryPath } from '../../corpus/repository.js';
import { needs } from '../../real/commands.js';

const options = { module: 'nodenext', types: [], rootDir: '.', skipLibCheck: true };

/** A repository of two commits with one source file, built with the compiler of this one. */
async function withRepository(use: (folder: string, git: (...words: string[]) => string) => Promise<void>) {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const identity = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com'];
    const git = (...words: string[]) =>
      execFileSync('git', ['-C', folder, ...identity, ...words], { encoding: 'utf8' });
    git('init', '-q');
    mkdirSync(join(folder, 'src'));
    symlinkSync(repositoryPath('node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['src'] }));
    for (const [name, text] of [
      ['first', 'export const word = "first";\n'],
      ['second', 'export const word = "second";\n'],
    ]) {
      writeFileSync(join(folder, 'src', 'main.ts'), text);
      git('add', 'src', 'tsconfig.json');
      git('commit', '-q', '-m', name);
    }
    await use(folder, git);
  });
}

test('an earlier commit is built elsewhere and leaves nothing behind', { skip: needs('git') }, async () => {
  await withRepository(async (folder, git) => {
    const commit = resolveCommit(folder, 'HEAD~1');
    assert.equal(commit, git('rev-parse', 'HEAD~1').trim());
    const entry = await whileBuilt(folder, commit!, async (path) => {
      assert.match(readFileSync(path, 'utf8'), /"first"/);
      assert.equal(git('worktree', 'list').trim().split('\n').length, 2);
      return path;
    });
    assert.equal(existsSync(entry), false);
    assert.equal(git('worktree', 'list').trim().split('\n').length, 1);
    assert.match(readFileSync(join(folder, 'src', 'main.ts'), 'utf8'), /"second"/);
  });
});

test('a commit that bundles its program is built so', { skip: needs('git') }, async () => {
  await withRepository(async (folder, git) => {
    const scripts = { bundle: 'mkdir dist/zerohop && cp dist/src/main.js dist/zerohop/' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts, bin: { zerohop: 'dist/zerohop/main.js' } }));
    git('add', 'package.json');
    git('commit', '-q', '-m', 'third');
    await whileBuilt(folder, resolveCommit(folder, 'HEAD')!, async (path) => {
      assert.match(path, /dist\/zerohop\/main\.js$/);
      assert.match(readFileSync(path, 'utf8'), /"second"/);
    });
  });
});

test('a commit that gives no program is told, and leaves nothing behind either', { skip: needs('git') }, async () => {
  await withRepository(async (folder, git) => {
    git('mv', 'src/main.ts', 'src/other.ts');
    git('commit', '-q', '-m', 'third');
    const building = whileBuilt(folder, resolveCommit(folder, 'HEAD')!, async () => assert.fail('it was built'));
    await assert.rejects(building, /does not build/);
    assert.equal(git('worktree', 'list').trim().split('\n').length, 1);
  });
});

test('what names no commit is null', { skip: needs('git') }, async () => {
  await withRepository(async (folder) => {
    for (const word of ['nothing', 'HEAD~9', '--all', '', 'HEAD:src']) {
      assert.equal(resolveCommit(folder, word), null, word);
    }
  });
});
