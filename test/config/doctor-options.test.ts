/** The command line of `zerohop doctor`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctorOptions } from '../../src/config/doctor-options.js';
import { readFlags } from '../../src/config/flag-reader.js';
import { parseFlags } from '../../src/config/flags.js';

test('by default it asks the running zerohop, once, and for no name of others', () => {
  assert.deepEqual(doctorOptions(readFlags(['doctor'])), {
    controlPath: '/run/zerohop/control.sock',
    output: 'text',
    isWatching: false,
    outsideName: null,
  });
});

test('all flags', () => {
  const command = parseFlags(['doctor', '-control', '', '-o', 'json', '-watch', '-doctor-name', 'WWW.Example.org'], {});
  assert.deepEqual(command, {
    kind: 'doctor',
    options: { controlPath: null, output: 'json', isWatching: true, outsideName: 'www.example.org.' },
  });
});

test('what is wrong is one sentence', () => {
  for (const argv of [['doctor', '-o', 'xml'], ['doctor', '-doctor-name', 'a..b'], ['doctor', 'now'], ['-watch']]) {
    const command = parseFlags(argv, {});
    assert.equal(command.kind, 'usage', argv.join(' '));
  }
});
