/** Advice as a whole: none on what is shipped and what others ship, except what is true of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { adviceCodes, adviceOn } from '../../src/config/advice.js';
import { check } from '../../src/config/check.js';
import { parseCorefile } from '../../src/config/corefile.js';
import { readFlags } from '../../src/config/flag-reader.js';
import { type LoadOptions, parseConfig } from '../../src/config/load.js';
import { serveOptions } from '../../src/config/serve-options.js';
import { checkLogFormat } from '../../src/observe/log-format.js';
import { plugins } from '../../src/plugins/registry.js';
import { repositoryPath } from '../corpus/repository.js';
import { adviceOf, shortly } from './advice/advice-of.js';
import { testOptions } from './options.js';
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

test('what was made has no lines to mend', () => {
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
