/** `zerohop flush` with the kernel lane: what it drops the kernel gives no more, whoever has published it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs, output } from '../real/commands.js';
import { entry } from '../real/zerohop.js';
import { LaneNode, type LanePod, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { query } from './zones.js';

describe('a flush', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  let path: string;
  const questions = [query('web'), query('text', { type: 'TXT' })];
  before(async () => {
    node = await LaneNode.make();
    path = join(node.folder, 'control.sock');
    pod = await node.addPod('veth0');
  });
  after(() => node?.remove());

  const serve = () => node.start({ lines: 'aaaa nodata\n    cache 300', flags: ['-control', path] });
  const asked = async (...words: string[]) =>
    JSON.parse(await output([...entry, ...words, '-o', 'json', '-control', path]));

  test('takes a name out of the kernel with the cache’s entry', async () => {
    const zerohop = await serve();
    await node.fromKernel(pod.client, server, questions);
    const [entryOf] = (await asked('lookup', 'web.lane.test')).homes[0].entries;
    assert.equal(entryOf.isInKernel, true);
    assert.equal((await asked('flush', 'web.lane.test')).entries, 1);
    const before = node.given();
    const [web, text] = await pod.client.ask(server, questions);
    assert.ok(web !== null && text !== null);
    assert.equal(node.given() - before, 1, 'the other name is still the kernel’s');
    await node.fromKernel(pod.client, server, questions);
    await zerohop.kill();
  });

  test('takes out what a process before has published', async () => {
    const zerohop = await serve();
    assert.deepEqual((await asked('lookup', 'web.lane.test')).homes[0].entries, []);
    const { entries, kernelEntries } = await asked('flush', '-zone', 'lane.test');
    assert.equal(entries, 0);
    assert.ok(kernelEntries >= 2, `${kernelEntries}`);
    const before = node.given();
    await pod.client.ask(server, questions);
    assert.equal(node.given(), before);
    await zerohop.stop();
  });
});
