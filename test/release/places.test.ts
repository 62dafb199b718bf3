import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { stampedBy, unstamped } from '../../release/places.js';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';

const root = repositoryPath();

/** A folder with what stamp.ts reads, and a package.json in which these texts are replaced. */
function copied(t: test.TestContext, ...changes: readonly (readonly [from: string, to: string])[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-release-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['README.md', 'CHANGELOG.md', 'Dockerfile', 'docs', 'deploy']) {
    cpSync(repositoryPath(name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  let text = readFileSync(repositoryPath('package.json'), 'utf8');
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), from);
    text = text.replace(from, to);
  }
  writeFileSync(join(folder, 'package.json'), text);
  return folder;
}

test('every place has the version, the image and the page of package.json', () => {
  assert.deepEqual([...unstamped(root).keys()], [], 'npm run stamp writes these files');
  assert.equal(programVersion(), stampedBy(root).version);
  const lock = JSON.parse(readFileSync(repositoryPath('package-lock.json'), 'utf8'));
  assert.deepEqual([lock.version, lock.packages[''].version], [programVersion(), programVersion()]);
});

test('a new version, another registry and another page reach every place, once', (t) => {
  const { version, image, homepage } = stampedBy(root);
  const folder = copied(
    t,
    [`"version": "${version}"`, '"version": "7.8.9"'],
    [`"image": "${image}"`, '"image": "registry.example.com:5000/dns/zerohop"'],
    [`"homepage": "${homepage}"`, '"homepage": "https://code.example.com/dns/zerohop"'],
  );
  const changed = unstamped(folder);
  for (const [file, text] of changed) writeFileSync(join(folder, file), text);
  assert.deepEqual([...unstamped(folder).keys()], []);

  const named = (file: string, ...texts: string[]): void => {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const each of texts) assert.ok(text.includes(each), `${file} has ${each}`);
  };
  named('Dockerfile', 'ARG VERSION=7.8.9\n');
  named('deploy/chart/Chart.yaml', '\nversion: 7.8.9\n', '\nappVersion: 7.8.9\n');
  named('deploy/chart/values.yaml', '\n  repository: registry.example.com:5000/dns/zerohop\n');
  named('docs/MIGRATION.md', 'registry.example.org/zerohop:7.8.9');
  named(
    'package.json',
    '"git+https://code.example.com/dns/zerohop.git"',
    '"https://code.example.com/dns/zerohop/issues"',
  );
  named('CHANGELOG.md', 'https://code.example.com/dns/zerohop/compare/');
  const kustomizations = [...changed.keys()].filter((file) => file.endsWith('kustomization.yaml'));
  assert.equal(kustomizations.length, 1, 'the image of the manifests stands in one place');
  named(kustomizations[0], 'newName: registry.example.com:5000/dns/zerohop\n', 'newTag: 7.8.9\n');
  for (const [file, text] of changed) {
    assert.ok(!text.includes(`zerohop:${version}`), `${file} has the old tag`);
    assert.ok(!text.includes(`${homepage}/`), `${file} has the old page`);
  }
});

test('the image of a component is found as well, and an empty tag of the chart stays empty', (t) => {
  const folder = copied(t, [`"version": "${programVersion()}"`, '"version": "7.8.9-rc.1"']);
  const files = {
    'deploy/components/image/kustomization.yaml':
      '# images: [{ name: other/zerohop, newName: x }]\nimages:\n  - name: zerohop\n    newName: other/zerohop\n    newTag: 0.1.0\n',
    'deploy/chart/values.yaml': 'image:\n  # Where it is.\n  repository: other/zerohop\n  # The default.\n  tag: ""\n',
    'deploy/chart/README.md': '| `image.repository` | `"other/zerohop"` | Where it is. |\n',
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  const { image } = stampedBy(folder);
  const [component, values, readme] = Object.keys(files).map((file) => unstamped(folder).get(file));
  assert.match(component ?? '', new RegExp(`newName: ${image}\n {4}newTag: 7.8.9-rc.1\n$`, 'u'));
  assert.match(component ?? '', new RegExp(`^# images: \\[\\{ name: ${image}, newName: x`, 'u'));
  assert.match(readme ?? '', new RegExp(`"${image}"`, 'u'));
  assert.equal(values, Object.values(files)[1].replace('other/zerohop', image));
});

test('names by which the places could not be found again are refused', (t) => {
  const folder = copied(t, [`"image": "${stampedBy(root).image}"`, '"image": "registry.example.com/cache"']);
  assert.throws(() => unstamped(folder), /^Error: package\.json: config\.image must end in \/zerohop$/u);
});
