import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { observeDuration } from '../../src/counters.js';
import { rttsOf, upstreamsBetween, upstreamTotals } from '../../src/page/upstreams.js';
import { durationsOf, UpstreamStats } from '../../src/upstream/endpoint.js';

const to = '10.96.0.10:53';

function took(stats: UpstreamStats, rcode: string, ...seconds: readonly number[]): void {
  for (const each of seconds) observeDuration(durationsOf(stats, rcode), 0, each);
}

const nobody = upstreamTotals([]);

describe('what the page shows of upstreams', () => {
  it('is the average round trip of what was answered meanwhile, not of all time', () => {
    const stats = new UpstreamStats(to);
    took(stats, 'NOERROR', 0.1, 0.1);
    const before = upstreamTotals([stats]);
    took(stats, 'NXDOMAIN', 0.002, 0.004);
    const [shown] = upstreamsBetween(before, upstreamTotals([stats]), 4);
    assert.equal(Number(shown.rttMs.toFixed(6)), 3);
    assert.deepEqual([shown.answersPerSecond, shown.badAnswers], [0.5, 0]);
    const [silent] = upstreamsBetween(upstreamTotals([stats]), upstreamTotals([stats]), 4);
    assert.ok(Number.isNaN(silent.rttMs));
  });

  it('begins anew when a reload has given the address new counts', () => {
    const old = new UpstreamStats(to);
    took(old, 'NOERROR', 1, 1, 1);
    const fresh = new UpstreamStats(to);
    took(fresh, 'NOERROR', 0.005);
    const [shown] = upstreamsBetween(upstreamTotals([old]), upstreamTotals([fresh]), 1);
    assert.deepEqual([shown.rttMs, shown.answersPerSecond], [5, 1]);
  });

  it('has one row for an address that several blocks ask, with the worst state and the sums', () => {
    const [one, other] = [new UpstreamStats(to), new UpstreamStats(to)];
    Object.assign(one, { open: 2, suspects: 1, healthcheckFailures: 3 });
    Object.assign(other, { open: 1, healthcheckFailures: 4 });
    took(other, 'SERVFAIL', 0.001);
    const rowOf = () => upstreamsBetween(nobody, upstreamTotals([one, other]), 1)[0];
    const { state, open, suspects, failedChecks, badAnswers } = rowOf();
    assert.deepEqual(
      { state, open, suspects, failedChecks, badAnswers },
      {
        ...{ state: 'up', open: 3, suspects: 1, failedChecks: 7, badAnswers: 1 },
      },
    );
    other.healthy = false;
    assert.equal(rowOf().state, 'down');
    one.looping = true;
    assert.equal(rowOf().state, 'looping');
    assert.deepEqual([...rttsOf([rowOf()])], [[to, 1]]);
  });
});
