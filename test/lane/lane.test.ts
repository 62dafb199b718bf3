/** The lane's life with the real kernel, on no interface: begun, followed, handed on, ended. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { numberKey } from '../../src/lane/elements.js';
import { KernelLane } from '../../src/lane/lane.js';
import { configLayout } from '../../src/lane/layout.js';
import { Pins } from '../../src/lane/pins.js';
import { laneStaleMaxMs } from '../../src/limits.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { Bpf } from '../../src/os/bpf.js';
import { systemClock } from '../../src/os/clock.js';
import type { SystemCalls } from '../../src/os/system-calls.js';
import { calls, descriptors } from '../os/loopback-sockets.js';
import { needs, output } from '../real/commands.js';
import { query } from '../resolve/context-fixture.js';
import { laneIsMissing } from './possible.js';
import { PublishedWorld } from './published.js';
import { seed } from './world.js';

const corefile = '. {\n cache 3600\n forward . 192.0.2.1\n}';
const digest = 77n;

describe('life', { skip: laneIsMissing || needs('root', 'mount', 'umount') }, () => {
  let mounted = '';
  let folder = '';

  before(async () => {
    mounted = mkdtempSync(join(tmpdir(), 'lane-'));
    await output(['mount', '-t', 'bpf', 'bpf', mounted]);
    folder = `${mounted}/zerohop`;
  });
  after(async () => {
    await output(['umount', mounted]);
    rmdirSync(mounted);
  });

  interface Changes {
    readonly lingerMs?: number;
    readonly folder?: string;
    readonly bpf?: SystemCalls['bpf'];
    readonly eachSocket?: (met: (fd: number) => void) => void;
  }

  /** A lane over a cache of its own, and what it says. */
  function newLane(changes: Changes = {}) {
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const world = new PublishedWorld(corefile);
    const clock = systemClock();
    const ours = changes.bpf === undefined ? calls : { ...calls, bpf: changes.bpf };
    const bpf = new Bpf(ours);
    const lane = new KernelLane({
      calls: ours,
      bpf,
      clock,
      pins: new Pins(bpf, changes.folder ?? folder, '1'),
      log: { debug: say, info: say, warn: say, error: say },
      linkOf: () => null,
      uplinks: () => [],
      isBesideOthers: false,
      lingerMs: changes.lingerMs ?? 0,
      cache: world.cache,
      firstHits: world.firstHits,
      counters: world.spine.context.counters,
      seed,
      given() {},
      ask: () => false,
      eachSocket: changes.eachSocket ?? (() => {}),
    });
    const { table } = world.spine.listener;
    const follow = (number = digest, port = 53): void =>
      lane.follow({ places: [{ at: { address: '169.254.20.10', port }, table }], digest: number });
    follow();
    return { lane, lines, world, clock, follow };
  }

  /** Names that were asked for twice, in the cache of this lane. */
  function ask({ world, clock }: ReturnType<typeof newLane>, ...names: readonly string[]): void {
    world.clock.passMs(clock.nowMs() - world.clock.nowMs());
    for (const name of names) {
      world.keep(name);
      world.ask(query(name, 'A'));
    }
  }

  async function until(holds: () => boolean): Promise<void> {
    for (let time = 0; !holds(); time++) {
      assert.ok(time < 1_000, 'it takes too long');
      await new Promise<void>((resolve) => void setTimeout(resolve, 10));
    }
  }

  test('it is on when the kernel has all, publishes what is asked for, and with no linger leaves nothing', async () => {
    const made = newLane();
    await made.lane.begin();
    assert.deepEqual(made.lines, ['kernel lane: on']);
    assert.equal(made.lane.totals.isOn, true);
    ask(made, 'a.test', 'b.test');
    await until(() => made.lane.totals.entries === 2);
    made.follow(79n);
    assert.equal(made.lane.totals.entries, 2);
    made.follow(79n, 54);
    assert.equal(made.lane.totals.entries, 0);
    await until(() => made.lane.totals.entries === 2);
    made.lane.end();
    assert.deepEqual([made.lane.totals.isOn, existsSync(folder)], [false, false]);
  });

  test('a successor of the same configuration finds what was published; of another one, nothing', async () => {
    const first = newLane({ lingerMs: 60_000 });
    await first.lane.begin();
    ask(first, 'a.test');
    await until(() => first.lane.totals.entries === 1);
    first.lane.end();
    assert.match(first.lines.at(-1) ?? '', /^kernel lane: names in use are answered for 60 s/);
    assert.ok(existsSync(folder));
    const same = newLane();
    await same.lane.begin();
    assert.equal(same.lane.totals.entries, 1);
    same.lane.release();
    const other = newLane();
    other.follow(78n);
    await other.lane.begin();
    assert.equal(other.lane.totals.entries, 0);
    other.lane.end();
  });

  test('another instance may serve in between; then what it had published is published anew', async () => {
    const made = newLane();
    await made.lane.begin();
    ask(made, 'a.test');
    await until(() => made.lane.totals.entries === 1);
    made.lane.release();
    assert.equal(made.lane.totals.isOn, false);
    const other = newLane();
    await other.lane.begin();
    other.lane.release();
    await made.lane.begin();
    await until(() => made.lane.totals.entries === 1);
    made.lane.end();
  });

  test('what one that did not know of another has taken is taken back', async () => {
    const made = newLane();
    await made.lane.begin();
    const other = newLane();
    other.follow(78n);
    await other.lane.begin();
    other.lane.release();
    assert.equal(pinnedDigest(), 78n);
    await until(() => pinnedDigest() === digest);
    made.lane.end();
  });

  /** What the maps that are pinned now answer by. */
  function pinnedDigest(): bigint {
    const bpf = new Bpf(calls);
    const fd = new Pins(bpf, folder, '1').openMap('config');
    const words = new BigUint64Array(configLayout.bytes / 8);
    bpf.lookUp(fd, numberKey(0), new Uint8Array(words.buffer));
    calls.close(fd);
    return words[configLayout.digest / 8];
  }

  test('a serving that is over before it has begun leaves the lane off, and a reload meanwhile is followed', async () => {
    const made = newLane();
    const beginning = made.lane.begin();
    made.lane.release();
    await beginning;
    assert.equal(made.lane.totals.isOn, false);
    const again = made.lane.begin();
    made.follow(79n);
    await again;
    assert.equal(made.lane.totals.isOn, true);
    made.lane.end();
  });

  test('every socket of ours meets the witness before this instance serves', async () => {
    const { fd } = openSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });
    const made = newLane({ eachSocket: (met) => met(fd) });
    await made.lane.prepare();
    assert.deepEqual([made.lane.totals.isOn, made.lines], [false, []]);
    // SO_DETACH_FILTER is refused where no program is attached.
    assert.equal(calls.setOption(fd, 1, 27, new Int32Array(1)), 0);
    assert.equal(calls.setOption(fd, 1, 27, new Int32Array(1)), -2);
    calls.close(fd);
    await made.lane.begin();
    assert.equal(made.lane.totals.isOn, true);
    made.lane.end();
  });

  test('where it cannot be, one line says why, and nothing stays open or pinned', async () => {
    const plain = mkdtempSync(join(tmpdir(), 'no-bpf-'));
    const cases: readonly (readonly [Changes, RegExp])[] = [
      [
        { folder: '/proc/zerohop' },
        /no folder for what outlives the process \(ENOENT\); mount the bpf file system there$/,
      ],
      [{ folder: plain }, /a map cannot be pinned \(-\d+\); the folder must be on the bpf file system$/],
      [{ bpf: () => -1 }, /bpf\(2\) is refused \(EPERM\); it takes the capability BPF/],
    ];
    for (const [changes, why] of cases) {
      const made = newLane(changes);
      await made.lane.begin();
      assert.equal(made.lines.length, 1);
      assert.match(made.lines[0], why);
      assert.match(made.lane.totals.why, why);
      assert.equal(made.lane.totals.isOn, false);
      made.lane.end();
    }
    const none = newLane();
    none.lane.follow({ places: [], digest });
    await none.lane.begin();
    assert.match(none.lines[0], /no server block is bound to an address of its own; write "bind"/);
    assert.ok(laneStaleMaxMs > 0 && descriptors() > 0);
  });
});
