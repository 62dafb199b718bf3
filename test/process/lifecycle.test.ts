import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { exceptionsMax } from '../../src/limits.js';
import { replaceText } from '../../src/os/files.js';
import { onExceptions, onSignals, writePidFile } from '../../src/process/lifecycle.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';

function world() {
  const said: string[] = [];
  const handlers = new Map<string, () => void>();
  const say = (line: string) => void said.push(line);
  const log = { debug: say, info: say, warn: say, error: say, flush: () => say('(flushed)') };
  const started = onSignals(
    { on: (signal, arrived) => handlers.set(signal, arrived), exit: (code) => say(`(exit ${code})`) },
    log,
  );
  let stopped = (): void => {};
  let failed = (_error: Error): void => {};
  const app = {
    reload: async (why: string) => {
      say(`(reload: ${why})`);
      return 'reloaded' as const;
    },
    hurry: () => say('(hurry)'),
    stop: () => {
      say('(stop)');
      return new Promise<void>((resolve, reject) => {
        stopped = resolve;
        failed = reject;
      });
    },
  };
  return {
    said: () => said.splice(0),
    arrives: (signal: string) => handlers.get(signal)?.(),
    start: () => started(app),
    async ends(error?: Error) {
      if (error === undefined) stopped();
      else failed(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('SIGHUP and SIGUSR1 reload', () => {
  const { start, arrives, said } = world();
  start();
  arrives('SIGHUP');
  arrives('SIGUSR1');
  assert.deepEqual(said(), ['(reload: SIGHUP)', '(reload: SIGUSR1)']);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} ends with 0 when all is closed`, async () => {
    const { start, arrives, said, ends } = world();
    start();
    arrives(signal);
    assert.deepEqual(said(), [`${signal}: draining, then exiting`, '(stop)']);
    await ends();
    assert.deepEqual(said(), ['stopped', '(flushed)', '(exit 0)']);
  });
}
test('a second one ends in order without waiting for clients, a third at once', async () => {
  const { start, arrives, said, ends } = world();
  start();
  arrives('SIGTERM');
  said();
  arrives('SIGINT');
  assert.deepEqual(said(), ['SIGINT again: exiting without waiting for clients', '(hurry)']);
  arrives('SIGTERM');
  assert.deepEqual(said(), ['(exit 1)']);
  await ends();
  assert.deepEqual(said().at(-1), '(exit 0)');
});
test('two before the start are a stop that waits for nobody', () => {
  const { start, arrives, said } = world();
  arrives('SIGTERM');
  arrives('SIGTERM');
  said();
  start();
  assert.deepEqual(said(), ['(hurry)', '(stop)']);
});
test('a stop that fails ends the process all the same, with 1', async () => {
  const { start, arrives, said, ends } = world();
  start();
  arrives('SIGTERM');
  said();
  await ends(new Error('planted'));
  assert.match(said().join(), /^stopping failed: Error: planted.*,\(flushed\),\(exit 1\)$/su);
});
test('what comes before the start is not lost: one reload, or the end', async () => {
  const reloaded = world();
  reloaded.arrives('SIGHUP');
  reloaded.arrives('SIGUSR1');
  assert.deepEqual(reloaded.said(), []);
  reloaded.start();
  assert.deepEqual(reloaded.said(), ['(reload: SIGUSR1)']);
  const ended = world();
  ended.arrives('SIGUSR1');
  ended.arrives('SIGTERM');
  ended.said();
  ended.start();
  assert.deepEqual(ended.said(), ['(stop)']);
  await ended.ends();
  assert.deepEqual(ended.said().at(-1), '(exit 0)');
});

function newThrower() {
  const clock = new ManualClock();
  const did: string[] = [];
  const handlers = new Map<string, (error: unknown) => void>();
  const say = (): void => {};
  const log = { debug: say, info: say, warn: say, error: (text: string) => void did.push(text), flush: say };
  const process = {
    on: (event: string, handler: (error: unknown) => void) => void handlers.set(event, handler),
    exit: (code: number) => void did.push(`exit ${code}`),
  };
  const started = onExceptions(process, { clock, log });
  const throws = (event = 'uncaughtException'): void => handlers.get(event)?.(new Error('planted'));
  return { clock, did, started, throws };
}

const goesOn = 'exception in the main thread; it continues';

describe('onExceptions', () => {
  test('before the program has started an exception ends it', () => {
    const { did, throws } = newThrower();
    throws();
    assert.deepEqual(did, [goesOn, 'exit 1']);
  });

  test('one is logged, and the context made anew; a promise that nobody looks after counts the same', async () => {
    const { clock, did, started, throws } = newThrower();
    started({ recover: () => void did.push('recover'), stop: () => assert.fail('it goes on') });
    throws();
    throws('unhandledRejection');
    assert.deepEqual(did, [goesOn, 'recover', goesOn, 'recover']);
    for (let times = 0; times < 10 * exceptionsMax; times++) {
      clock.passMs(1_500);
      throws();
    }
  });

  test('too many in too short a time end the process in order, once', async () => {
    const { clock, did, started, throws } = newThrower();
    started({ recover: () => void did.push('recover'), stop: async () => void did.push('stop') });
    for (let times = 0; times < exceptionsMax + 3; times++) throws();
    await clock.pass(0);
    assert.equal(did.filter((what) => what === 'recover').length, exceptionsMax);
    assert.deepEqual(
      did.filter((what) => what === 'stop' || what.startsWith('exit')),
      ['stop', 'exit 1'],
    );
  });

  test('so does a context that cannot be made anew', async () => {
    const { clock, did, started, throws } = newThrower();
    const recover = (): void => {
      throw new Error('again');
    };
    started({ recover, stop: async () => void did.push('stop') });
    throws();
    await clock.pass(0);
    assert.deepEqual(did.slice(-2), ['stop', 'exit 1']);
  });
});

const root = mkdtempSync(path.join(tmpdir(), 'zerohop-pid-'));
after(() => rmSync(root, { recursive: true }));

function logging() {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  return { lines, world: { log: { debug: say, info: say, warn: say, error: say }, random: seededRandom(1) } };
}

test('the file holds the process id and a line end, and is taken away', () => {
  const file = path.join(root, 'pid');
  const { lines, world } = logging();
  const remove = writePidFile(file, world);
  assert.equal(readFileSync(file, 'utf8'), `${process.pid}\n`);
  remove();
  assert.equal(existsSync(file), false);
  remove();
  assert.deepEqual(lines, []);
});
test('one that somebody else has written since stays', () => {
  const file = path.join(root, 'taken');
  const remove = writePidFile(file, logging().world);
  writeFileSync(file, '1\n');
  remove();
  assert.equal(readFileSync(file, 'utf8'), '1\n');
});
test('one of another process with the same id, as in another container, stays', () => {
  const file = path.join(root, 'same');
  const remove = writePidFile(file, logging().world);
  replaceText(file, `${process.pid}\n`, seededRandom(2));
  remove();
  assert.equal(existsSync(file), true);
});
test('one that cannot be written is a line in the log; none is none', () => {
  const { lines, world } = logging();
  writePidFile(path.join(root, 'none', 'pid'), world)();
  assert.match(lines.join('\n'), /^-pidfile: ENOENT: [^\n]*$/u);
  writePidFile(null, world)();
  assert.equal(lines.length, 1);
});
