import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { snapshotPeriodMs } from '../../src/limits.js';
import type { TrustedFile } from '../../src/os/files.js';
import { checkSnapshot, newSnapshot, type SnapshotDeps } from '../../src/takeover/snapshot.js';
import { ManualClock } from '../simulation/clock.js';

function fileOf(bytes: Buffer | undefined): TrustedFile | undefined {
  if (bytes === undefined) return undefined;
  return { bytes: bytes.length, read: (at, length) => bytes.subarray(at, at + length), close() {} };
}

/** A machine with one file, and a cache whose chunks are texts. */
function newWorld(changes: Partial<SnapshotDeps> = {}, clock = new ManualClock()) {
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const files = new Map<string, Buffer>();
  const cached: string[] = ['a', 'b'];
  const taken: { text: string; laterMs: number | undefined }[] = [];
  let written = 0;
  const snapshot = newSnapshot({
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    path: '/cache',
    bootId: 'boot 1',
    serves: () => true,
    warmth: {
      everything: () => cached.map((text) => Buffer.from(text))[Symbol.iterator](),
      take: (chunk, laterMs) => taken.push({ text: Buffer.from(chunk).toString(), laterMs }) > 0,
    },
    open: (path) => fileOf(files.get(path)),
    replace(path) {
      const parts: Uint8Array[] = [];
      return {
        write: (bytes) => void parts.push(Uint8Array.from(bytes)),
        commit() {
          files.set(path, Buffer.concat(parts));
          written++;
        },
        abandon() {},
      };
    },
    ...changes,
  });
  return {
    ...{ clock, lines, files, cached, taken, snapshot },
    get written() {
      return written;
    },
  };
}

async function loaded(world: ReturnType<typeof newWorld>): Promise<void> {
  const done = world.snapshot.load();
  await world.clock.pass(100);
  await done;
}

describe('newSnapshot', () => {
  test('what was written is taken again', async () => {
    const world = newWorld();
    await loaded(world);
    assert.deepEqual(world.lines, [], 'no file is nothing to speak of');
    world.snapshot.keep();
    world.snapshot.finish();
    world.clock.passMs(7_000);
    await loaded(world);
    assert.deepEqual(world.taken, [
      { text: 'a', laterMs: 0 },
      { text: 'b', laterMs: 0 },
    ]);
    assert.equal(world.lines.length, 1);
  });

  test('the file stays as it is until this instance has begun to serve, and all of it is in the cache', async () => {
    const old = newWorld();
    old.snapshot.keep();
    old.snapshot.finish();
    const file = old.files.get('/cache')!;
    const failed = newWorld();
    failed.files.set('/cache', file);
    failed.snapshot.finish();
    assert.deepEqual([failed.written, failed.files.get('/cache')], [0, file], 'a start that failed');
    const brief = newWorld();
    brief.files.set('/cache', file);
    const loading = brief.snapshot.load();
    brief.snapshot.keep();
    brief.snapshot.finish();
    assert.equal(brief.written, 0, 'one that was ended while it read');
    await brief.clock.pass(100);
    await loading;
    brief.snapshot.finish();
    assert.deepEqual([brief.taken.length, brief.written], [2, 1]);
  });

  test('nor is it written now and then while it is read, which may take long', async () => {
    const old = newWorld();
    old.cached.push(...'cdefghijklmnopqrstuvwxyz');
    old.snapshot.keep();
    old.snapshot.finish();
    const clock = new ManualClock();
    const after = clock.after.bind(clock);
    // What should be a turn of the event loop takes so long that reading lasts longer than the period.
    clock.after = (ms, run) => after(ms === 0 ? (2 * snapshotPeriodMs) / 3 : ms, run);
    const slow = newWorld({}, clock);
    slow.files.set('/cache', old.files.get('/cache')!);
    const loading = slow.snapshot.load();
    slow.snapshot.keep();
    await clock.pass(2.5 * snapshotPeriodMs);
    assert.ok(slow.taken.length > 0 && slow.taken.length < 26, `${slow.taken.length} of 26`);
    assert.deepEqual([slow.lines, slow.written], [[], 0]);
    await clock.pass(snapshotPeriodMs / 3);
    await loading;
    assert.deepEqual([slow.taken.length, slow.written], [26, 0]);
    await clock.pass(3 * snapshotPeriodMs);
    assert.equal(slow.written, 3);
  });

  test('after another boot the wall clock tells how old it is', async () => {
    const world = newWorld({}, new ManualClock(50_000_000, 1_700_000_000_000));
    world.snapshot.keep();
    world.snapshot.finish();
    const next = newWorld({ bootId: 'boot 2' }, new ManualClock(3_000, 1_700_000_060_000));
    next.files.set('/cache', world.files.get('/cache')!);
    await loaded(next);
    // What was stored at 50,000 s of the old boot was stored a minute before 3 s of this one.
    assert.equal(next.taken[0].laterMs, 3_000 - 60_000 - 50_000_000);
  });

  test('is not written while another instance serves', async () => {
    let isServing = false;
    const world = newWorld({ serves: () => isServing });
    world.snapshot.keep();
    await world.clock.pass(3 * snapshotPeriodMs);
    world.snapshot.finish();
    assert.equal(world.written, 0);
    isServing = true;
    world.snapshot.keep();
    await world.clock.pass(2 * snapshotPeriodMs);
    assert.ok(world.written > 0);
  });

  test('is written every so often, a chunk at a time', async () => {
    const world = newWorld();
    world.snapshot.keep();
    await world.clock.pass(3 * snapshotPeriodMs + 100);
    assert.equal(world.written, 3);
    world.snapshot.finish();
    await world.clock.pass(3 * snapshotPeriodMs);
    assert.equal(world.written, 4, 'the last time is the last');
  });

  test('a file system that refuses is said once, and asked again', async () => {
    let tries = 0;
    const replace = (): never => {
      tries++;
      throw new Error('ENOSPC');
    };
    const world = newWorld({ replace });
    world.snapshot.keep();
    await world.clock.pass(3 * snapshotPeriodMs + 100);
    world.snapshot.finish();
    assert.equal(tries, 4);
    assert.deepEqual(world.lines, ['cannot write the cache snapshot /cache: ENOSPC']);
  });

  test('a file that cannot be read, is torn, foreign or from the future is one line and no more', async () => {
    const good = newWorld();
    good.snapshot.keep();
    good.snapshot.finish();
    const file = good.files.get('/cache')!;
    const changed = Buffer.from(file);
    changed[40] ^= 1;
    for (const [bytes, line] of [
      [Buffer.alloc(0), /not a snapshot of this version/],
      [Buffer.from('#!/bin/sh\n'), /not a snapshot of this version/],
      [file.subarray(0, -1), /incomplete/],
      [file.subarray(0, 20), /incomplete/],
      [changed, /incomplete/],
    ] as const) {
      const world = newWorld();
      world.files.set('/cache', Buffer.from(bytes));
      await loaded(world);
      assert.equal(world.lines.length, 1);
      assert.match(world.lines[0], line);
      assert.deepEqual(world.taken, []);
    }
    const early = newWorld({}, new ManualClock(5));
    early.files.set('/cache', file);
    await loaded(early);
    assert.match(early.lines[0], /in the future/);
    const broken = newWorld({
      open() {
        throw new Error('EACCES');
      },
    });
    await loaded(broken);
    assert.deepEqual(broken.lines, ['not using the cache snapshot /cache: EACCES']);
  });

  test('no bytes do more than be refused', () => {
    const now = { bootId: '', monotonicMs: 0, wallMs: 0 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const checking = checkSnapshot(fileOf(Buffer.concat([Buffer.from('zerohop cache 1\n'), bytes]))!, now);
        let step = checking.next();
        while (step.done !== true) step = checking.next();
        assert.equal(typeof step.value, 'string');
      }),
    );
  });
});
