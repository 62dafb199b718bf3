import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding, Report } from '../../src/config/check.js';
import { type CheckOutput, writeReports } from '../../src/config/check-output.js';

const finding: Finding = {
  severity: 'warning',
  code: 'cache-missing',
  file: '/a',
  line: 3,
  message: 'it hurts',
  remedy: 'mend it',
};
const report: Report = { file: '/a', ok: true, serverBlocks: 2, text: null, madeWith: [], findings: [finding] };
const broken: Report = {
  ...{ file: '/b', ok: false, serverBlocks: 0, text: null, madeWith: [] },
  findings: [{ ...finding, severity: 'error', file: '/b', line: null, message: 'It is gone.', remedy: null }],
};

function written(output: CheckOutput | 'strict', ...reports: readonly Report[]) {
  const lines: string[] = [];
  const isStrict = output === 'strict';
  const wishes = { output: isStrict ? 'text' : output, isStrict } as const;
  return { exitCode: writeReports(reports, wishes, (line) => lines.push(line)), lines };
}

test('for people: a line each, with what to do', () => {
  assert.deepEqual(written('text', report, broken), {
    exitCode: 2,
    lines: ['/a:3: warning: it hurts; mend it.', '/a: ok, 2 server blocks, 1 warning', '/b: error: It is gone.'],
  });
});
test('for programs: one object, whose shape is promised', () => {
  const { exitCode, lines } = written('json', report, broken);
  assert.equal(exitCode, 2);
  assert.deepEqual(JSON.parse(lines.join('\n')), { schema: 1, ok: false, files: [report, broken] });
  assert.equal(written('json', report).exitCode, 0);
});
test('the built-in configuration is printed as a Corefile', () => {
  const builtin = { ...report, file: '(built-in)', text: '. {\n}\n' };
  assert.deepEqual(written('text', builtin), { exitCode: 0, lines: ['. {', '}'] });
  const example = { ...finding, line: null, message: 'an address stands for another', remedy: 'set it' };
  assert.deepEqual(written('strict', { ...builtin, findings: [example] }), {
    exitCode: 0,
    lines: ['# an address stands for another.', '. {', '}'],
  });
});
test('-strict refuses what has a warning, and says so', () => {
  assert.deepEqual(written('strict', report), {
    exitCode: 2,
    lines: ['/a:3: warning: it hurts; mend it.', '/a: rejected by -strict, 2 server blocks, 1 warning'],
  });
  assert.equal(written('strict', { ...report, findings: [] }).exitCode, 0);
});
