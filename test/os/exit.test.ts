/** How a process ends whose threads Node.js would wait for. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { loadExit } from '../../src/os/system-calls.js';

const notLinux = process.platform !== 'linux' && 'Linux only';
const moduleAt = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
/** Node.js waits for such a thread for good. */
const blockedThread = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { Worker } from 'node:worker_threads';
  const blocked = \`
    import { loadSystemCalls } from ${moduleAt('../../src/os/system-calls.js')};
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage('blocks');
    loadSystemCalls().calls.poll(0, 0, 60_000);
  \`;
  const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(blocked)));
  await new Promise((resolve) => worker.once('message', resolve));
  const isInPoll = (thread) => readFileSync('/proc/self/task/' + thread + '/wchan', 'latin1').includes('poll_schedule');
  while (!readdirSync('/proc/self/task').some(isInPoll)) await new Promise(setImmediate);
`;

function ends(script: string, environment: NodeJS.ProcessEnv = {}) {
  const opening = `import { endWhenWritten } from ${moduleAt('../../src/os/exit.js')};`;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', opening + script],
    { encoding: 'utf8', env: { ...process.env, ZEROHOP_IO: '', ...environment }, timeout: 10_000, maxBuffer: 1 << 24 },
  );
  return { status, signal, stdout, stderr };
}

test('it ends at once beside a thread that the kernel holds', { skip: notLinux }, () => {
  const { status, signal } = ends(`${blockedThread} process.exitCode = 7; endWhenWritten();`);
  assert.deepEqual([status, signal], [7, null]);
});

test('listeners to its exit have run, with the status', { skip: notLinux }, () => {
  const { status, stdout } = ends(`
    import { writeSync } from 'node:fs';
    process.on('exit', (status) => writeSync(1, 'ends with ' + status));
    process.exitCode = 3; endWhenWritten();
  `);
  assert.deepEqual([status, stdout], [3, 'ends with 3']);
});

test('what was printed is written, however slowly it is read', () => {
  const { status, stdout } = ends(`
    process.exitCode = 2;
    process.stdout.write('x'.repeat(3_000_000));
    endWhenWritten();
  `);
  assert.deepEqual([status, stdout.length], [2, 3_000_000]);
});

test('where nothing can be written, the listener to errors has the say', { skip: notLinux }, () => {
  const script = `
    import { endWhenWritten } from ${moduleAt('../../src/os/exit.js')};
    process.stdout.on('error', () => process.exit(9));
    process.stdout.write('printed');
    endWhenWritten();
  `;
  const full = openSync('/dev/full', 'w');
  try {
    const parameters = ['--input-type=module', '-e', script];
    const { status } = spawnSync(process.execPath, parameters, { stdio: ['ignore', full, 'pipe'], timeout: 10_000 });
    assert.equal(status, 9);
  } finally {
    closeSync(full);
  }
});

test('without system calls Node.js ends it', () => {
  const { status } = ends('process.exitCode = 4; endWhenWritten();', { ZEROHOP_IO: 'portable' });
  assert.equal(status, 4);
  const failing = (): never => {
    throw new Error('no koffi');
  };
  assert.equal(loadExit(failing), null);
});
