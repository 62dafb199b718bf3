/** What the pages name must be there: metrics and their labels, bounds, files, links, sentences of the log. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { laneCauses } from '../../src/lane/layout.js';
import * as limits from '../../src/limits.js';
import { eventMetrics } from '../../src/observe/event-metrics.js';
import { familyNames } from '../../src/process/endpoints.js';
import { repositoryPath } from '../corpus/repository.js';
import { known } from '../real/known-queries.js';
import { fenced, page, pages, sourceText, tableRows } from './pages.js';

test('every metric is one that is exported, or left out and said to be', () => {
  const leftOut = new Set(known.flatMap((one) => one.leftOut ?? []));
  const unknown = pages.flatMap(({ path, text }) =>
    [...text.replaceAll(/\| grep \S+/g, '').matchAll(/\b(?:zerohop|coredns|nodejs|process)_[a-z0-9_]*\*?/g)]
      .map(([name]) => name)
      .filter((name) => !isMetric(name) && !leftOut.has(name))
      .map((name) => `${path}: ${name}`),
  );
  assert.deepEqual(unknown, []);
});

/** A family's name, a histogram's with its suffix, or the beginning of some with a `*`. */
function isMetric(name: string): boolean {
  if (name.endsWith('*')) return familyNames.some((family) => family.startsWith(name.slice(0, -1)));
  return familyNames.includes(name) || familyNames.includes(name.replace(/_(?:count|sum|bucket)$/, ''));
}

test('every cause and bound is a label that is exported', () => {
  const ofEvents = Object.values(eventMetrics).flatMap(({ labels }) => Object.values(labels ?? {}));
  const values = new Set([...ofEvents, ...laneCauses]);
  const named = pages.flatMap(({ text }) => [...text.matchAll(/\b(?:cause|bound)="(\w+)"/g)].map(([, value]) => value));
  assert(named.length > 0);
  assert.deepEqual(
    named.filter((value) => !values.has(value)),
    [],
  );
});

test('docs/OPERATIONS.md explains every metric of our own, and every cause and bound', () => {
  const text = page('docs/OPERATIONS.md');
  const labels = [...Object.values(eventMetrics).flatMap((event) => Object.values(event.labels ?? {})), ...laneCauses];
  const unexplained = [
    ...familyNames.filter((name) => name.startsWith('zerohop_') && !text.includes(name)),
    ...labels.filter((value) => !text.includes(`"${value}"`)),
  ];
  assert.deepEqual(unexplained, []);
});

test('the bounds are those of limits.ts', () => {
  const rows = tableRows(page('docs/OPERATIONS.md'), 'bound');
  assert(rows.length > 10);
  const all: Readonly<Record<string, unknown>> = { ...limits };
  for (const [name, is] of rows) {
    const [digits] = /^[\d,]+/.exec(is) ?? [''];
    assert.equal(Number(digits.replaceAll(',', '')), all[name.replaceAll('`', '')], name);
  }
});

test('every file that is named is there', () => {
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:src|test|bench|deploy|docs|\.ci)\/[\w./-]*)`/g)]
      .map(([, file]) => file)
      .filter((file) => !existsSync(repositoryPath(file)))
      .map((file) => `${path}: ${file}`),
  );
  assert.deepEqual(missing, []);
});

test('the pictures of docs/ARCHITECTURE.md are drawn of files that are there', () => {
  const drawn = fenced('text')
    .filter(({ page: path }) => path === 'docs/ARCHITECTURE.md')
    .flatMap(({ text }) => [...text.matchAll(/\b(?:listen|dns|resolve|cache|upstream|observe|process)\/[\w-]+/g)])
    .map(([file]) => `src/${file}.ts`);
  assert(drawn.length > 10);
  assert.deepEqual(
    drawn.filter((file) => !existsSync(repositoryPath(file))),
    [],
  );
});

test('every relative link leads somewhere', () => {
  const broken = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target)
      .filter((target) => !/^https?:/.test(target) && !leads(path, target))
      .map((target) => `${path}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

function leads(from: string, target: string): boolean {
  const [file, anchor] = target.split('#');
  const path = file === '' ? from : join(dirname(from), file);
  if (!existsSync(repositoryPath(path))) return false;
  if (anchor === undefined) return true;
  const headings = page(path).matchAll(/^#+ (.*)$/gm);
  return [...headings].some(([, heading]) => slug(heading) === anchor);
}

/** A heading's anchor as GitHub makes it. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-');
}

/** What an operator sees, and docs/OPERATIONS.md explains. */
const sentences = [
  'unknown flag ',
  '; give -conf a file that this user can read.',
  'invalid kube-dns ConfigMap, ',
  'keeping the previous one',
  ': new configuration rejected, keeping the old one: ',
  'invalid template, using ',
  ' as it is',
  'upstreamNameservers has no effect',
  ' is not writable, using the Corefile from memory',
  'no value for ',
  'new configuration in force',
  'an upstream is empty; is {$KUBE_DNS_SERVICE_HOST} set?',
  'no interface has this address; ',
  'address already in use; ',
  'not permitted; ',
  'cannot listen for HTTP on ',
  ' is down after ',
  ' is up again',
  'AAAA queries get NXDOMAIN, ',
  'sends our queries back to us, so it is no longer ',
  'its queries come back here, so it is not used',
  ' come back here, so it is not used for them',
  'alias loop, or an alias chain of more than ',
  'lists only addresses of this host',
  'keeping the previous ones',
  'exception while handling a packet; the packet was dropped',
  'health check failed: ',
  'needs the capability NET_ADMIN',
  'dummy interfaces unavailable (',
  'has policy drop',
  'another program keeps changing the rules',
  'leaving interface and firewall rules in place: another program serves ',
  'shutting down',
  'control socket unavailable, commands cannot ask this instance: ',
];

test('the sentences that operations explains are those that the program writes', () => {
  const operations = page('docs/OPERATIONS.md').replace(/\s+/g, ' ');
  const program = sourceText();
  for (const sentence of sentences) {
    assert(operations.includes(sentence), `docs/OPERATIONS.md does not explain "${sentence}"`);
    assert(program.includes(sentence), `nothing in src/ writes "${sentence}"`);
  }
});

test('the import table of docs/ARCHITECTURE.md is the one that test/tidy.test.ts executes', () => {
  const tidy = readFileSync(repositoryPath('test', 'tidy.test.ts'), 'utf8');
  const [, body] = /^const layers[^\n]*\{\n([\s\S]*?)^\};/m.exec(tidy) ?? [];
  const executed = [...body.matchAll(/^ {2}(\w+): \[([^\]]*)\],$/gm)].map(([, room, allowed]) => [
    room,
    [...allowed.matchAll(/\w+/g)].flat().sort().join(', ') || 'nothing',
  ]);
  const above: string[] = [];
  const documented = tableRows(page('docs/ARCHITECTURE.md'), 'room').flatMap(([name, , imports]) => {
    const [, room] = /^`(\w+)\/`$/.exec(name) ?? [];
    if (room === undefined) return [];
    const all = imports === 'all of the above' ? above.slice().sort() : imports.split(', ').sort();
    above.push(room);
    return [[room, all.join(', ')]];
  });
  assert(executed.length > 5);
  assert.deepEqual(documented.sort(), executed.sort());
});

test('the table of rooms names every room, and every file that stands in none', () => {
  const entries = readdirSync(repositoryPath('src'), { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
  const named = tableRows(page('docs/ARCHITECTURE.md'), 'room').flatMap(([name]) =>
    name.replaceAll('`', '').split(', '),
  );
  assert.deepEqual(named.sort(), names.sort());
});
