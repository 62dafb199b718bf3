/** What the doctor says of the serving process, and which facts of one it believes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServerFacts, serverCheck } from '../../src/doctor/check-server.js';
import { clusterFacts, findingOf } from './cluster.js';

test('a process that serves, one that stands by, and none', async () => {
  const serving = await findingOf(serverCheck(null), 'not-running');
  assert.deepEqual([serving.verdict, serving.seen], ['ok', 'zerohop 0.2.0 serves for 60 minutes (pid 17)']);
  const standing = await findingOf(serverCheck(null), 'not-running', { facts: { role: 'stand-by' } });
  assert.deepEqual([standing.verdict, /stand-by/.test(standing.seen)], ['info', true]);
  const missing = 'no zerohop listens at /run/zerohop/control.sock; start zerohop.';
  const none = await findingOf(serverCheck(missing), 'not-running', { facts: null });
  assert.equal(none.verdict, 'fail');
  assert.match(none.seen, /: no zerohop listens at \/run\/zerohop\/control\.sock; start zerohop$/);
});

test('facts of another shape are none', () => {
  assert.deepEqual(readServerFacts(JSON.parse(JSON.stringify(clusterFacts))), clusterFacts);
  const { flags, recent, upstreams, ...rest } = clusterFacts;
  const others = [
    undefined,
    null,
    7,
    'text',
    [],
    {},
    rest,
    { ...clusterFacts, flags: null },
    { ...clusterFacts, upstreams: 3 },
  ];
  for (const value of others) assert.equal(readServerFacts(value), null);
  assert.equal(readServerFacts({ ...clusterFacts, recent: { ...recent, queries: 'many' } }), null);
  assert.equal(readServerFacts({ ...clusterFacts, flags: { ...flags, localAddresses: null } }), null);
  assert.ok(upstreams.length > 0);
});
