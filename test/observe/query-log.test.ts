import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogConfig } from '../../src/config/config.js';
import { queryLogLinesPerSecondMax } from '../../src/limits.js';
import { bothTold, newQueryLog, newQueryLogOutput } from '../../src/observe/query-log.js';
import type { QueryLogRecord } from '../../src/resolve/lane.js';
import { ManualClock } from '../simulation/clock.js';
import { queryFacts } from './facts.js';

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
