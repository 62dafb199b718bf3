import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConsolidateConfig } from '../../src/config/config.js';
import { Pattern } from '../../src/config/pattern.js';
import { consolidatedErrorsMax, errorLinesPerSecondMax } from '../../src/limits.js';
import { newErrorsLog } from '../../src/observe/errors-log.js';
import { ManualClock } from '../simulation/clock.js';
import { newLines } from './lines.js';

const timeouts: ConsolidateConfig = {
  periodMs: 300_000,
  pattern: new Pattern('i/o timeout$'),
  level: 'error',
  showFirst: false,
};

function newLog(...consolidate: ConsolidateConfig[]) {
  const { lines, log } = newLines();
  const clock = new ManualClock();
  const errors = newErrorsLog({ stacktrace: false, consolidate }, { log, clock });
  return {
    clock,
    errors,
    lines,
    texts: () => lines.map(({ message }) => message),
    fail: (text: string) => errors.failed({ rcode: 2, name: 'name.', type: 1, text }),
  };
}

describe('errors log', () => {
  it("writes each failure in CoreDNS's words", () => {
    const { errors, lines } = newLog();
    errors.failed({
      rcode: 2,
      name: 'silent.test.',
      type: 1,
      text: 'read udp 127.0.0.1:44->127.0.0.1:53: i/o timeout',
    });
    errors.failed({ rcode: 5, name: '.', type: 65280, text: 'concurrent queries exceeded maximum 2' });
    assert.deepEqual(lines, [
      {
        level: 'error',
        message: '[ERROR] plugin/errors: 2 silent.test. A: read udp 127.0.0.1:44->127.0.0.1:53: i/o timeout',
      },
      { level: 'error', message: '[ERROR] plugin/errors: 5 . TYPE65280: concurrent queries exceeded maximum 2' },
    ]);
  });

  it('gives a line per period for what matches, beginning with the first match', () => {
    const { clock, fail, texts } = newLog(timeouts);
    clock.passMs(123_000);
    for (let failure = 0; failure < 3; failure++) fail('read udp: i/o timeout');
    fail('EOF');
    assert.deepEqual(texts(), ['[ERROR] plugin/errors: 2 name. A: EOF']);
    clock.passMs(299_999);
    assert.equal(texts().length, 1);
    clock.passMs(1);
    assert.equal(texts()[1], "[ERROR] plugin/errors: 3 errors like 'i/o timeout$' occurred in last 5m0s");
    clock.passMs(3_600_000);
    assert.equal(texts().length, 2, 'a period without failures has no line');
    fail('i/o timeout');
    clock.passMs(300_000);
    assert.equal(texts()[2], "[ERROR] plugin/errors: 1 errors like 'i/o timeout$' occurred in last 5m0s");
    assert.equal(clock.timersSet, 0);
  });

  it('lets the first pattern that matches have it', () => {
    const { clock, fail, texts } = newLog(
      { ...timeouts, pattern: new Pattern('timeout'), periodMs: 1_000 },
      { ...timeouts, periodMs: 2_000 },
    );
    fail('i/o timeout');
    clock.passMs(10_000);
    assert.deepEqual(texts(), ["[ERROR] plugin/errors: 1 errors like 'timeout' occurred in last 1s"]);
  });

  it('writes at the level of the pattern', () => {
    for (const [level, written, prefix] of [
      ['debug', 'debug', 'DEBUG'],
      ['info', 'info', 'INFO'],
      ['warning', 'warn', 'WARNING'],
      ['error', 'error', 'ERROR'],
    ] as const) {
      const { clock, fail, lines } = newLog({ ...timeouts, level, showFirst: true });
      fail('i/o timeout');
      fail('i/o timeout');
      clock.passMs(300_000);
      assert.deepEqual(lines, [
        { level: written, message: `[${prefix}] plugin/errors: 2 name. A: i/o timeout` },
        { level: written, message: `[${prefix}] plugin/errors: 2 errors like 'i/o timeout$' occurred in last 5m0s` },
      ]);
    }
  });

  it('shows the first one where asked, and then no summary of it alone', () => {
    const { clock, fail, texts } = newLog({ ...timeouts, showFirst: true });
    fail('i/o timeout');
    clock.passMs(300_000);
    assert.deepEqual(texts(), ['[ERROR] plugin/errors: 2 name. A: i/o timeout']);
  });

  it('summarises at once when it stops, and consolidates nothing afterwards', () => {
    const { clock, errors, fail, texts } = newLog(timeouts, { ...timeouts, pattern: new Pattern('EOF') });
    fail('i/o timeout');
    fail('i/o timeout');
    errors.stop();
    fail('i/o timeout');
    assert.deepEqual(texts(), [
      "[ERROR] plugin/errors: 2 errors like 'i/o timeout$' occurred in last 5m0s",
      '[ERROR] plugin/errors: 2 name. A: i/o timeout',
    ]);
    assert.equal(clock.timersSet, 0);
  });

  it('writes a bounded number of lines a second, and says how many are missing', () => {
    const { clock, fail, texts } = newLog();
    for (let failure = 0; failure < errorLinesPerSecondMax + 7; failure++) fail('EOF');
    assert.equal(texts().length, errorLinesPerSecondMax);
    clock.passMs(1_000);
    assert.deepEqual(texts().slice(errorLinesPerSecondMax), [
      '[ERROR] plugin/errors: 7 error lines dropped: too many in one second',
    ]);
    fail('EOF');
    assert.equal(texts().length, errorLinesPerSecondMax + 2);
    clock.passMs(10_000);
    assert.equal(texts().length, errorLinesPerSecondMax + 2);
    assert.equal(clock.timersSet, 0);
  });

  it('leaves no timer when it stops in the middle of a flood', () => {
    const { clock, errors, fail, texts } = newLog();
    for (let failure = 0; failure < errorLinesPerSecondMax + 1; failure++) fail('EOF');
    errors.stop();
    assert.match(texts().at(-1) ?? '', /1 error lines dropped/);
    for (let failure = 0; failure < 10; failure++) fail('EOF');
    assert.equal(clock.timersSet, 0);
  });

  it('refuses more patterns than it has room for', () => {
    const { log } = newLines();
    const consolidate = Array(consolidatedErrorsMax + 1).fill(timeouts);
    assert.throws(
      () => newErrorsLog({ stacktrace: false, consolidate }, { log, clock: new ManualClock() }),
      /use fewer/,
    );
  });
});
