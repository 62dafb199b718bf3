/** The run once a minute: when it looks, that it never looks twice at once, what it logs, and what it counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Check, Finding, Verdict } from '../../src/doctor/check.js';
import { isFault, startMinuteRun, watchedCodes } from '../../src/doctor/minute.js';
import { nodeChecks } from '../../src/doctor/node-checks.js';
import { doctorCheckMs, doctorFirstMs, doctorPeriodMs } from '../../src/limits.js';
import { ManualClock } from '../simulation/clock.js';
import { lookingAt } from './outsides.js';

function finding(code: string, verdict: Verdict): Finding {
  return { code, verdict, seen: `${code} is ${verdict}`, meaning: '', command: null };
}

/** A minute run with one check that finds what `now` says. */
function world() {
  const clock = new ManualClock();
  const lines: string[] = [];
  const log = {
    warn: (line: string) => void lines.push(`warn ${line}`),
    info: (line: string) => void lines.push(`info ${line}`),
    error: (line: string) => void lines.push(`error ${line}`),
  };
  const state = { now: 'ok' as Verdict | 'throws' | 'hangs', runs: 0, panics: 0, serves: true };
  const check: Check = {
    about: 'something',
    isCheap: true,
    async run() {
      state.runs++;
      if (state.now === 'throws') throw new Error('a bug');
      if (state.now === 'hangs') return new Promise(() => {});
      return [finding('memory', state.now)];
    },
  };
  const dear: Check = { about: 'questions', isCheap: false, run: () => assert.fail('it is not cheap') };
  const run = startMinuteRun({
    clock,
    log,
    checks: [dear, check],
    codes: ['memory', 'mode'],
    outsides: () => (state.serves ? lookingAt() : null),
    panicked: () => void state.panics++,
  });
  return { clock, lines, state, run };
}

test('nothing happens in the first half minute, then it looks once a minute', async () => {
  const { clock, state, run } = world();
  assert.deepEqual(
    [...run.failed],
    [
      ['memory', false],
      ['mode', false],
    ],
  );
  await clock.pass(doctorFirstMs - 1);
  assert.equal(state.runs, 0);
  await clock.pass(1);
  assert.equal(state.runs, 1);
  await clock.pass(3 * doctorPeriodMs);
  assert.equal(state.runs, 4);
});

test('a fault is logged when it begins and when it ends, and counted between', async () => {
  const { clock, lines, state, run } = world();
  state.now = 'warn';
  await clock.pass(doctorFirstMs + 2 * doctorPeriodMs);
  assert.deepEqual([run.failed.get('memory'), run.failed.get('mode')], [true, false]);
  assert.deepEqual(
    run.findings?.map(({ verdict }) => verdict),
    ['warn'],
  );
  state.now = 'ok';
  await clock.pass(2 * doctorPeriodMs);
  assert.equal(run.failed.get('memory'), false);
  assert.deepEqual(lines, ['warn doctor: memory: memory is warn', 'info doctor: memory: over: memory is ok']);
});

test('what cannot be looked at leaves the last state, and information is no fault', async () => {
  const { clock, state, run } = world();
  state.now = 'fail';
  await clock.pass(doctorFirstMs);
  state.now = 'skipped';
  await clock.pass(doctorPeriodMs);
  assert.equal(run.failed.get('memory'), true);
  state.now = 'info';
  await clock.pass(doctorPeriodMs);
  assert.equal(run.failed.get('memory'), false);
  assert.deepEqual(
    (['ok', 'info', 'warn', 'fail', 'skipped'] as const).filter((verdict) => isFault({ verdict })),
    ['warn', 'fail'],
  );
});

test('an instance that does not serve looks at nothing and reports nothing', async () => {
  const { clock, state, run } = world();
  state.now = 'fail';
  await clock.pass(doctorFirstMs);
  state.serves = false;
  await clock.pass(doctorPeriodMs);
  assert.deepEqual([run.failed.get('memory'), state.runs, run.findings], [false, 1, null]);
});

test('a check that hangs is left behind, and the next run begins a minute after it', async () => {
  const { clock, state } = world();
  state.now = 'hangs';
  await clock.pass(doctorFirstMs + doctorCheckMs + doctorPeriodMs - 1);
  assert.equal(state.runs, 1);
  await clock.pass(1);
  assert.equal(state.runs, 2);
});

test('a check that throws is a bug that is counted, and the others go on', async () => {
  const { clock, lines, state } = world();
  state.now = 'throws';
  await clock.pass(doctorFirstMs);
  assert.deepEqual([state.panics, lines], [1, ['error doctor: the check of something failed']]);
  state.now = 'ok';
  await clock.pass(doctorPeriodMs);
  assert.equal(state.runs, 2);
});

test('after its stop nothing is left', async () => {
  const { clock, run, state } = world();
  run.stop();
  await clock.pass(10 * doctorPeriodMs);
  assert.deepEqual([state.runs, clock.timersSet], [0, 0]);
});

test('every code of the metric is one of a cheap check of the node', async () => {
  const outsides = lookingAt();
  const cheap = nodeChecks.filter(({ isCheap }) => isCheap);
  const found = await outsides.clock.until(Promise.all(cheap.map((check) => check.run(outsides))));
  const codes = new Set(found.flat().map(({ code }) => code));
  assert.deepEqual(
    watchedCodes.filter((code) => !codes.has(code)),
    [],
  );
  assert.equal(new Set(watchedCodes).size, watchedCodes.length);
});
