import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Command, systemCommands } from '../../src/os/commands.js';
import { ManualClock } from '../simulation/clock.js';

const clock = new ManualClock();
const run = systemCommands(clock);
const bounds = { timeoutMs: 5_000, outputBytesMax: 1_000 };
const node = (script: string, more: Partial<Command> = {}) =>
  run({ program: process.execPath, parameters: ['-e', script], ...bounds, ...more });

test('a program gets its parameters as they are and its input, and gives status and what it wrote', async () => {
  const echoed = await run({ program: 'cat', parameters: ['-'], input: 'one\ntwo\n', ...bounds });
  assert.deepEqual(echoed, { ran: true, status: 0, stdout: 'one\ntwo\n', stderr: '' });
  const words = await run({ program: 'printf', parameters: ['%s|', '$HOME', '; ls'], ...bounds });
  assert.deepEqual(words, { ran: true, status: 0, stdout: '$HOME|; ls|', stderr: '' });
  const both = await node('process.stderr.write("why"); process.exitCode = 4');
  assert.deepEqual(both, { ran: true, status: 4, stdout: '', stderr: 'why' });
});

test('without input its standard input is empty, and one that does not read it may end', async () => {
  assert.deepEqual(await run({ program: 'cat', parameters: [], ...bounds }), {
    ...{ ran: true, status: 0, stdout: '', stderr: '' },
  });
  const deaf = await run({ program: 'true', parameters: [], input: 'x'.repeat(1_000_000), ...bounds });
  assert.equal(deaf.ran && deaf.status, 0);
});

test('its environment is the path and an English tongue, whatever ours is', async () => {
  const end = await run({ program: 'env', parameters: [], ...bounds });
  const lines = end.ran ? end.stdout.trim().split('\n').sort() : [];
  assert.deepEqual(
    lines.map((line) => line.split('=')[0]),
    ['LC_ALL', 'PATH'],
  );
  assert.match(lines[1], /:\/usr\/sbin:/);
});

test('a program that is not there is missing', async () => {
  const end = await run({ program: 'no-such-program', parameters: [], ...bounds });
  assert.equal(!end.ran && end.why, 'missing');
  // The sentence goes on where a folder of PATH may not be searched.
  assert.match(end.ran ? '' : end.text, /^no-such-program is not installed(, or this user may not run it)?$/u);
});

test('a program is missing too if what PATH has of its name may not be run', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-commands-'));
  const path = process.env['PATH'];
  t.after(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'no-such-program'), '', { mode: 0o644 });
  process.env['PATH'] = `${folder}:${path}`;
  const missing = { ran: false, why: 'missing', text: 'no-such-program is not installed, or this user may not run it' };
  assert.deepEqual(await run({ program: 'no-such-program', parameters: [], ...bounds }), missing);
  const atPath = await run({ program: join(folder, 'no-such-program'), parameters: [], ...bounds });
  assert.equal(!atPath.ran && atPath.why, 'failed');
  assert.equal((await run({ program: 'true', parameters: [], ...bounds })).ran, true);
});

test('what cannot be run at all is a value too', async () => {
  const folder = await run({ program: '/', parameters: [], ...bounds });
  assert.equal(!folder.ran && folder.why, 'failed');
  const zero = await run({ program: 'a\0b', parameters: [], ...bounds });
  assert.equal(!zero.ran && zero.why, 'failed');
});

test('a program that does not end is killed when its time is over', async () => {
  const slow = run({ program: 'sleep', parameters: ['60'], ...bounds });
  clock.passMs(4_999);
  assert.equal(clock.timersSet, 1);
  clock.passMs(1);
  assert.deepEqual(await slow, { ran: false, why: 'late', text: 'sleep did not exit within 5000 ms' });
  assert.equal(clock.timersSet, 0);
});

test('a program that writes too much is killed', async () => {
  const loud = await run({ program: 'yes', parameters: [], ...bounds });
  assert.deepEqual(loud, { ran: false, why: 'too much', text: 'yes printed more than 1000 bytes' });
});

test('lines that are not worth keeping do not count, however many and however cut', async () => {
  const keep = (line: string): boolean => line.startsWith('keep');
  const script =
    'for (let i = 0; i < 5000; i++) console.log("drop " + i); process.stdout.write("keep 1\\nno\\nkeep 2")';
  assert.deepEqual(await node(script, { keep }), { ran: true, status: 0, stdout: 'keep 1\nkeep 2', stderr: '' });
  const endless = await run({ program: 'tr', parameters: ['\\0', 'x'], input: '\0'.repeat(9_999), keep, ...bounds });
  assert.equal(!endless.ran && endless.why, 'too much');
});

test('one that a signal ends has failed', async () => {
  const end = await node('process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 1000)');
  assert.equal(!end.ran && end.why, 'failed');
});
