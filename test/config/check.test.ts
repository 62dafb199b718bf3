import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckOptions, check } from '../../src/config/check.js';
import { writeReports } from '../../src/config/check-output.js';
import { parseConfig } from '../../src/config/load.js';
import { testOptions } from './options.js';

const make: CheckOptions = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  dnsPort: 53,
  clusterDns: { endpoint: null, missing: 'KUBE_DNS_SERVICE_HOST is not set; set it.' },
  healthPort: 8080,
  prometheusAddress: ':9253',
  corefilePath: '/etc/Corefile',
  baseCorefilePath: '/etc/coredns/Corefile.base',
  kubeDnsFolder: '/etc/kube-dns',
  metricsAddress: null,
  reloadWithSignal: false,
};

function run(files: Readonly<Record<string, string>>, names = Object.keys(files)) {
  const lines: string[] = [];
  const exitCode = writeReports(check(names, testOptions(files), make), 'text', (line) => lines.push(line));
  return { lines, exitCode };
}
const everything = 'bind 169.254.20.10\nerrors\nreload\nready :8181\ncache\n';
const good = `. {\nforward . 10.0.0.1\n${everything}}\n`;

test('a good file is ok in one line', () => {
  assert.deepEqual(run({ '/a': good }), { lines: ['/a: ok, 1 server block, 0 warnings'], exitCode: 0 });
});
test('warnings come first and do not fail', () => {
  const { lines, exitCode } = run({
    '/a': `. {\nforward . 10.0.0.1\nbufsize 4096\n${everything}}\nb. {\nforward . 10.0.0.1\n${everything}}\n`,
  });
  assert.equal(exitCode, 0);
  assert.match(lines[0], /^\/a:3: warning: bufsize: /u);
  assert.equal(lines[1], '/a: ok, 2 server blocks, 1 warning');
});
test('an error fails, after the warnings that may explain it, and the next file is still checked', () => {
  const { lines, exitCode } = run({ '/a': '. {\nforward . {$GONE}\n}\n', '/b': good });
  assert.equal(exitCode, 2);
  assert.match(lines[0], /^\/a:2: warning: the variable \{\$GONE\} is not set/u);
  assert.match(lines[1], /^\/a:2: error: forward: an upstream is missing/u);
  assert.equal(lines[2], '/b: ok, 1 server block, 0 warnings');
});
test('a file that is not there fails', () => {
  const { lines, exitCode } = run({}, ['/none']);
  assert.equal(exitCode, 2);
  assert.deepEqual(lines, [
    '/none: error: the Corefile cannot be read (no such file: /none); give -conf a file that this user may read.',
  ]);
});
test('without a file the built-in configuration is printed, and it is a Corefile', () => {
  const { lines, exitCode } = run({}, []);
  assert.equal(exitCode, 0);
  assert.equal(parseConfig(lines.join('\n'), 'printed', testOptions()).blocks.length, 4);
});

const template =
  '. {\n  bind __PILLAR__LOCAL__DNS__\n  forward . __PILLAR__CLUSTER__DNS__ {\n    force_tcp\n  }\n' +
  '  errors\n  reload\n  ready :8181\n  cache\n}\n';

test('a template is shown as what it becomes, and an example stands for a cluster DNS that is not known', () => {
  assert.deepEqual(run({ '/base': template }), {
    lines: [
      '/base: a template, which becomes:',
      '. {',
      '  bind 169.254.20.10 10.96.0.10',
      '  forward . 192.0.2.53 {',
      '    force_tcp',
      '  }',
      '  errors',
      '  reload',
      '  ready :8181',
      '  cache',
      '}',
      '/base: warning: 192.0.2.53 stands for the cluster DNS here: KUBE_DNS_SERVICE_HOST is not set; set it.',
      '/base: ok, 1 server block, 1 warning',
    ],
    exitCode: 0,
  });
});
test('the ConfigMap of kube-dns is part of what a template becomes', () => {
  const files = { '/base': template, '/etc/kube-dns/stubDomains': '{"acme.local": ["1.2.3.4"]}' };
  const { lines, exitCode } = run(files, ['/base']);
  assert.equal(exitCode, 0);
  assert.equal(lines[0], '/base: a template, which, with /etc/kube-dns/stubDomains, becomes:');
  assert.ok(lines.includes('acme.local:53 {'));
  assert.equal(lines.at(-1), '/base: ok, 2 server blocks, 1 warning');
  const wrong = run({ ...files, '/etc/kube-dns/stubDomains': '[]' }, ['/base']);
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.lines.join('\n'), /^\/etc\/kube-dns\/stubDomains: error: it must be an object like [^\n]*$/u);
});
test('a template that is wrong fails with its line', () => {
  const { lines, exitCode } = run({ '/base': template.replace('CLUSTER', 'CLUSTR') });
  assert.equal(exitCode, 2);
  assert.match(lines.join('\n'), /^\/base:3: error: __PILLAR__CLUSTR__DNS__ is no placeholder; [^\n]*$/u);
});
test('a template that asks no cluster DNS needs none', () => {
  const { lines } = run({ '/base': template.replace('__PILLAR__CLUSTER__DNS__', '__PILLAR__UPSTREAM__SERVERS__') });
  assert.ok(!lines.some((line) => line.includes('stands for the cluster DNS')), lines.join('\n'));
  assert.match(lines.at(-1) ?? '', /: ok, /u);
});

function findingsOf(text: string) {
  const [{ findings }] = check(['/a'], testOptions({ '/a': text }), make);
  return findings.map(({ severity, code, line, remedy }) => [severity, code, line, remedy]);
}

test('what is found has a code: of the advice, of the directive that is spoken of, or of the Corefile', () => {
  assert.deepEqual(
    findingsOf(`. {\nforward . 10.0.0.1\n${everything}bufsize 4096\ntemplate ANY AAAA {\nrcode 3\n}\n}\n`),
    [
      ['warning', 'bufsize', 8, 'write less'],
      ['warning', 'aaaa-nxdomain', 9, 'write "aaaa nodata" or "aaaa smart" in its place'],
    ],
  );
  assert.deepEqual(findingsOf(`. {\n${everything}}\n`), [['warning', 'corefile', 1, null]]);
  assert.deepEqual(findingsOf('. {\nforward . {$GONE}\n}\n'), [
    ['warning', 'corefile', 2, 'set it or take it out'],
    ['error', 'forward', 2, 'was the address of the cluster DNS found? Write an IP address or a resolv.conf'],
  ]);
  assert.deepEqual(findingsOf(`. {\nforward . 10.0.0.1\n${everything}}\na {\n`), [
    ['error', 'corefile', 9, 'add its }'],
  ]);
  assert.deepEqual(findingsOf(good.replace('cache\n', '')), [['warning', 'cache-missing', 1, 'add "cache 30"']]);
});
test('findings stand in the order of their lines', () => {
  const text = good.replace('errors\n', 'bufsize 4096\n').replace('cache\n', 'bufsize 4096\n');
  const lines = findingsOf(text).map(([, , line]) => line);
  assert.deepEqual(lines, [1, 1, 4, 7]);
});
test('a file is read once, since a pipe cannot be read again', () => {
  const options = testOptions({ '/dev/stdin': good });
  let reads = 0;
  const read = (file: string) => (reads++ === 0 ? options.files.read(file) : '');
  const [{ ok }] = check(['/dev/stdin'], { ...options, files: { ...options.files, read } }, make);
  assert.deepEqual({ ok, reads }, { ok: true, reads: 1 });
});
