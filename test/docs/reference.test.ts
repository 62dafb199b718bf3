/**
 * Documentation that runs: every Corefile of the pages is served; commands, flags, directives, options and defaults of
 * docs/REFERENCE.md are those of the code, all of them and no other.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { adviceCodes } from '../../src/config/advice.js';
import { directiveNames } from '../../src/config/block.js';
import { check, writeReports } from '../../src/config/check.js';
import { commands } from '../../src/config/commands.js';
import type { Config } from '../../src/config/config.js';
import { type Flag, flagTable, readFlags } from '../../src/config/flag-reader.js';
import { builtinCorefile, placeholders, readKubeDns, stubBlocks } from '../../src/config/generated-corefile.js';
import { commandLines, helpText } from '../../src/config/help.js';
import { parseConfig } from '../../src/config/load.js';
import { serveOptions } from '../../src/config/serve-options.js';
import { checkLogFormat } from '../../src/observe/log-format.js';
import { pluginOrder, plugins } from '../../src/plugins/registry.js';
import { blockOf, builtinConfig, builtinExample, configOf, testOptions } from '../config/options.js';
import { repositoryPath } from '../corpus/repository.js';
import { codeIn, fenced, page, section, sourceText, tableRows } from './pages.js';

const reference = page('docs/REFERENCE.md');
const configuration = page('docs/CONFIGURATION.md');
const environment = { CLUSTER_DNS: '10.96.0.10', KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
const searchPath = 'search default.svc.cluster.local svc.cluster.local cluster.local\n';
const options = { ...testOptions({ '/etc/autopath.conf': searchPath }), environment };

for (const { page: path, line, text } of fenced('corefile')) {
  test(`the Corefile at ${path}:${line} is one that is served`, () => {
    const { blocks, warnings } = parseConfig(text, path, options);
    assert(blocks.length > 0);
    const unwise = warnings.filter(({ message }) => !message.startsWith('AAAA queries get NXDOMAIN'));
    assert.deepEqual(unwise, []);
  });
}

test('the built-in configuration is printed as it is', () => {
  const [, written] = /<!-- builtin:begin -->\n```corefile\n([\s\S]*?)```/.exec(configuration) ?? [];
  assert.equal(written, builtinCorefile(builtinExample));
});

test('every placeholder of a template is documented, and no other is', () => {
  const documented = tableRows(configuration, 'placeholder').map(([name]) => codeIn(name).join());
  assert.deepEqual(documented.sort(), [...placeholders].sort());
});

test('the stub domain of the example becomes the block of the example', () => {
  const part = section(configuration, '### The kube-dns ConfigMap');
  const [, json] = /```json\n([\s\S]*?)```/.exec(part) ?? [];
  const [, written] = /```corefile\n([\s\S]*?)```/.exec(part) ?? [];
  const { files } = testOptions({ '/etc/kube-dns/stubDomains': json });
  const blocks = stubBlocks(readKubeDns('/etc/kube-dns', files), { addresses: ['169.254.20.10'], port: 53 });
  assert.equal(blocks.indexOf(written), 1, 'the first, behind an empty line');
});

test('deploy/Corefile is the built-in configuration with the cluster DNS from the environment', () => {
  const text = readFileSync(repositoryPath('deploy', 'Corefile'), 'utf8');
  const shipped = parseConfig(text, 'deploy/Corefile', options);
  assert.deepEqual(whatIsMeant(shipped), whatIsMeant(builtinConfig(builtinExample, options)));
  const [cluster, inAddr, ip6, rest] = shipped.blocks;
  assert.equal(rest.zones[0].zone, '.');
  for (const block of [cluster, inAddr, ip6]) assert.equal(block.forwards[0].transport, 'tcp');
  for (const block of shipped.blocks) assert.equal(block.aaaa, 'nxdomain');
  assert.equal(text.match(/template ANY AAAA \{\n {8}rcode NXDOMAIN\n {4}\}/g)?.length, 4);
});

/** A configuration without the places where it was written. */
function whatIsMeant({ blocks, health, ready, metrics, reload, debug }: Config): unknown {
  const text = JSON.stringify({ blocks, health, ready, metrics, reload, debug }, (key, value) =>
    ['at', 'aaaaAt', 'directives'].includes(key) ? undefined : value,
  );
  return JSON.parse(text);
}

test('every flag is documented with its other names and its default, and no other is', () => {
  const documented = tableRows(reference, 'flag').map(([names, byDefault]) => ({
    names: codeIn(names).map((name) => name.slice(1)),
    byDefault: codeIn(byDefault).join(''),
  }));
  const flags = Object.entries<Flag>(flagTable).map(([name, { aliases, byDefault }]) => ({
    names: [name, ...aliases],
    byDefault,
  }));
  const byName = (left: { names: string[] }, right: { names: string[] }) => (left.names[0] < right.names[0] ? -1 : 1);
  assert.deepEqual(documented.sort(byName), flags.sort(byName));
});

test('--help names the flags and the commands that the reference has', async () => {
  const helps = await Promise.all(commands.map((command) => helpText(command, 80)));
  const inHelps = helps.flatMap((help) =>
    [...help.matchAll(/^ +((?:-\w, )?--[\w.-]+(?:, --[\w.-]+)*) {2}/gm)].map(([, names]) => names),
  );
  const helped = [...new Set(inHelps)].map((names) => names.split(', ').map((name) => name.replace(/^-+/, '')));
  const documented = tableRows(reference, 'flag').map(([names]) => codeIn(names).map((name) => name.slice(1)));
  const sorted = (names: string[][]) => names.map((each) => each.sort().join(' ')).sort();
  assert.deepEqual(sorted(helped), sorted(documented));
  const [, shown] = /```text\n([\s\S]*?)\n```/.exec(section(reference, '## Command line')) ?? [];
  assert.equal(shown, commandLines(), 'the commands of the reference stand in the help as they are');
});

test('every environment variable of our own is documented, and no other is', () => {
  const inCode = sourceText().match(/\bZEROHOP_[A-Z]+\b/g) ?? [];
  const documented = tableRows(reference, 'variable').flatMap(([names]) => codeIn(names));
  assert.deepEqual(
    documented.filter((name) => name.startsWith('ZEROHOP_')),
    [...new Set(inCode)],
  );
});

test('check: every code is documented, and no other is', () => {
  const documented = tableRows(section(reference, '### check'), 'code').map(([code]) => codeIn(code).join());
  assert.deepEqual(documented, [...adviceCodes(plugins), 'aaaa-nxdomain', 'cluster-dns-unknown'].sort());
});

test('check: the JSON that is shown has the fields that are written', () => {
  const [, shown] = /```json\n([\s\S]*?)```/.exec(section(reference, '### check')) ?? [];
  const reports = check(['/a'], testOptions({ '/a': '. {\nforward . 10.0.0.1\n}\n' }), serveOptions(readFlags([]), {}));
  let written = '';
  writeReports(reports, { output: 'json', isStrict: false }, (line) => {
    written += line;
  });
  const [example, real] = [JSON.parse(shown), JSON.parse(written)];
  const fieldsOf = (whole: typeof real) => [whole, whole.files[0], whole.files[0].findings[0]].map(Object.keys);
  assert.deepEqual(fieldsOf(example), fieldsOf(real));
  assert.equal(example.schema, real.schema);
});

const supportedNames = directiveNames(plugins);
const headings = [...section(reference, '## Directives').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);

test('every directive is documented, and no other is; the page of the migration lists them', () => {
  assert.deepEqual([...headings].sort(), [...supportedNames].sort());
  const [, listed] = /must use only these directives: ([^.]*)\./.exec(page('docs/MIGRATION.md')) ?? [];
  assert.deepEqual(codeIn(listed.replaceAll('\n', ' ')).sort(), [...supportedNames].sort());
});

test('the directives of node-cache that are listed as not supported are those that are not', () => {
  const listed = codeIn(section(reference, '## Directives that are known and not supported'));
  const supported: readonly string[] = supportedNames;
  assert.deepEqual(
    listed,
    ofNodeCache.filter((name) => !supported.includes(name)),
  );
});

/** What is compiled into node-cache. */
const ofNodeCache = [
  ...['bind', 'bufsize', 'cache', 'debug', 'dns64', 'dnstap', 'errors', 'forward', 'health', 'hosts', 'loadbalance'],
  ...['log', 'loop', 'metadata', 'pprof', 'prometheus', 'reload', 'rewrite', 'template', 'timeouts', 'trace', 'whoami'],
];

test('the order of execution is the one by which directives are sorted', () => {
  const rows = tableRows(section(reference, '## Order of execution'), 'directive');
  assert.deepEqual(
    rows.map(([name]) => codeIn(name).join()),
    [...pluginOrder],
  );
});

/** How each directive begins whose block has options of its own. */
const blockHeads: Readonly<Record<string, string>> = {
  acl: 'acl',
  bind: 'bind 127.0.0.1',
  cache: 'cache',
  dns64: 'dns64',
  dnstap: 'dnstap /run/dnstap.sock',
  errors: 'errors',
  forward: 'forward . 10.0.0.1',
  header: 'header',
  health: 'health',
  hosts: 'hosts',
  loadbalance: 'loadbalance',
  local: 'local',
  log: 'log',
  pprof: 'pprof',
  prometheus: 'prometheus',
  ready: 'ready',
  rewrite: 'rewrite',
  template: 'template IN A',
  timeouts: 'timeouts',
  trace: 'trace',
};

/** The others, as they are written. */
const withoutBlock: Readonly<Record<string, string>> = {
  aaaa: 'aaaa nodata',
  any: 'any',
  autopath: 'autopath /etc/resolv.conf',
  bufsize: 'bufsize',
  cancel: 'cancel 5s',
  chaos: 'chaos',
  debug: 'debug',
  loop: 'loop',
  metadata: 'metadata',
  minimal: 'minimal',
  nsid: 'nsid',
  nxdomain_cut: 'nxdomain_cut on',
  reload: 'reload',
  whoami: 'whoami',
};

test('every directive is looked into for options, or refuses a block', () => {
  const looked = [...Object.keys(blockHeads), ...Object.keys(withoutBlock)].sort();
  assert.deepEqual(looked, [...supportedNames].sort(), 'name it in blockHeads or withoutBlock of this file');
  for (const head of Object.values(withoutBlock)) {
    assert.throws(() => blockOf('forward . 10.0.0.1', `${head} {`, 'option', '}'), /takes no block/, head);
  }
});

for (const name of headings) {
  test(`${name}: how it is written is shown, with every option that it takes`, () => {
    const part = section(reference, `### ${name}`);
    const [, shown] = /^```text\n([\s\S]*?)^```$/m.exec(part) ?? [];
    assert(shown !== undefined, `the section has no block of text with ${name} and its options`);
    assert.equal(/^\w+/.exec(shown)?.[0], name);
    const taken = tableRows(part, 'option').filter(([, , meaning]) => !/^(?:Not supported|Accepted)/.test(meaning));
    const missing = taken.filter(([names]) => !codeIn(names).some((code) => new RegExp(`\\b${code}\\b`).test(shown)));
    assert.deepEqual(missing, []);
  });
}

for (const [name, head] of Object.entries(blockHeads)) {
  const rows = tableRows(section(reference, `### ${name}`), 'option');

  test(`${name}: every option is documented, and no other is`, () => {
    const documented = rows.flatMap(([names]) => codeIn(names));
    assert.deepEqual(documented.sort(), knownOptions(head).sort());
  });

  test(`${name}: the defaults are those that are documented`, () => {
    const written = rows.filter(([, byDefault]) => /^`[^`]+`$/.test(byDefault) && name !== 'template');
    const lines = written.map(([names, byDefault]) => `${codeIn(names)[0]} ${codeIn(byDefault)[0]}`);
    if (lines.length === 0) return;
    const forwards = name === 'forward' ? [] : ['forward . 10.0.0.1'];
    const bare = name === 'timeouts' ? [] : [head];
    const silent = meantBy(...forwards, ...bare);
    assert.deepEqual(meantBy(...forwards, `${head} {`, ...lines, '}'), silent);
  });
}

/** The options of a directive's block, as its own error message lists them. */
function knownOptions(head: string): string[] {
  try {
    blockOf('forward . 10.0.0.2', `${head} {`, 'qqqqqqqqqqqq', '}');
  } catch (error) {
    const [, listed] = /; known: (.*)\.$/.exec((error as Error).message) ?? [];
    if (listed !== undefined) return listed.split(', ');
    throw error;
  }
  throw new Error(`${head} takes any option`);
}

/** The configuration of a block with these lines, without the places where they were written. */
function meantBy(...lines: readonly string[]): unknown {
  return whatIsMeant(configOf(`. {\n${lines.join('\n')}\n}\n`));
}

test('stale answers without a directive are what the table says', () => {
  const [first] = tableRows(section(reference, '### cache'), 'written');
  const { cache } = blockOf('cache', 'forward . 10.0.0.1');
  assert.match(first.join(' | '), /^nothing \| 1h \| 400 ms, .* \| 30 \| 1s$/);
  assert.deepEqual(cache?.stale, { maxAgeMs: 3_600_000, patienceMs: 400, ttlSeconds: 30, recheckMs: 1_000 });
});

test('log: every field of a format is documented, and no other is', () => {
  const [, listed] = /known fields: (.*)\.$/.exec(checkLogFormat('{nothing}') ?? '') ?? [];
  const documented = codeIn(section(reference, '### log')).filter((code) => code.startsWith('{'));
  assert.deepEqual([...new Set(documented)].sort(), listed.split(' ').sort());
});
