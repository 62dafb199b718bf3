/**
 * Every command block of README.md, docs/INSTALL.md and docs/MIGRATION.md is run by something: those that need a cluster
 * by test/kubernetes/run, the others here, as they are pasted, in a network namespace.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { builtEntry, repositoryPath } from '../corpus/repository.js';
import { clusterBlocks } from '../kubernetes/documents.js';
import { makeNode, type Node } from '../real/cluster-node.js';
import { eventually, needs, type Running, run, start } from '../real/commands.js';
import { type Block, blocksUnder, fenced } from './pages.js';

const pagesOfCommands = ['README.md', 'docs/INSTALL.md', 'docs/MIGRATION.md'];
const [demo] = blocksUnder('README.md', '## Try it in 30 seconds');
const [byHand, withCorefile] = blocksUnder('docs/INSTALL.md', '## On a node by hand');

test('every command block is run by a test', () => {
  const run = [...clusterBlocks, demo, byHand, withCorefile].map(({ page, text }) => `${page}\n${text}`);
  const written = fenced('sh').filter(({ page }) => pagesOfCommands.includes(page));
  assert(written.length > 10);
  const unrun = written.map(({ page, text }) => `${page}\n${text}`).filter((block) => !run.includes(block));
  assert.deepEqual(unrun, []);
});

describe('command blocks on a node', { skip: needs('root', 'ip', 'iptables', 'dig', 'npm') }, () => {
  let node: Node;
  let path: string;

  before(async () => {
    node = await makeNode();
    path = join(node.folder, 'bin');
    mkdirSync(path);
    writeFileSync(join(path, 'zerohop'), `#!/bin/sh\nexec node ${builtEntry} "$@"\n`);
    chmodSync(join(path, 'zerohop'), 0o755);
  });
  after(() => node.remove());

  /** Pastes it into a shell of the node, in the repository's folder and a process group of its own. */
  function paste({ text }: Block): Running {
    const environment = { PATH: `${path}:${process.env['PATH']}`, KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
    const shell = node.command('bash', '-c', `cd ${repositoryPath()}\n${text}`);
    return start(['setsid', ...shell], environment);
  }

  test('the demo runs without a network', async () => {
    // npm ci would take the packages away from the tests that run now; every clean checkout runs it.
    const program = paste({ ...demo, text: demo.text.replace('npm ci && ', '') });
    await eventually('the last line of the demo', () => /\/health\n$/.test(program.stdout()) || undefined, 30_000);
    const { stdout } = await run(
      node.command('dig', '+short', '-p', '1053', '@127.0.0.1', 'web.default.svc.cluster.local'),
    );
    assert.equal(stdout, '10.96.20.80\n');
    await endOf(program, 'INT');
  });

  for (const block of [byHand, withCorefile]) {
    const [first] = block.text.split('\n');
    test(`zerohop serves by: ${first}`, async () => {
      const program = paste(block);
      await eventually('zerohop serves', () => /serves on 169\.254\.20\.10:53/.test(program.stdout()) || undefined);
      const { stdout } = await run(node.command('dig', '+tries=1', '@169.254.20.10', 'web.cluster.local', 'AAAA'));
      assert.match(stdout, /status: NXDOMAIN/);
      await endOf(program, 'TERM');
    });
  }

  /** Ends what the shell has started, as Ctrl-C on a terminal does: the whole group gets the signal. */
  async function endOf(program: Running, signal: 'INT' | 'TERM'): Promise<void> {
    await run(['kill', `-${signal}`, '--', `-${program.pid}`]);
    await program.finished;
  }
});
