import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { commands, usageOf } from '../../src/config/commands.js';
import { type FlagName, flagOf, flagTable } from '../../src/config/flag-reader.js';
import { manPage } from '../../src/config/man-page.js';
import { needs } from '../real/commands.js';

function rendered(program: string, ...args: readonly string[]): { text: string; complained: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { input: `${manPage()}\n`, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  // Bold and underlined characters are written over themselves.
  const text = stdout.replace(/.[\b]/gu, '');
  return { text, complained: stderr };
}

test('groff renders it without a warning, with every command, flag, default and example', {
  skip: needs('groff'),
}, () => {
  const { text, complained } = rendered('groff', '-man', '-ww', '-Tutf8', '-P-c', '-rLL=500n');
  assert.equal(complained, '');
  const words = text.replace(/\s+/g, ' ');
  for (const command of commands) {
    assert(words.includes(`${usageOf(command)} `), usageOf(command));
    for (const [line, what] of command.examples) assert(words.includes(`${line} ${what}`), line);
  }
  for (const name of Object.keys(flagTable) as FlagName[]) {
    const { aliases, kind, value, about, byDefault } = flagOf(name);
    const names = [name, ...aliases].map((each) => `-${each}`).join(', ');
    const written = kind === 'boolean' ? names : `${names} ${value}`;
    assert(words.includes(` ${written} ${about} Default: ${byDefault || 'empty'}.`), name);
  }
});

test('mandoc misses a date alone, which would change with each build', { skip: needs('mandoc') }, () => {
  const { stdout } = spawnSync('mandoc', ['-Tlint', '-W', 'warning'], { input: `${manPage()}\n`, encoding: 'utf8' });
  assert.match(stdout, /^mandoc: <stdin>:1:\d+: WARNING: missing date, using "": TH\n$/);
});

test('no line is a request by accident, and hyphens may be copied', () => {
  for (const line of manPage().split('\n')) {
    assert.match(line, /^(?:\.(?:TH|SH|SS|TP|IP|B|br|nh|ad)(?: |$)|[^.'])/, line);
    if (!line.startsWith('.TH')) assert.doesNotMatch(line, /(?<!\\)-/, line);
  }
});
