import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { isAble, nodeCacheLike, type ServerWish, zerohop } from '../../../bench/load/servers.js';
import { parseConfig } from '../../../src/config/load.js';
import { commandOf, repositoryPath } from '../../corpus/repository.js';
import { loadOptions } from '../../resolve/context-fixture.js';

const wish = (folder: string, aaaa: ServerWish['aaaa']): ServerWish => ({
  folder,
  at: { address: '127.0.0.1', port: 5300 },
  upstream: { address: '127.0.0.1', port: 5301 },
  sidePorts: [5302, 5303],
  aaaa,
});

const entry = repositoryPath('dist', 'src', 'main.js');
const corefileOf = (command: readonly string[]): string => command[command.indexOf('-conf') + 1];

test('zerohop gets a Corefile that it reads without a warning, and that keeps everything for a run', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    for (const [aaaa, policy] of [
      ['upstream', null],
      ['policy', 'nodata'],
    ] as const) {
      const command = zerohop('zerohop', entry).command(wish(folder, aaaa));
      const program = commandOf(entry);
      assert.deepEqual(command.slice(0, program.length), program);
      const corefile = corefileOf(command);
      const config = parseConfig(readFileSync(corefile, 'utf8'), corefile, loadOptions);
      assert.deepEqual(config.warnings, []);
      const [block] = config.blocks;
      assert.deepEqual([block.addresses, block.zones], [['127.0.0.1'], [{ zone: '.', port: 5300 }]]);
      assert.ok(block.cache!.success.entriesMax >= 100_000 && block.cache!.success.ttlMaxSeconds >= 3600);
      assert.ok(block.cache!.denial.entriesMax >= 100_000 && block.cache!.denial.ttlMaxSeconds >= 3600);
      assert.equal(block.forwards[0].transport, 'tcp');
      assert.deepEqual([block.aaaa, block.log], [policy, []]);
    }
  });
});

test('any program with that command line gets the same, and nothing that only zerohop knows', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const peer = nodeCacheLike('node-cache', ['/bin/node-cache']);
    const command = peer.command(wish(folder, 'policy'));
    const flags = command.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0]);
    assert.equal(command[0], '/bin/node-cache');
    assert.deepEqual(flags, [
      '-conf',
      '-basecorefile',
      '-localip',
      '-setupinterface',
      '-setupiptables',
      '-metrics-listen-address',
    ]);
    const corefile = readFileSync(command[2], 'utf8');
    assert.match(corefile, /template ANY AAAA \{\s+rcode NOERROR\s+\}/);
    assert.doesNotMatch(corefile, /aaaa /);
    const own = zerohop('zerohop', entry, { flags: ['-workers', '2'] });
    assert.equal(readFileSync(corefileOf(own.command(wish(folder, 'policy'))), 'utf8'), corefile);
    assert.deepEqual(own.command(wish(folder, 'policy')).slice(-4), ['-handover=', '-control=', '-workers', '2']);
  });
});

test('who is able to do more does everything that needs less', () => {
  const able = (name: 'packets' | 'names' | 'cache' | 'misses') => ({ ...zerohop('', entry), able: name });
  assert.ok(isAble(able('misses'), { needs: 'packets' }) && isAble(able('names'), { needs: 'names' }));
  assert.ok(!isAble(able('packets'), { needs: 'names' }) && !isAble(able('cache'), { needs: 'misses' }));
});
