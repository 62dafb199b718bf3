import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onSignals } from '../src/signals.js';

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
  const app = {
    reload: async (why: string) => {
      say(`(reload: ${why})`);
      return 'reloaded' as const;
    },
    stop: () => {
      say('(stop)');
      return new Promise<void>((resolve) => {
        stopped = resolve;
      });
    },
  };
  return {
    said: () => said.splice(0),
    arrives: (signal: string) => handlers.get(signal)?.(),
    start: () => started(app),
    async ends() {
      stopped();
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
    assert.deepEqual(said(), [`${signal}: answering what is in flight, then stopping`, '(stop)']);
    await ends();
    assert.deepEqual(said(), ['stopped', '(flushed)', '(exit 0)']);
  });
}
test('a second one ends at once', () => {
  const { start, arrives, said } = world();
  start();
  arrives('SIGTERM');
  said();
  arrives('SIGINT');
  assert.deepEqual(said(), ['(exit 0)']);
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
