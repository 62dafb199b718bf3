import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { directiveNames } from '../../src/config/block.js';
import { type CliCommand, commands } from '../../src/config/commands.js';
import { parseFlags, pluginsText } from '../../src/config/flags.js';
import { plugins } from '../../src/plugins/registry.js';

const parse = (...argv: readonly string[]): CliCommand => parseFlags(argv, {});

function usage(...argv: readonly string[]): string {
  const command = parse(...argv);
  assert(command.kind === 'usage', `${argv.join(' ')} is ${command.kind}`);
  return command.message;
}

/** The name of the command whose help this is. */
function helped(...argv: readonly string[]): string {
  const command = parse(...argv);
  assert(command.kind === 'help', `${argv.join(' ')} is ${command.kind}`);
  return command.command.name;
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
  assert.equal(
    usage('-o', 'json'),
    '-output is only for "zerohop check", "zerohop doctor", "zerohop status", "zerohop lookup", "zerohop explain", "zerohop flush", "zerohop tail" and "zerohop top"; remove it.',
  );
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
  assert.equal(usage('demo', '-conf', '/x'), '-conf is only for "zerohop" and "zerohop check"; remove it.');
  assert.equal(usage('demo', 'x'), '"zerohop demo" takes no arguments; remove x.');
});

test('help and version are commands, too', () => {
  assert.equal(helped('help'), '');
  assert.deepEqual(parse('version'), parse('-version'));
  assert.equal(usage('hlep'), 'unknown command "hlep"; did you mean "help"?');
  assert.equal(usage('version', 'x'), '"zerohop version" takes no arguments; remove x.');
});

test('each command has its help: behind help, and with -h, -help and --help', () => {
  for (const { name } of commands.slice(1)) {
    assert.equal(helped('help', name), name);
    for (const flag of ['-h', '-help', '--help']) assert.equal(helped(name, flag), name);
  }
  assert.equal(helped('check', '--help', '-workers=0'), 'check', 'whatever else is wrong');
  assert.equal(helped('nonsense', '-h'), '');
  assert.match(usage('help', 'nonsense'), /^"zerohop help" does not know "nonsense"; write check, .* or help\.$/);
  assert.equal(usage('help', 'check', 'demo'), '"zerohop help" takes one argument; remove demo.');
});

test('completion is for a shell that it knows', () => {
  assert.deepEqual(parse('completion', 'zsh'), { kind: 'completion', shell: 'zsh' });
  assert.equal(usage('completion'), '"zerohop completion" needs one more word; write bash, zsh or fish.');
  assert.equal(usage('completion', 'csh'), '"zerohop completion" does not know "csh"; write bash, zsh or fish.');
  assert.deepEqual(parse('man'), { kind: 'man' });
});

test('an address of another cluster is refused, serving and checking alike', () => {
  const inPod = (...argv: readonly string[]): CliCommand =>
    parseFlags(argv, { KUBE_DNS_SERVICE_HOST: '10.43.0.10' }, (...names) => {
      // As if an earlier start had left the address on the interface that zerohop makes.
      assert(names.includes('lo'));
      return names.includes('nodelocaldns') ? [] : ['10.96.0.10'];
    });
  for (const words of [[], ['check']]) {
    const command = inPod(...words, '-localip', '10.96.0.10');
    assert(command.kind === 'usage', words.join());
    assert.match(command.message, /the address of the Service kube-dns, which is 10\.43\.0\.10;/);
    assert.notEqual(inPod(...words, '-localip', '10.96.0.10', '-interfacename', 'other').kind, 'usage');
    assert.notEqual(inPod(...words, '-localip', '10.43.0.10').kind, 'usage');
  }
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

test('serving does not load yargs', () => {
  const program = `
    const { parseFlags } = await import(${JSON.stringify(new URL('../../src/config/flags.js', import.meta.url).href)});
    parseFlags(['-localip', '10.0.0.1'], {});
    await import(${JSON.stringify(new URL('../../src/config/help.js', import.meta.url).href)})
      .then(() => process.exit(3), () => process.stdout.write('held back'));`;
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
