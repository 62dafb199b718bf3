/**
 * The Corefiles of test/config/corefiles before the program itself: `zerohop check` accepts every one of them. That
 * each is served, too, test/scenarios/corefiles.test.ts shows; what only real sockets show of them is here.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Sample, samples } from '../config/samples.js';
import { run } from './commands.js';
import { question, startOnLoopback } from './loopback.js';
import { freePort } from './packets.js';
import { entry } from './zerohop.js';

describe('public Corefiles', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zerohop-corefiles-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Writes the Corefile, and what it reads, where /etc stands for a folder of its own. */
  function written({ name, text, files }: Sample): string {
    const etc = join(folder, name);
    const put = (file: string, content: string): string => {
      const path = file.replace(/^\/etc/u, etc);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    };
    for (const [file, content] of Object.entries(files)) if (file.startsWith('/etc/')) put(file, content);
    return put('/etc/Corefile', text.replaceAll('/etc/coredns/', `${etc}/coredns/`));
  }

  test('are accepted by `zerohop check`, all of them', async () => {
    const corefiles = samples.map(written);
    assert.ok(corefiles.length >= 23);
    const { status, stdout, stderr } = await run([...entry, 'check', ...corefiles]);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /: error: /u);
    for (const corefile of corefiles) assert.ok(stdout.includes(`${corefile}: ok, `), corefile);
  });

  test('/health and /ready are served at the addresses of both families', async () => {
    const [health, ready, other] = [await freePort(), await freePort(), await freePort()];
    const made = 'template IN A {\n        answer "{{ .Name }} 60 IN A 192.0.2.1"\n    }';
    const block = (at: string) => `${made}\n    health ${at}:${health}\n    ready ${at}:${ready}`;
    const lines = `${block('127.0.0.1')}\n}\nother.test:${other} {\n    bind ::1\n    ${block('[::1]')}`;
    const zerohop = await startOnLoopback(lines, question(1, 'good', 1));
    try {
      for (const at of ['127.0.0.1', '[::1]']) {
        for (const page of [`${at}:${health}/health`, `${at}:${ready}/ready`]) {
          const response = await fetch(`http://${page}`);
          assert.deepEqual([response.status, await response.text()], [200, 'OK'], page);
        }
      }
    } finally {
      await zerohop.stop();
    }
  });
});
