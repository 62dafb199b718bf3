/** Prints the changelog's entry for package.json's version, for the release's page. Fails if TAG is another version. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entriesOf } from './changelog.js';
import { stampedBy } from './places.js';

// From OUT/release/notes.js.
const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = stampedBy(root);
const tag = process.argv[2];
const entry = entriesOf(readFileSync(`${root}CHANGELOG.md`, 'utf8')).find(({ name }) => name === version);

if (tag !== undefined && tag !== `v${version}`) {
  console.error(`the tag ${tag} does not match package.json, which says ${version}`);
  process.exitCode = 1;
} else if (entry === undefined) {
  console.error(`CHANGELOG.md has no entry for ${version}`);
  process.exitCode = 1;
} else {
  console.log(entry.text);
}
