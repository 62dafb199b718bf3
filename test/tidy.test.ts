/**
 * The house rules, executed over src/: who may import whom, who alone uses a package, what is read from outside only
 * in one place, how long a file may be, how it opens, and that what it exports is tested. A rule that is broken on
 * purpose is listed here with its reason, or changed here.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { repositoryPath } from './corpus/repository.js';

interface Source {
  /** From the repository's root: `src/dns/wire.ts`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments: what the bans look at. */
  readonly code: string;
  readonly imports: readonly Import[];
}

interface Import {
  /** A package's name, or a file of ours from the repository's root. */
  readonly from: string;
  readonly names: string;
  readonly typeOnly: boolean;
}

/** What all rooms stand on: the bounds, and the numbers that the packet path counts in. */
const ground = ['src/limits.ts', 'src/counters.ts'];

/**
 * The rooms of src/ from the bottom up, each with those that it may import; its own and the ground always. Nobody imports
 * `process`, which puts the program together, but main.ts.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  os: [],
  scheduling: ['os'],
  dns: [],
  config: ['dns', 'os'],
  cache: ['dns'],
  resolve: ['dns', 'config', 'os', 'scheduling', 'cache'],
  upstream: ['dns', 'config', 'os', 'scheduling'],
  listen: ['dns', 'config', 'os', 'scheduling'],
  host: ['config', 'os'],
  takeover: ['dns', 'os', 'scheduling', 'cache'],
  lane: ['dns', 'os', 'scheduling', 'cache', 'resolve'],
  observe: ['dns', 'config', 'os', 'scheduling', 'cache', 'resolve', 'upstream', 'listen', 'host', 'takeover'],
  control: ['dns', 'config', 'os', 'scheduling', 'cache', 'resolve', 'upstream', 'listen', 'observe'],
  plugins: ['dns', 'config', 'os', 'scheduling', 'resolve', 'observe'],
  page: ['dns', 'config', 'os', 'scheduling', 'observe'],
  doctor: ['dns', 'config', 'os', 'scheduling', 'control'],
  process: [
    'dns',
    'config',
    'os',
    'scheduling',
    'cache',
    'resolve',
    'upstream',
    'listen',
    'host',
    'takeover',
    'lane',
    'observe',
    'control',
    'plugins',
    'page',
    'doctor',
    'demo',
  ],
  demo: ['dns', 'config', 'os'],
};

/** Interfaces that one side declares and the other fills: as types, importable from anywhere. */
const seams = ['src/listen/client.ts', 'src/upstream/ask.ts'];

/** Who alone imports what. A folder stands for the one file in it that may; a file for itself. */
const onlyUsers: Readonly<Record<string, string>> = {
  'dns-packet': 'src/dns/records.ts',
  koffi: 'src/os/system-calls.ts',
  'lru-cache': 'src/cache/growing-lru.ts',
  pino: 'src/observe/',
  'prom-client': 'src/observe/metrics.ts',
  re2js: 'src/config/pattern.ts',
  uplot: 'src/page/routes.ts',
  yargs: 'src/config/help.ts',
  'node:net': 'src/os/node-network.ts',
  'node:dgram': 'src/os/node-network.ts',
  'node:tls': 'src/os/tls.ts',
  'node:http': 'src/observe/http.ts',
  'node:child_process': 'src/os/commands.ts',
  'node:inspector/promises': 'src/os/profiler.ts',
};

/** What reads and writes addresses as text and touches no socket, in a module that is otherwise one file's. */
const pureNames = /^\{ (?:isIP|isIPv4|isIPv6|SocketAddress)(?:, (?:isIP|isIPv4|isIPv6|SocketAddress))* \}$/;

/** One idea each, whatever its length: a file that was cut in two at a cap is two halves of one idea. */
const linesMax = 600;
/** A list of bounds is looked things up in, not read through, and one list is the point of it. */
const linesMaxOfLimits = 760;

/** What may not stand in the code, where it may, and what to use instead. */
const bans: readonly { readonly what: RegExp; readonly except: readonly string[]; readonly instead: string }[] = [
  {
    what: /\b(?:Date\.now|new Date\(\)|performance\.now|process\.hrtime|setTimeout|setInterval)\b/,
    except: ['src/os/clock.ts'],
    instead: 'the injected Clock',
  },
  { what: /\bMath\.random\b/, except: [], instead: 'the injected Random' },
  { what: /\brandom(?:Bytes|FillSync|Int|UUID)\b/, except: ['src/os/random.ts'], instead: 'the injected Random' },
  { what: /\bas any\b|: any\b|<any>/, except: [], instead: 'a type' },
  { what: /\bconsole\./, except: [], instead: 'the injected Log, or process.stdout in a command' },
  { what: /\b(?:const )?enum [A-Z]/, except: [], instead: 'a union of words' },
  { what: /\bclass \w+ extends (?!Error\b)/, except: [], instead: 'a function or composition' },
  { what: /^export \* from/m, except: [], instead: 'an import of what is used from where it is' },
  { what: /\.\.\.\{/, except: [], instead: 'the properties themselves' },
];

const drawerNames = ['utils.ts', 'util.ts', 'types.ts', 'index.ts', 'helpers.ts', 'common.ts', 'misc.ts'];

/** Files that export functions and are not tested in their room, each with its reason. */
const testedElsewhere: Readonly<Record<string, string>> = {
  'src/process/app.ts': 'all parts together: test/scenarios/ and test/simulation/ run them',
  'src/process/program.ts': 'the program: test/real/ runs it',
  'src/process/serve-command.ts': 'the program as it serves: test/real/ runs it',
  'src/process/watch-running.ts': 'commands as a process: test/real/watching.test.ts runs them',
};

const sources = readSources(repositoryPath('src'));
const tests = readSources(repositoryPath('test')).filter(({ path }) => path.endsWith('.test.ts'));

test('every file has a room', () => {
  const entry = 'src/main.ts';
  const homeless = sources.filter(
    ({ path }) => path !== entry && !ground.includes(path) && !(folderOf(path) in layers),
  );
  assert.deepEqual(
    homeless.map(({ path }) => path),
    [],
  );
});

test('every folder imports only from those below it', () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports.filter((one) => isOurs(one.from) && !mayImport(path, one)).map((one) => `${path} imports ${one.from}`),
  );
  assert.deepEqual(wrong, []);
});

test('a package, and a module that reaches outside, has one user', () => {
  const wrong = Object.entries(onlyUsers).flatMap(([name, user]) => {
    const users = sources.filter(({ imports }) => imports.some((one) => isUse(one, name))).map(({ path }) => path);
    const strangers = users.filter((path) => (user.endsWith('/') ? !path.startsWith(user) : path !== user));
    const surplus = users.length > 1 && strangers.length === 0 ? users : [];
    return [...strangers, ...surplus].map((path) => `${path} imports ${name}, which is for ${user}`);
  });
  assert.deepEqual(wrong, []);
});

test('every package that is imported is listed here and in package.json, and every listed one is imported', () => {
  const imported = new Set(sources.flatMap(({ imports }) => imports.map((one) => packageName(one.from))));
  const packages = [...imported].filter((name) => !name.startsWith('node:') && !isOurs(name)).sort();
  const dependencies = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8')).dependencies;
  assert.deepEqual(packages, Object.keys(dependencies).sort());
  assert.deepEqual(
    packages.filter((name) => onlyUsers[name] === undefined),
    [],
  );
});

test('what comes from outside, and what the type checker cannot see through, is not used directly', () => {
  const wrong = bans.flatMap(({ what, except, instead }) =>
    sources
      .filter(({ path, code }) => !except.includes(path) && what.test(code))
      .map(({ path, code }) => `${path}: ${what.exec(code)?.[0]}; use ${instead}`),
  );
  assert.deepEqual(wrong, []);
});

test('a name at the top level of a file has one meaning in src/', () => {
  const filesOf = new Map<string, string[]>();
  for (const { path, code } of sources) {
    for (const name of new Set(topLevelNames(code))) filesOf.set(name, [...(filesOf.get(name) ?? []), path]);
  }
  assert.deepEqual(
    [...filesOf].filter(([, files]) => files.length > 1),
    [],
  );
});

test(`no file is longer than ${linesMax} lines`, () => {
  const long = sources.map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }));
  assert.deepEqual(
    long.filter(({ path, lines }) => lines > (path === 'src/limits.ts' ? linesMaxOfLimits : linesMax)),
    [],
  );
});

test('every file opens with a paragraph on what it is', () => {
  const opening = /^(?:#!.*\n)?\/\*\*([\s\S]*?)\*\//;
  const silent = sources.filter(({ text }) => (opening.exec(text)?.[1] ?? '').replace(/[\s*]+/g, ' ').length < 60);
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  );
});

test('no drawers, no work left for later, nothing silenced', () => {
  const drawers = sources.filter(({ path }) => drawerNames.includes(basename(path))).map(({ path }) => path);
  assert.deepEqual(drawers, []);
  const unfinished = /\b(?:TODO|FIXME|XXX|HACK)\b|@ts-(?:ignore|expect-error|nocheck)|biome-ignore|eslint-disable/;
  const places = sources.filter(({ text }) => unfinished.test(text));
  assert.deepEqual(
    places.map(({ path, text }) => `${path}: ${unfinished.exec(text)?.[0]}`),
    [],
  );
});

test('every file is imported by another one, and every exported name by another file or a test', () => {
  const entry = 'src/main.ts';
  const imported = new Set(sources.flatMap(({ imports }) => imports.map(({ from }) => from)));
  const unused = sources.filter(({ path }) => path !== entry && !imported.has(path)).map(({ path }) => path);
  assert.deepEqual(unused, []);
  const users = [...sources, ...readSources(repositoryPath('test')), ...readSources(repositoryPath('bench'))];
  const wanted = new Set(
    users.flatMap(({ imports }) =>
      imports.flatMap(({ from, names }) => wordsOf(names).map((name) => `${from} ${name}`)),
    ),
  );
  const exported = sources.flatMap(({ path, code }) => exportedNames(code).map((name) => `${path} ${name}`));
  assert.ok(exported.length > 1_000);
  assert.deepEqual(
    exported.filter((name) => !wanted.has(name)),
    [],
  );
});

test('every file that exports a function or a class is tested in its room, in a file of its name or one that imports it', () => {
  const exporting = sources.filter(({ code }) => /^export (?:async )?(?:function|class)\b/m.test(code));
  const importedIn = (path: string): boolean =>
    tests.some(
      (one) => one.path.startsWith(`test/${folderOf(path)}/`) && one.imports.some(({ from }) => from === path),
    );
  const untested = exporting.map(({ path }) => path).filter((path) => !existsSync(testPath(path)) && !importedIn(path));
  const unlisted = untested.filter((path) => testedElsewhere[path] === undefined);
  assert.deepEqual(unlisted, []);
  const idle = Object.keys(testedElsewhere).filter((path) => !untested.includes(path));
  assert.deepEqual(idle, [], 'exceptions that are none');
});

test('every test that starts the program does so on both I/O paths', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  const folders = [...scripts['test:portable'].matchAll(/\bdist\/(test\/\w+)/g)].map(([, folder]) => `${folder}/`);
  const starting = tests
    .filter(({ code }) => /\b(?:builtEntry|startZerohop|startOnLoopback)\b/.test(code))
    .map(({ path }) => path);
  assert.ok(starting.length > 10);
  const onOne = starting.filter((path) => !folders.some((folder) => path.startsWith(folder)));
  assert.deepEqual(
    onOne,
    [
      'test/bench/moves/run.test.ts',
      'test/bench/soak/run.test.ts',
      'test/deploy/preflight.test.ts',
      'test/lane/try.test.ts',
      'test/tidy.test.ts',
    ],
    'the first two measure, as the bench does; the others serve nothing',
  );
});

function mayImport(path: string, { from, typeOnly }: Import): boolean {
  const folder = folderOf(path);
  const target = folderOf(from);
  if (target === folder || ground.includes(from)) return true;
  if (path === 'src/main.ts') return target === 'process' || target === 'os';
  if (seams.includes(from)) return typeOnly;
  return layers[folder]?.includes(target) ?? false;
}

function topLevelNames(code: string): string[] {
  const declarations = code.matchAll(/^(?:export )?(?:async )?(?:function\*?|class|const|let|type|interface) (\w+)/gm);
  return [...declarations].map(([, name]) => name);
}

function exportedNames(code: string): string[] {
  const declarations = code.matchAll(/^export (?:async )?(?:function\*?|class|const|let|type|interface) (\w+)/gm);
  return [...declarations].map(([, name]) => name);
}

/** `{ type Name, other as another }`: what is imported, by the names that it is exported by. */
function wordsOf(names: string): string[] {
  return [...names.matchAll(/(?:\btype )?\b(\w+)(?: as \w+)?/g)].map(([, name]) => name);
}

/** `dns` of src/dns/wire.ts, `limits` of src/limits.ts. */
function folderOf(path: string): string {
  return path.split('/')[1].replace(/\.ts$/, '');
}

function isUse(one: Import, name: string): boolean {
  return packageName(one.from) === name && !one.typeOnly && !pureNames.test(one.names);
}

/** `pino` of `pino/file`, `@scope/name` of `@scope/name/part`. */
function packageName(from: string): string {
  return isOurs(from) || from.startsWith('node:') ? from : from.split('/', from.startsWith('@') ? 2 : 1).join('/');
}

function isOurs(from: string): boolean {
  return from.startsWith('src/');
}

function testPath(path: string): string {
  return repositoryPath(path.replace(/^src\//, 'test/').replace(/\.ts$/, '.test.ts'));
}

function readSources(root: string): Source[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.sort().map((file) => readSource(join(root, file)));
}

function readSource(file: string): Source {
  const path = relative(repositoryPath(), file);
  const text = readFileSync(file, 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
  return { path, text, code, imports: readImports(path, code) };
}

function readImports(path: string, code: string): Import[] {
  const withNames = code.matchAll(/^(?:import|export)\s+(type\s+)?([\w\s{},*]+?)\s+from\s+'([^']+)'/gm);
  const bare = code.matchAll(/^import\s+()()'([^']+)'/gm);
  const dynamic = code.matchAll(/(?:\bconst()\s+(\{[^}]*\})\s*=\s*await\s+)?\bimport\(\s*'([^']+)'\s*\)/g);
  const required = code.matchAll(/\bcreateRequire\(import\.meta\.url\)\(()()'([^']+)'\)/g);
  const resolved = code.matchAll(/\bimport\.meta\.resolve\(()()'([^']+)'\)/g);
  return [...withNames, ...bare, ...dynamic, ...required, ...resolved].map(([, type, names, from]) => ({
    from: from.startsWith('.') ? normalize(join(dirname(path), from)).replace(/\.js$/, '.ts') : from,
    names: (names ?? '').replace(/,\s*\}/, ' }').replace(/\s+/g, ' '),
    typeOnly: type !== undefined && type !== '',
  }));
}
