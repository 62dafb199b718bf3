import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinCorefile } from '../../src/config/builtin.js';
import { noKubeDns } from '../../src/config/kube-dns.js';
import { parsePieces } from '../../src/config/load.js';
import { fromBuiltin, fromTemplate, joined, type MakeOptions } from '../../src/config/template-corefile.js';
import { testOptions } from './options.js';

const options: MakeOptions = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  dnsPort: 53,
  clusterDns: { endpoint: { address: '10.97.12.34', port: 53 }, missing: null },
  healthPort: 8080,
  prometheusAddress: ':9253',
  corefilePath: '/etc/Corefile',
  baseCorefilePath: '/etc/coredns/Corefile.base',
  kubeDnsFolder: '/etc/kube-dns',
};
const load = testOptions();
const base = '/etc/coredns/Corefile.base';
const acme = { stubDomains: [{ domain: 'acme.local', servers: ['1.2.3.4'] }], upstreamNameservers: ['8.8.8.8'] };

test('a template becomes its text with the values of this node, and a block for each stub domain behind it', () => {
  const text = '__PILLAR__DNS__DOMAIN__ {\nbind __PILLAR__LOCAL__DNS__\nforward . __PILLAR__CLUSTER__DNS__\n}\n';
  const alone = fromTemplate({ text, file: base }, noKubeDns, options, load);
  assert.equal(joined(alone), 'cluster.local {\nbind 169.254.20.10 10.96.0.10\nforward . 10.97.12.34\n}\n');
  const { blocks } = parsePieces(fromTemplate({ text, file: base }, acme, options, load), [], testOptions());
  assert.deepEqual(
    blocks.map(({ at, zones }) => [`${at.file}:${at.line}`, zones[0].zone]),
    [
      [`${base}:1`, 'cluster.local.'],
      ['/etc/kube-dns/stubDomains:0', 'acme.local.'],
    ],
  );
});
test('errors name the line of the template, or the ConfigMap', () => {
  const parse = (text: string, kubeDns = noKubeDns) =>
    parsePieces(fromTemplate({ text, file: base }, kubeDns, options, load), [], testOptions());
  const forced = 'forward . __PILLAR__UPSTREAM__SERVERS__ {\n force_tcp\n}\n';
  assert.throws(() => parse(`. {\n${forced}cachee\n}\n`), /^ConfigError: \/etc\/coredns\/Corefile\.base:5: .*cachee/u);
  assert.throws(() => parse(`. {\n${forced}cachee\n}\n`, acme), /^ConfigError: \/etc\/coredns\/Corefile\.base:5: /u);
  const taken = 'acme.local {\nbind __PILLAR__LOCAL__DNS__\nforward . 10.0.0.1\n}\n';
  assert.throws(
    () => parse(taken, acme),
    /^ConfigError: \/etc\/kube-dns\/stubDomains: the zone acme\.local\. .* is already served by the server block on \/etc\/coredns\/Corefile\.base:1;/u,
  );
});
test('relative imports begin where the Corefile is written', () => {
  const files = { '/etc/custom/a.server': 'b {\nforward . 10.0.0.1\n}\n' };
  const text = '. {\nforward . 10.0.0.1\n}\nimport custom/*.server\n';
  const pieces = fromTemplate({ text, file: base }, acme, options, testOptions(files));
  const { blocks, files: watched } = parsePieces(pieces, [base], testOptions(files));
  assert.deepEqual(
    blocks.map(({ zones }) => zones[0].zone),
    ['.', 'b.', 'acme.local.'],
  );
  assert.deepEqual(watched, [base, '/etc/custom', '/etc/custom/a.server']);
});
test('the built-in configuration takes the ConfigMap as well', () => {
  const builtin = { localAddresses: options.localAddresses, port: 53, clusterDns: '10.97.12.34:53' };
  assert.equal(joined(fromBuiltin(noKubeDns, options, load)), builtinCorefile(builtin));
  const { blocks, source } = parsePieces(fromBuiltin(acme, options, load), [], testOptions());
  assert.equal(source, '(built-in)');
  assert.deepEqual(
    blocks.map(({ zones }) => zones[0].zone),
    ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.', '.', 'acme.local.'],
  );
  assert.deepEqual(blocks[3].forwards[0].to, [{ kind: 'endpoint', endpoint: { address: '8.8.8.8', port: 53 } }]);
  const lost = { ...options, clusterDns: { endpoint: null, missing: 'gone.' } };
  assert.deepEqual(parsePieces(fromBuiltin(noKubeDns, lost, load), [], testOptions()).blocks.length, 1);
});
test('the hash is that of the text as it is written', () => {
  const pieces = fromTemplate({ text: '. {\nforward . 10.0.0.1\n}\n', file: base }, acme, options, load);
  const whole = parsePieces([{ text: joined(pieces), file: 'f' }], [], testOptions());
  assert.equal(pieces.length, 2);
  assert.equal(parsePieces(pieces, [], testOptions()).sha512, whole.sha512);
});
test('stub domains are served where all other names are', () => {
  const bound = (bind: string): readonly string[] => {
    const text = `. {\n${bind}\nforward . 10.0.0.1\n}\n`;
    return parsePieces(fromTemplate({ text, file: base }, acme, options, load), [], load).blocks[1].addresses;
  };
  assert.deepEqual(bound('bind __PILLAR__LOCAL__DNS__'), options.localAddresses);
  assert.deepEqual(bound('bind 10.9.9.9'), options.localAddresses, 'as with node-cache');
  assert.deepEqual(bound('bind 0.0.0.0'), ['0.0.0.0']);
  assert.deepEqual(bound(''), ['::']);
});
