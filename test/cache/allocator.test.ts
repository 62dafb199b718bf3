import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Allocator, sizesBytes } from '../../src/cache/allocator.js';
import { atMessage, atSizeClass, Blocks, firstBlockByte } from '../../src/cache/blocks.js';
import { Epochs } from '../../src/cache/epochs.js';
import { blockBytesMax, blockHeaderBytes, slabBytes } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';

const never = () => assert.fail('nothing has to go');
const sizeFor = (bytes: number) => sizesBytes.find((size) => size >= bytes) as number;
const slabOf = (ref: number) => Math.floor((ref - firstBlockByte) / slabBytes);

function newAllocator(slabs: number): { blocks: Blocks; allocator: Allocator } {
  const blocks = new Blocks(new SharedArrayBuffer(firstBlockByte + slabs * slabBytes), hashKey());
  return { blocks, allocator: new Allocator(blocks, slabs * slabBytes) };
}

describe('sizesBytes', () => {
  it('grow by at most a quarter, keep words and doubles aligned, and hold the largest block', () => {
    assert.ok(sizesBytes[0] > blockHeaderBytes);
    assert.ok((sizesBytes.at(-1) as number) >= blockBytesMax);
    assert.ok((sizesBytes.at(-1) as number) <= slabBytes);
    assert.ok(sizesBytes.length <= 256, 'a block notes its size in a byte');
    sizesBytes.forEach((size, index) => {
      assert.equal(size % 8, 0);
      if (index > 0) assert.ok(size > sizesBytes[index - 1] && size <= sizesBytes[index - 1] * 1.25);
    });
  });
});

describe('Allocator', () => {
  it('gives the smallest size that holds the bytes, and takes it back', () => {
    const { allocator } = newAllocator(4);
    for (const bytes of [1, 128, 129, 160, 4_000, blockBytesMax]) {
      const ref = allocator.allocate(bytes, never);
      assert.ok(ref >= firstBlockByte);
      assert.equal(allocator.usedBytes, sizeFor(bytes));
      allocator.release(ref);
      assert.equal(allocator.usedBytes, 0);
    }
  });

  it('has nothing for what is larger than a block can be', () => {
    const { allocator } = newAllocator(1);
    assert.equal(allocator.allocate((sizesBytes.at(-1) as number) + 1, never), 0);
    assert.equal(newAllocator(0).allocator.allocate(100, never), 0, 'nor without memory');
    assert.equal(allocator.usedBytes, 0);
  });

  it('uses a slab from its start, and what was let go before what was never used', () => {
    const { allocator } = newAllocator(2);
    const [first, second] = [allocator.allocate(100, never), allocator.allocate(100, never)];
    assert.deepEqual([first, second], [firstBlockByte, firstBlockByte + 128]);
    allocator.release(first);
    assert.equal(allocator.allocate(100, never), first);
    assert.equal(allocator.allocate(100, never), firstBlockByte + 256);
  });

  it('fills every slab before anything has to go, then empties one and no other', () => {
    const { allocator } = newAllocator(2);
    const perSlab = slabBytes / 128;
    const live = Array.from({ length: 2 * perSlab }, () => allocator.allocate(100, never));
    assert.equal(allocator.usedBytes, 2 * slabBytes);
    assert.equal(new Set(live).size, live.length);
    const evicted: number[] = [];
    const large = allocator.allocate(70_000, (ref) => {
      evicted.push(ref);
      allocator.release(ref);
    });
    assert.deepEqual(
      evicted.sort((a, b) => a - b),
      live.filter((ref) => slabOf(ref) === slabOf(large)).sort((a, b) => a - b),
    );
    assert.equal(evicted.length, perSlab);
    assert.equal(allocator.usedBytes, slabBytes + sizeFor(70_000));
    const others = Math.floor(slabBytes / sizeFor(70_000)) - 1;
    for (let index = 0; index < others; index++) {
      assert.equal(slabOf(allocator.allocate(70_000, never)), slabOf(large), 'the rest of that slab has its size now');
    }
  });

  it('gives a slab that stands in another size’s free list to none but the new size', () => {
    const { allocator } = newAllocator(1);
    const small = allocator.allocate(100, never);
    allocator.release(small);
    const large = allocator.allocate(70_000, never);
    assert.notEqual(large, 0);
    const evicted: number[] = [];
    const again = allocator.allocate(100, (ref) => {
      evicted.push(ref);
      allocator.release(ref);
    });
    assert.deepEqual([evicted, again], [[large], firstBlockByte]);
    assert.equal(allocator.usedBytes, 128);
  });

  it('takes slabs in turn, so that no part of memory is emptied again and again', () => {
    const { allocator } = newAllocator(3);
    const evict = (ref: number) => allocator.release(ref);
    const slabs = Array.from({ length: 7 }, (_, index) => slabOf(allocator.allocate(sizesBytes[index] - 1, evict)));
    assert.deepEqual(slabs, [0, 1, 2, 0, 1, 2, 0]);
  });

  it('empties a slab whose blocks were not used rather than one whose were, once', () => {
    const { blocks, allocator } = newAllocator(3);
    const perSlab = slabBytes / 128;
    const live = Array.from({ length: 3 * perSlab }, () => allocator.allocate(100, never));
    for (const ref of [live[0], live[perSlab]]) blocks.touch(ref, 0, 1_000);
    const evicted: number[] = [];
    const evict = (ref: number) => {
      evicted.push(ref);
      allocator.release(ref);
    };
    assert.deepEqual(
      [200, 300, 400].map((bytes) => slabOf(allocator.allocate(bytes, evict))),
      [2, 0, 1],
    );
    assert.equal(evicted.length, 3 * perSlab);
  });

  it('takes the slab with the fewest used blocks where all have some', () => {
    const { blocks, allocator } = newAllocator(3);
    const perSlab = slabBytes / 128;
    const live = Array.from({ length: 3 * perSlab }, () => allocator.allocate(100, never));
    for (const [index, ref] of live.entries()) if (index !== perSlab + 7) blocks.touch(ref, 0, 1_000);
    assert.equal(slabOf(allocator.allocate(200, (ref) => allocator.release(ref))), 1);
  });

  it('gives large blocks a quarter of the slabs; beyond it they take them from each other', () => {
    const { allocator } = newAllocator(8);
    const evict = (ref: number) => allocator.release(ref);
    const slabs = new Set(Array.from({ length: 100 }, () => slabOf(allocator.allocate(60_000, evict))));
    assert.equal(slabs.size, 2);
    for (const bytes of [5_000, 9_000, 20_000, blockBytesMax]) {
      assert.ok(slabs.has(slabOf(allocator.allocate(bytes, evict))), `${bytes} bytes`);
    }
    const small = new Set(Array.from({ length: 6 * 64 }, () => slabOf(allocator.allocate(4_000, never))));
    assert.deepEqual([small.size, [...small].some((slab) => slabs.has(slab))], [6, false]);
  });

  it('leaves a slab with a block that cannot go, and takes the next one then', () => {
    const { allocator } = newAllocator(2);
    const perSlab = slabBytes / 128;
    const lent = allocator.allocate(100, never);
    for (let left = 2 * perSlab - 1; left > 0; left--) allocator.allocate(100, never);
    const evict = (ref: number) => {
      if (ref !== lent) allocator.release(ref);
    };
    assert.equal(allocator.allocate(200, evict), 0);
    assert.equal(slabOf(allocator.allocate(200, evict)), 1);
  });

  it('never has two blocks overlap, counts exactly, and evicts only what stands in the slab it takes', () => {
    const bytes = fc.oneof(
      fc.integer({ min: 65, max: 400 }),
      fc.integer({ min: 400, max: 20_000 }),
      fc.integer({ min: 20_000, max: blockBytesMax }),
    );
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ bytes }) },
      { weight: 2, arbitrary: fc.record({ release: fc.nat(1_000) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const { blocks, allocator } = newAllocator(3);
        /** Every block in use, with the bytes asked for. */
        const live = new Map<number, number>();
        steps.forEach((each, index) => {
          if ('release' in each) {
            const ref = [...live.keys()][each.release % Math.max(1, live.size)];
            if (ref !== undefined && live.delete(ref)) allocator.release(ref);
          } else {
            const before = [...live.keys()];
            const evicted: number[] = [];
            const ref = allocator.allocate(each.bytes, (victim) => {
              assert.ok(live.delete(victim), 'only what is in use is evicted');
              evicted.push(victim);
              allocator.release(victim);
            });
            assert.notEqual(ref, 0);
            if (evicted.length > 0) {
              assert.deepEqual(new Set(evicted), new Set(before.filter((other) => slabOf(other) === slabOf(ref))));
            }
            live.set(ref, each.bytes);
            blocks.bytes.fill(index, ref + atMessage, ref + each.bytes);
          }
          let end = firstBlockByte;
          let usedBytes = 0;
          for (const [ref, size] of [...live].sort(([one], [other]) => one - other)) {
            assert.ok(ref >= end && ref % 8 === 0, 'blocks lie behind each other');
            end = ref + sizeFor(size);
            usedBytes += sizeFor(size);
            assert.equal(slabOf(ref), slabOf(end - 1), 'a block lies in one slab');
          }
          assert.ok(end <= firstBlockByte + 3 * slabBytes);
          assert.equal(allocator.usedBytes, usedBytes);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('gives no memory away that a thread may still be reading', () => {
    const reader = 3;
    const step = fc.oneof(
      { weight: 12, arbitrary: fc.record({ bytes: fc.constantFrom(60_000, 80_000) }) },
      { weight: 6, arbitrary: fc.record({ retire: fc.nat(1_000) }) },
      { weight: 1, arbitrary: fc.record({ thread: fc.constantFrom('enters', 'leaves') }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const epochs = new Epochs();
        const blocks = new Blocks(new SharedArrayBuffer(firstBlockByte + 2 * slabBytes), hashKey());
        const allocator = new Allocator(blocks, 2 * slabBytes, epochs);
        const live = new Map<number, number>();
        /** What was in use at some moment of the thread's batch. */
        let readable: { ref: number; end: number }[] = [];
        let isReading = false;
        const see = (ref: number, bytes: number) => {
          if (isReading) readable.push({ ref, end: ref + bytes });
        };
        const retire = (ref: number) => {
          assert.ok(live.delete(ref));
          allocator.retire(ref);
        };
        for (const each of steps) {
          if ('thread' in each) {
            isReading = each.thread === 'enters';
            if (isReading) epochs.enter(reader);
            else epochs.leave(reader);
            readable = [];
            for (const [ref, bytes] of live) see(ref, bytes);
          } else if ('retire' in each) {
            const ref = [...live.keys()][each.retire % Math.max(1, live.size)];
            if (ref !== undefined) retire(ref);
          } else {
            const ref = allocator.allocate(each.bytes, retire);
            if (ref === 0) assert.ok(isReading, 'there is memory once nobody reads');
            else {
              const end = ref + each.bytes;
              assert.ok(!readable.some((other) => other.ref < end && ref < other.end));
              live.set(ref, each.bytes);
              see(ref, each.bytes);
            }
          }
          const usedBytes = [...live.values()].reduce((sum, bytes) => sum + sizeFor(bytes), 0);
          assert.equal(allocator.usedBytes, usedBytes);
        }
      }),
      { numRuns: 50 },
    );
  });
});

it('refuses slabs beyond the memory', () => {
  const blocks = new Blocks(new SharedArrayBuffer(firstBlockByte + 2 * slabBytes), hashKey());
  assert.doesNotThrow(() => new Allocator(blocks));
  assert.throws(() => new Allocator(blocks, 3 * slabBytes), /broken invariant/);
});

it('refuses what would corrupt memory: a block released twice, or one whose size is not its slab’s', () => {
  const blocks = new Blocks(new SharedArrayBuffer(firstBlockByte + slabBytes), hashKey());
  const allocator = new Allocator(blocks, slabBytes);
  const ref = allocator.allocate(100, () => {});
  allocator.release(ref);
  assert.throws(() => allocator.release(ref), /a block is released once/);
  assert.throws(() => allocator.retire(ref), /a block is released once/);
  assert.equal(
    allocator.allocate(100, () => {}),
    ref,
  );
  blocks.bytes[ref + atSizeClass]++;
  assert.throws(() => allocator.release(ref), /a block has the size of its slab/);
});
