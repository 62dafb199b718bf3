import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../bench/cleanup.js';
import { commitOf, machine, twoCores } from '../../bench/machine.js';

test('the server and the load get the first two cores that this process may use', () => {
  const cores = (list: string) => twoCores(`Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nMems:\t1\n`);
  assert.deepEqual(cores('0-1'), { server: 0, load: 1 });
  assert.deepEqual(cores('0-63'), { server: 0, load: 1 });
  assert.deepEqual(cores('3,7'), { server: 3, load: 7 });
  assert.deepEqual(cores('5,8-9'), { server: 5, load: 8 });
  assert.equal(cores('4'), null);
  assert.equal(cores('4-4'), null);
  assert.equal(twoCores(''), null);
});

test('the machine is described', () => {
  const { cpu, cores, kernel, node, loadBefore } = machine();
  assert.ok(cpu.length > 0 && kernel.length > 0 && cores >= 1 && loadBefore >= 0);
  assert.equal(node, process.version);
});

test('a folder outside a repository has no commit', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    if (!folder.startsWith(tmpdir())) return;
    assert.deepEqual(commitOf(folder), { name: '?', dirty: true });
  });
});
