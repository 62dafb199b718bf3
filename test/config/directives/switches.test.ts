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
  assert.throws(() => block('debug on'), /debug: expects no arguments; remove "on"/u);
  assert.throws(() => block('loop {', '}'), /loop: takes no block/u);
});
test('bufsize', () => {
  assert.equal(block().bufsizeBytes, 1232);
  assert.equal(block('bufsize').bufsizeBytes, 1232);
  assert.equal(block('bufsize 512').bufsizeBytes, 512);
  assert.equal(block('bufsize 4096').bufsizeBytes, 4096);
  const askedFor = (...lines: string[]): number[] => block(...lines).forwards.map(({ udpBytes }) => udpBytes);
  assert.deepEqual(askedFor('forward a.test 10.0.0.2'), [1232, 1232]);
  assert.deepEqual(askedFor('forward a.test 10.0.0.2', 'bufsize 512'), [512, 512]);
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
  assert.throws(() => block('aaaa'), /aaaa: expects nxdomain, nodata, smart or forward, but has none/u);
});

test('any, minimal and whoami are there or not', () => {
  const silent = blockOf('forward . 10.0.0.1');
  const spoken = blockOf('forward . 10.0.0.1', 'any', 'minimal', 'whoami');
  assert.deepEqual(silent.settings, {});
  assert.deepEqual(spoken.settings, { any: true, minimal: true, whoami: true });
  assert.deepEqual(warningsOf('. {\nwhoami\n}\n'), [], 'it has an answer to everything');
  for (const name of ['any', 'minimal', 'whoami'])
    assert.throws(() => blockOf('forward . 10.0.0.1', `${name} x`), /:3: /u);
});

test('cancel is accepted with a word about what holds here, and checked', () => {
  for (const written of ['cancel', 'cancel 5s']) {
    const [warning] = warningsOf(`. {\nforward . 10.0.0.1\n${written}\n}\n`);
    assert.match(warning, /^3: cancel: has no effect: zerohop answers every query within 2 s/u);
  }
  for (const wrong of ['cancel 0', 'cancel soon', 'cancel 1s 2s']) {
    assert.throws(() => blockOf('forward . 10.0.0.1', wrong), /:3: cancel: /u, wrong);
  }
});
