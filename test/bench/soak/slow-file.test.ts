import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { makeSlowFile } from '../../../bench/soak/slow-file.js';

test('a reader waits as long as it is told, the next one does not', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const path = join(folder, 'slow');
    const file = makeSlowFile(path, 'text\n');
    const read = async (): Promise<number> => {
      const startedMs = performance.now();
      assert.equal(await readFile(path, 'utf8'), 'text\n');
      return performance.now() - startedMs;
    };
    await read();
    const held = file.holdNext(300);
    // The clock of the pause and this one may differ by a millisecond.
    assert.ok((await read()) >= 299);
    await held;
    assert.ok((await read()) < 300);
    await file.close();
  });
});

test('it can be closed while nobody reads', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    await makeSlowFile(join(folder, 'slow'), '').close();
  });
});
