/** The commands that the pages tell people to type are understood, and the demo prints what the README shows. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { check, writeReports } from '../../src/config/check.js';
import type { CliCommand } from '../../src/config/commands.js';
import { readFlags } from '../../src/config/flag-reader.js';
import { parseFlags } from '../../src/config/flags.js';
import { systemLoadOptions } from '../../src/config/load.js';
import { serveOptions } from '../../src/config/serve-options.js';
import { plugins } from '../../src/plugins/registry.js';
import { repositoryPath } from '../corpus/repository.js';
import { runDemo, withoutNumbers } from './demo-run.js';
import { codeIn, fenced, page, pages } from './pages.js';

const lines = fenced('sh').flatMap(({ page: path, text }) =>
  text
    .split(/\n|&&/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => ({ path, words: line.split(/\s+/) })),
);

test('every npm command is a script of package.json, or npm itself', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  const inText = pages.flatMap(({ text }) => codeIn(text)).filter((code) => code.startsWith('npm '));
  const commands = [...lines.map(({ words }) => words), ...inText.map((code) => code.split(' '))];
  const named = commands.filter(([program]) => program === 'npm').map(([, word, script]) => [word, script]);
  assert(named.length > 0);
  for (const [word, script] of named) {
    assert(word === 'ci' || Object.hasOwn(scripts, word === 'run' ? script : word), `npm ${word} ${script ?? ''}`);
  }
});

test('every zerohop command is understood', () => {
  const inText = pages.flatMap(({ text }) => codeIn(text)).filter((code) => /^zerohop (?:-|check|demo)/.test(code));
  const commands = [...lines.map(({ words }) => words), ...inText.map((code) => code.split(' '))];
  const ours = commands.filter(([program]) => program === 'zerohop');
  assert(ours.length > 3);
  for (const [, ...argv] of ours) {
    const command = parseFlags(argv, {});
    assert.notEqual(command.kind, 'usage', `zerohop ${argv.join(' ')}`);
    for (const file of filesOf(command)) {
      if (file.startsWith('deploy/')) assert(existsSync(repositoryPath(file)), file);
    }
  }
});

function filesOf(command: CliCommand): readonly string[] {
  if (command.kind === 'check') return command.files;
  return command.kind === 'serve' && command.options.corefileGiven ? [command.options.corefilePath] : [];
}

test('only programs that a node or its operator has are named', () => {
  const programs = new Set(lines.map(({ words }) => words[0]));
  assert.deepEqual([...programs].sort(), ['helm', 'kubectl', 'npm', 'zerohop']);
});

test('zerohop check finds deploy/Corefile good', () => {
  const written: string[] = [];
  const environment = { KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
  const options = { ...systemLoadOptions(53, plugins), environment };
  const reports = check([repositoryPath('deploy', 'Corefile')], options, serveOptions(readFlags([]), environment));
  assert.equal(
    writeReports(reports, { output: 'text', isStrict: false }, (line) => written.push(line)),
    0,
  );
  assert.match(written.at(-1) ?? '', /Corefile: ok, 4 server blocks, 1 warning$/);
});

test('the demo prints what the README shows, and stops with 0', async () => {
  const [, shown] = /<!-- demo:begin -->\n```text\n([\s\S]*?)```/.exec(page('README.md')) ?? [];
  const { printed, exitCode } = await runDemo();
  assert.deepEqual(withoutNumbers(printed), withoutNumbers(shown));
  assert.equal(exitCode, 0);
});
