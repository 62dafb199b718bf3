import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, configOf, warningsOf } from '../options.js';

const block = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines);
const text = (line: string) => `. {\nforward . 10.0.0.1\n${line}\n}\n`;

test('loop and debug', () => {
  assert.equal(block().loop, false);
  assert.equal(block('loop').loop, true);
  assert.equal(configOf(text('')).debug, false);
  assert.equal(configOf(text('debug')).debug, true);
  assert.throws(() => block('debug on'), /debug: expects no arguments; remove "on"/u);
  assert.throws(() => block('loop {', '}'), /loop: takes no block/u);
});
test('bufsize', () => {
  assert.equal(block().bufsizeBytes, 1232);
  assert.equal(block('bufsize').bufsizeBytes, 1232);
  assert.equal(block('bufsize 512').bufsizeBytes, 512);
  assert.equal(block('bufsize 4096').bufsizeBytes, 4096);
  const askedFor = (...lines: string[]): number[] => block(...lines).forwards.map(({ udpBytes }) => udpBytes);
  assert.deepEqual(askedFor('forward a.test 10.0.0.2'), [1232, 1232]);
  assert.deepEqual(askedFor('forward a.test 10.0.0.2', 'bufsize 512'), [512, 512]);
  assert.throws(() => block('bufsize 511'), /from 512 to 4096/u);
  assert.match(warningsOf(text('bufsize 1233'))[0], /^3: bufsize: answers above 1232 bytes/u);
  assert.deepEqual(warningsOf(text('bufsize 1232')), []);
});
test('aaaa', () => {
  assert.equal(block().aaaa, null);
  assert.equal(block().aaaaAt, null);
  for (const policy of ['nxdomain', 'nodata', 'smart', 'forward']) {
    assert.equal(block(`aaaa ${policy}`).aaaa, policy);
  }
  assert.deepEqual(block('aaaa smart').aaaaAt, { file: '/etc/Corefile', line: 3 });
  assert.throws(() => block('aaaa'), /aaaa: expects nxdomain, nodata, smart or forward, but has none/u);
});

test('any, minimal and whoami are there or not', () => {
  const silent = blockOf('forward . 10.0.0.1');
  const spoken = blockOf('forward . 10.0.0.1', 'any', 'minimal', 'whoami');
  assert.deepEqual(silent.settings, {});
  assert.deepEqual(spoken.settings, { any: true, minimal: true, whoami: true });
  assert.deepEqual(warningsOf('. {\nwhoami\n}\n'), [], 'it has an answer to everything');
  for (const name of ['any', 'minimal', 'whoami']) {
    assert.throws(() => blockOf('forward . 10.0.0.1', `${name} x`), /:3: /u);
    assert.throws(() => blockOf('forward . 10.0.0.1', name, `${name} x`), /:4: /u);
    assert.deepEqual(warningsOf(`. {\nforward . 10.0.0.1\n${name}\n${name}\n}\n`), [], 'said twice it is said');
  }
});

test('cancel is accepted with a word about what holds here, and checked', () => {
  for (const written of ['cancel', 'cancel 5s']) {
    const [warning] = warningsOf(`. {\nforward . 10.0.0.1\n${written}\n}\n`);
    assert.match(warning, /^3: cancel: has no effect: zerohop answers every query within 5 s/u);
  }
  for (const wrong of ['cancel 0', 'cancel soon', 'cancel 1s 2s']) {
    assert.throws(() => blockOf('forward . 10.0.0.1', wrong), /:3: cancel: /u, wrong);
  }
});

const warned = (...lines: string[]) => warningsOf(`a.test {\nforward . 10.0.0.1\n${lines.join('\n')}\n}\n`);
const refused =
  (...lines: string[]) =>
  () =>
    blockOf('forward . 10.0.0.1', ...lines);

test('metadata is accepted, with zones or without', () => {
  assert.deepEqual(warned('metadata'), []);
  assert.deepEqual(warned('metadata a.test x.a.test'), []);
  assert.match(
    warned('metadata b.test')[0],
    /^3: metadata: has no effect: no name of b\.test\. reaches this server block/u,
  );
  assert.ok(blockOf('forward . 10.0.0.1', 'metadata').directives.includes('metadata'));
});
test('metadata is refused twice, with a block, and with what is no zone', () => {
  assert.throws(refused('metadata', 'metadata'), /metadata: allowed once/u);
  assert.throws(refused('metadata {', 'map x', '}'), /metadata: takes no block/u);
  assert.throws(refused('metadata a..test'), /empty label/u);
});

test('trace is accepted, and one warning says that nothing is sent', () => {
  for (const lines of [
    ['trace'],
    ['trace tracinghost:9411'],
    ['trace zipkin localhost:9411'],
    ['trace DataDog localhost:8126'],
    ['trace {', 'every 100', 'service dns', 'client_server true', 'datadog_analytics_rate 0.5', '}'],
    ['trace {', 'zipkin_max_backlog_size 1', 'zipkin_max_batch_size 2', 'zipkin_max_batch_interval 3s', '}'],
  ]) {
    const [first, ...more] = warned(...lines);
    assert.match(first, /^3: trace: zerohop sends no spans; remove it/u, lines.join(' '));
    assert.deepEqual(more, []);
  }
});
test('trace is refused with what it does not mean', () => {
  assert.throws(refused('trace jaeger localhost:1'), /trace: the type must be zipkin or datadog, not "jaeger"/u);
  assert.throws(refused('trace zipkin localhost:1 more'), /remove "more"/u);
  assert.throws(refused('trace {', 'every some', '}'), /trace every: it must be a whole number/u);
  assert.throws(refused('trace {', 'evry 1', '}'), /did you mean every/u);
});

const reloadText = (line: string) => `. {\nforward . 10.0.0.1\n${line}\n}\n`;
const reload = (line: string) => configOf(reloadText(line)).reload;

test('absent, bare, with interval, with both', () => {
  assert.equal(reload(''), null);
  assert.deepEqual(reload('reload'), { intervalMs: 5_000, jitterMs: 1_000 });
  assert.deepEqual(reload('reload 10s'), { intervalMs: 10_000, jitterMs: 5_000 });
  assert.deepEqual(reload('reload 10s 0'), { intervalMs: 10_000, jitterMs: 0 });
  assert.deepEqual(reload('reload 10s 2s'), { intervalMs: 10_000, jitterMs: 2_000 });
});
test('a jitter above half the interval is cut, and said so only if it was written', () => {
  assert.deepEqual(reload('reload 10s 8s'), { intervalMs: 10_000, jitterMs: 5_000 });
  assert.match(warningsOf(reloadText('reload 10s 8s')).join(), /^3: reload: the jitter is reduced/u);
  assert.deepEqual(warningsOf(reloadText('reload 2s')), []);
});
