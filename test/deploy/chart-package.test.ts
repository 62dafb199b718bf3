/** The chart as helm and npm pack it is the chart of this folder: nothing in it leads out of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';
import { cannotRender, helmTemplate, tool } from './kubernetes.js';

const skip = cannotRender;
/** All that the chart reads from its own files. */
const everything = ['serviceMonitor', 'prometheusRule', 'dashboard'].map((name) => `${name}.enabled=true`);

function inFolder(act: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'));
  try {
    act(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('deploy/ has no links, which npm pack leaves out', () => {
  const folder = repositoryPath('deploy');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  assert(files.length > 50);
  assert.deepEqual(
    files.filter((file) => lstatSync(join(folder, file)).isSymbolicLink()),
    [],
  );
});

test('what helm packs renders the same objects, rules and dashboard among them', { skip }, () => {
  inFolder((folder) => {
    execFileSync(tool('helm'), ['package', repositoryPath('deploy', 'chart'), '-d', folder], { stdio: 'pipe' });
    const chart = join(folder, `zerohop-${programVersion()}.tgz`);
    assert.deepEqual(helmTemplate(everything, { chart }), helmTemplate(everything));
  });
});

test('what npm packs has all of deploy/, and its chart renders the same objects', { skip }, () => {
  inFolder((folder) => {
    const command = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const printed = execFileSync('npm', command, { cwd: repositoryPath(), encoding: 'utf8', stdio: 'pipe' });
    const [{ filename, files }] = JSON.parse(printed) as { filename: string; files: { path: string }[] }[];
    const packed = files.map(({ path }) => path).filter((path) => path.startsWith('deploy/'));
    const here = readdirSync(repositoryPath('deploy'), { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(repositoryPath().length + 1));
    assert.deepEqual(packed.sort(), here.sort());
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder, 'package/deploy']);
    const chart = join(folder, 'package', 'deploy', 'chart');
    assert.deepEqual(helmTemplate(everything, { chart }), helmTemplate(everything));
  });
});
