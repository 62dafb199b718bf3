import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { readProcessNumbers } from '../../src/observe/process-numbers.js';

test('numbers of this process are those of the kernel', () => {
  const numbers = readProcessNumbers();
  assert.ok(numbers.cpuSeconds > 0);
  assert.ok(numbers.residentBytes > 10e6 && numbers.residentBytes < 10e9);
  assert.ok(numbers.heapUsedBytes < numbers.residentBytes);
  assert.ok(numbers.virtualBytes! >= numbers.residentBytes);
  assert.ok(numbers.openFilesMax! > numbers.openFiles!);
});

test('open files are counted without the one that counts', () => {
  const before = readProcessNumbers().openFiles!;
  const file = openSync('/dev/null', 'r');
  assert.equal(readProcessNumbers().openFiles, before + 1);
  closeSync(file);
  assert.equal(readProcessNumbers().openFiles, before);
});

test('processor time only grows', () => {
  const before = readProcessNumbers().cpuSeconds;
  let sum = 0;
  for (let index = 0; index < 5e6; index++) sum += index % 7;
  assert.ok(sum > 0);
  assert.ok(readProcessNumbers().cpuSeconds > before);
});
