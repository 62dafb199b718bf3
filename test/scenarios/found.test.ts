/**
 * What the simulation of the whole program (test/simulation/whole.test.ts) has found, each reduced to the few steps
 * that show it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile } from './world.js';

const withSmart = simpleCorefile.replace('  errors\n', '  errors\n  aaaa smart\n');

describe('found by the simulation', () => {
  it("aaaa smart: a failure for the name's A came back with the question for A", async () => {
    const world = await newWorld({ corefile: withSmart });
    world.upstream.servfail('a.example.');
    const { rcode, message } = await world.asks('a.example.', 'AAAA');
    assert.equal(rcode, 'SERVFAIL');
    assert.deepEqual(message.questions, [{ name: 'a.example', type: 'AAAA', class: 'IN' }]);
  });
});
