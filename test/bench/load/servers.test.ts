import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { type ServerWish, unbound, zerohop } from '../../../bench/load/servers.js';
import { parseConfig } from '../../../src/config/load.js';
import { loadOptions } from '../../resolve/lane-fixture.js';

const wish = (folder: string, aaaa: ServerWish['aaaa']): ServerWish => ({
  folder,
  at: { address: '127.0.0.1', port: 5300 },
  upstream: { address: '127.0.0.1', port: 5301 },
  sidePort: 5302,
  aaaa,
});

test('zerohop gets a Corefile that it reads without a warning, and that keeps everything for a run', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    for (const [aaaa, policy] of [
      ['upstream', null],
      ['policy', 'nodata'],
    ] as const) {
      const command = zerohop('zerohop', '/dist/src/main.js').command(wish(folder, aaaa));
      assert.deepEqual(command.slice(0, 2), [process.execPath, '/dist/src/main.js']);
      const corefile = command[command.indexOf('-conf') + 1];
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

test('unbound gets the same address and upstream, and asks over TCP too', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const command = unbound('/usr/sbin/unbound').command(wish(folder, 'policy'));
    assert.deepEqual(command, ['/usr/sbin/unbound', '-d', '-c', join(folder, 'unbound.conf')]);
    const text = readFileSync(command[3], 'utf8');
    for (const line of ['port: 5300', 'forward-addr: 127.0.0.1@5301', 'tcp-upstream: yes', 'num-threads: 1']) {
      assert.ok(text.includes(line), line);
    }
  });
});
