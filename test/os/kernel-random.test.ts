import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelRandom } from '../../src/os/kernel-random.js';
import { calls, skip } from './loopback-sockets.js';

test('numbers are below their bound, spread over all of it, and other ones each time', { skip }, () => {
  const random = kernelRandom(calls);
  const drawn = Array.from({ length: 65_536 }, () => random.below(65_536));
  assert.ok(drawn.every((number) => Number.isInteger(number) && number >= 0 && number < 65_536));
  // Of as many draws as numbers about 63 % come; chance does not leave these bounds.
  const different = new Set(drawn).size;
  assert.ok(different > 40_000 && different < 43_000, `${different}`);
  assert.notDeepEqual(
    drawn.slice(0, 64),
    Array.from({ length: 64 }, () => random.below(65_536)),
  );
});

test('it asks the kernel for a block at a time', () => {
  const asked: number[] = [];
  const random = kernelRandom({
    random(words) {
      asked.push(words.byteLength);
      words.fill(0x8000_0000);
      return words.byteLength;
    },
  });
  const drawn = Array.from({ length: 65 }, () => random.below(10));
  assert.deepEqual([asked, new Set(drawn)], [[256, 256], new Set([5])]);
});
