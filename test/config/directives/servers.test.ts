import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, warningsOf } from '../options.js';

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
