import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasOption, lineOf, placeOf } from '../../../src/config/advice/advised.js';
import { parseCorefile } from '../../../src/config/corefile.js';
import { configOf, testOptions } from '../options.js';

const text = '. {\ncache {\nsuccess 9984\n}\nforward . 10.0.0.1\n}\n';
const [written] = parseCorefile([{ text, file: '/etc/Corefile' }], testOptions(), []).blocks;
const block = { written, config: configOf(text).blocks[0] };

test('a place is that of the option, else of the directive, else of the block', () => {
  assert.equal(placeOf(block, 'cache', 'success').line, 3);
  assert.equal(placeOf(block, 'cache', 'denial').line, 2);
  assert.equal(placeOf(block, 'cache').line, 2);
  assert.equal(placeOf(block, 'health').line, 1);
});
test('an option is there if it was written', () => {
  assert.deepEqual(
    [hasOption(block, 'cache', 'success'), hasOption(block, 'cache', 'denial'), hasOption(block, 'health', 'lameduck')],
    [true, false, false],
  );
});
test('a line of another file is named with it', () => {
  assert.equal(lineOf({ file: '/a', line: 3 }, { file: '/a', line: 9 }), 'line 3');
  assert.equal(lineOf({ file: '/b', line: 3 }, { file: '/a', line: 9 }), '/b:3');
});
