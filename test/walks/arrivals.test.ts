/**
 * A service that is created under a name from whose denial much was concluded: it is seen as soon as any new service is
 * that somebody has asked for in vain.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AddressService, plain } from './cluster.js';
import { newWalkWorld, type WalkWorld } from './world.js';

const upstreamDelayMs = 4;
const lookEveryMs = 50;

/** `com` in the namespace `default`, with an endpoint `www.com.default.svc.cluster.local`. */
const newcomer: AddressService = {
  ...plain({ name: 'com', namespace: 'dev' }, 99, 1),
  endpoints: [{ address: '10.244.99.1', hostname: 'www' }],
};

/** Asks for it all the time, and gives the time from its creation to the first answer with its address. */
async function seenAfterMs(walk: WalkWorld, name: string, beforeMs: number): Promise<number> {
  const { world, cluster, ask } = walk;
  const isThere = async (): Promise<boolean> => {
    // Walks of others keep what is known about `com` in use.
    const others = ['a', 'b', 'c'].map((site) => `www.${site}.com.dev.svc.cluster.local`);
    const [given] = await ask([name, ...others].map((each) => ({ name: each, type: 'A' })));
    return given.rcode === 'NOERROR' && given.data.length > 0;
  };
  for (let passedMs = 0; passedMs < beforeMs; passedMs += lookEveryMs) {
    assert.equal(await isThere(), false);
    await world.pass(lookEveryMs);
  }
  const createdMs = world.clock.nowMs();
  cluster.create(newcomer);
  while (!(await isThere())) await world.pass(lookEveryMs);
  return world.clock.nowMs() - createdMs;
}

describe('a service with the name of a top-level domain', () => {
  for (const cuts of ['usual', 'off'] as const) {
    for (const name of ['com.dev.svc.cluster.local', 'www.com.dev.svc.cluster.local']) {
      it(`is seen within the TTL of its denial, cuts ${cuts}: ${name}`, async () => {
        // Whether what is known has just come or is about to end, and after it was refreshed.
        for (const beforeMs of [100, 4800, 14_000]) {
          const walk = await newWalkWorld(cuts, upstreamDelayMs, 'quiet');
          const ttlMs = 1000 * walk.cluster.now.ttlSeconds;
          const afterMs = await seenAfterMs(walk, name, beforeMs);
          await walk.world.stop();
          assert.ok(afterMs <= ttlMs + lookEveryMs + 2 * upstreamDelayMs, `after ${afterMs} ms`);
        }
      });
    }
  }
});
