/** What an instance leaves in the kernel when another one serves: maps are memory here, and nothing is attached. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { FirstHits } from '../../src/cache/first-hits.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { KernelLane } from '../../src/lane/lane.js';
import { configLayout } from '../../src/lane/layout.js';
import type { Pins } from '../../src/lane/pins.js';
import { laneDeadAfterMs, laneReleasedMs } from '../../src/limits.js';
import type { Bpf } from '../../src/os/bpf.js';
import type { SystemCalls } from '../../src/os/system-calls.js';
import { hashKey } from '../dns/hash-key.js';
import { ManualClock } from '../simulation/clock.js';

const nanoseconds = (ms: number): bigint => BigInt(Math.round(ms)) * 1_000_000n;

/** A lane whose kernel takes everything, and its configuration. */
function newLane(clock: ManualClock): { lane: KernelLane; config: () => BigUint64Array } {
  let fd = 10;
  const shown: ArrayBuffer[] = [];
  const bpf = {
    createMap: () => fd++,
    load: async () => ({ fd: fd++, complaint: '' }),
    lookUp: () => -2,
    update: (_map: number, _key: Uint8Array, value: Uint8Array) => void new Uint8Array(shown[0]).set(value),
    numberKeys: () => [],
  };
  const calls = {
    close: () => 0,
    setOption: () => 0,
    showMemory(_fd: number, bytes: number) {
      shown.push(new ArrayBuffer(bytes));
      return shown[shown.length - 1];
    },
  };
  const pins = {
    prepare: () => null,
    others: () => [],
    openMap: () => -2,
    pinMap: () => 0,
    links: () => [],
    removeOtherLayouts() {},
  };
  const lane = new KernelLane({
    clock,
    calls: calls as unknown as SystemCalls,
    bpf: bpf as unknown as Bpf,
    pins: pins as unknown as Pins,
    cache: new Cache(new Blocks(cacheMemory(), hashKey())),
    firstHits: new FirstHits(),
    counters: new Counters(countersMemory(1)),
    linkOf: () => null,
    uplinks: () => [],
    log: { info() {}, warn() {}, error() {}, debug() {} },
    seed: 1n,
    isBesideOthers: false,
    lingerMs: 120_000,
    given() {},
    ask: () => false,
    eachSocket() {},
  });
  return { lane, config: () => new BigUint64Array(shown[0]) };
}

test('when another instance serves, the kernel goes on for a moment, and never with what has expired', async () => {
  const clock = new ManualClock();
  const { lane, config } = newLane(clock);
  lane.follow({ places: [{ at: { address: '192.0.2.1', port: 53 }, table: [] as never }], digest: 1n });
  await clock.until(lane.begin());
  assert(lane.totals.isOn, lane.totals.why);
  await clock.pass(1_000);
  lane.release();
  const atMs = clock.nowMs();
  await clock.pass(60_000);
  const at = (place: number): bigint => config()[place / 8];
  const inertFrom = at(configLayout.inertFrom);
  assert.equal(inertFrom, nanoseconds(atMs + laneReleasedMs));
  // Nobody is there from then on.
  assert.equal(at(configLayout.heartbeat) + nanoseconds(laneDeadAfterMs), inertFrom);
});
