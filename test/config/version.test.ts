import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';

test('the version is the one that package.json has', () => {
  assert.equal(programVersion(), JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8')).version);
  assert.match(programVersion(), /^\d+\.\d+\.\d+/);
});
