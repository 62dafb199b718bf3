/** Where the program hangs, with a kernel of the test's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LaneInterfaces } from '../../src/lane/interfaces.js';
import type { Pins } from '../../src/lane/pins.js';
import { laneLinksLookedAt, laneRefusedAgainMs } from '../../src/limits.js';
import type { Bpf } from '../../src/os/bpf.js';
import { ManualClock } from '../simulation/clock.js';

const programs = { peer: 100, same: 101 };

/** Interfaces by number; a link's descriptor is 1000 and the number. */
class Kernel {
  readonly clock = new ManualClock();
  readonly links = new Map<number, { name: string; kind: string }>();
  readonly asked = new Set<number>();
  readonly pinned = new Map<number, number>();
  readonly others = new Map<number, number>();
  readonly said: string[] = [];
  attachFails = 0;
  pinFails = 0;
  replaceFails = 0;
  uplinks: string[] = [];
  open = 0;

  lane(isBesideOthers = false): LaneInterfaces {
    const fd = (index: number): number => {
      this.open++;
      return 1_000 + index;
    };
    const bpf = {
      numberKeys: () => [...this.asked],
      remove: (_: number, key: Uint8Array) => {
        this.asked.delete(new DataView(key.buffer).getUint32(0, true));
        return 0;
      },
      attachedTo: (index: number) => this.others.get(index) ?? 0,
      attach: async (program: number, index: number) => {
        if (this.attachFails < 0) return this.attachFails;
        this.running.set(index, program);
        return fd(index);
      },
      replaceProgram: async (link: number, program: number) => {
        if (this.replaceFails < 0) return this.replaceFails;
        this.running.set(link - 1_000, program);
        return 0;
      },
    } as unknown as Bpf;
    const pins = {
      links: () => [...this.pinned.keys()],
      openLink: (index: number) => (this.pinned.has(index) ? fd(index) : -2),
      pinLink: (index: number, link: number) => {
        if (this.pinFails < 0) return this.pinFails;
        this.pinned.set(index, link);
        return 0;
      },
      removeLink: (index: number) => void this.pinned.delete(index),
    } as unknown as Pins;
    return new LaneInterfaces({
      bpf,
      pins,
      isBesideOthers,
      programs,
      map: 5,
      linkOf: (index) => this.links.get(index) ?? null,
      uplinks: () => this.uplinks,
      nowMs: () => this.clock.nowMs(),
      refused: (name, why) => void this.said.push(`${name}: ${why}`),
      close: () => void this.open--,
    });
  }

  readonly running = new Map<number, number>();

  questionsFrom(index: number, name: string, kind: string): void {
    this.links.set(index, { name, kind });
    this.asked.add(index);
  }
}

async function begun(kernel: Kernel, isBesideOthers = false): Promise<LaneInterfaces> {
  const lane = kernel.lane(isBesideOthers);
  await lane.begin();
  await lane.look();
  return lane;
}

test('it hangs where questions come from: answers leave at a pod’s end of a veth, elsewhere as they came', async () => {
  const kernel = new Kernel();
  kernel.questionsFrom(1, 'lo', '');
  kernel.questionsFrom(7, 'cni0', 'bridge');
  kernel.questionsFrom(8, 'veth1234', 'veth');
  kernel.questionsFrom(9, 'eth0', 'veth');
  kernel.uplinks = ['eth0'];
  const lane = await begun(kernel);
  assert.deepEqual([...kernel.running].sort(), [
    [1, programs.same],
    [7, programs.same],
    [8, programs.peer],
    [9, programs.same],
  ]);
  assert.deepEqual([lane.attached, lane.refused, kernel.open], [4, 0, 0]);
  assert.deepEqual([...kernel.pinned.keys()], [1, 7, 8, 9]);
});

test('links of an earlier process get the new program, and those of interfaces that are gone are removed', async () => {
  const kernel = new Kernel();
  kernel.links.set(8, { name: 'veth8', kind: 'veth' });
  kernel.pinned.set(8, 1_008).set(9, 1_009);
  const lane = await begun(kernel);
  assert.deepEqual([...kernel.running], [[8, programs.peer]]);
  assert.deepEqual([...kernel.pinned.keys()], [8]);
  assert.deepEqual([lane.attached, kernel.open], [1, 0]);
});

test('a link that cannot run the new program is made anew', async () => {
  const kernel = new Kernel();
  kernel.questionsFrom(8, 'veth8', 'veth');
  kernel.pinned.set(8, 1_008);
  kernel.replaceFails = -67;
  const lane = await begun(kernel);
  assert.equal(lane.attached, 1);
});

test('where programs of others hang it does not, unless it may; that is tried each minute and said once', async () => {
  const kernel = new Kernel();
  kernel.questionsFrom(8, 'lxc8', 'veth');
  kernel.others.set(8, 1);
  const lane = await begun(kernel);
  await lane.look();
  assert.deepEqual(kernel.said, ['lxc8: programs of others see its packets']);
  assert.deepEqual([lane.attached, lane.refused], [0, 1]);
  kernel.clock.passMs(laneRefusedAgainMs);
  await lane.look();
  assert.equal(kernel.said.length, 1);
  kernel.others.clear();
  kernel.attachFails = -13;
  kernel.clock.passMs(laneRefusedAgainMs);
  await lane.look();
  assert.match(kernel.said[1], /lxc8: .*\(-13\)/, 'another cause');
  kernel.attachFails = 0;
  kernel.clock.passMs(laneRefusedAgainMs);
  await lane.look();
  assert.deepEqual([kernel.said.length, lane.attached, lane.refused], [2, 1, 0]);
  const free = new Kernel();
  free.questionsFrom(8, 'lxc8', 'veth');
  free.others.set(8, 1);
  assert.equal((await begun(free, true)).attached, 1);
});

test('what the kernel refuses is said, and leaves nothing open or attached', async () => {
  for (const fault of ['attachFails', 'pinFails'] as const) {
    const kernel = new Kernel();
    kernel.questionsFrom(8, 'veth8', 'veth');
    kernel[fault] = -13;
    const lane = await begun(kernel);
    assert.equal(kernel.said.length, 1, fault);
    assert.match(kernel.said[0], /veth8: .*\(-13\)/);
    assert.deepEqual([lane.attached, kernel.open, kernel.pinned.size], [0, 0, 0]);
  }
});

test('interfaces that go are forgotten, some in each look', async () => {
  const kernel = new Kernel();
  for (let index = 10; index < 10 + laneLinksLookedAt * 2; index++) kernel.questionsFrom(index, `veth${index}`, 'veth');
  const lane = await begun(kernel);
  assert.equal(lane.attached, laneLinksLookedAt * 2);
  kernel.links.clear();
  await lane.look();
  await lane.look();
  await lane.look();
  assert.deepEqual([lane.attached, kernel.pinned.size, kernel.asked.size], [0, 0, 0]);
});

test('after its end it hangs nowhere else, also where it was just about to', async () => {
  const kernel = new Kernel();
  kernel.questionsFrom(8, 'veth8', 'veth');
  const lane = kernel.lane();
  await lane.begin();
  const looking = lane.look();
  lane.end();
  await looking;
  assert.deepEqual([kernel.pinned.size, kernel.open], [0, 0]);
  kernel.questionsFrom(9, 'veth9', 'veth');
  await lane.look();
  assert.deepEqual([...kernel.pinned.keys()], []);
  await lane.begin();
  await lane.look();
  assert.deepEqual([...kernel.pinned.keys()], [8, 9]);
});
