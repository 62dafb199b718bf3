import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerLink } from '../../src/takeover/protocol.js';
import { Departures } from '../../src/takeover/succession.js';

function newWorld() {
  const did: string[] = [];
  const departures = new Departures({ steer: (how) => void did.push(how), look: () => void did.push('look') });
  const leaver = (name: string) => ({ say: () => void did.push(`${name} goes`) }) as unknown as PeerLink;
  return { did, departures, leaver };
}

test('one after another, with packets on one socket in the meantime', () => {
  const { did, departures, leaver } = newWorld();
  const [one, two, three] = [leaver('one'), leaver('two'), leaver('three')];
  for (const each of [one, two, three]) departures.asks(each);
  assert.deepEqual(did, ['look', 'one', 'one goes']);
  departures.over(two);
  assert.equal(did.length, 3, 'who has given up waiting is nobody');
  departures.over(one);
  assert.deepEqual(did.slice(3), ['look', 'one', 'three goes']);
  departures.over(three);
  assert.deepEqual(did.slice(6), ['look', 'all']);
  departures.over(three);
  assert.equal(did.length, 8);
});

test('those that are another instance’s business are forgotten', () => {
  const { did, departures, leaver } = newWorld();
  const one = leaver('one');
  departures.asks(one);
  departures.forget();
  departures.over(one);
  assert.deepEqual(did, ['look', 'one', 'one goes']);
});
