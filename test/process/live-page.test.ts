import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Config, ConfigError } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import type { Finding } from '../../src/doctor/check.js';
import { Top } from '../../src/observe/top.js';
import { newPage } from '../../src/page/page.js';
import { livePageOf } from '../../src/process/live-page.js';
import { newSource } from '../observe/source.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { ManualClock } from '../simulation/clock.js';

const text = '. {\n    forward . 10.96.0.10\n}\n';
const finding = {
  severity: 'warning',
  code: 'cache-missing',
  file: 'Corefile',
  line: 1,
  message: 'x',
  remedy: null,
} as const;

function newWorld(findingsOn: (config: Config) => readonly (typeof finding)[]) {
  const clock = new ManualClock();
  const active = { config: parseConfig(text, 'Corefile', loadOptions), inForceSinceMs: 1_000, isLastRefused: false };
  const wish = { at: { address: '127.0.0.1', port: 9254 }, hostName: 'node-a', newPage, findingsOn };
  const doctor = { findings: (): readonly Finding[] => found };
  const found: Finding[] = [];
  const parts = { metrics: newSource(), top: new Top(clock), active: () => active, doctor: () => doctor };
  return { active, found, page: livePageOf(newPage(clock), wish, parts) };
}

describe('livePageOf', () => {
  it('shows the configuration in force as it was read, with what check says of it', () => {
    const { page, active } = newWorld(() => [finding]);
    const { source, sha512, pieces, sinceMs, findings } = page.source.corefile();
    assert.deepEqual([source, sha512, sinceMs], ['Corefile', active.config.sha512, 1_000]);
    assert.deepEqual(pieces, [{ file: 'Corefile', text }]);
    assert.deepEqual(findings, [finding]);
  });

  it('asks check once for each configuration', () => {
    let asked = 0;
    const { page, active } = newWorld(() => {
      asked++;
      return [];
    });
    for (let look = 0; look < 3; look++) page.source.corefile();
    assert.equal(asked, 1);
    active.config = parseConfig(`${text}\n`, 'Corefile', loadOptions);
    page.source.corefile();
    assert.equal(asked, 2);
  });

  it('shows a configuration whose files are gone all the same', () => {
    const { page } = newWorld((config) => {
      throw new ConfigError({ file: config.source, line: 1 }, 'no such file.');
    });
    assert.deepEqual(page.source.corefile().findings, []);
    const { page: other } = newWorld(() => {
      throw new Error('a bug');
    });
    assert.throws(() => other.source.corefile(), /a bug/);
  });

  it('has what the doctor has found in the last minute, and nothing before it has looked', () => {
    const { page, found } = newWorld(() => []);
    assert.equal(page.source.findings(), null);
    found.push({ code: 'link-down', verdict: 'fail', seen: 'eth1 is down.', meaning: 'x', command: null });
    assert.deepEqual(page.source.findings(), found);
  });
});
