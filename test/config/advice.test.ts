/** Advice as a whole: none on what is shipped and what others ship, except what is true of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type AdviceDeps, adviceCodes, adviceOn, hasOption, placeOf } from '../../src/config/advice.js';
import { check } from '../../src/config/check.js';
import { lineOf } from '../../src/config/config.js';
import { parseCorefile } from '../../src/config/corefile.js';
import { readFlags } from '../../src/config/flag-reader.js';
import { type LoadOptions, parseConfig } from '../../src/config/load.js';
import { serveOptions } from '../../src/config/serve-options.js';
import { checkLogFormat } from '../../src/observe/log-format.js';
import { plugins } from '../../src/plugins/registry.js';
import { repositoryPath } from '../corpus/repository.js';
import { adviceOf, codesIn, codesOf, shortly } from './advice-of.js';
import { configOf, testOptions } from './options.js';
import { samples } from './samples.js';

const environment = { KUBE_DNS_SERVICE_HOST: '10.96.0.10', KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.97.12.34' };
const flags = (...argv: readonly string[]) => serveOptions(readFlags(argv), environment);

/** What check finds in a file of the repository, by their codes. */
function found(path: string, options = flags()): string[] {
  const text = readFileSync(repositoryPath(path), 'utf8');
  const load: LoadOptions = { ...testOptions({ [path]: text }), environment };
  const [{ ok, findings }] = check([path], load, options);
  assert.ok(ok, path);
  return findings.map(({ code }) => code);
}

/** Where relative imports begin. */
const place = '/etc/Corefile';

test('there are Corefiles of enough deployments, each of which says what it is', () => {
  assert.ok(samples.length >= 23);
  for (const { name, deployment } of samples) assert.match(deployment, /\w/u, name);
});

for (const { name, text, files, warns } of samples) {
  test(`the Corefile of ${name} is accepted, and warned of nothing but what is true of it`, () => {
    const load: LoadOptions = {
      ...testOptions({ ...files, [place]: text }),
      environment,
      checkLogFormat,
    };
    const [{ ok, findings }] = check([place], load, flags('-upstreamsvc', '10.96.0.10'));
    assert.ok(ok, findings.at(-1)?.message);
    assert.deepEqual(
      findings.map(({ code }) => code),
      warns,
    );
  });
}

const template = 'test/config/corefiles/standard.corefile';
test('the ConfigMap of node-cache, with stub domains and servers', () => {
  const text = readFileSync(repositoryPath(template), 'utf8')
    .replaceAll('169.254.20.10 10.96.0.10', '__PILLAR__LOCAL__DNS__')
    .replaceAll('169.254.20.10', '__PILLAR__LOCAL__DNS__')
    .replaceAll('10.97.12.34', '__PILLAR__CLUSTER__DNS__')
    .replaceAll('/etc/resolv.conf', '__PILLAR__UPSTREAM__SERVERS__');
  const files = { '/base': text, '/etc/kube-dns/stubDomains': '{"acme.local": ["10.0.0.53"]}' };
  const options = flags('-localip', '169.254.20.10,10.96.0.10', '-upstreamsvc', 'kube-dns-upstream');
  const [report] = check(['/base'], testOptions(files), options);
  assert.deepEqual([report.ok, report.serverBlocks, report.findings], [true, 5, []]);
});

test('what is shipped is warned of NXDOMAIN, and of nothing else', () => {
  assert.deepEqual(found('deploy/Corefile'), ['aaaa-nxdomain']);
  const upstream = flags('-upstreamsvc', 'kube-dns-upstream');
  assert.deepEqual(found('deploy/base/Corefile', upstream), ['aaaa-nxdomain']);
  assert.deepEqual(found('deploy/overlays/cilium/Corefile', upstream), ['aaaa-nxdomain']);
  assert.deepEqual(found('deploy/components/aaaa-nodata/Corefile', upstream), []);
});

test('a snippet is advised on once, however often it is imported', () => {
  const text =
    '(every) {\nbind 169.254.20.10\nerrors\nreload\nready :8181\ncache {\ndenial 9984 1\n}\nforward . 10.0.0.1\n}\n';
  assert.deepEqual(shortly(adviceOf(`${text}. {\nimport every\n}\na. {\nimport every\n}\n`)), ['7 denial-ttl-short']);
});

test('what was made has no lines to edit', () => {
  const text = '. {\nforward . 10.0.0.1\n}\n';
  const options = testOptions();
  const made = parseCorefile([{ text, file: '/made', isMade: true }], options, []);
  assert.deepEqual(
    adviceOn(parseConfig(text, '/made', options), made, flags(), plugins).filter(({ at }) => at.line === 0),
    [],
  );
});

test('codes are words with dashes, each once', () => {
  const codes = adviceCodes(plugins);
  assert.ok(codes.length > 20);
  assert.equal(new Set(codes).size, codes.length);
  for (const code of codes) assert.match(code, /^[a-z]+(?:-[a-z]+)+$/u);
});

const text = '. {\ncache {\nsuccess 9984\n}\nforward . 10.0.0.1\n}\n';
const [written] = parseCorefile([{ text, file: '/etc/Corefile' }], testOptions(), []).blocks;
const block = { written, config: configOf(text).blocks[0] };

test('a place is that of the option, else of the directive, else of the block', () => {
  assert.equal(placeOf(block, 'cache', 'success').line, 3);
  assert.equal(placeOf(block, 'cache', 'denial').line, 2);
  assert.equal(placeOf(block, 'cache').line, 2);
  assert.equal(placeOf(block, 'health').line, 1);
});
test('an option is there if it was written', () => {
  assert.deepEqual(
    [hasOption(block, 'cache', 'success'), hasOption(block, 'cache', 'denial'), hasOption(block, 'health', 'lameduck')],
    [true, false, false],
  );
});
test('a line of another file is named with it', () => {
  assert.equal(lineOf({ file: '/a', line: 3 }, { file: '/a', line: 9 }), 'line 3');
  assert.equal(lineOf({ file: '/b', line: 3 }, { file: '/a', line: 9 }), '/b:3');
});

test('the cluster DNS is asked over TCP', () => {
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . 10.0.0.1'), ['8 cluster-dns-over-udp']);
  assert.deepEqual(codesIn('a.svc.cluster.local', 'cache', 'forward . 10.0.0.1'), ['8 cluster-dns-over-udp']);
  assert.ok(codesOf('cache', 'forward . 10.97.12.34').includes('8 cluster-dns-over-udp'));
  for (const option of ['force_tcp', 'prefer_udp']) {
    assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . 10.0.0.1 {', option, '}'), []);
  }
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . tls://10.0.0.1'), []);
  assert.deepEqual(codesIn('acme.local', 'cache', 'forward . 10.0.0.1'), []);
  const own = '.:5301 {\nbind 127.0.0.1\nerrors\ncache\nforward . 10.0.0.1\n}\n';
  const text = `cluster.local {\nbind 10.0.0.9\nerrors\nreload\nready :8181\ncache\nforward . 127.0.0.1:5301\n}\n${own}`;
  assert.deepEqual(shortly(adviceOf(text)), [], 'another block of this server is no cluster DNS');
});

test('this server itself is not asked what would come back', () => {
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10'), ['8 forward-to-own-address'], 'of -localip');
  assert.deepEqual(codesOf('cache', 'forward . 10.96.0.10:5353'), [], 'another port');
  const own = adviceOf('. {\nbind 10.0.0.1\nerrors\nreload\nready :8181\ncache\nforward . 10.0.0.9 10.0.0.1\n}\n');
  assert.deepEqual(shortly(own), ['7 forward-to-own-address']);
  assert.equal(
    own[0].message,
    "forward: 10.0.0.1:53 is this server's own address, and its queries come back to this server block, so it is not used",
  );
});

const chained = (second: string) =>
  '.:5300 {\nbind 127.0.0.1\nerrors\nreload\nready :8181\ncache\nforward . 127.0.0.1:5301\n}\n' +
  `.:5301 {\nbind 127.0.0.1\nerrors\ncache\nforward . ${second}\n}\n`;

test('another block of this server may be asked, as long as it asks somebody else', () => {
  assert.deepEqual(adviceOf(chained('tls://9.9.9.9%dns.quad9.net')), []);
  assert.deepEqual(shortly(adviceOf(chained('127.0.0.1:5300'))), [
    '7 forward-to-own-address',
    '13 forward-to-own-address',
  ]);
  const text = 'a.example:5302 {\nbind 127.0.0.1\nerrors\ncache\nforward . 127.0.0.1:5301\n}\n';
  const [advice, ...others] = adviceOf(chained('127.0.0.1:5302') + text);
  assert.match(
    advice.message,
    /^forward: 127\.0\.0\.1:5302 is this server's own address, and names in a\.example\. come back/u,
  );
  assert.deepEqual(shortly(others), ['19 forward-to-own-address']);
});

test('loopback addresses are our own where all addresses are listened on', () => {
  const text = (address: string) =>
    `. {\nbind 0.0.0.0\nerrors\nloop\nreload\nready :8181\ncache\nforward . ${address}\n}\n`;
  assert.deepEqual(shortly(adviceOf(text('127.0.0.1'))), ['8 forward-to-own-address']);
  assert.deepEqual(shortly(adviceOf(text('127.0.0.1:5353'))), []);
  assert.deepEqual(shortly(adviceOf(text('::1'))), []);
});

test('systemd-resolved is asked by its list', () => {
  assert.deepEqual(codesOf('cache', 'forward . 127.0.0.53'), ['8 forward-to-stub-resolver']);
  assert.deepEqual(codesOf('cache', 'forward . /run/systemd/resolve/resolv.conf'), []);
});

test("the node's resolvers are asked as the client asked", () => {
  assert.deepEqual(codesOf('cache', 'forward . /etc/resolv.conf {', 'force_tcp', '}'), ['8 outside-over-tcp']);
  assert.deepEqual(codesIn('cluster.local', 'cache', 'forward . /etc/resolv.conf {', 'force_tcp', '}'), []);
});

test('a loop through the resolvers of a file is looked for', () => {
  const text = (loop: string) =>
    `. {\nbind 169.254.20.10\nerrors\nreload\nready :8181\ncache\nforward . /etc/resolv.conf\n${loop}}\n`;
  assert.deepEqual(shortly(adviceOf(text(''))), ['7 loop-missing']);
  assert.deepEqual(shortly(adviceOf(text('loop\n'))), []);
});

const forward = 'forward . 10.0.0.1';
const cacheWith = (...lines: readonly string[]) => codesOf('cache {', ...lines, '}', forward);

test('a block that forwards without cache', () => {
  assert.deepEqual(codesOf(forward), ['1 cache-missing']);
  assert.deepEqual(codesOf('cache', forward), []);
  assert.deepEqual(codesOf('template ANY A {', 'answer "{{ .Name }} 5 IN A 10.0.0.1"', '}'), []);
});

test('capacities that need more memory than the manifests allow', () => {
  assert.deepEqual(cacheWith('success 250000'), []);
  assert.deepEqual(cacheWith('success 253000'), ['7 cache-memory']);
  const [{ message, remedy }] = adviceOf(`. {\ncache {\nsuccess 1000000\n}\n${forward}\n}\n`).filter(
    ({ code }) => code === 'cache-memory',
  );
  assert.match(message, /1009984 entries in all, give the cache up to 494 MiB; .* 512 MiB has room for 128 MiB$/);
  assert.match(remedy, /set the container's memory limit to 1001 MiB/);
});

test('denials for less than 5 s, with room for thousands', () => {
  assert.deepEqual(cacheWith('denial 9984 4'), ['8 denial-ttl-short']);
  assert.deepEqual(codesOf('cache 3', forward), ['7 denial-ttl-short']);
  assert.deepEqual(cacheWith('denial 9984 5'), []);
  assert.deepEqual(cacheWith('denial 100 1'), []);
  assert.deepEqual(cacheWith('denial 9984 1', 'disable denial'), []);
});

test('prefetch that never happens', () => {
  assert.deepEqual(cacheWith('prefetch 10 1m', 'disable success'), ['8 prefetch-never']);
  assert.deepEqual(cacheWith('prefetch 10 0s'), ['8 prefetch-never']);
  assert.deepEqual(cacheWith('success 9984 30', 'prefetch 50000 1m'), ['9 prefetch-never']);
  assert.deepEqual(cacheWith('success 9984 30', 'prefetch 10 1m 25%'), []);
  assert.deepEqual(cacheWith('prefetch 10 1m', 'disable success cluster.local'), []);
  assert.deepEqual(cacheWith('prefetch 0 0s'), []);
});

test('stale answers that nothing is kept for', () => {
  assert.deepEqual(cacheWith('serve_stale 1h', 'disable success'), ['8 stale-without-room']);
  assert.deepEqual(cacheWith('success 10', 'serve_stale 1h'), ['9 stale-without-room']);
  assert.deepEqual(cacheWith('serve_stale 1h'), []);
  assert.deepEqual(cacheWith('success 10'), []);
  assert.deepEqual(cacheWith('success 10', 'serve_stale 0'), []);
});

test('the remedy is what stands in the Corefile, made right', () => {
  const [advice] = adviceOf(
    '. {\nbind 169.254.20.10\nerrors\nreload\nready :8181\ncache {\ndenial 20000 2\n}\nforward . 10.0.0.1\n}\n',
  );
  assert.match(advice.message, /^denials are cached for 2 s at most, .* 20000 places stay mostly empty$/u);
  assert.equal(advice.remedy, 'write 5 s or more, for example "denial 20000 5"');
});

const rest = ['cache', 'forward . 10.0.0.1'];

test('a forward behind one that takes all its names', () => {
  assert.deepEqual(codesOf(...rest, 'forward a. 10.0.0.2'), ['9 forward-unreachable']);
  assert.deepEqual(codesOf(...rest, 'forward . 10.0.0.2'), ['9 forward-unreachable']);
  assert.deepEqual(codesOf('cache', 'forward a. 10.0.0.2', 'forward . 10.0.0.1'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'except a', '}', 'forward a. 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'except b.a', '}', 'forward a. 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'next NXDOMAIN', '}', 'forward . 10.0.0.2'), []);
  assert.deepEqual(codesOf('cache', 'forward . 10.0.0.1 {', 'next_on_nodata', '}', 'forward . 10.0.0.2'), []);
});

test('a forward behind a template for everything', () => {
  assert.deepEqual(codesOf(...rest, 'template ANY ANY {', 'rcode REFUSED', '}'), ['8 forward-unreachable']);
  assert.deepEqual(codesOf(...rest, 'template ANY ANY a {', 'rcode REFUSED', '}'), []);
  assert.deepEqual(codesOf(...rest, 'template ANY MX {', 'rcode REFUSED', '}'), []);
});

test('a template that nothing comes to', () => {
  const mx = ['template IN MX {', 'rcode NXDOMAIN', '}'];
  assert.deepEqual(codesOf(...rest, ...mx, ...mx), ['12 template-unreachable']);
  assert.deepEqual(codesOf(...rest, ...mx, 'template IN TXT {', 'rcode NXDOMAIN', '}'), []);
  assert.deepEqual(codesOf(...rest, 'template IN MX {', 'match ^a', 'rcode NXDOMAIN', 'fallthrough', '}', ...mx), []);
  const aaaa = ['template IN AAAA {', 'match ^a', 'answer "{{ .Name }} 5 IN AAAA fd00::1"', 'fallthrough', '}'];
  assert.deepEqual(codesOf(...rest, 'aaaa nodata', ...aaaa), ['10 template-unreachable']);
  assert.deepEqual(codesOf(...rest, 'aaaa forward', ...aaaa), []);
});

test('a template with a condition and nowhere to go', () => {
  const template = (...more: readonly string[]) => ['template IN MX {', 'match ^a', 'rcode NXDOMAIN', ...more, '}'];
  assert.deepEqual(codesOf(...rest, ...template()), ['9 template-without-fallthrough']);
  assert.deepEqual(codesOf(...rest, ...template('fallthrough')), []);
  assert.deepEqual(codesOf(...template()), [], 'nothing stands behind it');
  assert.deepEqual(codesOf(...template(), 'template IN TXT {', 'rcode NXDOMAIN', '}'), [
    '7 template-without-fallthrough',
  ]);
});

test('a hosts file before a forward', () => {
  const hosts = (...more: readonly string[]) => ['hosts {', '10.0.0.1 a.acme.local', ...more, '}'];
  assert.deepEqual(codesIn('acme.local', ...rest, ...hosts()), ['9 hosts-without-fallthrough']);
  assert.deepEqual(codesIn('acme.local', ...rest, ...hosts('fallthrough')), []);
  assert.deepEqual(codesOf(...rest, ...hosts()), [], 'said when it is read');
  assert.deepEqual(codesIn('acme.local', ...hosts()), []);
});

test('an acl that lets nobody in, or everybody', () => {
  assert.deepEqual(codesOf(...rest, 'acl {', 'block', '}'), ['9 acl-blocks-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'drop net 0.0.0.0/0 ::/0', '}'), ['9 acl-blocks-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'block net 0.0.0.0/0', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl {', 'block type ANY', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl a. {', 'block', '}'), []);
  assert.deepEqual(codesOf(...rest, 'acl {', 'allow net 10.0.0.0/8', '}'), ['9 acl-allows-all']);
  assert.deepEqual(codesOf(...rest, 'acl {', 'allow net 10.0.0.0/8', 'block', '}'), []);
});

const servingRest = 'errors\nreload\ncache\nforward . 10.0.0.1\n';
const codes = (text: string, world: Partial<AdviceDeps> = {}) => shortly(adviceOf(text, world));
const here = 'bind 169.254.20.10\nready :8181\n';

test('a server block on all addresses that nobody asked for', () => {
  assert.deepEqual(codes(`. {\n${servingRest}ready :8181\n}\na. {\n${servingRest}}\n`), ['1 bind-missing']);
  assert.deepEqual(codes(`. {\nbind 0.0.0.0\nready :8181\n${servingRest}}\n`), []);
  const [advice] = adviceOf(`. {\n${servingRest}ready :8181\n}\n`);
  assert.equal(advice.remedy, 'add "bind 169.254.20.10 10.96.0.10"');
});

test('zones that one address hides', () => {
  const stub = `a. {\nbind 169.254.20.10\n${servingRest}}\n`;
  const hidden = adviceOf(`. {\nbind 0.0.0.0\nready :8181\n${servingRest}}\n${stub}`);
  assert.deepEqual(shortly(hidden), ['9 zones-hidden']);
  assert.match(hidden[0].message, /^queries to 169\.254\.20\.10:53 .* so \. of line 1 is not served there$/u);
  assert.deepEqual(codes(`. {\n${here}${servingRest}}\n${stub}`), []);
  assert.deepEqual(codes(`. {\nbind 0.0.0.0 169.254.20.10\nready :8181\n${servingRest}}\n${stub}`), []);
  assert.deepEqual(
    codes(`. {\nbind 0.0.0.0\nready :8181\n${servingRest}}\na.:5353 {\nbind 10.0.0.1\n${servingRest}}\n`),
    [],
  );
});

test('nobody for all other names', () => {
  assert.deepEqual(codes(`a. {\n${here}${servingRest}}\nb. {\nbind 169.254.20.10\n${servingRest}}\n`), [
    '1 root-missing',
  ]);
});

test('health on an address that others may have', () => {
  const text = (bind: string, at: string) => `. {\nbind ${bind}\nhealth ${at}\n${servingRest}}\n`;
  assert.deepEqual(codes(text('169.254.20.10', ':8080')), ['3 health-on-all-addresses']);
  assert.deepEqual(codes(text('169.254.20.10', ':9254')), []);
  assert.deepEqual(codes(text('169.254.20.10', '169.254.20.10:8080')), []);
  assert.deepEqual(codes(text('0.0.0.0', ':8080')), []);
  const [advice] = adviceOf(text('fd00::10', ':8080'));
  assert.equal(advice.remedy, 'write "health [fd00::10]:8080"');
});

test('the port of -metrics-listen-address', () => {
  const text = `. {\nbind 169.254.20.10\nhealth 169.254.20.10:9353\n${servingRest}}\n`;
  assert.deepEqual(codes(text), ['3 metrics-port-twice']);
  assert.deepEqual(codes(text, { metricsAddress: null }), []);
  assert.deepEqual(codes(text, { metricsAddress: { address: '127.0.0.1', port: 9353 } }), []);
});

test('what tells that something is wrong', () => {
  const block = (lines: string) => `. {\nbind 169.254.20.10\ncache\nforward . 10.0.0.1\n${lines}\n}\n`;
  assert.deepEqual(codes(block('reload\nready :8181')), ['1 errors-missing']);
  assert.deepEqual(codes(block('errors\nready :8181')), ['1 reload-missing']);
  assert.deepEqual(codes(block('errors\nready :8181'), { reloadWithSignal: true }), []);
  assert.deepEqual(codes(block('errors\nreload')), ['1 health-missing']);
});

test('search-path-upstream: the cluster domain without NXDOMAIN cuts', () => {
  const without = ['cache 30', 'forward . 10.97.12.34 {', 'force_tcp', '}'];
  assert.deepEqual(codesIn('cluster.local', ...without), []);
  assert.deepEqual(codesIn('cluster.local', 'nxdomain_cut off', ...without), ['1 search-path-upstream']);
  assert.deepEqual(codesIn('cluster.local', 'rewrite name a.test b.test', ...without), ['1 search-path-upstream']);
  assert.deepEqual(codesIn('corp.test', 'nxdomain_cut off', ...without), []);
  const denialsOff = ['cache {', 'disable denial', '}', ...without.slice(1)];
  assert.deepEqual(codesIn('cluster.local', ...denialsOff), ['1 search-path-upstream']);
});

test('search-path-upstream: no block for the cluster domain, whose DNS is asked for all names', () => {
  const asking = (address: string) => ['cache 30', `forward . ${address} {`, 'force_tcp', '}'];
  assert.ok(codesOf(...asking('10.97.12.34')).includes('1 search-path-upstream'));
  assert.ok(!codesOf(...asking('192.0.2.1')).includes('1 search-path-upstream'));
});
