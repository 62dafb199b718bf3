/** `tls://` against a real Unbound that serves DNS over TLS, with a certificate made here. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { needs, output, type Running, start } from './commands.js';
import { misses } from './misses.js';
import { metric, startZerohop, type Zerohop } from './zerohop.js';

const skip = needs('root', 'ip', 'unbound', 'openssl', 'dig', 'dnsperf');

describe('an upstream over TLS', { skip }, () => {
  let node: Node;
  let unbound: Running;
  let zerohop: Zerohop | null = null;

  before(async () => {
    node = await makeNode();
    const [key, certificate] = [join(node.folder, 'key.pem'), join(node.folder, 'cert.pem')];
    const made = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=dns.test'];
    await output([...made, '-addext', 'subjectAltName=DNS:dns.test', '-keyout', key, '-out', certificate]);
    const configuration = join(node.folder, 'unbound.conf');
    writeFileSync(configuration, unboundConfiguration(node.folder));
    unbound = start(node.command('unbound', '-d', '-c', configuration));
  });
  after(async () => {
    await zerohop?.stop();
    await unbound?.stop();
    node?.remove();
  });

  test('questions and answers go over TLS, pipelined, 500 a second without a loss', async (t) => {
    zerohop = await startZerohop(node, corefile(node.folder, 'dns.test'));
    const { rcode, answer } = await ask(node, 'dig', {
      name: 'a.wild.svc.cluster.local.',
      type: 'A',
      over: 'udp',
    });
    assert.deepEqual([rcode, answer[0]?.data], ['NOERROR', '10.9.8.7']);
    const report = await misses(node, 500, 2);
    t.diagnostic(`p50 ${report.p50Ms.toFixed(1)}, p99 ${report.p99Ms.toFixed(1)} ms`);
    assert.deepEqual([report.lost, ...report.rcodes], [0, ['NOERROR', 1_000]]);
    const opened = await metric(
      node,
      'coredns_proxy_conn_cache_misses_total{proxy_name="forward",to="10.96.0.10:853",proto="tcp"}',
    );
    assert(opened >= 1 && opened < 64, `${opened} connections`);
    await zerohop.stop();
    zerohop = null;
  });

  test('the name behind the address counts for it alone, and more than tls_servername', async () => {
    const named = (name: string) =>
      corefile(node.folder, 'other.test').replace(`tls://${clusterAddress}`, `tls://${clusterAddress}%${name}`);
    zerohop = await startZerohop(node, named('dns.test'));
    const question = { name: 'c.wild.svc.cluster.local.', type: 'A', over: 'udp' } as const;
    const { rcode, answer } = await ask(node, 'dig', question);
    assert.deepEqual([rcode, answer[0]?.data], ['NOERROR', '10.9.8.7']);
    writeFileSync(zerohop.corefile, named('another.test').replace('cache 30', 'cache 31'));
    zerohop.signal('SIGHUP');
    await zerohop.logged(/new configuration in force/);
    assert.equal((await ask(node, 'dig', { ...question, name: 'd.wild.svc.cluster.local.' })).rcode, 'SERVFAIL');
    await zerohop.stop();
    zerohop = null;
  });

  test('a certificate for another name is not believed: SERVFAIL, and the log says why', async () => {
    zerohop = await startZerohop(node, corefile(node.folder, 'dns.test'));
    writeFileSync(zerohop.corefile, corefile(node.folder, 'other.test'));
    zerohop.signal('SIGHUP');
    await zerohop.logged(/new configuration in force/);
    const { rcode } = await ask(node, 'dig', { name: 'b.wild.svc.cluster.local.', type: 'A', over: 'udp' });
    assert.equal(rcode, 'SERVFAIL');
    await zerohop.logged(/dial tcp 10\.96\.0\.10:853: connect: Hostname\/IP does not match certificate/);
  });
});

function corefile(folder: string, name: string): string {
  return `.:53 {
    errors
    bind ${localAddress}
    cache 30
    forward . tls://${clusterAddress} {
        tls ${folder}/cert.pem
        tls_servername ${name}
    }
    prometheus :9253
    health ${localAddress}:8080
    ready ${localAddress}:8181
}
`;
}

function unboundConfiguration(folder: string): string {
  return `server:
    directory: "${folder}"
    chroot: ""
    username: ""
    pidfile: "${folder}/unbound.pid"
    use-syslog: no
    interface: ${clusterAddress}@853
    tls-port: 853
    tls-service-key: "${folder}/key.pem"
    tls-service-pem: "${folder}/cert.pem"
    access-control: 0.0.0.0/0 allow
    incoming-num-tcp: 100
    local-zone: "wild.svc.cluster.local." redirect
    local-data: "wild.svc.cluster.local. 30 A 10.9.8.7"
    local-zone: "." refuse
remote-control:
    control-enable: no
`;
}
