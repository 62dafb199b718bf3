/** The process: memory, reload, stand-by, strangers on its addresses, and its port. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryCheck, memoryUse, portCheck, reloadCheck, standByCheck } from '../../src/doctor/check-process.js';
import { found, verdicts } from './outsides.js';

test('the last reload', async () => {
  assert.deepEqual(await verdicts(reloadCheck), { 'reload-refused': 'ok' });
  assert.deepEqual(await verdicts(reloadCheck, { facts: { isLastReloadRefused: true } }), { 'reload-refused': 'fail' });
  assert.deepEqual(await verdicts(reloadCheck, { facts: null }), { 'reload-refused': 'skipped' });
});

test('a stand-by, none, and none that could take over', async () => {
  const alone = async (facts: object, flags = {}) => (await verdicts(standByCheck, { facts, flags }))['alone'];
  assert.equal(await alone({ standBys: 1 }), 'ok');
  assert.equal(await alone({ standBys: 0 }), 'info');
  assert.equal(await alone({ standBys: 0, hasHandover: false }), 'warn');
  assert.equal(await alone({ standBys: 0, role: 'stand-by' }), 'ok');
  assert.equal(await alone({ standBys: 0, hasHandover: false }, { localAddresses: ['0.0.0.0'] }), 'ok', 'with Cilium');
});

test('sockets of another process on our addresses, which is no instance that we know', async () => {
  const duplicate = async (facts: object) => (await found(standByCheck, { facts }))['duplicate'];
  const stranger = await duplicate({ foreignSockets: 2, standBys: 0 });
  assert.deepEqual([stranger.verdict, stranger.command], ['fail', 'ss -lnup sport = :53']);
  assert.match(stranger.seen, /^another process has 2 UDP sockets on port 53/);
  assert.equal((await duplicate({ foreignSockets: 2, standBys: 1 })).verdict, 'ok');
  assert.equal(
    (await duplicate({ foreignSockets: 2, standBys: 0, upSeconds: 10 })).verdict,
    'ok',
    'the predecessor leaves',
  );
  assert.equal((await duplicate({ foreignSockets: undefined })).verdict, 'skipped');
});

const second = (current: number, kills = 0) => ({
  '/sys/fs/cgroup/memory.max': '536870912\n',
  '/sys/fs/cgroup/memory.current': `${current}\n`,
  '/sys/fs/cgroup/memory.stat': 'anon 5\ninactive_file 10485760\n',
  '/sys/fs/cgroup/memory.events': `low 0\noom 0\noom_kill ${kills}\n`,
});

test('memory near the limit, by control groups of version 2', async () => {
  assert.deepEqual(await verdicts(memoryCheck, { files: second(200e6) }), { memory: 'ok', 'oom-kills': 'ok' });
  assert.deepEqual(
    await verdicts(memoryCheck, { files: second(490e6) }),
    { memory: 'ok', 'oom-kills': 'ok' },
    'cache of files does not count',
  );
  const { memory, 'oom-kills': killed } = await found(memoryCheck, { files: second(520e6, 3) });
  assert.deepEqual([memory.verdict, memory.seen], ['warn', 'the container uses 486 of 512 MiB (95 %)']);
  assert.match(killed.seen, /^the kernel has killed 3 processes/);
});

test('memory is that of the container that serves, wherever the doctor runs', async () => {
  const near = { limitBytes: 512 * 2 ** 20, usedBytes: 500 * 2 ** 20, kills: 1 };
  const of = (memory: typeof near | null) => verdicts(memoryCheck, { files: second(200e6), facts: { memory } });
  assert.deepEqual(await of(near), { memory: 'warn', 'oom-kills': 'warn' });
  assert.deepEqual(await of(null), { memory: 'skipped', 'oom-kills': 'skipped' });
});

test('memory by control groups of version 1', async () => {
  const at = '/sys/fs/cgroup/memory/memory.';
  const files = {
    [`${at}limit_in_bytes`]: '536870912',
    [`${at}usage_in_bytes`]: '530000000',
    [`${at}stat`]: 'cache 1\ntotal_inactive_file 1000000\n',
    [`${at}oom_control`]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n',
  };
  assert.deepEqual(await verdicts(memoryCheck, { files }), { memory: 'warn', 'oom-kills': 'ok' });
  const unlimited = { ...files, [`${at}limit_in_bytes`]: '9223372036854771712' };
  assert.equal(
    memoryUse((path) => (unlimited as Record<string, string>)[path]),
    null,
  );
});

test('without a limit there is nothing to say', async () => {
  const skipped = { memory: 'skipped', 'oom-kills': 'skipped' };
  assert.deepEqual(await verdicts(memoryCheck), skipped);
  assert.deepEqual(
    await verdicts(memoryCheck, { files: { ...second(1), '/sys/fs/cgroup/memory.max': 'max\n' } }),
    skipped,
  );
});

const tcp = (address: string, state = '0A') => ({
  '/proc/net/tcp': `  sl\n   0: ${address}:1F90 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 99 1 0 100 0 0 10 0\n`,
});

test('who has port 8080 while zerohop does not run', async () => {
  const { 'port-8080': taken } = await found(portCheck, { facts: null, files: tcp('00000000') });
  assert.equal(taken.verdict, 'fail');
  assert.match(taken.seen, /^a process of user 1000 listens on 0\.0\.0\.0:8080/);
  assert.deepEqual(await verdicts(portCheck, { facts: null, files: tcp('0A14FEA9') }), { 'port-8080': 'ok' });
  assert.deepEqual(await verdicts(portCheck, { facts: null, files: tcp('00000000', '01') }), { 'port-8080': 'ok' });
  assert.deepEqual(await verdicts(portCheck, { facts: null }), { 'port-8080': 'skipped' });
  assert.deepEqual(await verdicts(portCheck, { files: tcp('00000000') }), { 'port-8080': 'ok' }, 'it runs');
});
