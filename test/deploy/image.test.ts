/**
 * The Dockerfile as text: what can be said of it without building it. Its stages are read, not run.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { programVersion } from '../../src/config/version.js';
import { commandOf, repositoryPath } from '../corpus/repository.js';

interface Instruction {
  readonly name: string;
  readonly text: string;
}

const v8Flags = commandOf(repositoryPath('src', 'main.ts')).slice(1, -1);
const dockerfile = readFileSync(repositoryPath('Dockerfile'), 'utf8');
const instructions: readonly Instruction[] = dockerfile
  .replace(/^\s*#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.split(' ')[0], text: line.slice(line.indexOf(' ') + 1) }));
const last = instructions.map(({ name }) => name).lastIndexOf('FROM');
const final = instructions.slice(last);

test('the base is Node.js 24 with its digest, and can be given', () => {
  const [argument, ...rest] = instructions;
  assert.match(argument.text, /^NODE_IMAGE=node:24[\w.-]*@sha256:[0-9a-f]{64}$/);
  const froms = rest.filter(({ name }) => name === 'FROM').map(({ text }) => text.split(' ')[0]);
  assert.match(froms.join(' '), /^\$\{NODE_IMAGE\} \$\{NODE_IMAGE\} scratch$/);
});

test('only packages for production, and nothing that runs at installation', () => {
  const install = instructions.filter(({ text }) => text.includes('npm ci'));
  assert(install.length > 0);
  for (const { text } of install) {
    for (const [command] of text.matchAll(/npm ci[^&]*/g)) assert.match(command, /--ignore-scripts/);
  }
  assert.match(install.at(-1)?.text ?? '', /npm ci --omit=dev [^&]*$/);
});

test('the program is bundled by the script that also copies the page’s files', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  assert.match(scripts.build, /tsc -p tsconfig\.json && .* npm run -s bundle$/);
  assert.match(scripts.bundle, /^esbuild .* cp -r src\/page\/static dist\/zerohop\/page\/$/);
  assert(instructions.some(({ name, text }) => name === 'RUN' && text.startsWith('npm run build && ')));
});

test('what is copied is there, and not ignored', () => {
  const ignored = readFileSync(repositoryPath('.dockerignore'), 'utf8').split('\n');
  assert(ignored.includes('*'));
  const copied = instructions
    .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from'))
    .flatMap(({ text }) => text.split(' ').slice(0, -1));
  assert(copied.length > 4);
  for (const file of copied) {
    assert(existsSync(repositoryPath(file)), file);
    assert(
      ignored.some((line) => line.startsWith('!') && `${file}/`.startsWith(`${line.slice(1)}/`)),
      `${file} is in .dockerignore`,
    );
  }
});

test('it is process 1 itself, and says whether it is healthy', () => {
  const named = (name: string) => final.filter((one) => one.name === name).map(({ text }) => text);
  assert.deepEqual(named('RUN'), []);
  assert.deepEqual(
    named('ENTRYPOINT').map((text) => JSON.parse(text)),
    [['/usr/local/bin/node', ...v8Flags, '/app/dist/zerohop/main.js']],
  );
  assert.deepEqual(named('STOPSIGNAL'), ['SIGTERM']);
  assert.match(named('HEALTHCHECK').join(), /CMD \["\/usr\/local\/bin\/node", .*HEALTH_URL/);
  assert.match(named('ENV').join(' '), /HEALTH_URL=http:\/\/169\.254\.20\.10:8080\/health/);
});

test('zerohop is on its PATH, and the first line of the program starts it as the entry point does', () => {
  const path = /\bPATH=(\S+)/.exec(final.find(({ name }) => name === 'ENV')?.text ?? '')?.[1].split(':') ?? [];
  assert(path.includes('/usr/local/bin'));
  const collect = readFileSync(repositoryPath('deploy', 'image', 'collect'), 'utf8');
  assert.match(collect, /^ln -s \/app\/dist\/zerohop\/main\.js "\$to\/usr\/local\/bin\/zerohop"$/m);
  assert.match(collect, /^take \/usr\/bin\/env$/m);
  const [line] = readFileSync(repositoryPath('src', 'main.ts'), 'utf8').split('\n');
  assert.equal(line, ['#!/usr/bin/env -S node', ...v8Flags].join(' '));
  assert(instructions.some(({ text }) => text.includes('chmod 755 dist/zerohop/main.js')));
});

test('its labels are those of the OCI, and the version is the program’s', () => {
  const label = final.find(({ name }) => name === 'LABEL')?.text ?? '';
  const names = [...label.matchAll(/org\.opencontainers\.image\.(\w+)=/g)].map(([, name]) => name);
  assert.deepEqual(names.sort(), ['description', 'licenses', 'revision', 'title', 'version']);
  assert(final.some(({ name, text }) => name === 'ARG' && text === `VERSION=${programVersion()}`));
});

test('every way to start it gives V8 the same settings', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  assert(v8Flags.length > 0);
  assert.equal(scripts.start, ['node', ...v8Flags, 'dist/zerohop/main.js'].join(' '));
});
