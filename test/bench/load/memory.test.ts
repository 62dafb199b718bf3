import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { anonymousBytes, measureMemoryTimes } from '../../../bench/load/memory.js';

test('a process and its descendants are added up; strangers and the dead are not', async () => {
  await inTemporaryFolder('zerohop-test-', async (proc) => {
    const put = (pid: number, parent: number, kilobytes: number): void => {
      mkdirSync(join(proc, String(pid)));
      const text = `Name:\ta\nPid:\t${pid}\nPPid:\t${parent}\nRssAnon:\t   ${kilobytes} kB\nRssFile:\t 900 kB\n`;
      writeFileSync(join(proc, String(pid), 'status'), text);
    };
    put(10, 1, 100);
    put(11, 10, 20);
    put(12, 11, 3);
    put(13, 1, 5000);
    mkdirSync(join(proc, '14'));
    mkdirSync(join(proc, 'sys'));
    assert.equal(anonymousBytes(10, proc), 123 * 1024);
    assert.equal(anonymousBytes(12, proc), 3 * 1024);
  });
});

test('what this process has is seen', () => {
  const bytes = anonymousBytes(process.pid);
  assert.ok(bytes > 5e6 && bytes < 2e9, String(bytes));
});

test('of several processes the median of each step counts', async () => {
  const megabytes = [
    [30, 50],
    [28, 61],
    [29, 60],
  ];
  const measure = async () => ({
    name: 'zerohop',
    steps: megabytes.shift()!.map((bytes, index) => ({ entries: index, anonymousBytes: bytes })),
  });
  assert.deepEqual(await measureMemoryTimes(3, measure), {
    name: 'zerohop',
    steps: [
      { entries: 0, anonymousBytes: 29 },
      { entries: 1, anonymousBytes: 60 },
    ],
  });
  const tooMany = async () => ({ name: 'dnsmasq', steps: [{ entries: 100_000, anonymousBytes: null }] });
  assert.equal((await measureMemoryTimes(1, tooMany)).steps[0].anonymousBytes, null);
});
