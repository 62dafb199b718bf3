import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, warningsOf } from '../options.js';

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
