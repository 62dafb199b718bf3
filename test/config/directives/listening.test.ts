import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, configOf, warningsOf } from '../options.js';

const addresses = (...lines: string[]) => blockOf(...lines, 'forward . 10.0.0.1').addresses;

test('without bind all addresses', () => assert.deepEqual(addresses(), ['::']));
test('addresses, in their one spelling, without duplicates', () => {
  assert.deepEqual(addresses('bind 169.254.20.10 FD00::0001 169.254.20.10'), ['169.254.20.10', 'fd00::1']);
});
test('several bind add up', () =>
  assert.deepEqual(addresses('bind 10.0.0.1', 'bind 10.0.0.2'), ['10.0.0.1', '10.0.0.2']));
test('an interface stands for its addresses', () => {
  assert.deepEqual(addresses('bind eth0 10.0.0.1'), ['10.1.2.3', 'fe80::1%eth0', '10.0.0.1']);
});
test('except takes addresses and interfaces out', () => {
  assert.deepEqual(addresses('bind lo eth0 {', 'except ::1 eth0', '}'), ['127.0.0.1']);
});
test('except counts for its own bind only', () => {
  assert.deepEqual(addresses('bind lo {', 'except ::1', '}', 'bind ::1'), ['127.0.0.1', '::1']);
});
test('an address with a port, or in brackets, is refused with how to write it', () => {
  for (const [text, reason] of [
    ['10.0.0.1:53', /; write "bind 10\.0\.0\.1": the port belongs after the zone, as in "\.:53"\.$/u],
    ['[fd00::10]:5353', /; write "bind fd00::10": the port belongs after the zone, as in "\.:5353"\.$/u],
    ['[::1]', /; write "bind ::1"\.$/u],
    ['eth7', /"eth7" is neither an IP address nor an interface of this host\.$/u],
  ] as const) {
    assert.throws(() => addresses(`bind ${text}`), reason, text);
  }
});
test('an IPv6 address that looks like one with a port is warned of', () => {
  const warned = (text: string) => warningsOf(`. {\nbind ${text}\nforward . 10.0.0.1\n}\n`);
  assert.match(
    warned('fd00::10:53')[0],
    /^2: bind: "fd00::10:53" is an IPv6 address; for port 53 of fd00::10 write "bind fd00::10"/u,
  );
  for (const text of ['fd00::53', 'fd00::10', 'fd00::10:54', '10.0.0.53']) assert.deepEqual(warned(text), [], text);
});

const config = (...lines: string[]) => configOf(`. {\nforward . 10.0.0.1\n${lines.join('\n')}\n}\n`);

test('without the directives nothing is served', () => {
  const { health, ready, metrics } = config();
  assert.deepEqual([health, ready, metrics], [null, null, []]);
});
test('the defaults of CoreDNS', () => {
  const { health, ready, metrics } = config('health', 'ready', 'prometheus');
  assert.deepEqual(health, { addresses: [{ address: '::', port: 8080 }], lameduckMs: 0 });
  assert.deepEqual(ready, { addresses: [{ address: '::', port: 8181 }], monitor: 'until-ready' });
  assert.deepEqual(metrics, [{ address: '127.0.0.1', port: 9153 }]);
});
test('addresses: all, IPv4, IPv6, localhost', () => {
  assert.deepEqual(config('prometheus :9253').metrics, [{ address: '::', port: 9253 }]);
  assert.deepEqual(config('prometheus 0.0.0.0:9253').metrics, [{ address: '0.0.0.0', port: 9253 }]);
  assert.deepEqual(config('prometheus [FD00::1]:9253').metrics, [{ address: 'fd00::1', port: 9253 }]);
  assert.deepEqual(config('ready localhost:0').ready, {
    addresses: [{ address: '127.0.0.1', port: 0 }],
    monitor: 'until-ready',
  });
});
test('options', () => {
  assert.equal(config('health {', 'lameduck 5s', '}').health?.lameduckMs, 5_000);
  assert.equal(config('ready {', 'monitor continuously', '}').ready?.monitor, 'continuously');
});
test('runtime_metrics is taken with a warning', () => {
  assert.match(
    warningsOf('. {\nforward . 10.0.0.1\nprometheus {\nruntime_metrics\n}\n}\n')[0],
    /^4: prometheus runtime_metrics: has no effect: zerohop has no Go runtime/u,
  );
});
test('pprof: on loopback unless said, once for each address, and `block` does nothing', () => {
  assert.deepEqual(config('pprof').pprof, [{ address: '127.0.0.1', port: 6053 }]);
  assert.deepEqual(config('pprof 10.0.0.9:6060 {', 'block 100', '}').pprof, [{ address: '10.0.0.9', port: 6060 }]);
  assert.deepEqual(config().pprof, []);
  const two = configOf('. {\nforward . 10.0.0.1\npprof\n}\nb.test {\nforward . 10.0.0.1\npprof localhost:6053\n}\n');
  assert.equal(two.pprof.length, 1);
  assert.match(
    warningsOf('. {\nforward . 10.0.0.1\npprof {\nblock\n}\n}\n')[0],
    /^4: pprof block: has no effect: zerohop has no block profile/u,
  );
  assert.throws(() => config('pprof localhost'), /must be ADDRESS:PORT, for example 127\.0\.0\.1:6053/u);
  assert.throws(() => config('pprof', 'pprof'), /allowed once/u);
  assert.throws(() => config('prometheus :6053', 'pprof'), /is used by/u);
});
test('what is no address or port is refused', () => {
  for (const [words, reason] of [
    ['a b', /remove "b"/u],
    ['8080', /must be ADDRESS:PORT, for example 127\.0\.0\.1:8080/u],
    ['::1:8080', /"::1:8080" must be ADDRESS:PORT, for example \[::1\]:8080\.$/u],
    ['fd00::10:9254', /"fd00::10:9254" must be ADDRESS:PORT, for example \[fd00::10\]:9254\.$/u],
    ['fd00::10', /must be ADDRESS:PORT, for example \[fd00::10\]:8080\.$/u],
    ['[fd00::10]', /must be ADDRESS:PORT, for example \[fd00::10\]:8080\.$/u],
    ['10.0.0.9', /must be ADDRESS:PORT, for example 10\.0\.0\.9:8080\.$/u],
    [':http', /"http" in ":http" is not a port/u],
    [':65536', /not a port/u],
    ['kube-dns:8080', /not an IP address/u],
  ] as const) {
    assert.throws(() => config(`health ${words}`), reason);
  }
  assert.throws(() => config('prometheus fd00::10:9253'), /for example \[fd00::10\]:9253\.$/u);
  assert.throws(() => config('ready ::1'), /for example \[::1\]:8181\.$/u);
  assert.throws(() => config('pprof ::1:6060'), /for example \[::1\]:6060\.$/u);
  assert.throws(() => config('health {', 'lameduck soon', '}'), /must be a duration/u);
});

const timeouts = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).timeouts;

test('the defaults of CoreDNS', () => {
  assert.deepEqual(timeouts(), { readMs: 3_000, writeMs: 5_000, idleMs: 10_000, tcpQueriesMax: -1 });
});
test('each can be set, the others stay', () => {
  assert.deepEqual(timeouts('timeouts {', 'read 1s', 'idle 24h', '}'), {
    readMs: 1_000,
    writeMs: 5_000,
    idleMs: 86_400_000,
    tcpQueriesMax: -1,
  });
  assert.equal(timeouts('timeouts {', 'write 20', '}').writeMs, 20_000);
  assert.equal(timeouts('timeouts {', 'maxtcpqueries 128', '}').tcpQueriesMax, 128);
  assert.equal(timeouts('timeouts {', 'max_queries 5', '}').tcpQueriesMax, 5);
});
test('bounds', () => {
  for (const line of ['read 999ms', 'write 25h', 'idle 0', 'maxtcpqueries -2', 'maxtcpqueries many']) {
    assert.throws(() => timeouts('timeouts {', line, '}'), /must be|from 1s to 24h/u, line);
  }
  assert.throws(() => timeouts('timeouts {', '}'), /expects a block/u);
});
