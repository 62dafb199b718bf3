/**
 * A node without link and rules at first: the firewall's programs are missing, another program holds the lock
 * of iptables. Pods are answered all the same, the metric counts, and what can be mended is, once it can.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { localAddress } from './cluster-node.js';
import { eventually, needs, type Running, start } from './commands.js';
import { makePodNode, type PodNode } from './pod-node.js';
import { entry, httpStatus, httpText, logLines } from './zerohop.js';

const corefile = `.:53 {
    bind ${localAddress}
    template IN A {
        answer "{{ .Name }} 30 IN A 192.0.2.1"
    }
    ready :8181
    prometheus :9253
}
`;
const errors = 'coredns_nodecache_setup_errors_total';

describe('a node that cannot be set up', {
  skip: needs('root', 'ip', 'iptables-legacy', 'conntrack', 'dig', 'curl', 'unshare', 'flock'),
}, () => {
  let node: PodNode;

  before(async () => {
    node = await makePodNode('iptables-legacy');
  });
  after(() => node?.remove());

  /** Runs zerohop in mounts of its own, which this line of shell changes first. */
  async function whileServing(preparation: string, work: (zerohop: Running) => Promise<void>): Promise<void> {
    const path = join(node.folder, 'Corefile');
    writeFileSync(path, corefile);
    const program = [
      ...entry,
      '-conf',
      path,
      '-localip',
      localAddress,
      '-metrics-listen-address=',
      '-handover=',
      '-control=',
    ];
    const inMounts = ['unshare', '-m', 'sh', '-c', `${preparation} exec "$@"`, 'sh', ...program];
    const zerohop = start(node.command(...inMounts));
    try {
      await eventually('it answers', async () => ((await readiness()) > 0 ? true : undefined));
      await work(zerohop);
    } finally {
      const { status, stderr } = await zerohop.stop();
      assert.deepEqual([status, stderr], [0, '']);
    }
  }

  const readiness = (): Promise<number> => httpStatus(node, 'http://127.0.0.1:8181/ready');

  async function counted(errortype: string): Promise<number> {
    const page = await httpText(node, 'http://127.0.0.1:9253/metrics');
    return Number(new RegExp(`^${errors}\\{errortype="${errortype}"\\} (\\d+)$`, 'm').exec(page)?.[1]);
  }

  test('without iptables and nft it answers, is not ready, counts, and says once what is missing', async () => {
    await whileServing('mount -t tmpfs none /usr/sbin &&', async (zerohop) => {
      await eventually('two tries are counted', async () => ((await counted('iptables')) >= 2 ? true : undefined));
      assert.equal(await readiness(), 503);
      assert.equal(await counted('interface_add'), 0);
      const said = logLines(zerohop.stdout()).filter(({ msg }) => msg.includes('is not installed'));
      assert.deepEqual(
        said.map(({ msg }) => msg),
        ['rules: iptables-save is not installed'],
      );
      assert.deepEqual(await node.ownAddresses(), [localAddress]);
    });
    assert.deepEqual(await node.ownAddresses(), []);
  });

  test('a lock that another program holds is counted, and the rules are in place once it is free', async () => {
    const free = join(node.folder, 'free');
    const hold = `flock /run/xtables.lock sh -c "touch ${free}.held; until [ -e ${free} ]; do sleep 0.1; done"`;
    const isHeld = `until [ -e ${free}.held ]; do sleep 0.1; done`;
    const holding = `mount -t tmpfs none /run && { ${hold} & } && ${isHeld};`;
    await whileServing(holding, async (zerohop) => {
      await eventually('it is counted', async () => ((await counted('iptables_lock')) > 0 ? true : undefined));
      assert.deepEqual(await node.ownRules(), []);
      assert.equal(await readiness(), 503);
      writeFileSync(free, '');
      await eventually('the rules are there', async () => ((await readiness()) === 200 ? true : undefined));
      assert.equal((await node.ownRules()).length, 12);
      assert.equal(await node.digFromPod(localAddress, 'udp'), '192.0.2.1');
      const said = logLines(zerohop.stdout()).filter(({ msg }) => msg.includes('xtables lock'));
      assert.equal(said.length, 1);
    });
    assert.deepEqual(await node.ownRules(), []);
  });
});
