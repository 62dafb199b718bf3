import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableLines } from '../../src/demo/table.js';

const row = { question: 'a. A', rcode: 'NOERROR', answer: '192.0.2.1', source: 'upstream', microseconds: '870' };

test('columns are as wide as their widest cell, numbers to the right, captions between', () => {
  const lines = tableLines([
    { caption: 'One.', rows: [row, { ...row, question: 'long.example. A', source: 'cache', microseconds: '9' }] },
    { caption: 'Two.', rows: [{ ...row, rcode: 'NXDOMAIN', answer: '' }] },
  ]);
  assert.deepEqual(lines, [
    'QUESTION         RCODE     ANSWER     SOURCE     µs',
    '',
    '# One.',
    'a. A             NOERROR   192.0.2.1  upstream  870',
    'long.example. A  NOERROR   192.0.2.1  cache       9',
    '',
    '# Two.',
    'a. A             NXDOMAIN             upstream  870',
  ]);
});

test('no line ends in blanks, also without an answer', () => {
  const lines = tableLines([
    { caption: 'x', rows: [row, { ...row, answer: '', source: '', microseconds: '', rcode: 'no answer' }] },
  ]);
  for (const line of lines) assert.equal(line, line.trimEnd());
});

test('a long answer is cut', () => {
  const lines = tableLines([{ caption: 'x', rows: [{ ...row, answer: 'y'.repeat(200) }] }]);
  assert(lines[3].includes(`${'y'.repeat(35)}…  upstream`));
  assert(!lines[3].includes('y'.repeat(36)));
});

test('without sections there is the heading', () => {
  assert.deepEqual(tableLines([]), ['QUESTION  RCODE  ANSWER  SOURCE  µs']);
});
