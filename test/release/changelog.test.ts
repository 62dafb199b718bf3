import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { entriesOf, released } from '../../release/changelog.js';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';

const changelog = readFileSync(repositoryPath('CHANGELOG.md'), 'utf8');
const entries = entriesOf(changelog);
const [unreleased, ...versions] = entries;

test('the changelog has what is unreleased on top, then versions with their dates, newest first', () => {
  assert.deepEqual([unreleased.name, unreleased.date], ['Unreleased', undefined]);
  assert.equal(versions[0].name, programVersion(), 'npm version makes the heading');
  const numbers = versions.map(({ name }) => name.split('.').map(Number));
  for (const [index, { name, date }] of versions.entries()) {
    assert.match(name, /^\d+\.\d+\.\d+$/u);
    assert.ok(date !== undefined && !Number.isNaN(Date.parse(date)), `${name} has a date`);
    if (index === 0) continue;
    const [newer, older] = [numbers[index - 1], numbers[index]];
    const differs = newer.findIndex((number, place) => number !== older[place]);
    assert.ok(newer[differs] > older[differs], `${versions[index - 1].name} is newer than ${name}`);
  }
});

test('every entry has the headings of keepachangelog.com, each once and with something under it, and a link', () => {
  const kinds = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];
  for (const { name, text } of entries) {
    const [opening, ...parts] = text.split(/^### /mu);
    const headings = parts.map((part) => part.split('\n', 1)[0]);
    assert.deepEqual(
      headings,
      kinds.filter((kind) => headings.includes(kind)),
      name,
    );
    for (const part of parts) assert.match(part, /^\w+\n\n- \S/u, name);
    if (name !== 'Unreleased') assert.ok(opening !== '' || parts.length > 0, `${name} says something`);
    assert.match(changelog, new RegExp(`^\\[${name.replaceAll('.', '\\.')}\\]: https://\\S+$`, 'mu'));
  }
});

const before = `# Changelog

## [Unreleased]

### Fixed

- A thing.

## [1.0.0] - 2026-01-02

### Added

- All.

[Unreleased]: https://example.com/zerohop/compare/v1.0.0...HEAD
[1.0.0]: https://example.com/zerohop/releases/tag/v1.0.0
`;

test('a release takes over what was unreleased, with a link to what changed', () => {
  const after = released(before, '1.0.1', '2026-02-03');
  const [now, newest, older] = entriesOf(after);
  assert.deepEqual(now, { name: 'Unreleased', date: undefined, text: '' });
  assert.deepEqual(newest, { name: '1.0.1', date: '2026-02-03', text: '### Fixed\n\n- A thing.' });
  assert.equal(older.name, '1.0.0');
  assert.match(after, /^\[Unreleased\]: https:\/\/example\.com\/zerohop\/compare\/v1\.0\.1\.\.\.HEAD$/mu);
  assert.match(after, /^\[1\.0\.1\]: https:\/\/example\.com\/zerohop\/compare\/v1\.0\.0\.\.\.v1\.0\.1$/mu);
  assert.equal(released(after, '1.0.1', '2026-02-04'), after, 'once');
  assert.throws(() => released(after, '1.0.2', '2026-02-04'), /^Error: CHANGELOG\.md says nothing under/u);
  assert.throws(() => released(after.replace('[Unreleased]', 'Next'), '1.0.2', ''), /has no heading/u);
});

test('the release notes are the entry, and a tag of another version is refused', () => {
  const script = fileURLToPath(new URL('../../release/notes.js', import.meta.url));
  const notes = (...words: string[]) => spawnSync(process.execPath, [script, ...words], { encoding: 'utf8' });
  assert.equal(notes(`v${programVersion()}`).stdout.trimEnd(), versions[0].text);
  assert.doesNotMatch(versions[0].text, /^\[.+\]: /mu, 'links are no part of the entry');
  const other = notes('v99.0.0');
  assert.deepEqual(
    [other.status, other.stdout, other.stderr],
    [1, '', `the tag v99.0.0 does not match package.json, which says ${programVersion()}\n`],
  );
});
