import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onSignals } from '../../src/process/signals.js';

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
