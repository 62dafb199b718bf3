import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exceptionsMax } from '../../src/limits.js';
import { onExceptions } from '../../src/process/crash-policy.js';
import { ManualClock } from '../simulation/clock.js';

function newWorld() {
  const clock = new ManualClock();
  const did: string[] = [];
  const handlers = new Map<string, (error: unknown) => void>();
  const say = (): void => {};
  const log = { debug: say, info: say, warn: say, error: (text: string) => void did.push(text), flush: say };
  const process = {
    on: (event: string, handler: (error: unknown) => void) => void handlers.set(event, handler),
    exit: (code: number) => void did.push(`exit ${code}`),
  };
  const started = onExceptions(process, { clock, log });
  const throws = (event = 'uncaughtException'): void => handlers.get(event)?.(new Error('planted'));
  return { clock, did, started, throws };
}

const goesOn = 'exception in the control lane; it continues';

describe('onExceptions', () => {
  test('before the program has started an exception ends it', () => {
    const { did, throws } = newWorld();
    throws();
    assert.deepEqual(did, [goesOn, 'exit 1']);
  });

  test('one is logged, and the lane made anew; a promise that nobody looks after counts the same', async () => {
    const { clock, did, started, throws } = newWorld();
    started({ recover: () => void did.push('recover'), stop: () => assert.fail('it goes on') });
    throws();
    throws('unhandledRejection');
    assert.deepEqual(did, [goesOn, 'recover', goesOn, 'recover']);
    for (let times = 0; times < 10 * exceptionsMax; times++) {
      clock.passMs(1_500);
      throws();
    }
  });

  test('too many in too short a time end the process in order, once', async () => {
    const { clock, did, started, throws } = newWorld();
    started({ recover: () => void did.push('recover'), stop: async () => void did.push('stop') });
    for (let times = 0; times < exceptionsMax + 3; times++) throws();
    await clock.pass(0);
    assert.equal(did.filter((what) => what === 'recover').length, exceptionsMax);
    assert.deepEqual(
      did.filter((what) => what === 'stop' || what.startsWith('exit')),
      ['stop', 'exit 1'],
    );
  });

  test('so does a lane that cannot be made anew', async () => {
    const { clock, did, started, throws } = newWorld();
    const recover = (): void => {
      throw new Error('again');
    };
    started({ recover, stop: async () => void did.push('stop') });
    throws();
    await clock.pass(0);
    assert.deepEqual(did.slice(-2), ['stop', 'exit 1']);
  });
});
