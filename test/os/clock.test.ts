import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/os/clock.js';

const clock = systemClock();
/** The clock's timers do not keep the process alive; this one does while a test waits for them. */
async function awake<Value>(promise: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => {}, 1_000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
const after = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

describe('systemClock', () => {
  it('reads CLOCK_MONOTONIC, in fractions of a millisecond, and never goes back', () => {
    const kernelMs = () => Number(process.hrtime.bigint()) / 1e6;
    const before = kernelMs();
    const readings = Array.from({ length: 1_000 }, () => clock.nowMs());
    const behind = kernelMs();
    assert.ok(readings[0] >= before - 1 && (readings.at(-1) as number) <= behind + 1);
    assert.ok(readings.every((reading, index) => index === 0 || reading >= readings[index - 1]));
    assert.ok(readings.some((reading) => !Number.isInteger(reading)));
  });

  it('agrees with the clock of another process', () => {
    const script = `
      import { systemClock } from ${JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href)};
      process.stdout.write(String(systemClock().nowMs()));`;
    const before = clock.nowMs();
    const theirs = Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
    assert.ok(theirs > before && theirs < clock.nowMs(), `${before} < ${theirs}`);
  });

  it('knows the time of day', () => {
    assert.ok(Math.abs(clock.wallMs() - Date.now()) < 1_000);
  });

  it('runs once after the delay, and not when stopped', async () => {
    let runs = 0;
    const startMs = clock.nowMs();
    const stopped = clock.after(1, () => assert.fail());
    stopped.stop();
    stopped.stop();
    const fired = clock.after(5, () => runs++);
    await awake(after(20));
    assert.equal(runs, 1);
    assert.ok(clock.nowMs() - startMs >= 19);
    fired.stop();
  });

  it('runs in the next turn of the event loop without a delay, and not when stopped', async () => {
    const ran: string[] = [];
    clock.after(0, () => assert.fail()).stop();
    await new Promise<void>((resolve) => {
      clock.after(0, () => {
        ran.push('soon');
        setImmediate(() => resolve());
      });
      setImmediate(() => ran.push('turn'));
      ran.push('now');
    });
    assert.deepEqual(ran, ['now', 'soon', 'turn']);
  });

  it('rests by sleeping, not by spinning', () => {
    const before = process.cpuUsage();
    const startMs = clock.nowMs();
    for (let times = 0; times < 200; times++) clock.rest();
    const { user, system } = process.cpuUsage(before);
    const tookMs = clock.nowMs() - startMs;
    assert.ok(tookMs >= 200 * 0.02, `${tookMs} ms`);
    assert.ok((user + system) / 1000 < tookMs * 0.8, `${(user + system) / 1000} of ${tookMs} ms`);
  });

  it('runs every period until it is stopped, also from within', async () => {
    let runs = 0;
    const three = new Promise<void>((resolve) => {
      const every = clock.every(1, () => {
        if (++runs < 3) return;
        every.stop();
        resolve();
      });
    });
    await awake(three);
    await awake(after(10));
    assert.equal(runs, 3);
  });

  it('waits with delays that Node’s timers cannot hold, where they would fire at once', async () => {
    const timers = [
      clock.after(2 ** 31, () => assert.fail('after')),
      clock.after(Number.POSITIVE_INFINITY, () => assert.fail('after')),
      clock.every(2 ** 40, () => assert.fail('every')),
    ];
    await awake(after(20));
    for (const timer of timers) timer.stop();
  });

  it('does not keep the process alive', () => {
    const script = `
      import { systemClock } from ${JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href)};
      systemClock().after(60_000, () => {});
      systemClock().every(60_000, () => {});`;
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 });
  });
});

describe('stayAlive', () => {
  it('keeps a process alive that has nothing else to do, until it is stopped', () => {
    const module = JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href);
    const script = (rest: string) => `
      import { stayAlive, systemClock } from ${module};
      systemClock().after(100, () => { console.log('still here'); process.exit(3); });
      ${rest}`;
    const runs = (rest: string) => spawnSync(process.execPath, ['--input-type=module', '-e', script(rest)]);
    assert.deepEqual([runs('').status, runs('stayAlive();').status, runs('stayAlive().stop();').status], [0, 3, 0]);
  });
});

describe('an exception in a timer', () => {
  it('keeps neither the others of that moment nor its own next time from coming', () => {
    const module = JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href);
    const script = `
      import { stayAlive, systemClock } from ${module};
      const clock = systemClock();
      const seen = [];
      stayAlive();
      process.on('uncaughtException', ({ message }) => seen.push(message));
      let times = 0;
      clock.every(20, () => { times++; throw new Error('planted'); });
      clock.every(20, () => seen.push('other'));
      clock.after(20, () => { throw new Error('once'); });
      clock.after(20, () => seen.push('after'));
      const look = () => {
        const all = ['planted', 'other', 'once', 'after'].every((what) => seen.includes(what));
        if (all && times > 1) process.exit(3);
        setImmediate(look);
      };
      look();
    `;
    const runs = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 });
    assert.equal(runs.status, 3);
  });
});
