/**
 * SIGUSR1 while the program starts: left to Node.js it would open a debugger on the host's 127.0.0.1:9229, which any
 * local user can use to run code as root. The signal comes from the first moment at which Node.js minds it; before
 * that the kernel ends the process, as any program.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { builtEntry, repositoryPath } from '../corpus/repository.js';
import { eventually, type Running, start } from '../real/commands.js';
import { freePort } from '../real/packets.js';
import { signalWhileLoading } from '../real/planted.js';
import { entry } from '../real/zerohop.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-signal-'));
after(() => rmSync(folder, { recursive: true }));
const sigUsr1 = 1n << 9n;
const debuggerPort = 9_229;

async function startIt(command = entry, environment: NodeJS.ProcessEnv = {}): Promise<Running> {
  const corefile = join(folder, 'Corefile');
  writeFileSync(corefile, `.:${await freePort()} {\n    bind 127.0.0.1\n    whoami\n}\n`);
  const flags = ['-localip', '127.0.0.1', '-setupinterface=false', '-setupiptables=false', '-handover=', '-control='];
  flags.push('-metrics-listen-address', `127.0.0.1:${await freePort()}`, '-conf', corefile);
  return start([...command, ...flags], environment);
}

/** Resolves when Node.js blocks or takes the signal. */
function whenMinded({ pid }: Running): Promise<true> {
  return eventually('Node.js minds SIGUSR1', () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const masks = [...status.matchAll(/^Sig(?:Blk|Cgt):\s*(\w+)$/gmu)].map(([, mask]) => BigInt(`0x${mask}`));
    return masks.some((mask) => (mask & sigUsr1) !== 0n) ? true : undefined;
  });
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** Starts it, has the signals sent, and expects that it serves, lives and listens for no debugger. */
async function survives(signals: (program: Running) => Promise<void>): Promise<void> {
  const program = await startIt();
  try {
    await whenMinded(program);
    await signals(program);
    await eventually('it serves', () => (program.stdout().includes(' serves on ') ? true : undefined));
    program.signal('SIGUSR1');
    await pause(50);
    assert.equal(await isTaken(debuggerPort), false, 'something listens for a debugger');
    assert.doesNotMatch(program.stderr(), /Debugger listening/u);
  } finally {
    const { status, stdout, stderr } = await program.stop();
    assert.equal(status, 0, stderr + stdout);
  }
}

for (const afterMs of [0, 20, 50, 100, 200]) {
  test(`SIGUSR1 ${afterMs} ms after Node.js minds it opens no debugger`, () =>
    survives(async (program) => {
      await pause(afterMs);
      program.signal('SIGUSR1');
    }));
}

test('nor do many of them, all through the start', () =>
  survives(async (program) => {
    for (let count = 0; count < 50; count++) {
      program.signal('SIGUSR1');
      await pause(10);
    }
  }));

describe('without the flags of the first line, while the program is read', () => {
  /** A debugger could listen here, and is in nobody's way. */
  const bare = [process.execPath, '--inspect-port=127.0.0.1:0', builtEntry];
  const whileLoading = (signal: NodeJS.Signals) => ({ NODE_OPTIONS: `--import=${signalWhileLoading(signal, 200)}` });

  for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
    test(`${signal} opens no debugger and ends nothing; it is a reload`, async () => {
      const program = await startIt(bare, whileLoading(signal));
      await eventually('it has reloaded', async () => {
        const ended = await Promise.race([program.finished, Promise.resolve(undefined)]);
        assert.equal(ended, undefined, 'it has ended');
        return program.stdout().includes(`${signal}: the configuration is unchanged`) ? true : undefined;
      });
      const { status, stderr } = await program.stop();
      assert.deepEqual([status, stderr], [0, '']);
    });
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends it in order once it has started`, async () => {
      const { status, stdout, stderr } = await (await startIt(bare, whileLoading(signal))).finished;
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, new RegExp(`${signal}: draining, then exiting`, 'u'));
    });
  }

  test('a command that does not serve ends by the signals that end any program, and SIGUSR1 is nothing to it', async () => {
    const check = async (signal: NodeJS.Signals) => {
      const { status, stderr } = await start([...bare, '-version'], whileLoading(signal)).finished;
      assert.equal(stderr, '');
      return status;
    };
    assert.deepEqual(
      [await check('SIGTERM'), await check('SIGINT'), await check('SIGHUP'), await check('SIGUSR1')],
      [143, 130, 129, 0],
    );
  });
});

test('npm start and the image set what the first line of the entry sets', () => {
  const flags = entry.slice(1, -1);
  assert.ok(flags.some((flag) => flag.startsWith('--inspect-port=')));
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  const dockerfile = readFileSync(repositoryPath('Dockerfile'), 'utf8');
  for (const flag of flags) {
    assert.ok(scripts.start.split(' ').includes(flag), flag);
    assert.ok(dockerfile.includes(`"${flag}"`), flag);
  }
});
