import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConsolidateConfig, LogConfig } from '../../src/config/config.js';
import { Pattern } from '../../src/config/pattern.js';
import { consolidatedErrorsMax, errorLinesPerSecondMax, queryLogLinesPerSecondMax } from '../../src/limits.js';
import { bothTold, newErrorsLog, newLineBudget, newQueryLog, newQueryLogOutput } from '../../src/observe/query-log.js';
import type { QueryLogRecord } from '../../src/resolve/worker-context.js';
import { ManualClock } from '../simulation/clock.js';
import { queryFacts } from './facts.js';
import { newLines } from './lines.js';

const everyName: LogConfig = { names: ['.'], format: '{name} {rcode}', classes: ['all'] };

function logging(...directives: LogConfig[]) {
  const lines: string[] = [];
  const clock = new ManualClock();
  let dropped = 0;
  const output = newQueryLogOutput({ clock, write: (line) => void lines.push(line), dropped: () => dropped++ });
  const logQuery = newQueryLog(directives, output);
  return {
    lines,
    clock,
    log: (facts: Partial<QueryLogRecord>) => logQuery?.(queryFacts(facts)),
    dropped: () => dropped,
  };
}

describe('query log', () => {
  it('is null without directives', () => {
    assert.equal(
      newQueryLog([], () => assert.fail('nothing to write')),
      null,
    );
  });

  it('writes queries of its names only, on whole labels, in any case', () => {
    const { lines, log } = logging({ ...everyName, names: ['example.org.', 'cluster.local.'] });
    for (const name of ['a.example.org.', 'EXAMPLE.org.', 'badexample.org.', 'x.', 'A.Cluster.Local.']) log({ name });
    assert.deepEqual(lines, [
      '[INFO] a.example.org. NOERROR',
      '[INFO] example.org. NOERROR',
      '[INFO] a.cluster.local. NOERROR',
    ]);
  });

  it('writes its classes only', () => {
    const { lines, log } = logging({ ...everyName, classes: ['denial', 'error'] });
    for (const rcode of [0, 2, 3]) log({ rcode });
    assert.deepEqual(lines, ['[INFO] name.example. SERVFAIL', '[INFO] name.example. NXDOMAIN']);
  });

  it('lets the first directive with the name decide, also to be silent', () => {
    const { lines, log } = logging(
      { names: ['example.'], format: 'first {rcode}', classes: ['error'] },
      { names: ['.'], format: 'second {rcode}', classes: ['all'] },
    );
    log({ name: 'a.example.', rcode: 2 });
    log({ name: 'a.example.', rcode: 0 });
    log({ name: 'other.', rcode: 0 });
    assert.deepEqual(lines, ['[INFO] first SERVFAIL', '[INFO] second NOERROR']);
  });

  it('writes a bounded number of lines a second and counts the rest', () => {
    const { lines, clock, log, dropped } = logging(everyName);
    for (let query = 0; query < queryLogLinesPerSecondMax + 5; query++) log({});
    assert.equal(lines.length, queryLogLinesPerSecondMax);
    assert.equal(dropped(), 5);
    clock.passSeconds(1);
    log({});
    assert.equal(lines.length, queryLogLinesPerSecondMax + 1);
    assert.equal(dropped(), 5);
  });

  it('tells both of those that want to know, and is null where nobody does', () => {
    const { lines, log } = logging(everyName);
    const told: string[] = [];
    const other = (facts: QueryLogRecord) => void told.push(facts.name);
    const output = (line: () => string) => void lines.push(line());
    bothTold(newQueryLog([everyName], output), other)?.(queryFacts({ name: 'a.test.' }));
    bothTold(null, other)?.(queryFacts({ name: 'b.test.' }));
    bothTold(newQueryLog([everyName], output), null)?.(queryFacts({ name: 'c.test.' }));
    log({ name: 'd.test.' });
    assert.deepEqual(told, ['a.test.', 'b.test.']);
    assert.equal(lines.length, 3);
    assert.equal(bothTold(null, null), null);
  });
});

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

describe('line budget', () => {
  it('lets so many lines pass in a second and starts anew in the next', () => {
    const clock = new ManualClock();
    const fits = newLineBudget(clock, 3);
    const write = (lines: number): number => Array.from({ length: lines }, fits).filter(Boolean).length;
    assert.equal(write(5), 3);
    clock.passMs(999);
    assert.equal(write(5), 0, 'still the same second');
    clock.passMs(1);
    assert.equal(write(2), 2);
    clock.passMs(500);
    assert.equal(write(5), 1);
  });
});
