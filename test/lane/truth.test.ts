/**
 * The kernel's answers are those that the process would give now: after a reload, after a TTL, after the cluster DNS has
 * changed its mind. And it hides nothing from the process that keeps the cache warm.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, needs } from '../real/commands.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { query, said, ttlsOf } from './zones.js';

const web = query('web');
/** What happened one after the other is not the same second. */
const secondsApartMax = 15;
const webAaaa = query('web', { type: 'AAAA' });

describe('the truth', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  let zerohop: LaneZerohop;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
    zerohop = await node.start({ lines: 'aaaa nxdomain\n    cache 300' });
  });
  after(() => node?.remove());

  const asks = async (one: Buffer): Promise<Buffer> => (await pod.client.ask(server, [one]))[0]!;
  const kernelSays = async (one: Buffer): Promise<string> =>
    said((await node.fromKernel(pod.client, server, [one, web]))[0]);

  test('another policy for AAAA is in force at once, and then in the kernel', async () => {
    assert.equal(await kernelSays(webAaaa), 'NXDOMAIN');
    await zerohop.reload('aaaa nodata\n    cache 300');
    assert.equal(said(await asks(webAaaa)), 'NOERROR');
    assert.equal(await kernelSays(webAaaa), 'NOERROR');
    await zerohop.reload('aaaa forward\n    cache 300');
    assert.equal(said(await asks(query('dual', { type: 'AAAA' }))), 'NOERROR fd00::3');
    assert.equal(await kernelSays(query('dual', { type: 'AAAA' })), 'NOERROR fd00::3');
  });

  test('flags that header changes', async () => {
    const isAuthoritative = (answer: Buffer): boolean => (answer[2] & 0x04) !== 0;
    await node.fromKernel(pod.client, server, [web]);
    const was = isAuthoritative(await asks(web));
    await zerohop.reload(`header {\n        response ${was ? 'clear' : 'set'} aa\n    }\n    cache 300`);
    assert.equal(isAuthoritative(await asks(web)), !was);
    const [given] = await node.fromKernel(pod.client, server, [web]);
    assert.equal(isAuthoritative(given), !was);
  });

  test('a shorter cache', async () => {
    await zerohop.reload('cache 300');
    const [long] = await node.fromKernel(pod.client, server, [query('n0')]);
    assert.ok(ttlsOf(long)[0].seconds > 30);
    await zerohop.reload('cache 20');
    const [short] = await node.fromKernel(pod.client, server, [query('n1')]);
    assert.ok(ttlsOf(short)[0].seconds <= 20);
    // What was cached before stays so.
    const [[overTcp], [given]] = [
      await pod.client.askOverTcp(server, [query('n0')]),
      await node.fromKernel(pod.client, server, [query('n0')]),
    ];
    assert.ok(Math.abs(ttlsOf(given)[0].seconds - ttlsOf(overTcp!)[0].seconds) <= secondsApartMax);
  });

  test('where every query is logged, the kernel gives no answer', async () => {
    await zerohop.reload('cache 300');
    await node.fromKernel(pod.client, server, [web]);
    await zerohop.reload('log\n    cache 300');
    const before = node.given();
    for (let times = 0; times < 3; times++) {
      await asks(web);
      assert.equal(await zerohop.metric('zerohop_kernel_entries'), 0);
    }
    assert.equal(node.given(), before);
    assert.equal(zerohop.lines('web.lane.test').length, 3);
    await zerohop.reload('cache 300');
    await node.fromKernel(pod.client, server, [web]);
  });

  test('a changed name is seen when its TTL is over, and so is one that is gone', async () => {
    await node.fromKernel(pod.client, server, [query('changing'), query('gone')]);
    await node.knot.control('zone-begin', 'lane.test');
    for (const owner of ['changing', 'gone']) await node.knot.control('zone-unset', 'lane.test', owner, 'A');
    await node.knot.control('zone-set', 'lane.test', 'changing', '2', 'A', '10.1.9.9');
    await node.knot.control('zone-commit', 'lane.test');
    await eventually('they are seen', async () => {
      const [changing, gone] = [said(await asks(query('changing'))), said(await asks(query('gone')))];
      return (changing === 'NOERROR 10.1.9.9' && gone === 'NXDOMAIN') || undefined;
    });
    assert.equal(await kernelSays(query('changing')), 'NOERROR 10.1.9.9');
    assert.equal(await kernelSays(query('gone')), 'NXDOMAIN');
  });

  test('popular names are refreshed before they expire, though the kernel answers', async () => {
    await zerohop.reload('cache 300 {\n        prefetch 5 1m 50%\n    }');
    await node.fromKernel(pod.client, server, [query('popular')]);
    const before = (await node.knot.counted()).tcp;
    const seconds: number[] = [];
    await eventually('it has been refreshed', async () => {
      seconds.push(ttlsOf(await asks(query('popular')))[0].seconds);
      return (await node.knot.counted()).tcp > before || undefined;
    });
    // Half of its six seconds were left.
    assert.ok(Math.min(...seconds) >= 1, seconds.join(' '));
    assert.equal(await zerohop.metric('zerohop_kernel_answers_total{stale="true"}'), 0);
  });

  for (const mode of ['verify', 'immediate'] as const) {
    test(`what has expired is the business of the process: serve_stale ${mode}`, async () => {
      const label = mode === 'verify' ? 'verified' : mode;
      await zerohop.reload(`cache 300 {\n        serve_stale 1h ${mode}\n    }`);
      const [old] = await node.fromKernel(pod.client, server, [query(label)]);
      await node.knot.control('zone-begin', 'lane.test');
      await node.knot.control('zone-unset', 'lane.test', label, 'A');
      await node.knot.control('zone-set', 'lane.test', label, '2', 'A', '10.1.9.8');
      await node.knot.control('zone-commit', 'lane.test');
      await eventually('the new address is given', async () => {
        return said(await asks(query(label))) === 'NOERROR 10.1.9.8' || undefined;
      });
      const stale = await zerohop.metric('coredns_cache_served_stale_total{');
      assert.equal(stale > 0, mode === 'immediate', `${stale} stale after ${said(old)}`);
      assert.equal(await zerohop.metric('zerohop_kernel_answers_total{stale="true"}'), 0);
      assert.equal(await kernelSays(query(label)), 'NOERROR 10.1.9.8');
    });
  }

  test('an answer that does not fit is the business of the process', async () => {
    for (let times = 0; times < 3; times++) {
      const plain = await asks(query('several'));
      assert.equal((plain[2] & 0x02) !== 0, false);
      const cut = await asks(query('many'));
      assert.equal((cut[2] & 0x02) !== 0, true, 'truncated');
      await zerohop.metric('zerohop_kernel_entries');
    }
    const [several] = await node.fromKernel(pod.client, server, [query('several')]);
    assert.equal(several.readUInt16BE(6), 15);
    const before = node.given();
    assert.equal((await asks(query('many')))[2] & 0x02, 2);
    assert.equal(node.given(), before);
  });
});
