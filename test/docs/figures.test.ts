/** The figures in the pages are those of the newest reports in bench/results/, and nobody has edited them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hasNodeCache, shownOf, withContent } from '../../bench/publish.js';
import type { Report } from '../../bench/report.js';
import { repositoryPath } from '../corpus/repository.js';
import { page } from './pages.js';

const reports = readdirSync(repositoryPath('bench', 'results'))
  .filter((name) => name.endsWith('.json'))
  .sort()
  .map((name) => JSON.parse(readFileSync(repositoryPath('bench', 'results', name), 'utf8')) as Report);

for (const isWithNodeCache of [true, false]) {
  test(`the figures ${isWithNodeCache ? 'with' : 'without'} node-cache are those of their newest report`, () => {
    const newest = reports.filter((report) => hasNodeCache(report) === isWithNodeCache).at(-1);
    assert(newest !== undefined);
    for (const { page: path, place, content } of shownOf(newest)) {
      const text = page(path);
      assert.equal(
        withContent(text, place, content),
        text,
        `${path}: node dist/bench/run.js --report FILE writes it anew`,
      );
    }
  });
}
