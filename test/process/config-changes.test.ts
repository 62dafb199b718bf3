import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { isSameConfig, watchConfig } from '../../src/process/config-changes.js';
import { loadOptions } from '../resolve/lane-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';

describe('isSameConfig', () => {
  const text = '. {\n forward . tls://192.0.2.1 {\n tls_servername a.test\n }\n}\n';
  const config = (): Config => parseConfig(text, 'Corefile', loadOptions);
  const withTls = (tls: object): Config => {
    const [block] = config().blocks;
    const forwards = block.forwards.map((forward) => ({ ...forward, tls: { ...forward.tls, ...tls } }));
    return { ...config(), blocks: [{ ...block, forwards }] };
  };

  const material = (digest: string) => ({ material: { digest } });

  it('is so for the same text that names the same things', () => {
    assert.ok(isSameConfig(config(), config()));
    assert.ok(isSameConfig(withTls(material('a')), withTls(material('a'))));
  });

  it('is not for another text, other addresses, search domains or PEM files', () => {
    assert.ok(!isSameConfig(config(), parseConfig(`${text}# other`, 'Corefile', loadOptions)));
    assert.ok(!isSameConfig(config(), { ...config(), blocks: [{ ...config().blocks[0], addresses: ['::1'] }] }));
    for (const tls of [material('b'), { material: null }, { serverName: 'b.test' }])
      assert.ok(!isSameConfig(withTls(material('a')), withTls(tls)), JSON.stringify(tls));
  });
});

describe('watchConfig', () => {
  const watching = (reload: Config['reload'], lookEveryMs: number | null) => {
    const clock = new ManualClock();
    const files = new Map([['a', '1']]);
    let changes = 0;
    const timer = watchConfig(
      { reload, files: ['a', 'b'] },
      {
        ...{ clock, random: seededRandom(1), lookEveryMs, changed: () => void changes++ },
        look: { stat: (path) => files.get(path), digest: (path) => files.get(path) },
      },
    );
    return { clock, files, timer, changes: () => changes };
  };

  it('looks as often as `reload` says, or more often where that is wanted', async () => {
    const slow = watching({ intervalMs: 30_000, jitterMs: 0 }, null);
    slow.files.set('b', '1');
    await slow.clock.pass(29_999);
    assert.equal(slow.changes(), 0);
    await slow.clock.pass(1_000);
    assert.equal(slow.changes(), 1);
    const quick = watching({ intervalMs: 30_000, jitterMs: 0 }, 1_000);
    quick.files.set('a', '2');
    await quick.clock.pass(2_000);
    assert.equal(quick.changes(), 1);
  });

  it('never looks where nothing says how often', () => {
    const { timer, clock } = watching(null, null);
    assert.deepEqual([timer, clock.timersSet], [null, 0]);
  });
});
