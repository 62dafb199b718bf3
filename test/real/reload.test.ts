/**
 * Reload: by a changed file, by SIGHUP and by SIGUSR1. What was cached stays cached, a broken Corefile is refused
 * and the old one serves on, and SIGTERM ends it all in order.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { ask } from './clients.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { httpStatus, metric, nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const name = 'dual.default.svc.cluster.local.';

describe('reload', { skip: needs('root', 'ip', 'knotd', 'knotc', 'dig', 'curl') }, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
  });
  after(async () => {
    await knot?.stop();
    node?.remove();
  });
  beforeEach(async () => {
    zerohop = await startZerohop(node, nodeLocalCorefile({ reload: '2s 1s' }));
    assert.equal(await aaaaCount(), 1);
    assert.equal(await aCount(), 1);
  });
  afterEach(() => zerohop.stop());

  /** AAAA records that a client sees: one while AAAA is forwarded, none under `aaaa nodata`. */
  async function aaaaCount(): Promise<number> {
    return (await ask(node, 'dig', { name, type: 'AAAA', over: 'udp' })).answer.length;
  }

  async function aCount(): Promise<number> {
    return (await ask(node, 'dig', { name, type: 'A', over: 'udp' })).answer.length;
  }

  async function addressesAsked(): Promise<number> {
    return (await knot.counted()).types.get('A') ?? 0;
  }

  /** As an editor does it: the new file takes the old one's place at once. */
  function writeCorefile(text: string): void {
    writeFileSync(`${zerohop.corefile}.new`, text);
    renameSync(`${zerohop.corefile}.new`, zerohop.corefile);
  }

  const nodata = nodeLocalCorefile({ reload: '2s 1s', everywhere: 'aaaa nodata' });

  async function assertReloadedWithItsCache(): Promise<void> {
    const asked = await addressesAsked();
    await eventually('the new configuration answers', async () => ((await aaaaCount()) === 0 ? true : undefined));
    assert.equal(await aCount(), 1);
    assert.equal(await addressesAsked(), asked, 'the A record was cached before and is cached still');
    assert.equal(await httpStatus(node, `http://${localAddress}:8181/ready`), 200);
    assert.equal(await metric(node, 'coredns_reload_failed_total'), 0);
  }

  test('a changed file is used by itself, and the cache stays', async () => {
    writeCorefile(nodata);
    await assertReloadedWithItsCache();
  });

  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) {
    test(`${signal} uses the file at once, and the cache stays`, async () => {
      writeCorefile(nodata);
      zerohop.signal(signal);
      await assertReloadedWithItsCache();
    });

    test(`${signal} with nothing changed changes nothing`, async () => {
      const asked = await addressesAsked();
      zerohop.signal(signal);
      assert.equal(await aaaaCount(), 1);
      assert.equal(await aCount(), 1);
      assert.equal(await addressesAsked(), asked);
    });

    test(`${signal} with a broken file: refused with file and line, counted, and the old one serves`, async () => {
      writeCorefile(nodata.replace('loop', 'lopo'));
      zerohop.signal(signal);
      const line = await zerohop.logged(/Corefile/i);
      await eventually('the log says file and line', () =>
        zerohop.log().some((entry) => JSON.stringify(entry).includes(`${zerohop.corefile}:`)) ? true : undefined,
      );
      assert(line !== undefined);
      await eventually('the failure is counted', async () =>
        (await metric(node, 'coredns_reload_failed_total')) >= 1 ? true : undefined,
      );
      assert.equal(await aaaaCount(), 1);
      assert.equal(await aCount(), 1);

      writeCorefile(nodata);
      zerohop.signal(signal);
      await eventually('the fixed file is used', async () => ((await aaaaCount()) === 0 ? true : undefined));
    });
  }

  test('a broken file is noticed without a signal, said once, and the old one serves', async () => {
    writeCorefile('.:53 {\n    errors\n');
    await eventually('the failure is counted', async () =>
      (await metric(node, 'coredns_reload_failed_total')) >= 1 ? true : undefined,
    );
    assert.equal(await aaaaCount(), 1);
    const said = zerohop.log().filter((entry) => JSON.stringify(entry).includes('is not closed'));
    assert.equal(said.length, 1);
  });

  test('questions asked all through ten reloads are all answered', async () => {
    const asking = Array.from({ length: 60 }, () => aCount());
    for (let times = 0; times < 10; times++) {
      writeCorefile(times % 2 === 0 ? nodata : nodeLocalCorefile({ reload: '2s 1s' }));
      zerohop.signal('SIGHUP');
      assert.equal(await aCount(), 1);
    }
    assert((await Promise.all(asking)).every((count) => count === 1));
  });
});
