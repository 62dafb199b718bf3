/** `zerohop doctor` as a command: what it prints in each format, its exit code, and -watch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoctorOptions } from '../../src/config/doctor-options.js';
import type { Finding, Verdict } from '../../src/doctor/check.js';
import type { DoctorReport } from '../../src/doctor/doctor.js';
import { doctorWatchPeriodMs } from '../../src/limits.js';
import { runDoctorCommand } from '../../src/process/doctor-command.js';
import { ManualClock } from '../simulation/clock.js';

const options: DoctorOptions = { controlPath: null, output: 'text', isWatching: false, outsideName: null };

function reportWith(verdict: Verdict): DoctorReport {
  const finding: Finding = { code: 'endpoint-dead', verdict, seen: 'seen', meaning: 'meant', command: 'dig' };
  return { findings: [finding], startedAtMs: 0, tookMs: 10, questions: 3 };
}

function program() {
  const printed: string[] = [];
  return { printed, environment: { NO_COLOR: '1' }, print: (text: string) => void printed.push(text) };
}

test('text, JSON and the exit code', async () => {
  for (const [verdict, exitCode] of [
    ['fail', 2],
    ['warn', 1],
    ['ok', 0],
  ] as const) {
    const looked = program();
    assert.equal(await runDoctorCommand(looked, options, { look: async () => reportWith(verdict) }), exitCode);
    assert.match(looked.printed[0], /endpoint-dead: seen/);
    const asJson = program();
    await runDoctorCommand(asJson, { ...options, output: 'json' }, { look: async () => reportWith(verdict) });
    assert.equal(JSON.parse(asJson.printed[0]).verdict, verdict);
  }
});

test('with -watch it looks again every minute and prints only what has changed; as JSON one report a line', async () => {
  for (const output of ['text', 'json'] as const) {
    const clock = new ManualClock();
    const looked = program();
    const verdicts: Verdict[] = ['fail', 'fail', 'ok'];
    const look = async () => reportWith(verdicts.shift() ?? 'ok');
    void runDoctorCommand(looked, { ...options, output, isWatching: true }, { look, clock });
    await clock.pass(3 * doctorWatchPeriodMs);
    if (output === 'text') {
      assert.equal(looked.printed.length, 2);
      assert.match(looked.printed[1], /^\d\d:\d\d ok {4}endpoint-dead: ok since \d\d:\d\d/);
    } else {
      assert.equal(looked.printed.length, 4);
      assert.ok(looked.printed.every((line) => !line.includes('\n') && JSON.parse(line).findings.length === 1));
    }
  }
});
