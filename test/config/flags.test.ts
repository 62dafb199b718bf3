import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { directiveNames } from '../../src/config/block.js';
import { type FlagName, flagTable } from '../../src/config/flag-reader.js';
import { type CliCommand, parseFlags, pluginsText } from '../../src/config/flags.js';
import { plugins } from '../../src/plugins/registry.js';

const names = Object.keys(flagTable) as FlagName[];
const parse = (...argv: readonly string[]): CliCommand => parseFlags(argv, {});

function usage(...argv: readonly string[]): string {
  const command = parse(...argv);
  assert(command.kind === 'usage', `${argv.join(' ')} is ${command.kind}`);
  return command.message;
}

test('no arguments serve, and show the demo only to `npm start`', () => {
  assert.equal(parseFlags([], {}).kind, 'serve');
  assert.equal(parseFlags([], { npm_lifecycle_event: 'start' }).kind, 'demo');
  assert.equal(parseFlags([], { npm_lifecycle_event: 'test' }).kind, 'serve');
  assert.equal(parseFlags(['-quiet'], { npm_lifecycle_event: 'start' }).kind, 'serve');
});

test('check takes files and flags in any order, and no file at all', () => {
  const command = parse('check', 'a', '-localip', '10.0.0.1', 'b', '--', '-c');
  assert(command.kind === 'check');
  assert.deepEqual(command.files, ['a', 'b', '-c']);
  assert.deepEqual(command.options.localAddresses, ['10.0.0.1']);
  const builtin = parse('check');
  assert(builtin.kind === 'check');
  assert.deepEqual(builtin.files, []);
});

test('check writes text or JSON, and nobody else is asked how', () => {
  const outputOf = (...argv: readonly string[]) => {
    const command = parse('check', ...argv);
    return command.kind === 'check' ? command.wishes.output : command.kind;
  };
  assert.deepEqual([outputOf(), outputOf('-o', 'json'), outputOf('a', '--output=text')], ['text', 'json', 'text']);
  assert.equal(usage('check', '-o', 'yaml'), '-output "yaml" is unknown; write text or json.');
  assert.equal(usage('-o', 'json'), '-output is only for "zerohop check"; remove it.');
});

test('check may be strict, and nobody else', () => {
  const strictness = (...argv: readonly string[]) => {
    const command = parse('check', ...argv);
    return command.kind === 'check' && command.wishes.isStrict;
  };
  assert.deepEqual([strictness('a'), strictness('a', '--strict'), strictness('-strict=false')], [false, true, false]);
  assert.equal(usage('-strict'), '-strict is only for "zerohop check"; remove it.');
});

test('demo takes nothing', () => {
  assert.deepEqual(parse('demo'), { kind: 'demo' });
  assert.equal(usage('demo', '-conf', '/x'), 'demo takes no flags or arguments; remove -conf.');
  assert.equal(usage('demo', 'x'), 'demo takes no flags or arguments; remove x.');
});

test('help and version are commands, too', async () => {
  const [help, version] = [parse('help'), parse('version')];
  assert(help.kind === 'help' && version.kind === 'version');
  assert.match(await help.text, /^A DNS cache for every node/);
  assert.deepEqual(version, parse('-version'));
  assert.equal(usage('hlep'), 'unknown command "hlep"; did you mean "help"?');
});

test('other words are refused with what was probably meant', () => {
  assert.equal(usage('chekc', 'x'), 'unknown command "chekc"; did you mean "check"?');
  assert.equal(usage('/etc/Corefile'), 'unknown command "/etc/Corefile"; see zerohop --help.');
  assert.match(usage('-setupiptables', 'false'), /^unexpected "false"; write -setupiptables=false\.$/);
  assert.match(usage('-quiet', 'maybe', '-conf', '/x'), /^unexpected "maybe"; write -quiet=true or -quiet=false\.$/);
  assert.match(usage('-quiet', '-conf', '/x', 'maybe'), /^unknown command "maybe"/);
});

test('wrong usage is one sentence, from wherever it comes', () => {
  assert.equal(usage('-locaip', '1'), 'unknown flag -locaip; did you mean -localip?');
  assert.match(usage('-localip', 'x'), /is not an IP address/);
  assert.match(usage('-upstreamsvc', 'a:b'), /neither a Service name nor an address/);
  assert.match(usage('check', '-workers=0', 'x'), /-workers/);
});

test('version and plugins are printed whatever else is wrong with the values', () => {
  const version = parse('-version', '-localip', 'x');
  assert(version.kind === 'version');
  assert.match(version.text, /^zerohop-\d+\.\d+\.\d+\S*\n\w+\/\w+, Node\.js \d+\.\d+\.\d+$/);
  assert.equal(parse('-plugins').kind, 'plugins');
  const names = directiveNames(plugins);
  for (const name of names) assert(pluginsText(names).includes(`\n  dns.${name}`), name);
  assert.equal(parse('-version=false').kind, 'serve');
});

test('help documents every flag with its default, in 100 columns', async () => {
  const command = parse('check', '--help', '-workers=0');
  assert(command.kind === 'help');
  const text = await command.text;
  for (const line of text.split('\n')) assert(line.length <= 100, line);
  const words = text.replace(/\s+/g, ' ');
  for (const name of names) {
    const { about, aliases, byDefault } = flagTable[name];
    assert(text.includes(`--${name}`), name);
    assert(words.includes(about), about);
    for (const alias of aliases) assert.match(text, new RegExp(`(?:^|\\s|-)-${alias},? `, 'm'));
    const shown = byDefault === '' ? 'empty' : byDefault;
    assert(words.includes(`[default: ${shown}]`), `${name} ${shown}`);
  }
  for (const command of ['zerohop check [FILE...]', 'zerohop demo', 'zerohop [flags]']) assert(text.includes(command));
  for (const form of ['-h', '-help', '--help']) assert.equal(parse(form).kind, 'help');
});

test('help is the same in every language and width of terminal', () => {
  const program = `
    const { parseFlags } = await import(${JSON.stringify(new URL('../../src/config/flags.js', import.meta.url).href)});
    process.stdout.write(await parseFlags(['--help'], {}).text);`;
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

test('serving does not load yargs', () => {
  const program = `
    const { parseFlags } = await import(${JSON.stringify(new URL('../../src/config/flags.js', import.meta.url).href)});
    parseFlags(['-localip', '10.0.0.1'], {});
    await parseFlags(['--help'], {}).text.then(() => process.exit(3), () => process.stdout.write('held back'));`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--import', blockYargs, '-e', program],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'held back', 'the loader below does hold it back where it is wanted');
});

/** A loader that fails every import of yargs. */
const blockYargs = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  register('data:text/javascript,' + encodeURIComponent(\`
    export async function resolve(specifier, context, next) {
      if (specifier === 'yargs') throw new Error('yargs was loaded');
      return next(specifier, context);
    }\`));
`)}`;
