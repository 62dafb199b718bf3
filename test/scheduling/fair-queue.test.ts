import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairQueue } from '../../src/scheduling/fair-queue.js';

function takeAll<Item>(queue: FairQueue<number, Item>): Item[] {
  const taken: Item[] = [];
  for (let item = queue.take(); item !== null; item = queue.take()) taken.push(item);
  return taken;
}

test('clients take turns, however much each has; each client is first come, first served', () => {
  const queue = new FairQueue<number, string>(100);
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) assert.equal(queue.push(item.charCodeAt(0), item), null);
  assert.deepEqual(takeAll(queue), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  assert.equal(queue.size, 0);
});

test('when it is full, the client with the most loses its latest for one with less, and nothing for itself', () => {
  const queue = new FairQueue<number, string>(4);
  for (const item of ['a1', 'a2', 'a3', 'a4']) queue.push(1, item);
  assert.equal(queue.push(1, 'a5'), 'a5');
  assert.equal(queue.push(2, 'b1'), 'a4');
  assert.equal(queue.push(3, 'c1'), 'a3');
  assert.equal(queue.push(2, 'b2'), 'b2');
  assert.deepEqual(takeAll(queue), ['a1', 'b1', 'c1', 'a2']);
});

test('when nobody has more than one, the newcomer is the one who is lost', () => {
  const queue = new FairQueue<number, number>(200);
  for (let client = 0; client < 200; client++) assert.equal(queue.push(client, client), null);
  assert.equal(queue.push(200, 200), 200);
  assert.equal(takeAll(queue).length, 200);
});

test('the client with the most is found behind any number of clients with less', () => {
  const queue = new FairQueue<number, string>(300);
  for (let client = 0; client < 250; client++) queue.push(client, `client ${client}`);
  for (let item = 0; item < 50; item++) queue.push(1_000, `flood ${item}`);
  assert.equal(queue.push(2_000, 'newcomer'), 'flood 49');
});

test('what is removed has no turn, and a client without anything left has none either', () => {
  const queue = new FairQueue<number, string>(4);
  for (const item of ['a1', 'b1', 'a2', 'c1']) queue.push(item.charCodeAt(0), item);
  assert.ok(queue.remove('b'.charCodeAt(0), 'b1') && queue.remove('a'.charCodeAt(0), 'a1'));
  assert.equal(queue.remove('b'.charCodeAt(0), 'b1'), false);
  assert.equal(queue.remove('a'.charCodeAt(0), 'a1'), false);
  assert.equal(queue.size, 2);
  assert.deepEqual(takeAll(queue), ['a2', 'c1']);
});

/** The same as lists: the lines in the order of their turns. */
class Model {
  readonly lines: { readonly client: number; readonly items: number[] }[] = [];

  get size(): number {
    return this.lines.reduce((sum, { items }) => sum + items.length, 0);
  }

  of(client: number): number[] {
    return this.lines.find((line) => line.client === client)?.items ?? [];
  }

  /** What `push` gave back, checked, and then done here too. */
  pushed(client: number, item: number, lost: number | null, itemsMax: number): void {
    const longest = Math.max(0, ...this.lines.map(({ items }) => items.length));
    const isFull = this.size === itemsMax;
    if (!isFull) assert.equal(lost, null);
    else if (this.of(client).length + 1 >= longest) assert.equal(lost, item);
    else {
      const loser = this.lines.find(({ items }) => items.length === longest && items.at(-1) === lost);
      assert.ok(loser, 'the latest of a client with the most is lost');
      loser.items.pop();
    }
    if (lost === item) return;
    if (this.of(client).length > 0) this.of(client).push(item);
    else this.lines.push({ client, items: [item] });
  }

  take(): number | null {
    const line = this.lines.shift();
    if (line === undefined) return null;
    const item = line.items.shift() as number;
    if (line.items.length > 0) this.lines.push(line);
    return item;
  }

  remove(client: number, item: number): boolean {
    const items = this.of(client);
    const index = items.indexOf(item);
    if (index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.lines.splice(this.lines.indexOf(this.lines.find((line) => line.items === items)!), 1);
    return true;
  }
}

test('it does what a naive model does: pushes, turns and removals in any order, with few places and with many clients', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), client: fc.nat(12) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), client: fc.nat(12), which: fc.nat(8) }) },
  );
  const steps = fc.array(step, { size: 'max', maxLength: 500 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), steps, (itemsMax, all) => {
      const queue = new FairQueue<number, number>(itemsMax);
      const model = new Model();
      for (const [number, one] of all.entries()) {
        if (one.do === 'push') model.pushed(one.client, number, queue.push(one.client, number), itemsMax);
        else if (one.do === 'take') assert.equal(queue.take(), model.take());
        else {
          const item = model.of(one.client)[one.which] ?? -1;
          assert.equal(queue.remove(one.client, item), model.remove(one.client, item));
        }
        assert.equal(queue.size, model.size);
      }
      while (model.size > 0) assert.equal(queue.take(), model.take());
      assert.equal(queue.take(), null);
    }),
  );
});
