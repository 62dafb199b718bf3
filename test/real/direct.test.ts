/**
 * Workers that ask the cluster DNS themselves, before a real Knot: their answers, what is counted, how often Knot is
 * asked, and that neither a reload nor an exception loses a query of theirs.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { needs, output } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { type MissesReport, misses } from './misses.js';
import { ioPath, metric, nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const skip = ioPath === 'portable' ? 'needs workers' : needs('root', 'ip', 'knotd', 'knotc', 'dnsperf', 'curl');
const perSecond = 1_000;
const seconds = 3;

describe('workers that ask the cluster DNS themselves', { skip }, () => {
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
  afterEach(() => zerohop.stop());

  test('nearly all misses are theirs, Knot is asked once for each, and every number has them', async () => {
    zerohop = await startZerohop(node, nodeLocalCorefile({}));
    await misses(node, perSecond, 1);
    const before = await numbers();
    const asked = await addressesAsked();
    const report = await misses(node, perSecond, seconds);
    assertAllAnswered(report);
    const [direct, missed, forwarded, kept] = (await numbers()).map((number, index) => number - before[index]);
    assert(direct > report.sent * 0.95, `${direct} of ${report.sent}`);
    assert.equal(missed, report.sent);
    assert(kept > report.sent * 0.99, `${kept} in the cache of ${report.sent}`);
    const more = (await addressesAsked()) - asked - report.sent;
    assert(more >= 0 && more < report.sent * 0.05, `Knot was asked ${more} times more`);
    assert(Math.abs(forwarded - report.sent - more) <= 20, `${forwarded} counted of ${report.sent} and ${more}`);
  });

  test('many that ask for one new name at once wait for one answer', async () => {
    zerohop = await startZerohop(node, nodeLocalCorefile({}));
    await misses(node, perSecond, 1);
    const asked = await addressesAsked();
    const names = join(node.folder, 'one-name');
    writeFileSync(names, 'crowd.wild.svc.cluster.local A\n'.repeat(200));
    const text = await output(node.command('dnsperf', '-s', localAddress, '-d', names, '-n', '1', '-q', '200'));
    assert.match(text, /NOERROR 200 /);
    const times = (await addressesAsked()) - asked;
    assert(times >= 1 && times <= 3, `asked ${times} times`);
  });

  test('reloads under misses lose none', async () => {
    const text = (ttl: number): string => nodeLocalCorefile({}).replace('9984 30', `9984 ${ttl}`);
    zerohop = await startZerohop(node, text(30));
    const running = misses(node, perSecond, 5);
    for (let ttl = 29; ttl > 20; ttl--) {
      await pause(450);
      writeFileSync(zerohop.corefile, text(ttl));
      zerohop.signal('SIGHUP');
    }
    assertAllAnswered(await running);
    assert.equal(zerohop.log().filter(({ msg }) => msg.includes('new configuration in force')).length, 9);
  });

  test('a block with a query log leaves its misses to the main thread', async () => {
    zerohop = await startZerohop(node, nodeLocalCorefile({ everywhere: 'log' }));
    assertAllAnswered(await misses(node, 200, 1));
    assert.equal(await metric(node, 'zerohop_direct_queries_total{outcome="answered"}'), 0);
  });

  /** Answered directly, missed, forwarded, cached. */
  async function numbers(): Promise<number[]> {
    return [
      await metric(node, 'zerohop_direct_queries_total{outcome="answered"}'),
      await metric(node, 'coredns_cache_misses_total{server="dns://169.254.20.10:53",zones="cluster.local."'),
      await metric(node, 'coredns_forward_requests_total{'),
      await metric(node, 'coredns_cache_entries{server="dns://169.254.20.10:53",type="success",zones="cluster.local."'),
    ];
  }

  async function addressesAsked(): Promise<number> {
    return (await knot.counted()).types.get('A') ?? 0;
  }
});

function assertAllAnswered({ sent, lost, rcodes }: MissesReport): void {
  assert.equal(lost, 0);
  assert.deepEqual([...rcodes], [['NOERROR', sent]]);
}
