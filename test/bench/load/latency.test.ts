import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { latenciesIn, latenciesMs, percentiles, percentilesOf } from '../../../bench/load/latency.js';

const said = `[Status] Sending queries (to 127.0.0.1:5300)
> NOERROR svc-0.ns-0.svc.cluster.local A 0.000123
> NXDOMAIN a.example A 0.002000
> T svc-1.ns-1.svc.cluster.local A
> I svc-2.ns-2.svc.cluster.local A
[Timeout] Query timed out: msg id 733
> NOERROR svc-3.ns-3.svc.cluster.local AAAA 1.500000
  Average Latency (s):  0.000796 (min 0.000017, max 0.015567)
`;

test('every answer has a latency, a question that was lost has none', () => {
  assert.deepEqual(
    latenciesMs(said).map((value) => value.toFixed(3)),
    ['0.123', '2.000', '1500.000'],
  );
});

test('a percentile is the smallest value that so many do not exceed', () => {
  const thousand = Array.from({ length: 1000 }, (_, index) => 1000 - index);
  assert.deepEqual(percentiles(thousand), { p50: 500, p99: 990, p999: 999, max: 1000 });
  assert.deepEqual(percentiles([7]), { p50: 7, p99: 7, p999: 7, max: 7 });
  assert.deepEqual(percentiles([2, 10, 1]), { p50: 2, p99: 10, p999: 10, max: 10 });
  assert.equal(percentiles([]), null);
});

test('the answers between two places of a file are those of its lines, however it is read', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const path = join(folder, 'latencies');
    const line = (milliseconds: number): string => `> NOERROR a.example A ${(milliseconds / 1000).toFixed(6)}\n`;
    const lines = Array.from({ length: 600_000 }, (_, index) => line(index % 1000));
    writeFileSync(path, lines.join(''));
    const { length } = lines[0];
    assert.ok(lines.length * length > 16 * 1024 * 1024, 'the file is read in parts');
    assert.deepEqual(latenciesIn(path, 2 * length, 5 * length), [2, 3, 4]);
    assert.deepEqual(percentilesOf(path), { p50: 499, p99: 989, p999: 998, max: 999 });
    writeFileSync(path, '');
    assert.equal(percentilesOf(path), null);
  });
});
