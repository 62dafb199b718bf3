import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backlog } from '../../src/listen/backlog.js';

test('messages come out as they went in, whatever the order of pushes and shifts', () => {
  const step = fc.oneof(
    fc.record({ message: fc.uint8Array({ maxLength: 40 }), moreBytes: fc.nat(100) }),
    fc.constant(null),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const backlog = new Backlog();
      const model: Uint8Array[] = [];
      for (const each of steps) {
        if (each === null) {
          const expected = model.shift();
          const message = backlog.shift();
          if (expected === undefined) assert.equal(message, null);
          else assert.deepEqual(new Uint8Array(message as Uint8Array), expected);
        } else {
          const { message, moreBytes } = each;
          model.push(Uint8Array.from(message));
          backlog.push(message, moreBytes);
          message.fill(0xdd);
        }
        assert.equal(backlog.isEmpty, model.length === 0);
      }
    }),
  );
});

test('the largest message fits, and clear forgets everything', () => {
  const backlog = new Backlog();
  backlog.push(new Uint8Array(65_535).fill(7), 0);
  assert.deepEqual(backlog.shift(), new Uint8Array(65_535).fill(7));
  backlog.push(Uint8Array.of(1), 10);
  backlog.clear();
  assert.equal(backlog.isEmpty, true);
  assert.equal(backlog.shift(), null);
});
