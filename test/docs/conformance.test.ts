/** The table of docs/PROTOCOL.md and the names of the conformance tests speak of the same RFCs and differences. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { page, section, tableRows } from './pages.js';

const folder = repositoryPath('test/conformance');
const sources = readdirSync(folder)
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .join('\n');

const rows = tableRows(section(page('docs/PROTOCOL.md'), '## Conformance'), 'RFC');

/** The RFCs and sections at the head of each test's name, as written. */
const heads = [...sources.matchAll(/(?:anyServer|withUpstream)\(\s*['`](.*?)['`],/g)].map(
  ([, name]) => name.split(':')[0],
);

/** `RFC 8767 5, 8914 4.4`: both numbers. */
function numbersIn(head: string): string[] {
  return [...head.matchAll(/(?:RFC |, )(\d{4})\b/g)].map(([, number]) => number);
}

test('every conformance test names its RFC', () => {
  assert(heads.length > 80, `only ${heads.length} tests are seen`);
  assert.deepEqual(
    heads.filter((head) => numbersIn(head).length === 0),
    [],
  );
});

test('the table has every RFC that a test names, and no other', () => {
  const named = [...new Set(heads.flatMap(numbersIn))].sort();
  assert.deepEqual(
    rows.map(([number]) => number),
    named,
  );
});

test('where the table says that we differ a test shows it, and the other way round', () => {
  const differing = heads.filter((head) => head.includes('(differs)')).flatMap(numbersIn);
  const written = rows.filter(([, what]) => what.includes('**Differs**')).map(([number]) => number);
  assert.deepEqual([...new Set(differing)].sort(), written);
});
