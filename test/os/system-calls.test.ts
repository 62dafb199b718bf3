import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { errors, linux, loadSystemCalls } from '../../src/os/system-calls.js';

const loaded = loadSystemCalls();
const notLinux = process.platform !== 'linux' && 'needs Linux';

test('on other systems than Linux there are none, and the reason says so', () => {
  const result = loadSystemCalls({ platform: 'darwin', arch: 'arm64' });
  assert.deepEqual(result, { calls: null, why: 'darwin has no recvmmsg' });
});

test('on processors whose constants and layouts may differ there are none', () => {
  const result = loadSystemCalls({ platform: 'linux', arch: 's390x' });
  assert.deepEqual(result, { calls: null, why: 'the system calls of s390x are untested' });
});

test('without koffi there are none, and the reason is its own, in one line', () => {
  const result = loadSystemCalls({ platform: 'linux', arch: 'arm64' }, () => {
    throw new Error('Cannot find module koffi\nRequire stack: …');
  });
  assert.deepEqual(result, { calls: null, why: 'cannot load koffi: Cannot find module koffi' });
});

test('a call that fails gives the negative errno', { skip: notLinux }, () => {
  const { calls } = loaded;
  assert.equal(calls?.close(-1), -9);
  assert.equal(calls?.socket(-1, linux.datagrams), -97);
  const fd = calls!.socket(linux.familyIpv4, linux.datagrams);
  assert.ok(fd > 2);
  assert.equal(calls?.shutdownReading(fd), errors.notConnected);
  assert.equal(calls?.close(fd), 0);
});

test('an eventfd wakes the event loop', { skip: notLinux }, async () => {
  const calls = loaded.calls!;
  const fd = calls.eventFd();
  const memory = new ArrayBuffer(16);
  const at = calls.addressOf(memory);
  new BigUint64Array(memory)[0] = 3n;
  let alive: NodeJS.Timeout | undefined;
  const read = await new Promise<bigint>((resolve) => {
    const stop = calls.watch(fd, () => {
      assert.equal(calls.read(fd, at + 8, 8), 8);
      assert.equal(calls.read(fd, at + 8, 8), errors.tryAgain);
      stop();
      resolve(new BigUint64Array(memory)[1]);
    });
    assert.equal(calls.write(fd, at, 8), 8);
    // `watch` does not keep a process alive by itself.
    alive = setTimeout(() => {}, 10_000);
  });
  clearTimeout(alive);
  assert.equal(read, 3n);
  calls.close(fd);
});

/** Runs a script that has `calls`, an eventfd `fd` and `wake()`, to its end. */
function runs(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const module = JSON.stringify(new URL('../../src/os/system-calls.js', import.meta.url).href);
  const opening = `
    import { loadSystemCalls } from ${module};
    const { calls } = loadSystemCalls();
    const fd = calls.eventFd();
    const memory = new ArrayBuffer(8);
    const at = calls.addressOf(memory);
    const wake = () => { new BigUint64Array(memory)[0] = 1n; calls.write(fd, at, 8); };
    `;
  return spawnSync(process.execPath, ['--input-type=module', '-e', opening + script], { encoding: 'utf8' });
}

test('a process whose event loop runs empty ends, whatever it watches', { skip: notLinux }, () => {
  const { status, stderr } = runs(`
    import { Worker } from 'node:worker_threads';
    // Taking it down, too, runs the event loop.
    new Worker('setInterval(() => {}, 1000)', { eval: true }).unref();
    calls.watch(fd, () => {});
    process.on('exit', wake);
  `);
  assert.equal(status, 0, stderr);
});

test('what a watcher throws is an exception at once, and harms no later call', {
  skip: notLinux,
}, () => {
  const { status, stdout, stderr } = runs(`
    let times = 0;
    process.on('uncaughtException', (error) => { console.log(error.message); setImmediate(wake); });
    const stop = calls.watch(fd, () => {
      calls.read(fd, at, 8);
      if (++times === 1) throw new Error('planted');
      console.log('again');
      stop();
      clearTimeout(alive);
    });
    const alive = setTimeout(() => process.exit(1), 5000);
    wake();
  `);
  assert.deepEqual([status, stdout], [0, 'planted\nagain\n'], stderr);
});
