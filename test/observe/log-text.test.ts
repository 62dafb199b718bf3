import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { logText } from '../../src/observe/log-text.js';

const time = '2026-01-02T03:04:05.678Z';

function text(message: string, fields: Record<string, unknown> = {}, level = 'info'): string {
  return logText(`${JSON.stringify({ level, time, ...fields, msg: message })}\n`, false);
}

test('time, level, message and fields, in one line', () => {
  assert.equal(
    text('interface is back', {
      interface: 'nodelocaldns',
      addresses: ['169.254.20.10', 'fd00::10'],
      tries: 2,
      late: true,
    }),
    `${time} INFO  interface is back interface=nodelocaldns addresses=169.254.20.10,fd00::10 tries=2 late=true\n`,
  );
  assert.equal(text('x', {}, 'warn'), `${time} WARN  x\n`);
  assert.equal(text('x', {}, 'error'), `${time} ERROR x\n`);
  assert.equal(text('x', {}, 'debug'), `${time} DEBUG x\n`);
});

test('a value is in quotes where its end would be unclear', () => {
  assert.equal(
    text('x', { why: 'connection refused', empty: '', quote: 'a"b', pair: 'a=b', slash: '/run/x' }),
    `${time} INFO  x why="connection refused" empty="" quote="a\\"b" pair="a=b" slash=/run/x\n`,
  );
});

test('a line of the query log is as CoreDNS writes it', () => {
  const line = '10.244.0.7:41993 - 1 "A IN a.example. udp 20 false 512" NOERROR qr,rd,ra 40 0.001s';
  assert.equal(text(line), `${time} INFO  ${line}\n`);
});

test('a name from a packet breaks neither the line nor the terminal', () => {
  const names = {
    'line\nend': 'line\\nend',
    'carriage\rreturn\t': 'carriage\\rreturn\\t',
    '\u001b[2J': '\\u{1b}[2J',
    '\u009b2J': '\\u{9b}2J',
    'bell\u0007 nul\u0000 del\u007f': 'bell\\u{7} nul\\u{0} del\\u{7f}',
    'right to left \u202e': 'right to left \\u{202e}',
    'invisible \u200b\ufeff': 'invisible \\u{200b}\\u{feff}',
    'separators \u2028\u2029': 'separators \\u{2028}\\u{2029}',
    'tag \u{e0041}': 'tag \\u{e0041}',
    'Bücher.example 例え': 'Bücher.example 例え',
  };
  for (const [name, shown] of Object.entries(names)) assert.equal(text(name), `${time} INFO  ${shown}\n`);
  for (const name of Object.keys(names)) {
    const line = text('x', { name, [`key ${name}`]: 1, list: [name] });
    assert.match(line, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+\n$/u);
  }
});

test('colors change no character, and no level has the color of another', () => {
  const levels = ['debug', 'info', 'warn', 'error'];
  const lines = levels.map((level) => logText(JSON.stringify({ level, time, a: 1, msg: 'x' }), true));
  for (const [index, level] of levels.entries()) {
    assert.equal(stripVTControlCharacters(lines[index]), text('x', { a: 1 }, level));
  }
  const colors = lines.map((line) => line.slice(0, line.search(/DEBUG|INFO|WARN|ERROR/)));
  assert.equal(new Set(colors).size, 4);
});
