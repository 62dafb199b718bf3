/**
 * Upstreams that lead back to us, on a real node: a dnsmasq that forwards to us, our own address, and a resolv.conf with
 * systemd's stub. Only that upstream is left out, the log says so in these words, and a fixed configuration asks it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ask } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, type Running, start } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { metric, startZerohop, type Zerohop } from './zerohop.js';

const skip = needs('root', 'ip', 'knotd', 'knotc', 'dnsmasq', 'dig');
/** Where the dnsmasq listens. */
const dnsmasqAddress = '127.0.0.5';

describe('upstreams that lead back to us', { skip }, () => {
  let node: Node;
  let knot: Knot;
  let dnsmasq: Running;
  let zerohop: Zerohop | null = null;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    dnsmasq = startDnsmasq(localAddress);
  });
  after(async () => {
    await zerohop?.stop();
    await dnsmasq?.stop();
    await knot?.stop();
    node?.remove();
  });

  /** A dnsmasq that asks this server for everything. */
  function startDnsmasq(server: string): Running {
    const place = [`--listen-address=${dnsmasqAddress}`, '--bind-interfaces', '--no-dhcp-interface=lo'];
    const asks = ['--no-resolv', '--no-hosts', `--server=${server}`, '--cache-size=0'];
    return start(
      node.command('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file', ...place, ...asks),
    );
  }

  function corefile(upstreams: string): string {
    return `.:53 {
    errors
    loop
    bind ${localAddress}
    forward . ${upstreams} {
        policy sequential
    }
    prometheus :9253
    health ${localAddress}:8080
    ready ${localAddress}:8181
    reload 2s 1s
}
`;
  }

  async function assertAnswered(name: string): Promise<void> {
    const { rcode, answer } = await ask(node, 'dig', { name, type: 'A', over: 'udp' });
    assert.deepEqual([rcode, answer.length], ['NOERROR', 1]);
  }

  function state(to: string, word: string): Promise<number> {
    return metric(node, `zerohop_upstream_state{to="${to}:53",state="${word}"}`);
  }

  test('a dnsmasq that asks us: found, not asked any more, the other is; fixed and reloaded: asked', async () => {
    zerohop = await startZerohop(node, corefile(`${dnsmasqAddress} ${clusterAddress}`));
    const { msg } = await zerohop.logged(/sends our queries back/);
    assert.equal(
      msg,
      `${zerohop.corefile}:1: upstream ${dnsmasqAddress}:53 of . sends our queries back to us, so it is no longer used; ` +
        'write the address of a real resolver in its forward or resolv.conf',
    );
    assert.deepEqual([await state(dnsmasqAddress, 'looping'), await state(clusterAddress, 'up')], [1, 1]);
    const began = performance.now();
    await assertAnswered('web.default.svc.cluster.local.');
    assert(performance.now() - began < 1_000);
    await dnsmasq.stop();
    dnsmasq = startDnsmasq(clusterAddress);
    writeFileSync(zerohop.corefile, `${corefile(`${dnsmasqAddress} ${clusterAddress}`)}# fixed\n`);
    zerohop.signal('SIGHUP');
    await zerohop.logged(/new configuration in force/);
    await assertAnswered('n1.default.svc.cluster.local.');
    await eventually('the dnsmasq is asked', async () =>
      (await state(dnsmasqAddress, 'up')) === 1 ? true : undefined,
    );
    await zerohop.stop();
    zerohop = null;
  });

  test('our own address: never asked, the other is', async () => {
    zerohop = await startZerohop(node, corefile(`${localAddress} ${clusterAddress}`));
    const { msg } = await zerohop.logged(/is this server's own address/);
    assert.equal(
      msg,
      `${zerohop.corefile}:5: upstream ${localAddress}:53 is this server's own address, and its queries come back here, so it is not used; ` +
        'write the address of a real resolver in this forward or its resolv.conf',
    );
    await assertAnswered('web.default.svc.cluster.local.');
    assert.equal(await state(localAddress, 'looping'), 1);
    await zerohop.stop();
    zerohop = null;
  });

  test('a resolv.conf with systemd’s stub alone: says so, and asks what it lists once it is fixed', async () => {
    const resolvConf = `${node.folder}/resolv.conf`;
    writeFileSync(resolvConf, 'nameserver 127.0.0.53\n');
    const other = `cluster.local:53 {\n    bind ${localAddress}\n    forward . ${clusterAddress}\n}\n`;
    zerohop = await startZerohop(node, `${corefile(resolvConf)}${other}`);
    const { msg } = await zerohop.logged(/lists only addresses of this host/);
    assert.equal(
      msg,
      `${resolvConf} lists only addresses of this host (127.0.0.53), and ` +
        '/run/systemd/resolve/resolv.conf lists nothing else; name real resolvers in the forward directive.',
    );
    const { rcode } = await ask(node, 'dig', { name: 'www.outside.test.', type: 'A', over: 'udp' });
    assert.equal(rcode, 'SERVFAIL');
    await assertAnswered('web.default.svc.cluster.local.');
    writeFileSync(resolvConf, `nameserver ${clusterAddress}\n`);
    await zerohop.logged(/^upstreams 10\.96\.0\.10 from/);
    await assertAnswered('www.outside.test.');
  });
});
