/** A program of the node that is not root asks for the heap, which holds what others have asked: it gets a sentence. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { needs } from '../real/commands.js';
import { question, startOnLoopback } from '../real/loopback.js';
import { freePort } from '../real/packets.js';

test('profiles are for root, in each way to ask over loopback', { skip: needs('root', 'curl') }, async () => {
  for (const host of ['127.0.0.1', '']) {
    const port = await freePort();
    const zerohop = await startOnLoopback(`whoami\n    pprof ${host}:${port}`, question(1, 'good', 1));
    try {
      for (const path of ['', 'heap', 'profile?seconds=0.1']) {
        const status = (uid: number): string => {
          const wish = ['-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}'];
          return spawnSync('curl', [...wish, `http://127.0.0.1:${port}/debug/pprof/${path}`], { uid, encoding: 'utf8' })
            .stdout;
        };
        assert.deepEqual([status(65_534), status(1_000), status(0)], ['403', '403', '200'], path);
      }
    } finally {
      await zerohop.stop();
    }
  }
});
