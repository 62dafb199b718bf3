import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { commandNamed, commands, takes, usageOf } from '../../src/config/commands.js';
import { choicesIn, type FlagName, flagOf, flagTable } from '../../src/config/flag-reader.js';
import { parseFlags } from '../../src/config/flags.js';
import { commandLines, helpColumns, helpText } from '../../src/config/help.js';

const names = Object.keys(flagTable) as FlagName[];
const oneLine = (text: string): string => text.replace(/\s+/g, ' ');

for (const command of commands) {
  test(`${usageOf(command)}: its help has its flags with their defaults, and no others`, async () => {
    const text = await helpText(command, 80);
    const words = oneLine(text);
    for (const name of command.flags) {
      const { about, aliases, byDefault, kind, value } = flagOf(name);
      const choices = kind === 'text' && choicesIn(value).length > 1 ? `${value}, ` : '';
      assert(words.includes(`${about} (${choices}default: ${byDefault || 'empty'})`), name);
      for (const alias of aliases) assert.match(text, new RegExp(`(?:^|\\s|-)-${alias},? `, 'm'));
    }
    const listed = [...text.matchAll(/^ +(?:-\w, )?--([\w.-]+)/gm)].map(([, name]) => name);
    assert.deepEqual(listed.sort(), [...command.flags].sort());
    assert(text.includes(usageOf(command)));
    assert(words.includes(`Exit status: ${command.exitStatus}`));
  });

  test(`${usageOf(command)}: every line of its help fits`, async () => {
    for (const columns of [80, 100]) {
      for (const line of (await helpText(command, columns)).split('\n')) {
        assert(line.length <= columns && line === line.trimEnd(), line);
      }
    }
  });

  test(`${usageOf(command)}: its examples are understood`, () => {
    assert(command.examples.length > 0);
    for (const [line] of command.examples) {
      const [, ours] = /(zerohop [^|>)]*)/.exec(`${line} `) ?? [];
      assert(ours !== undefined, line);
      const parsed = parseFlags(ours.trim().split(' ').slice(1), {});
      const expected = command.name === '' ? 'serve' : command.name;
      assert.equal(parsed.kind === 'ask' ? parsed.question.command : parsed.kind, expected, line);
    }
  });
}

test('a command that serves takes all flags but those of commands, and check takes all of serving', () => {
  const [serve, check] = [commandNamed('')!, commandNamed('check')!];
  const askers = [
    'ask',
    'search',
    'ndots',
    'zone',
    'name',
    'client',
    'rcode',
    'slow',
    'for',
    'once',
    'watch',
    'doctor-name',
  ];
  assert.deepEqual(
    names.filter((name) => !takes(serve, name)),
    ['output', ...askers, 'strict'],
  );
  assert.deepEqual(
    names.filter((name) => !takes(check, name)),
    askers,
  );
});

test('every flag is in the help of a command', () => {
  for (const name of names)
    assert(
      commands.some(({ flags }) => flags.includes(name)),
      name,
    );
});

test('a line for each command fits in 80 columns', () => {
  const lines = commandLines().split('\n');
  assert.equal(lines.length, commands.length);
  for (const line of lines) assert(line.length <= 80, line);
});

test('help is as wide as the terminal, up to 100 columns, and 80 elsewhere', () => {
  assert.deepEqual([undefined, 200, 100, 90, 10].map(helpColumns), [80, 100, 100, 90, 40]);
});

test('help is the same in every language', () => {
  const at = (file: string): string => JSON.stringify(new URL(`../../src/config/${file}.js`, import.meta.url).href);
  const program = `
    const [{ helpText }, { commands }] = await Promise.all([import(${at('help')}), import(${at('commands')})]);
    process.stdout.write(await helpText(commands[0], 80));`;
  const help = (environment: NodeJS.ProcessEnv): string => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  assert.equal(help({ LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', COLUMNS: '40' }), help({ LC_ALL: 'C' }));
});
