/**
 * `npm version X.Y.Z` runs this after it has changed package.json: writes the version, the image and the page to every
 * other place, and closes the changelog's entry. `npm run stamp` does so after a change of the image or the page.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { released } from './changelog.js';
import { stampedBy, unstamped } from './places.js';

// From OUT/release/stamp.js.
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/u, '');
const changelog = join(root, 'CHANGELOG.md');

try {
  const before = readFileSync(changelog, 'utf8');
  const after = released(before, stampedBy(root).version, new Date().toISOString().slice(0, 10));
  const changed = new Map(unstamped(root));
  if (after !== before) changed.set('CHANGELOG.md', after);
  for (const [file, text] of changed) {
    writeFileSync(join(root, file), text);
    console.log(file);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
