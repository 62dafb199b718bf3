/**
 * Runs zerohop doctor beside a serving zerohop, for helm test: again while there are failures, because a pod of zerohop may
 * have just been made, and prints the last report. Warnings are in the report and do not fail the test: some are about the
 * node or the cluster, which an installation does not change.
 *
 * Environment: ZEROHOP, the program (/app/dist/zerohop/main.js); PATIENCE_MS (60000), how long it tries again.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

const { ZEROHOP: program = '/app/dist/zerohop/main.js', PATIENCE_MS: patienceMs = '60000' } = process.env;
const pauseMs = 3000;
const statusOfWarnings = 1;

for (const deadlineMs = Date.now() + Number(patienceMs); ; ) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'doctor'], { encoding: 'utf8' });
  const isWell = status === 0 || status === statusOfWarnings;
  if (isWell || Date.now() >= deadlineMs) {
    process.stdout.write(stdout + stderr);
    process.exitCode = isWell ? 0 : 1;
    break;
  }
  await pause(pauseMs);
}
