/** The npm package: what package.json says of itself, and what `npm pack` would put into it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { needs } from '../real/commands.js';

const manifest = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));

test('it says where it runs, and no more than is tested', () => {
  assert.deepEqual(manifest.os, ['linux', 'darwin']);
  assert.deepEqual(manifest.cpu, ['x64', 'arm64']);
  const lock = JSON.parse(readFileSync(repositoryPath('package-lock.json'), 'utf8')).packages[''];
  for (const key of ['version', 'license', 'engines', 'os', 'cpu', 'bin'])
    assert.deepEqual(lock[key], manifest[key], key);
  assert.ok(manifest.description.length < 80);
  assert.deepEqual(manifest.keywords, manifest.keywords.toSorted());
  assert.equal(manifest.private, true, 'npm publishes nothing: what is released is an image');
});

test('npm pack takes what runs and what explains it, and nothing else', { skip: needs('npm') }, () => {
  const command = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout, stderr } = spawnSync('npm', command, { encoding: 'utf8', cwd: repositoryPath() });
  const [{ files }] = JSON.parse(stdout || '[{"files":[]}]') as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  assert.ok(paths.length > 150, stderr);
  const folders = new Set(paths.map((path) => path.replace(/\/.*/u, '/')));
  const expected = ['dist/', 'deploy/', 'docs/', 'CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'];
  assert.deepEqual([...folders].sort(), expected.sort());
  assert.ok(paths.includes(manifest.bin.zerohop) && paths.includes('dist/zerohop/process/worker.js'));
  assert.ok(paths.includes('dist/zerohop/page/static/page.html'));
  assert.deepEqual(
    paths.filter(
      (path) =>
        path.startsWith('dist/') && !/^dist\/zerohop\/(?:main\.js|process\/.*\.js|page\/static\/\w+\.\w+)$/u.test(path),
    ),
    [],
  );
  assert.ok(!existsSync(repositoryPath('.npmignore')), 'package.json lists what goes in');
});
