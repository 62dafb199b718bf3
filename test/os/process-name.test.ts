import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('the process has a name alone and a command line with arguments, as tools look them up', () => {
  const program = `
    const { nameProcess } = await import(${JSON.stringify(new URL('../../src/os/process-name.js', import.meta.url).href)});
    const { readFileSync } = await import('node:fs');
    nameProcess('zerohop', ['-conf', '/etc/Corefile', '-quiet']);
    process.stdout.write(JSON.stringify([process.title, ...['comm', 'cmdline'].map((file) => readFileSync('/proc/self/' + file, 'latin1'))]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const [title, comm, commandLine] = JSON.parse(stdout || '[]') as string[];
  assert.equal(title, 'zerohop -conf /etc/Corefile -quiet', stderr);
  assert.equal(comm, 'zerohop\n');
  assert.match(commandLine, /^zerohop -conf \/etc\/Corefile -quiet\0+$/);
});
