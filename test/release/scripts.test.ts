/**
 * The scripts that the workflows run, as far as they run here: helm is the real one, docker, cosign and kind are stand-ins
 * that write down how they were called.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';
import { cannotRender, tool } from '../deploy/kubernetes.js';
import { needs } from '../real/commands.js';

const skip = needs('bash', 'git', 'sed');
const version = programVersion();
const digest = `sha256:${'ab'.repeat(32)}`;

/** A copy of what the scripts read, with its image at `image`, and a folder of stand-ins first in PATH. */
function repository(t: TestContext, image: string, standIns: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-scripts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const root = join(folder, 'repository');
  cpSync(repositoryPath('release'), join(root, 'release'), { recursive: true });
  cpSync(repositoryPath('deploy'), join(root, 'deploy'), { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(root, 'package.json'), JSON.stringify({ version, config: { image } }));
  const calls = join(folder, 'calls');
  writeFileSync(calls, '');
  mkdirSync(join(folder, 'bin'));
  const programs = { docker: '', cosign: '', git: 'echo 0123abc', ...standIns };
  for (const [name, then] of Object.entries(programs)) {
    const file = join(folder, 'bin', name);
    writeFileSync(file, `#!/bin/sh\necho ${name} "$@" >>'${calls}'\n${then}\n`);
    chmodSync(file, 0o755);
  }
  return {
    run(script: string, words: readonly string[], input = '') {
      const path = `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env['PATH']}`;
      const ended = spawnSync(join(root, script), words, {
        encoding: 'utf8',
        env: { ...process.env, PATH: path },
        input,
      });
      return { ...ended, calls: readFileSync(calls, 'utf8').trimEnd().split('\n') };
    },
    folder,
  };
}

const metadata = `while [ "$1" != --metadata-file ]; do shift; done; echo '{"containerimage.digest":"${digest}"}' >"$2"`;

test('the image is built for both processors with SBOM and provenance, without a push', { skip }, (t) => {
  const { run } = repository(t, 'REGISTRY/zerohop');
  const { status, stderr, calls } = run('release/image', ['build']);
  assert.equal(status, 0, stderr);
  const call = calls.find((line) => line.startsWith('docker buildx build ')) ?? '';
  for (const part of ['--platform linux/amd64,linux/arm64', '--sbom=true', '--provenance=mode=max', 'REVISION=0123abc'])
    assert.ok(call.includes(part), part);
  assert.ok(call.includes(`--build-arg VERSION=${version} `) && call.includes(`--tag REGISTRY/zerohop:${version} `));
  assert.doesNotMatch(calls.join('\n'), /--push|cosign/u);
});

test('a push with the placeholder for a registry is refused before anything is built', { skip }, (t) => {
  const { run } = repository(t, 'REGISTRY/zerohop');
  const { status, stderr, calls } = run('release/image', ['push']);
  assert.deepEqual([status, calls], [1, ['']]);
  assert.match(stderr, /^package\.json: config\.image is still the placeholder REGISTRY\/zerohop; name your registry/u);
});

test('what is pushed is signed by its digest', { skip }, (t) => {
  const { run } = repository(t, 'registry.example.com/dns/zerohop', { docker: metadata });
  const { status, stdout, stderr, calls } = run('release/image', ['push']);
  assert.equal(status, 0, stderr);
  assert.ok(calls.some((line) => line.startsWith('docker buildx build ') && line.endsWith(' --push .')));
  assert.equal(calls.at(-1), `cosign sign --yes --recursive registry.example.com/dns/zerohop@${digest}`);
  assert.equal(stdout, `registry.example.com/dns/zerohop:${version}@${digest}\n`);
});

test('the login is to the registry of the image, the password on stdin', { skip }, (t) => {
  const { run } = repository(t, 'registry.example.com:5000/dns/zerohop', {
    docker: 'read -r word; [ "$word" = secret ]',
  });
  const { status, calls } = run('release/login', ['somebody'], 'secret\n');
  assert.deepEqual(
    [status, calls],
    [0, ['docker login registry.example.com:5000 --username somebody --password-stdin']],
  );
});

test('the chart is packed with its version and all its files', { skip: skip || cannotRender || needs('tar') }, (t) => {
  const { run, folder } = repository(t, 'REGISTRY/zerohop', { helm: `exec '${tool('helm')}' "$@"` });
  const { status, stdout, stderr } = run('release/chart', ['package', folder]);
  assert.equal(status, 0, stdout + stderr);
  const archive = join(folder, `zerohop-${version}.tgz`);
  const inside = spawnSync('tar', ['-xzOf', archive, 'zerohop/Chart.yaml'], { encoding: 'utf8' }).stdout;
  assert.deepEqual([parse(inside).version, parse(inside).appVersion], [version, version]);
  const listed = spawnSync('tar', ['-tvzf', archive], { encoding: 'utf8' }).stdout.trimEnd().split('\n');
  assert.ok(
    listed.length > 10 && listed.every((line) => line.startsWith('-')),
    'files, and no links that lead out of it',
  );
});

test('the chart is pushed beside the image and signed by its digest', { skip }, (t) => {
  const helm = `[ "$1" != push ] || echo 'Digest: ${digest}' >&2`;
  const { run, folder } = repository(t, 'registry.example.com/dns/zerohop', { helm });
  const { status, stderr, calls } = run('release/chart', ['push', folder]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(calls.slice(-2), [
    `helm push ${folder}/zerohop-${version}.tgz oci://registry.example.com/dns/charts`,
    `cosign sign --yes registry.example.com/dns/charts/zerohop@${digest}`,
  ]);
  assert.equal(repository(t, 'REGISTRY/zerohop', { helm }).run('release/chart', ['push', folder]).status, 1);
});

for (const mode of ['iptables', 'ipvs', 'nftables']) {
  test(`kind: what is applied in mode ${mode} is the overlay with the image built here`, {
    skip: skip || cannotRender,
  }, () => {
    const said = (what: string): string => {
      const environment = { ...process.env, KUBECTL: tool('kubectl') };
      const ended = spawnSync(repositoryPath('test', 'kind', 'run'), [mode, what], {
        encoding: 'utf8',
        env: environment,
      });
      assert.equal(ended.status, 0, ended.stderr);
      return ended.stdout;
    };
    const { networking, nodes } = parse(said('config'));
    assert.deepEqual([networking.kubeProxyMode, nodes.length], [mode, 2]);
    const images = [...said('manifest').matchAll(/^ *image: (.*)$/gmu)].map(([, image]) => image);
    assert.deepEqual([...new Set(images)], ['zerohop:kind']);
  });
}

test('words that a script does not know are answered with what it does', { skip }, () => {
  for (const [script, first] of [
    ['release/image', 'release/image build|push'],
    ['release/chart', 'release/chart package|push FOLDER'],
    ['release/login', 'release/login USER'],
    ['test/kind/run', 'test/kind/run MODE'],
  ] as const) {
    const { status, stderr } = spawnSync(
      repositoryPath(script),
      ['nonsense', 'more', 'words'].slice(0, script.endsWith('login') ? 0 : 3),
      { encoding: 'utf8' },
    );
    assert.equal(status, 2, script);
    assert.ok(stderr.startsWith(first), stderr);
  }
});
