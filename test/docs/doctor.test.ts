/** docs/OPERATIONS.md has a row for each code of the doctor's checks, and says which run once a minute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchedCodes } from '../../src/doctor/minute.js';
import { nodeChecks } from '../../src/doctor/node-checks.js';
import { lookingAt } from '../doctor/outsides.js';
import { codeIn, page, section, sourceText, tableRows } from './pages.js';

const rows = tableRows(section(page('docs/OPERATIONS.md'), '## What zerohop doctor says'), 'check');
const documented = rows.flatMap(([codes]) => codeIn(codes));

test('every code of the checks of the node is documented once', async () => {
  const outsides = lookingAt();
  const found = await outsides.clock.until(Promise.all(nodeChecks.map((check) => check.run(outsides))));
  const codes = [...new Set(found.flat().map(({ code }) => code))];
  assert.deepEqual(
    codes.filter((code) => !documented.includes(code)),
    [],
  );
  assert.equal(new Set(documented).size, documented.length);
});

test('no other code is documented', () => {
  const source = sourceText();
  assert.deepEqual(
    documented.filter((code) => !source.includes(`'${code}'`)),
    [],
  );
});

test('those that are marked are those of the metric', () => {
  const marked = rows.filter(([, mark]) => mark.includes('●')).flatMap(([codes]) => codeIn(codes));
  assert.deepEqual([...marked].sort(), [...watchedCodes].sort());
});
