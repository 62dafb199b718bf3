import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder, undoing } from '../../bench/cleanup.js';

test('a temporary folder is gone afterwards, with what is in it', async () => {
  const folder = await inTemporaryFolder('zerohop-test-', async (path) => {
    writeFileSync(join(path, 'file'), '');
    return path;
  });
  assert.equal(existsSync(folder), false);
});

test('what was done is undone once, also after a failure', async () => {
  const undone: string[] = [];
  const failing = undoing(
    () => undone.push('outer'),
    () =>
      undoing(
        () => undone.push('inner'),
        () => Promise.reject(new Error('no')),
      ),
  );
  await assert.rejects(failing, /^Error: no$/);
  assert.deepEqual(undone, ['inner', 'outer']);
});

test('it is undone when the process exits meanwhile, the youngest first', () => {
  const module = new URL('../../bench/cleanup.js', import.meta.url).href;
  const program = `
    import { undoing } from ${JSON.stringify(module)};
    const say = (word) => () => process.stdout.write(word);
    undoing(say('outer'), () => undoing(say('inner '), async () => process.exit(0)));`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(said, 'inner outer');
});
