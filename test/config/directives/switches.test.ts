import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, configOf, warningsOf } from '../options.js';

const block = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines);
const text = (line: string) => `. {\nforward . 10.0.0.1\n${line}\n}\n`;

test('loop and debug', () => {
  assert.equal(block().loop, false);
  assert.equal(block('loop').loop, true);
  assert.equal(configOf(text('')).debug, false);
  assert.equal(configOf(text('debug')).debug, true);
  assert.throws(() => block('debug on'), /debug: expects no arguments, so "on" is too much/u);
  assert.throws(() => block('loop {', '}'), /loop: takes no block/u);
});
test('bufsize', () => {
  assert.equal(block().bufsizeBytes, 1232);
  assert.equal(block('bufsize').bufsizeBytes, 1232);
  assert.equal(block('bufsize 512').bufsizeBytes, 512);
  assert.equal(block('bufsize 4096').bufsizeBytes, 4096);
  assert.throws(() => block('bufsize 511'), /from 512 to 4096/u);
  assert.match(warningsOf(text('bufsize 1233'))[0], /^3: bufsize: answers above 1232 bytes/u);
  assert.deepEqual(warningsOf(text('bufsize 1232')), []);
});
test('aaaa', () => {
  assert.equal(block().aaaa, null);
  assert.equal(block().aaaaAt, null);
  for (const policy of ['nxdomain', 'nodata', 'smart', 'forward']) {
    assert.equal(block(`aaaa ${policy}`).aaaa, policy);
  }
  assert.deepEqual(block('aaaa smart').aaaaAt, { file: '/etc/Corefile', line: 3 });
  assert.throws(() => block('aaaa'), /aaaa: expects nxdomain, nodata, smart or forward, but nothing follows/u);
});
