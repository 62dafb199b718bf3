import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientTurns } from '../../src/listen/client-turns.js';

function takeAll<Item>(turns: ClientTurns<Item>): Item[] {
  const taken: Item[] = [];
  for (let item = turns.take(); item !== null; item = turns.take()) taken.push(item);
  return taken;
}

test('clients take turns, whoever has more; each is first come, first served', () => {
  const turns = new ClientTurns<string>(100);
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) assert.equal(turns.push(item.charCodeAt(0), item), null);
  assert.deepEqual(takeAll(turns), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  assert.equal(turns.size, 0);
});

test('when it is full, the client with the most loses its latest for one with less, and nothing for itself', () => {
  const turns = new ClientTurns<string>(4);
  for (const item of ['a1', 'a2', 'a3', 'a4']) turns.push(1, item);
  assert.equal(turns.push(1, 'a5'), 'a5');
  assert.equal(turns.push(2, 'b1'), 'a4');
  assert.equal(turns.push(3, 'c1'), 'a3');
  assert.equal(turns.push(2, 'b2'), 'b2');
  assert.deepEqual(takeAll(turns), ['a1', 'b1', 'c1', 'a2']);
});

test('when nobody has more than one, the newcomer is the one who is lost', () => {
  const turns = new ClientTurns<number>(200);
  for (let client = 0; client < 200; client++) assert.equal(turns.push(client, client), null);
  assert.equal(turns.push(200, 200), 200);
});

test('nothing is lost unsaid, the bound holds, and each client’s things keep their order', () => {
  const bound = 10;
  const step = fc.oneof({ weight: 3, arbitrary: fc.nat(4) }, { weight: 2, arbitrary: fc.constant('take' as const) });
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 400 }), (steps) => {
      const turns = new ClientTurns<{ client: number; number: number }>(bound);
      const waiting = new Set<number>();
      const lastOf = new Map<number, number>();
      const take = (): void => {
        const item = turns.take();
        assert.equal(item === null, waiting.size === 0);
        if (item === null) return;
        assert.ok(waiting.delete(item.number));
        assert.ok((lastOf.get(item.client) ?? -1) < item.number);
        lastOf.set(item.client, item.number);
      };
      for (const [number, each] of steps.entries()) {
        if (each === 'take') {
          take();
          continue;
        }
        waiting.add(number);
        const lost = turns.push(each, { client: each, number });
        if (lost !== null) assert.ok(waiting.delete(lost.number));
        assert.equal(turns.size, waiting.size);
        assert.ok(turns.size <= bound);
      }
      while (waiting.size > 0) take();
      take();
    }),
  );
});
