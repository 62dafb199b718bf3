/**
 * What the cluster DNS gets to see, by Knot's own counters: misses over TCP only, nothing for hits, one question
 * for many askers of one name.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from './clients.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { needs, output } from './commands.js';
import { type Counted, type Knot, startKnot } from './knot.js';
import { nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const skip = needs('root', 'ip', 'knotd', 'knotc', 'dig', 'dnsperf');

describe('what a real Knot is asked', { skip }, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    zerohop = await startZerohop(node, nodeLocalCorefile({ outside: 'tcp' }));
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  /** A records asked of Knot while `work` ran; the other types are zerohop's own probes. */
  async function askedDuring(work: () => Promise<unknown>): Promise<Counted & { addresses: number }> {
    const earlier = await knot.counted();
    await work();
    const now = await knot.counted();
    const addresses = (now.types.get('A') ?? 0) - (earlier.types.get('A') ?? 0);
    return { addresses, udp: now.udp - earlier.udp, tcp: now.tcp - earlier.tcp, types: now.types };
  }

  async function askAll(names: readonly string[], over: 'udp' | 'edns' | 'tcp'): Promise<void> {
    for (const name of names) {
      const { answer } = await ask(node, 'dig', { name, type: 'A', over });
      assert.equal(answer.length, 1, name);
    }
  }

  test('a miss travels over TCP whatever the client used; a hit asks nobody', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `n${index}.default.svc.cluster.local.`);
    const misses = await askedDuring(async () => {
      await askAll(names.slice(0, 4), 'udp');
      await askAll(names.slice(4, 8), 'edns');
      await askAll(names.slice(8), 'tcp');
      await askAll(['www.outside.test.'], 'udp');
    });
    assert.deepEqual([misses.addresses, misses.udp], [13, 0]);
    const hits = await askedDuring(async () => {
      await askAll(names, 'udp');
      await askAll(names, 'edns');
      await askAll(names, 'tcp');
      await askAll(
        names.map((name) => name.toUpperCase()),
        'udp',
      );
    });
    assert.deepEqual([hits.addresses, hits.udp], [0, 0]);
  });

  test('100 identical misses at one moment are one question', async () => {
    const queries = join(node.folder, 'queries');
    writeFileSync(queries, 'n40.default.svc.cluster.local A\n'.repeat(100));
    const { addresses, udp } = await askedDuring(async () => {
      const report = await output(
        node.command('dnsperf', '-s', localAddress, '-d', queries, '-n', '1', '-c', '10', '-q', '100'),
      );
      assert.match(report, /Queries completed: +100 \(100\.00%\)/);
      assert.match(report, /Response codes: +NOERROR 100 \(100\.00%\)/);
    });
    assert.deepEqual([addresses, udp], [1, 0]);
  });

  test('a denial is kept as well', async () => {
    const name = 'nobody-at-all.default.svc.cluster.local.';
    const { addresses } = await askedDuring(async () => {
      for (let times = 0; times < 5; times++) {
        const answer = await ask(node, 'dig', { name, type: 'A', over: 'udp' });
        assert.equal(answer.rcode, 'NXDOMAIN');
      }
    });
    assert.equal(addresses, 1);
  });

  test('over its whole life zerohop has sent no UDP query', async () => {
    const { udp, tcp } = await knot.counted();
    assert.equal(udp, 0);
    assert(tcp > 0);
  });
});
