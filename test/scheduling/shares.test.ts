import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientPlacesLeast } from '../../src/limits.js';
import { asksMuch, Shares } from '../../src/scheduling/shares.js';

test('each client has what it took and did not give', () => {
  const step = fc.record({ client: fc.nat(5), takes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const shares = new Shares();
      const model = new Map<string, number>();
      for (const { client, takes } of steps) {
        const name = `10.0.0.${client}`;
        const has = model.get(name) ?? 0;
        if (!takes && has === 0) continue;
        shares[takes ? 'took' : 'gave'](name);
        model.set(name, has + (takes ? 1 : -1));
      }
      for (const [name, has] of model) assert.equal(shares.of(name), has);
    }),
  );
});

test('clients that have come and gone are forgotten, and those that have something are not', () => {
  const shares = new Shares();
  shares.took('stays');
  for (let round = 0; round < 100_000; round++) {
    shares.took(`client ${round}`);
    shares.gave(`client ${round}`);
  }
  assert.ok(shares.size <= 2_000, `${shares.size} clients`);
  assert.equal(shares.of('stays'), 1);
});

test('many clients that all have something are not looked through for each new one', () => {
  const shares = new Shares();
  const clients = 200_000;
  for (let client = 0; client < clients; client++) shares.took(`client ${client}`);
  assert.equal(shares.size, clients);
  for (let client = 0; client < clients; client++) shares.gave(`client ${client}`);
  shares.took('another');
  assert.equal(shares.size, 1);
});

test('who asks much has more than what everybody may have; questions of our own are nobody’s', () => {
  const shares = new Shares();
  for (let count = 0; count < 100; count++) shares.took(undefined);
  assert.equal(shares.of(undefined), 0);
  assert.deepEqual([asksMuch(clientPlacesLeast - 1), asksMuch(clientPlacesLeast)], [false, true]);
});

test('what was not taken cannot be given back', () => {
  const shares = new Shares();
  assert.throws(() => shares.gave('a'), /gives back no more than it took/);
  shares.took('a');
  shares.gave('a');
  assert.throws(() => shares.gave('a'), /gives back no more than it took/);
});
