import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errors, linux, loadSystemCalls } from '../../src/listen/system-calls.js';

const loaded = loadSystemCalls();

test('on other systems than Linux there are none, and the reason says so', () => {
  const result = loadSystemCalls('darwin');
  assert.deepEqual(result, { calls: null, why: 'darwin has no recvmmsg' });
});

test('without koffi there are none, and the reason is its own, in one line', () => {
  const result = loadSystemCalls('linux', () => {
    throw new Error('Cannot find module koffi\nRequire stack: …');
  });
  assert.deepEqual(result, { calls: null, why: 'koffi cannot be loaded: Cannot find module koffi' });
});

test('a call that fails gives the negative errno', { skip: process.platform !== 'linux' }, () => {
  const { calls } = loaded;
  assert.equal(calls?.close(-1), -9);
  assert.equal(calls?.socket(-1, linux.datagrams), -97);
  const fd = calls!.socket(linux.familyIpv4, linux.datagrams);
  assert.ok(fd > 2);
  assert.equal(calls?.shutdownReading(fd), errors.notConnected);
  assert.equal(calls?.close(fd), 0);
});

test('an eventfd wakes the event loop', { skip: process.platform !== 'linux' }, async () => {
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
