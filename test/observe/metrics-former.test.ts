import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { newMetrics } from '../../src/observe/metrics.js';
import { formerFamilies } from '../../src/observe/metrics-former.js';
import { families, familyNames } from '../../src/process/endpoints.js';
import { repositoryPath } from '../corpus/repository.js';
import { ManualClock } from '../simulation/clock.js';
import { everything, newSource } from './source.js';

test('a family that had another name has the same series under it', async () => {
  const text = await newMetrics(newSource(everything()), families, new ManualClock(), assert.ifError).text();
  const series = (name: string): string[] =>
    text.split('\n').flatMap((line) => (/^\w+/.exec(line)?.[0] === name ? [line.slice(name.length)] : []));
  assert.ok(series('coredns_forward_responses_total').length > 0);
  assert.deepEqual(series('coredns_forward_response_rcode_count_total'), series('coredns_forward_responses_total'));
  assert.deepEqual(series('coredns_panic_count_total'), [' 1']);
});

test('what has no former name is left alone, and no name is taken twice', () => {
  const [former] = formerFamilies([
    { name: 'coredns_reload_failed_total', help: 'How often.', type: 'counter', samples: () => [] },
    { name: 'coredns_dns_requests_total', help: 'How many.', type: 'counter', samples: () => [] },
  ]);
  assert.deepEqual(
    [former.name, former.help],
    ['coredns_reload_failed_count_total', 'How often. Former name of coredns_reload_failed_total.'],
  );
  assert.equal(new Set(familyNames).size, familyNames.length);
});

test('what the decision gives Prometheus to drop are the former names that operations lists, all of them', () => {
  const page = (...path: string[]) => readFileSync(repositoryPath('docs', ...path), 'utf8');
  const [, regex] = /^ {4}regex: (.*)$/m.exec(page('decisions', 'former-metric-names.md')) ?? [];
  const dropped = familyNames.filter((name) => new RegExp(`^(?:${regex})$`).test(name));
  const [, table] = /\| today \| also as \|\n\|---\|---\|\n([\s\S]*?)\n\n/.exec(page('OPERATIONS.md')) ?? [];
  const listed = table
    .split('\n')
    .flatMap((row) => [...row.split('|')[2].matchAll(/`(\w+)`/g)].map(([, name]) => name));
  assert.ok(listed.length > 15);
  assert.deepEqual(dropped.sort(), listed.sort());
});
