import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { OrderNumbers, UdpWorker } from '../../src/listen/worker.js';
import { systemClock } from '../../src/os/clock.js';
import { calls, eventually, skip } from '../os/loopback-sockets.js';

function newThread(program = new URL('../os/letters-thread.js', import.meta.url)) {
  const counters = new Counters(countersMemory(1));
  const said: string[] = [];
  const deaths: number[] = [];
  const say = (message: string): void => void said.push(message);
  const wakeFd = calls.eventFd();
  const world = {
    ...{ calls, counters, program, wakeFd, shared: null, clock: systemClock() },
    log: { debug: say, info: say, warn: say, error: say },
    died: (index: number) => void deaths.push(index),
  };
  return { thread: new UdpWorker<string, null>(world, 4), counters, said, deaths };
}

describe('UdpWorker', { skip }, () => {
  test('starts with its first orders, takes later ones, ends when told', async () => {
    const { thread, deaths, said } = newThread();
    assert.equal(thread.order([]), 1);
    await eventually(() => thread.hasTaken(1));
    assert.equal(thread.order([]), 2);
    await eventually(() => thread.hasTaken(2));
    assert.equal(thread.hasTaken(3), false);
    await new Promise<void>((resolve) => thread.end(resolve));
    assert.deepEqual([deaths, said], [[4], []]);
  });

  test('gets a larger page when the main thread has one; the old one is added up once it is out of use', async () => {
    const { thread, counters } = newThread();
    thread.order([]);
    await eventually(() => thread.hasTaken(1));
    const [old] = thread.pages;
    old.count('panics');
    counters.growTo(9);
    const number = thread.order([]);
    assert.deepEqual([thread.pages.length, thread.pages[1] === old], [2, true]);
    await eventually(() => thread.hasTaken(number));
    thread.foldPages();
    assert.deepEqual([thread.pages.length, counters.total('panics')], [1, 1]);
    await new Promise<void>((resolve) => thread.end(resolve));
  });

  test('one that cannot live is started again, not too often, with the reason', async () => {
    const { thread, said, deaths } = newThread(new URL('data:text/javascript,throw new Error("no life")'));
    const startedMs = performance.now();
    thread.order([]);
    await eventually(() => deaths.length === 3);
    assert.ok(performance.now() - startedMs >= 100);
    assert.equal(said.length, 3);
    await new Promise<void>((resolve) => thread.end(resolve));
  });

  test('one that has never served ends at once', () => {
    let isDone = false;
    newThread().thread.end(() => {
      isDone = true;
    });
    assert.ok(isDone);
  });
});

test('a thread is started again though who is told of its death throws', { skip }, async () => {
  const module = JSON.stringify(new URL('../../src/listen/worker.js', import.meta.url).href);
  const others = ['counters', 'os/clock', 'os/system-calls'].map(
    (file) => new URL(`../../src/${file}.js`, import.meta.url).href,
  );
  const script = `
    import { UdpWorker } from ${module};
    import { Counters, countersMemory } from ${JSON.stringify(others[0])};
    import { stayAlive, systemClock } from ${JSON.stringify(others[1])};
    import { loadSystemCalls } from ${JSON.stringify(others[2])};
    stayAlive();
    let deaths = 0;
    process.on('uncaughtException', ({ message }) => console.log(message));
    const say = () => {};
    const world = {
      calls: loadSystemCalls().calls, counters: new Counters(countersMemory(1)), clock: systemClock(), wakeFd: -1, shared: null,
      program: new URL('data:text/javascript,throw new Error("no life")'),
      log: { debug: say, info: say, warn: say, error: say },
      died() { if (++deaths === 2) process.exit(3); throw new Error('planted'); },
    };
    new UdpWorker(world, 0).order([]);
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    ...{ encoding: 'utf8', timeout: 30_000 },
  });
  assert.deepEqual([status, stdout], [3, 'planted\n'], stderr);
});

test('both sides see which orders were issued and which are taken', () => {
  const control = new OrderNumbers();
  const thread = new OrderNumbers(control.memory);
  assert.deepEqual([control.issued, control.taken], [0, 0]);
  control.issue(3);
  assert.equal(thread.issued, 3);
  thread.take(3);
  assert.equal(control.taken, 3);
});

test('a thread that waits for orders goes on when there are others, or after a while', () => {
  const numbers = new OrderNumbers();
  numbers.issue(1);
  const startedMs = performance.now();
  numbers.await(0, 10_000);
  assert.ok(performance.now() - startedMs < 5_000, 'others are there already');
  numbers.await(1, 5);
  assert.ok(performance.now() - startedMs >= 4);
});
