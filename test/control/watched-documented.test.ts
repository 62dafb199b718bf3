/** docs/COMMANDS.md names every field of the JSON of `tail` and `top`, in the section of the command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { page, section } from '../docs/pages.js';
import { reading, watchedQuery } from './watched.js';

const untold = { sampledOut: 0, hitsOneIn: 1, lost: 0, unread: 0, byKernel: 0 };
const { slow: _, ...top } = reading();
const items = { tail: { ...watchedQuery(), untold }, top: { ...top, slow: [] } };

for (const [command, item] of Object.entries(items)) {
  test(`${command}: every field is documented`, () => {
    const text = section(page('docs/COMMANDS.md'), `## ${command}`);
    const fields = [...new Set(fieldsOf(item))];
    assert.deepEqual(
      fields.filter((name) => !new RegExp(`[\`.]${name}\\b`).test(text)),
      [],
    );
  });
}

function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => [name, ...fieldsOf(field)]);
}
