import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byAcl, byCache, byForward, byNobody, byTemplate } from '../../src/counters.js';
import { pointBetween, readTotals, shownRcodes } from '../../src/page/totals.js';
import { kernelLane, newPage } from '../observe/source.js';
import { answered } from './counts.js';

const nothing = readTotals([], null);

describe('the sums behind the charts', () => {
  it('counts every answer once, by where it came from, over threads and zones', () => {
    const [main, worker] = [newPage(2), newPage(2)];
    answered(worker, 70, { by: byCache, cache: 'hit' });
    answered(worker, 10, { by: byCache, cache: 'stale hit', zone: 1 });
    // A cached zone's misses are the cache's answers too, as in CoreDNS.
    answered(main, 12, { by: byCache, seconds: 0.003 });
    answered(main, 3, { by: byForward, zone: 1, seconds: 0.003 });
    answered(main, 2, { by: byCache, rcode: 2 });
    answered(worker, 20, { by: byTemplate, rcode: 3 });
    answered(worker, 1, { by: byAcl, rcode: 5 });
    answered(worker, 1, { by: byNobody, rcode: 5 });
    const { sources, hitRatio, rcodes } = pointBetween(nothing, readTotals([main, worker], null), 10);
    assert.deepEqual(sources, { hit: 7, lane: 0, stale: 1, policy: 2.2, miss: 1.5, failed: 0.2 });
    assert.equal(hitRatio, 80 / 97);
    assert.deepEqual(Object.fromEntries(shownRcodes.map((name, place) => [name, rcodes[place]])), {
      NOERROR: 9.5,
      NXDOMAIN: 2,
      SERVFAIL: 0.2,
      REFUSED: 0.2,
      other: 0,
    });
  });

  it('takes the answers of the kernel out of those of the workers, in whose counts they are', () => {
    const page = newPage(1);
    answered(page, 100, { by: byCache, cache: 'hit' });
    answered(page, 50, { by: byTemplate, rcode: 3 });
    answered(page, 5, { by: byCache, cache: 'stale hit' });
    const lane = { ...kernelLane, answers: 105, denied: 40, stale: 5 };
    const { sources, hitRatio } = pointBetween(nothing, readTotals([page], lane), 1);
    assert.deepEqual(sources, { hit: 40, lane: 100, stale: 5, policy: 10, miss: 0, failed: 0 });
    assert.equal(hitRatio, 1);
  });

  it('counts stale answers to clients that have waited as stale, not as misses', () => {
    const page = newPage(1);
    answered(page, 10, { by: byCache, cache: 'stale after a wait' });
    answered(page, 5, { by: byCache, cache: 'hit' });
    const { sources } = pointBetween(nothing, readTotals([page], null), 1);
    assert.deepEqual(sources, { hit: 5, lane: 0, stale: 10, policy: 0, miss: 0, failed: 0 });
  });

  it('has nothing to say of no queries, and nothing below zero where counts begin again', () => {
    const { sources, hitRatio, p50Ms } = pointBetween(nothing, nothing, 1);
    assert.ok(Object.values(sources).every((value) => value === 0));
    assert.ok(Number.isNaN(hitRatio) && Number.isNaN(p50Ms));
    const page = newPage(1);
    answered(page, 5, { by: byCache, cache: 'hit' });
    const fallen = pointBetween(readTotals([page], kernelLane), nothing, 1);
    assert.ok([...Object.values(fallen.sources), ...fallen.rcodes].every((value) => value === 0));
  });
});
