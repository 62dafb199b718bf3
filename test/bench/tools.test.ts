import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../bench/cleanup.js';
import { findTools, toolVersion } from '../../bench/tools.js';

const outputs = {
  dnsperf: 'DNS Performance Testing Tool\nVersion 2.10.0\n\nError: input file contains no data',
  unbound: 'Version 1.17.1\n\nConfigure line: --build=x86_64-linux-gnu',
  dnsmasq: 'Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley',
  dnsdist: 'dnsdist 1.7.3 (Lua 5.1.4 [LuaJIT 2.1.0-beta3])',
  knotd: 'knotd (Knot DNS), version 3.2.6',
  taskset: 'taskset from util-linux 2.38.1',
} as const;

test('programs are found on the path', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    for (const name of ['dnsperf', 'knotd']) {
      writeFileSync(join(folder, name), '#!/bin/sh\n');
      chmodSync(join(folder, name), 0o755);
    }
    assert.deepEqual(findTools(['knotd', 'dnsperf'], `/nowhere:${folder}`), {
      paths: { knotd: join(folder, 'knotd'), dnsperf: join(folder, 'dnsperf') },
    });
  });
});

test('missing ones are one sentence with their Debian packages', () => {
  assert.deepEqual(findTools(['dnsperf', 'unbound', 'knotd'], ''), {
    missing: 'The bench needs dnsperf and unbound and knotd: apt-get install dnsperf unbound knot',
  });
});

test('every program tells its version in its own way', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const versions = Object.entries(outputs).map(([tool, text]) => {
      const path = join(folder, tool);
      writeFileSync(path, `#!/bin/sh\ncat <<'end'\n${text}\nend\nexit 1\n`);
      chmodSync(path, 0o755);
      return toolVersion(tool as keyof typeof outputs, path);
    });
    assert.deepEqual(versions, ['2.10.0', '1.17.1', '2.90', '1.7.3', '3.2.6', '2.38.1']);
    assert.equal(toolVersion('dnsperf', join(folder, 'none')), '?');
  });
});
