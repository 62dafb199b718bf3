import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine, type LoadRun, parseDnsperf } from '../../../bench/load/dnsperf.js';

const output = `DNS Performance Testing Tool
Version 2.10.0

[Status] Command line: dnsperf -s 127.0.0.1 -p 5403 -d q -l 2
[Status] Sending queries (to 127.0.0.1:5403)
[Status] Stopping after 2.000000 seconds
[Timeout] Query timed out: msg id 733
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         213007
  Queries completed:    212702 (99.86%)
  Queries lost:         305 (0.14%)

  Response codes:       NOERROR 212000 (99.67%), SERVFAIL 702 (0.33%)
  Average packet size:  request 40, response 56
  Run time (s):         2.001808
  Queries per second:   106254.945529

  Average Latency (s):  0.000796 (min 0.000017, max 0.015567)
  Latency StdDev (s):   0.001223
`;

const silence = `Statistics:

  Queries sent:         100
  Queries completed:    0 (0.00%)
  Queries lost:         100 (100.00%)

  Response codes:       
  Average packet size:  request 40, response 0
  Run time (s):         5.000000
  Queries per second:   0.000000
`;

test('what dnsperf says at the end becomes numbers', () => {
  const { latencyMs, ...rest } = parseDnsperf(output);
  assert.deepEqual(rest, {
    sent: 213_007,
    completed: 212_702,
    lost: 305,
    rcodes: { NOERROR: 212_000, SERVFAIL: 702 },
    seconds: 2.001808,
  });
  const rounded = Object.values(latencyMs).map((value) => value.toFixed(3));
  assert.deepEqual(rounded, ['0.796', '0.017', '15.567', '1.223']);
});

test('a server that never answered gives zeros', () => {
  const result = parseDnsperf(silence);
  assert.deepEqual([result.sent, result.completed, result.lost, result.rcodes], [100, 0, 100, {}]);
  assert.equal(result.latencyMs.max, 0);
});

test('output without statistics is a failure that shows it', () => {
  assert.throws(() => parseDnsperf('Error: unable to open q'), /Queries completed[\s\S]*unable to open q/);
});

test('the command line pins the load, and asks as it was told', () => {
  const wish: LoadRun = {
    dnsperf: '/usr/bin/dnsperf',
    core: 1,
    to: { address: '127.0.0.1', port: 5300 },
    load: { transport: 'udp', clients: 8, outstanding: 128, queriesPerSecond: null },
    questions: 'names.txt',
    seconds: 2,
    atEnd: 'again',
    latencies: null,
  };
  const again = commandLine(wish).join(' ');
  assert.equal(
    again,
    'taskset -c 1 /usr/bin/dnsperf -s 127.0.0.1 -p 5300 -m udp -d names.txt -l 2 -t 3 -T 1 -c 8 -q 128',
  );
  const once = commandLine({ ...wish, atEnd: 'done', load: { ...wish.load, queriesPerSecond: 1000 } }).join(' ');
  assert.equal(once, `${again} -Q 1000 -n 1`);
  const timed = commandLine({ ...wish, latencies: 'file' });
  assert.deepEqual(timed.slice(0, 4), ['sh', '-c', 'exec "$@" >"$0"', 'file']);
  assert.equal(timed.slice(4).join(' '), `${again} -v`);
});
