/**
 * In the place of node-cache, with only the image changed: the arguments, environment, volumes and template of its
 * own manifest, in a container. A real Knot is what the Service kube-dns-upstream leads to; a second one is asked for
 * a stub domain. What ConfigMaps do is seen from outside: answers, metrics, the log, what each Knot was asked.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { daemonSet, objectsIn } from '../deploy/kubernetes.js';
import { ask } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, output, type Running } from './commands.js';
import { ConfigMapVolume, startContainer } from './container.js';
import { type Knot, startKnot } from './knot.js';
import { httpStatus, httpText, ioPath, logLines, metric } from './zerohop.js';

/** The ClusterIP of kube-dns-upstream, and a company's name server. */
const upstreamAddress = '10.97.12.34';
const companyAddress = '10.97.12.35';

const manifest = objectsIn(readFileSync(repositoryPath('test', 'kubernetes', 'node-cache.yaml'), 'utf8'));
const { args, livenessProbe, volumeMounts } = daemonSet(manifest).spec.template.spec.containers[0];
const probe = `http://${livenessProbe.httpGet.host}:${livenessProbe.httpGet.port}${livenessProbe.httpGet.path}`;
const template = manifest.find(({ kind }) => kind === 'ConfigMap')?.data?.['Corefile'] ?? '';
/** As it is before an installer has replaced anything in it. */
const bareTemplate = template
  .replace('cluster.local:', '__PILLAR__DNS__DOMAIN__:')
  .replaceAll(`${localAddress} ${clusterAddress}`, '__PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__')
  .replace(`${localAddress}:8080`, '__PILLAR__LOCAL__DNS__:8080');

const tools = ['root', 'ip', 'knotd', 'knotc', 'dig', 'curl', 'dnsperf', 'unshare', 'chroot', 'iptables'];

describe("node-cache's own manifest", { skip: needs(...tools) }, () => {
  let node: Node;
  let clusterDns: Knot;
  let companyDns: Knot;
  let nodeLocalDns: ConfigMapVolume;
  let kubeDns: ConfigMapVolume;
  let container: Running;
  let containers = 0;

  before(async () => {
    node = await makeNode();
    for (const address of [localAddress, clusterAddress]) {
      await output(node.command('ip', 'address', 'del', `${address}/32`, 'dev', 'lo'));
    }
    for (const address of [upstreamAddress, companyAddress]) {
      await output(node.command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo'));
    }
    clusterDns = await startKnot(node, { address: upstreamAddress, command: node.command });
    companyDns = await startKnot(node, { address: companyAddress, command: node.command });
    writeFileSync(join(node.folder, 'xtables.lock'), '');
  });
  after(async () => {
    await clusterDns?.stop();
    await companyDns?.stop();
    node?.remove();
  });
  beforeEach(async () => {
    containers++;
    nodeLocalDns = new ConfigMapVolume(join(node.folder, `node-local-dns-${containers}`), {
      'Corefile.base': template,
    });
    kubeDns = new ConfigMapVolume(join(node.folder, `kube-dns-${containers}`), {});
  });
  afterEach(() => container?.stop());

  /** What the manifest's volumes are here. */
  function volume(name: string): string {
    const volumes: Readonly<Record<string, string>> = {
      'config-volume': nodeLocalDns.folder,
      'kube-dns-config': kubeDns.folder,
      'xtables-lock': join(node.folder, 'xtables.lock'),
    };
    return volumes[name];
  }

  /** Starts it as the manifest does, and waits until the liveness probe succeeds. */
  async function run(rootFileSystem: 'read-only' | 'writable', ...more: string[]): Promise<void> {
    container = startContainer(node, `container-${containers}`, {
      arguments: [...args, ...more],
      environment: { KUBE_DNS_UPSTREAM_SERVICE_HOST: upstreamAddress, KUBE_DNS_SERVICE_HOST: clusterAddress },
      volumes: Object.fromEntries(volumeMounts.map(({ name, mountPath }) => [mountPath, volume(name)])),
      etc: { 'resolv.conf': `nameserver ${upstreamAddress}\n` },
      rootFileSystem,
    });
    await eventually('the liveness probe succeeds', async () => {
      const ended = await Promise.race([container.finished, Promise.resolve(undefined)]);
      if (ended !== undefined) throw new Error(`it ended with ${ended.status}: ${ended.stderr}${ended.stdout}`);
      return (await httpStatus(node, probe)) === 200 ? true : undefined;
    });
  }

  /** A path inside the container. */
  const inside = (path: string): string => `/proc/${container.pid}/root${path}`;
  const said = (): string =>
    logLines(container.stdout())
      .map(({ msg }) => msg)
      .join('\n');
  const wrongConfigMaps = (): Promise<number> =>
    metric(node, 'coredns_nodecache_setup_errors_total{errortype="configmap"}');
  async function addresses(name: string, server = localAddress): Promise<string[]> {
    const { answer } = await ask(node, 'dig', { name, type: 'A', over: 'udp' }, server);
    return answer.map(({ data }) => data);
  }

  test('works as it is: both addresses, four server blocks, probe, pid file, Corefile, metrics, and the end', async () => {
    await run('writable');
    for (const server of [localAddress, clusterAddress]) {
      assert.deepEqual(await addresses('web.default.svc.cluster.local.', server), ['10.96.1.1']);
      assert.deepEqual(await addresses('www.outside.test.', server), ['192.0.2.1']);
    }
    for (const [name, to] of [
      ['1.1.96.10.in-addr.arpa.', 'web.default.svc.cluster.local.'],
      [`6${'.0'.repeat(29)}.d.f.ip6.arpa.`, 'six.default.svc.cluster.local.'],
    ]) {
      const { answer } = await ask(node, 'dig', { name, type: 'PTR', over: 'tcp' });
      assert.equal(answer[0]?.data, to, name);
    }
    const { tcp, udp } = await clusterDns.counted();
    assert(tcp > 3 && udp > 0, 'cluster names over TCP, the others as the client asked');
    assert.equal(readFileSync(inside('/tmp/node-cache.pid'), 'utf8'), `${container.pid}\n`);
    assert.match(readFileSync(inside('/etc/Corefile'), 'utf8'), /^ {4}forward \. 10\.97\.12\.34 \{$/mu);
    assert.match(await httpText(node, `http://${localAddress}:9353/metrics`), /^coredns_dns_requests_total\{/mu);
    assert.equal(await wrongConfigMaps(), 0);
    const ended = await container.stop();
    assert.equal(ended.status, 0, ended.stderr);
    assert.equal(existsSync(inside('/tmp/node-cache.pid')), false);
  });

  const reload = 'a stub domain comes into force within seconds, without a lost query and without losing the cache';
  test(reload, { skip: ioPath !== 'threads' && 'once is enough' }, async () => {
    await run('writable');
    assert.deepEqual(await addresses('dual.default.svc.cluster.local.'), ['10.96.1.3']);
    assert.deepEqual(await addresses('www.outside.test.'), ['192.0.2.1']);
    const askedBefore = (await clusterDns.counted()).types.get('A');
    const questions = join(node.folder, 'questions');
    writeFileSync(questions, 'dual.default.svc.cluster.local A\n');
    const load = node.command('dnsperf', '-s', localAddress, '-d', questions, '-l', '7', '-Q', '2000', '-c', '10');
    const asking = output(load, 30_000);
    kubeDns.publish({ stubDomains: `{"outside.test": ["${companyAddress}"]}` });
    await eventually('the company is asked', async () => {
      await addresses('www.outside.test.');
      return (await companyDns.counted()).udp > 0 ? true : undefined;
    });
    assert.match(await asking, /Queries lost: +0 /u);
    assert.equal((await clusterDns.counted()).types.get('A'), askedBefore, 'what was cached stayed');
    assert.match(readFileSync(inside('/etc/Corefile'), 'utf8'), /\noutside\.test:53 \{\n {4}errors\n {4}cache 30\n/u);
  });

  test('what is wrong is said, counted, and changes nothing', async () => {
    kubeDns.publish({ stubDomains: '{"Acme.local": ["10.0.0.53"]}' });
    nodeLocalDns.publish({ 'Corefile.base': bareTemplate });
    await run('read-only', '-reloadwithsignal');
    assert.match(said(), /^invalid kube-dns ConfigMap, ignoring it: .*stubDomains: "Acme\.local" is not/mu);
    assert.equal(await wrongConfigMaps(), 1);
    assert.match(said(), /^\/etc\/Corefile is not writable, using the Corefile from memory: EROFS/mu);
    assert.equal(existsSync(inside('/etc/Corefile')), false);
    nodeLocalDns.publish({ 'Corefile.base': bareTemplate.replace('    errors', '    erors') });
    await eventually('it is refused', () =>
      /: new configuration rejected, keeping the old one: \/etc\/coredns\/Corefile\.base:2: unknown directive "erors"; did you mean "errors"\?$/mu.test(
        said(),
      )
        ? true
        : undefined,
    );
    assert.equal(await metric(node, 'coredns_reload_failed_total'), 1);
    assert.equal(await wrongConfigMaps(), 2);
    assert.deepEqual(await addresses('web.default.svc.cluster.local.'), ['10.96.1.1']);
    nodeLocalDns.publish({ 'Corefile.base': bareTemplate });
    kubeDns.publish({ upstreamNameservers: `["${companyAddress}"]` });
    const asked = (await companyDns.counted()).udp;
    await eventually('the company is asked for everything outside', async () => {
      await addresses(`n${Math.floor(performance.now())}.test.`);
      return (await companyDns.counted()).udp > asked ? true : undefined;
    });
    assert.equal(await wrongConfigMaps(), 2);
  });
});
